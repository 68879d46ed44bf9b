package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"taillab/cmd/taillab/internal/runner"
	"taillab/reports"
	"taillab/reports/render"
	"taillab/scenarios"
)

// runCmd is `taillab run`.
type runCmd struct {
	Scenario   []string `arg:"" help:"Path, name of an embedded scenario, or - for stdin."`
	Out        string   `short:"o" default:"runs" help:"Run directories go below DIR." placeholder:"DIR"`
	Jobs       int      `short:"j" help:"Parallel runs; the result never depends on it. Default: all cores." placeholder:"N"`
	Only       []string `sep:"none" help:"Subset, e.g. policy=jiq,load=0.8; repeatable." placeholder:"KEY=VALUE,…"`
	Format     string   `default:"table" help:"table md json csv html svg png junit github; FMT=PATH writes to a file; at most one goes to stdout." placeholder:"LIST"`
	Strict     bool     `help:"Exit 4 when a gate is inconclusive."`
	At         string   `help:"Load shown in the table: load=X." placeholder:"load=X"`
	Confidence float64  `default:"0.95" help:"Confidence of intervals, 0.80…0.999." placeholder:"P"`
	Tape       string   `enum:",on,off" default:"" help:"on or off: record every policy call for replay; beats measure.tape." placeholder:"on|off"`
	UI         string   `name:"ui" enum:"auto,bar,plain,none" default:"auto" help:"Progress on stderr: ${enum}." placeholder:"HOW"`
	Live       string   `help:"Drive real backends instead of simulating: a targets file, or emulator for built-in ones." placeholder:"TARGETS.yaml|emulator"`
	Both       bool     `help:"Simulate and drive live (--live; default: emulator), and report how well the simulator foretold it."`
	Profile    string   `help:"With --both: overhead profile of taillab calibrate, for a calibrated simulator beside the plain one." placeholder:"FILE"`

	Baseline       string `help:"What gates \"within X% of baseline\" refer to; default: baselines/SCENARIO.json, of a live run SCENARIO.live.json." placeholder:"FILE"`
	UpdateBaseline bool   `help:"Write the results as the new baseline, unless a gate failed."`
	Force          bool   `help:"With --update-baseline: write it even if a gate failed."`
	ForceVerdict   bool   `help:"Live: judge the gates of an invalid measurement, marked \"not valid\"; still exit 3."`

	Open      bool          `help:"Open the HTML report (terminal only)."`
	Scenarios scenarioFlags `embed:""`
	Common    common        `embed:""`
}

// check refuses flags that no run could mean.
func (c *runCmd) check() error {
	if c.Jobs < 0 {
		return fmt.Errorf("--jobs is %d: it must be at least 1, or left out for all cores", c.Jobs)
	}
	if err := checkConfidence(c.Confidence); err != nil {
		return err
	}
	if c.Profile != "" && !c.Both {
		return fmt.Errorf("--profile calibrates the simulator of --both: add --both, or leave it out")
	}
	return c.checkBaseline()
}

// checkConfidence refuses a level that no interval is made for.
func checkConfidence(p float64) error {
	if !(p >= reports.MinConfidence && p <= reports.MaxConfidence) {
		return fmt.Errorf("--confidence is %g: it must lie in [0.80, 0.999]", p)
	}
	return nil
}

// run simulates all scenarios, one after another. Nothing runs before all of them
// and all flags are known to be good.
func (c *runCmd) run(s *session) int {
	started := time.Now()
	if c.Both && c.Live == "" {
		c.Live = emulated
	}
	outs, err := parseFormats(c.Format, len(c.Scenario) > 1)
	selections, errOnly := parseOnly(c.Only)
	at, _, errAt := parseAt(c.At)
	if err := cmp.Or(c.check(), err, errOnly, errAt); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	plans, code := s.load(c.Scenario, &c.Scenarios)
	if plans == nil {
		return code
	}
	for _, p := range plans {
		if err := only(p, selections); err != nil {
			return s.fail(exitUsage, "", "%v", err)
		}
		if err := checkAt(at, identities(p)); err != nil {
			return s.fail(exitUsage, "", "%v", err)
		}
		setTape(p, c.Tape)
	}
	var overhead *scenarios.Overhead
	if c.Profile != "" {
		if overhead, code = s.readProfile(c.Profile); overhead == nil {
			return code
		}
	}
	lives := make([]*live, len(plans))
	for i, p := range plans {
		if c.Live == "" {
			continue
		}
		if lives[i], code = c.backends(s, p); lives[i] == nil {
			return code
		}
	}
	twins, err := calibrated(plans, overhead)
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	jobs := make([]job, len(plans))
	for i, p := range plans {
		jobs[i] = job{s: s, cmd: c, plan: p, live: lives[i], name: c.Scenario[i], outs: outs, twin: twins[i], overhead: overhead}
		jobs[i].options.AtLoad = at
	}
	for i := range jobs {
		if code := jobs[i].openBaselines(); code != exitOK {
			return code
		}
	}
	return c.all(s, jobs, started)
}

