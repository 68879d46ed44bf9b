package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"taillab/cmd/taillab/internal/runner"
	"taillab/policies/balance"
	"taillab/realrun"
	"taillab/realrun/telemetry"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim"
)

// emulated is the reserved word of --live that starts the built-in backends.
const emulated = "emulator"

// live is how a plan is driven against backends; nil means simulated.
type live struct {
	host realrun.Host
	tape func(*scenarios.Run) (*tapeWriter, error) // begins the tape of a run

	mu   sync.Mutex
	why  []string                   // what made the measurement unsound
	seen map[runID]telemetry.Result // by the first run of each call of the host
}

// runID names a run of a plan.
type runID struct{ cell, rep int }

// Run implements runner.Host.
func (l *live) Run(ctx context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	h := l.host
	h.Unsound = func(_ int, why []reports.Warning) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, w := range why {
			l.why = append(l.why, w.Message)
		}
	}
	h.Watched = func(seen telemetry.Result) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.seen == nil {
			l.seen = map[runID]telemetry.Result{}
		}
		l.seen[runID{runs[0].Index, runs[0].Rep}] = seen
	}
	var tapes []*tapeWriter
	h.Tape = func(run int) (realrun.TapeWriter, error) {
		w, err := l.tape(&runs[run])
		if err == nil {
			tapes = append(tapes, w)
		}
		return w, err
	}
	err := h.Run(ctx, runs, rec)
	if err != nil { // there is no such run
		for _, w := range tapes {
			err = errors.Join(err, w.file.Discard())
		}
	}
	return err
}

// telemetry is what was seen of the machines under a run, or under the arms of which
// it is the first, as CSV; nil when nothing was.
func (l *live) telemetry(id runID) ([]byte, error) {
	if l == nil {
		return nil, nil
	}
	l.mu.Lock()
	seen, ok := l.seen[id]
	l.mu.Unlock()
	if !ok {
		return nil, nil
	}
	var b bytes.Buffer
	err := telemetry.WriteCSV(&b, seen.Rows)
	return b.Bytes(), err
}

// unsound says why no gate may be judged, "" when the measurement was sound.
func (l *live) unsound() string {
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.why) == 0 {
		return ""
	}
	return "the measurement is not valid: " + l.why[0]
}

// backends reads the targets of --live for a plan and prepares the plan for them:
// cells that are not driven are left out, and there is one repetition. All problems
// are printed, and nothing is sent.
func (c *runCmd) backends(s *session, p *scenarios.Plan) (*live, int) {
	l := &live{}
	var sources []scenarios.Source
	var problems []scenarios.Problem
	if c.Live != emulated {
		src, err := scenarios.ReadInput("targets file", c.Live, s.Stdin)
		if err != nil {
			return nil, s.fail(exitUsage, "--live takes a targets file, or emulator for backends on this machine", "--live: %v", err)
		}
		sources = append(sources, src)
		l.host.Targets, problems = scenarios.LoadTargets(src, scenarios.TargetOptions{Plan: p, Live: true,
			Env: func(k string) (string, bool) { v := s.Getenv(k); return v, v != "" }})
	}
	if len(problems) == 0 {
		problems = scenarios.CheckLive(p, l.host.Targets)
		sources = append(sources, scenarios.Source{Name: p.File, Data: p.Source})
	}
	if len(problems) > 0 {
		scenarios.Print(s.err, problems, sources, s.width(s.Stderr), s.stderrColor())
		return nil, exitUsage
	}
	if l.host.Targets != nil {
		notes, err := realrun.Resolve(s.ctx, l.host.Targets)
		if err != nil {
			return nil, s.fail(exitBroken, "", "%v", err)
		}
		l.host.Targets.Notes = append(l.host.Targets.Notes, notes...)
	}
	var cells []*scenarios.Cell
	for _, cell := range p.Cells {
		if cell.RunsLive() {
			cells = append(cells, cell)
		}
	}
	if len(cells) == 0 {
		return nil, s.fail(exitUsage, "keep at least one of the arms", "no policy is left to drive: measure.live.arms names none of those selected")
	}
	p.Cells, p.Seeds = inTurns(cells), max(1, cells[0].Setup.Live.Repeats)
	if c.Scenarios.Seeds > 0 { // the scenario's seeds are for the simulator, those of the command line for both
		p.Seeds = c.Scenarios.Seeds
	}
	if !c.Common.Quiet {
		s.note("%s", cost(p))
		for _, line := range l.before(p) {
			s.note("%s", line)
		}
		l.host.Note = once(func(text string) { s.note("taillab: %s", text) })
	}
	return l, exitOK
}