func (c *runCmd) all(s *session, jobs []job, started time.Time) int {
	var codes []int
	color := s.stdoutColor()
	for i := range jobs {
		j := &jobs[i]
		if i > 0 {
			started = time.Now()
			if onStdout(j.outs) != "" {
				fmt.Fprintln(s.out)
			}
		}
		j.started = started
		j.options = render.Options{Width: s.width(s.Stdout), Color: color, ASCII: s.asciiOnly(), AtLoad: j.options.AtLoad, AgainCommand: c.again(j.name),
			File: s.annotated(j.plan.File), Strict: c.Strict}
		do := j.do
		if c.Both {
			do = j.both
		}
		codes = append(codes, do())
		if s.stopped.get() != 0 {
			break
		}
	}
	return worst(codes...)
}

// setTape lets --tape beat measure.tape.
func setTape(p *scenarios.Plan, tape string) {
	if tape == "" {
		return
	}
	for _, c := range p.Cells {
		c.Setup.Measure.Tape, c.Setup.Live.Tape = tape == "on", tape == "on"
	}
}

// again is the command that repeats a run.
func (c *runCmd) again(name string) string {
	parts := []string{"taillab run", quote(name), fmt.Sprintf("--seed %d", c.Scenarios.Seed)}
	if c.Scenarios.Seeds > 0 {
		parts = append(parts, fmt.Sprintf("--seeds %d", c.Scenarios.Seeds))
	}
	if c.Live != "" {
		parts = append(parts, "--live "+quote(c.Live))
	}
	if c.Both {
		parts = append(parts, "--both")
	}
	if c.Profile != "" {
		parts = append(parts, "--profile "+quote(c.Profile))
	}
	if c.Baseline != "" {
		parts = append(parts, "--baseline "+quote(c.Baseline))
	}
	for _, o := range c.Only {
		parts = append(parts, "--only "+quote(o))
	}
	for _, o := range c.Scenarios.Set {
		parts = append(parts, "--set "+quote(o))
	}
	if c.Scenarios.SkipBad == "all" {
		parts = append(parts, "--skip-bad=all")
	} else if c.Scenarios.SkipBad != "" {
		parts = append(parts, "--skip-bad")
	}
	return strings.Join(parts, " ")
}

// job is one scenario of a run command.
type job struct {
	s       *session
	cmd     *runCmd
	plan    *scenarios.Plan
	live    *live  // nil: simulated
	name    string // as the user named it
	started time.Time
	outs    []output
	options render.Options
	dir     *reports.RunWriter
	result  *runner.Result
	sum     *reports.Summary
	git     func() *reports.Git

	kept    []*runner.Run // live runs whose files are written
	keptErr error

	bases map[string]*reports.Stored // by host: the baselines that something refers to

	twin     *scenarios.Plan // of the calibrated simulator; nil without a profile
	overhead *scenarios.Overhead
}

// do runs, reports and returns the exit code.
func (j *job) do() int {
	s := j.s
	var err error
	if j.dir, err = reports.CreateRun(j.cmd.Out, j.plan.Name, j.started); err != nil {
		return s.fail(exitUsage, "choose another folder with --out DIR", "%v", err)
	}
	j.git = askGit(s.ctx)
	broken := j.drive()
	if j.finished() == 0 {
		if err := j.dir.Discard(); err != nil {
			s.note("taillab: %v", err)
		}
		if c := s.stopped.get(); c != 0 {
			return s.fail(c, "", "interrupted before any run of %s had finished; nothing was kept", j.plan.Name)
		}
		return exitBroken
	}
	s.log.Debug("simulated", "wall", time.Since(j.started))
	j.summarise(j.git())
	s.log.Debug("summarised", "wall", time.Since(j.started))
	code := j.report(broken)
	s.log.Debug("reported", "wall", time.Since(j.started))
	return code
}

// drive runs the plan on its host; it tells of runs that broke, and whether any did.
func (j *job) drive() (broken bool) {
	s := j.s
	s.log.Debug("run", "scenario", j.plan.Name, "runs", len(j.plan.Cells)*j.plan.Seeds, "hash", j.plan.Hash)
	bar := s.progress(j.plan.Name, j.cmd.UI)
	host, jobs := j.host()
	o := runner.Options{Jobs: jobs, Together: j.together(), Progress: bar.update, AsPlanned: j.cmd.Live != "", Confidence: j.cmd.Confidence}
	if j.live != nil {
		o.Finished, j.live.tape = j.keep, j.startTape
	}
	j.result = runner.Do(s.ctx, host, j.plan, o)
	bar.end()
	for _, n := range j.result.Notes {
		s.note("taillab: %s", n)
	}
	for i := range j.result.Runs {
		r := &j.result.Runs[i]
		s.log.Debug("run done", "policy", r.Cell.Policy, "rate", r.Cell.RateRPS, "seed", r.Rep+1, "finished", r.Collector != nil)
	}
	if broken = j.result.Err() != nil; broken {
		j.tellBroken()
	}
	return broken
}

// shownErrors bounds what is printed of runs that broke: they repeat each other.
const shownErrors = 3

func (j *job) tellBroken() {
	n := 0
	for i := range j.result.Runs {
		err := j.result.Runs[i].Err
		if err == nil || errors.Is(err, context.Canceled) {
			continue
		}
		if n++; n <= shownErrors {
			j.s.fail(exitBroken, "", "%s: %v", j.plan.Name, err)
		}
	}
	if n > shownErrors {
		j.s.fail(exitBroken, "", "%s: … and %d more runs broke", j.plan.Name, n-shownErrors)
	}
}

func (j *job) finished() (n int) {
	for i := range j.result.Runs {
		if j.result.Runs[i].Collector != nil {
			n++
		}
	}
	return n
}

// report writes the run directory and the formats asked for.
func (j *job) report(broken bool) int {
	s := j.s
	code := reports.ExitCode(j.sum.Gates, j.cmd.Strict)
	if why := j.live.unsound(); why != "" { // a run that did not measure must not pass
		code = worst(code, s.fail(exitBroken, "", "%s", why))
	}
	if broken {
		code = worst(code, exitBroken)
	}
	dir, err := j.save(broken)
	if err != nil {
		code = worst(code, s.fail(exitBroken, "", "%v", err))
	}
	if err := s.write(j.sum, j.outs, j.options); err != nil {
		code = worst(code, s.fail(exitBroken, "", "%v", err))
	}
	if j.cmd.UpdateBaseline {
		code = worst(code, j.updateBaseline())
	}
	return j.leave(code, "runs", dir, j.options.ReportPath)
}

// leave says what an interruption has left in a run directory, and opens its page where
// that is asked for.
func (j *job) leave(code int, what, dir, page string) int {
	s := j.s
	if c := s.stopped.get(); c != 0 {
		code = worst(code, c)
		fmt.Fprintf(s.err, "taillab: interrupted: %d of %d %s were finished and are kept in %s\n", j.finished(), len(j.result.Runs), what, dir)
	}
	if j.cmd.Open && isTTY(s.Stdout) && dir != "" {
		if err := openFile(page); err != nil {
			s.note("taillab: cannot open the report: %v", err)
		}
	}
	return code
}

// identities are the cells of a plan without any result.
func identities(p *scenarios.Plan) []reports.Cell {
	out := make([]reports.Cell, len(p.Cells))
	for i, c := range p.Cells {
		out[i] = reports.Cell{Policy: c.Policy, Load: c.Load, Axes: c.Axes, RateRPS: c.RateRPS}
	}
	return out
}