// once tells each text a single time, however many runs say it; from any goroutine.
func once(tell func(string)) func(string) {
	var told sync.Map
	return func(text string) {
		if _, known := told.LoadOrStore(text, true); !known {
			tell(text)
		}
	}
}

// before is what a user must know before anything is sent: where the targets differ
// from the scenario, and which commands its faults will run.
func (l *live) before(p *scenarios.Plan) (lines []string) {
	if l.host.Targets != nil {
		lines = append(lines, l.host.Targets.Notes...)
	}
	for _, c := range p.Cells {
		for _, h := range l.host.Hooks(c) {
			if !slices.Contains(lines, h) {
				lines = append(lines, h)
			}
		}
	}
	return lines
}

// inTurns puts the arms of a comparison in their order. A label that is an arm twice
// is two cells, of which the second is called LABEL#2: its interval tests the method.
func inTurns(cells []*scenarios.Cell) []*scenarios.Cell {
	arms := cells[0].Setup.Live.Arms
	if len(arms) == 0 {
		return cells
	}
	var out []*scenarios.Cell
	for i, a := range arms {
		again := 1
		for _, b := range arms[:i] {
			if a == b {
				again++
			}
		}
		for _, c := range cells {
			if c.Policy != a {
				continue
			}
			if again > 1 {
				twin := *c
				twin.Policy = fmt.Sprintf("%s#%d", a, again)
				c = &twin
			}
			out = append(out, c)
		}
	}
	return out
}

// together tells whether the host interleaves the policies.
func (j *job) together() bool {
	return j.live != nil && len(j.plan.Cells[0].Setup.Live.Arms) > 0
}

// members is what the front ends knew of a service: real targets are the fleet.
func (j *job) members(s *scenarios.Service) *balance.Table {
	if j.live != nil && j.live.host.Targets != nil {
		if t := j.live.host.Targets.Service(s.Name); t != nil {
			return realrun.Table(t)
		}
	}
	return s.Table()
}

// cost says how long a live command will take, before anything is sent.
func cost(p *scenarios.Plan) string {
	var total time.Duration
	for _, c := range p.Cells {
		total += time.Duration(p.Seeds) * length(c)
	}
	if live := &p.Cells[0].Setup.Live; len(live.Arms) > 0 {
		return fmt.Sprintf("%s, driven live in turns, %d blocks each: at least %v", shape(p), live.Blocks, total.Round(time.Second))
	}
	return fmt.Sprintf("%s, driven live one after another: about %v", shape(p), total.Round(time.Second))
}

// length is how long the schedule of a cell lasts; for an arm whose blocks will be as
// long as its latencies ask for, the least.
func length(c *scenarios.Cell) time.Duration {
	if l := &c.Setup.Live; len(l.Arms) > 0 {
		return realrun.ArmTime(l)
	}
	m := &c.Setup.Measure
	if m.Horizon > 0 {
		return m.Horizon
	}
	if c.RateRPS <= 0 {
		return 0
	}
	return time.Duration(float64(m.Requests) / c.RateRPS * float64(time.Second))
}

// host is what runs the job, and how many runs at a time: a live one shares its
// machine with nothing.
func (j *job) host() (runner.Host, int) {
	if j.live == nil {
		return sim.Host{}, j.cmd.Jobs
	}
	return j.live, 1
}

// kind is the summary's host.
func (j *job) kind() string {
	if j.live == nil {
		return "sim"
	}
	return "live"
}
