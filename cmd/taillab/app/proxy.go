package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"taillab/cmd/taillab/internal/runner"
	"taillab/cmd/taillab/internal/tape"
	"taillab/realrun/proxy"
	"taillab/reports"
	"taillab/reports/render"
	"taillab/scenarios"
)

// proxyCmd is `taillab proxy`.
type proxyCmd struct {
	Scenario  string        `arg:"" help:"Path, embedded name, or -: its policies, front ends, discovery and slo are used."`
	Targets   string        `required:"" help:"Targets file: the backends, and under proxy how requests are read." placeholder:"FILE"`
	Listen    string        `required:"" help:"Address for clients; port 0: any." placeholder:"ADDR"`
	Admin     string        `default:"127.0.0.1:0" help:"Address of /metrics, /healthz and /summary.json; never a public one." placeholder:"ADDR"`
	Only      []string      `sep:"none" help:"Which policy is used, e.g. policy=jiq; one must remain." placeholder:"KEY=VALUE,…"`
	Out       string        `short:"o" default:"runs" help:"The run directory goes below DIR." placeholder:"DIR"`
	Tape      string        `enum:",on,off" default:"" help:"on or off: record every policy call for replay; beats measure.tape." placeholder:"on|off"`
	Scenarios scenarioFlags `embed:""`
	Common    common        `embed:""`
}

const (
	proxyDrain = 30 * time.Second // what is under way may end for so long
	proxyLook  = time.Second      // how often the targets file is looked at
)

// run serves until it is interrupted, and leaves a run directory.
func (c *proxyCmd) run(s *session) int {
	started := time.Now()
	plan, code := c.plan(s)
	if plan == nil {
		return code
	}
	targets, file, code := c.targets(s, plan)
	if targets == nil {
		return code
	}
	dir, err := reports.CreateRun(c.Out, plan.Name, started)
	if err != nil {
		return s.fail(exitUsage, "choose another folder with --out DIR", "%v", err)
	}
	outs, err := parseFormats("table", false)
	if err != nil {
		return s.fail(exitBroken, "this is a bug of the program", "%v", err)
	}
	j := &job{s: s, cmd: &runCmd{Out: c.Out, Confidence: 0.95}, plan: plan, live: &live{}, name: c.Scenario, started: started, dir: dir, outs: outs}
	j.options = render.Options{Width: s.width(s.Stdout), Color: s.stdoutColor(), ASCII: s.asciiOnly(), AgainCommand: c.again()}
	host := &proxyHost{s: s, cmd: c, plan: plan, targets: targets, file: file, tape: j.startChain}
	// A signal is the good end of a proxy: the run is whole, whatever the context says.
	j.result = runner.Do(context.WithoutCancel(s.ctx), host, plan, runner.Options{Jobs: 1, AsPlanned: true})
	if err := j.result.Err(); err != nil {
		_ = dir.Discard() // nothing is in it
		return c.failed(s, err)
	}
	j.summarise(gitOf(context.WithoutCancel(s.ctx)))
	return j.report(false)
}

// again is the command that serves in the same way.
func (c *proxyCmd) again() string {
	text := fmt.Sprintf("taillab proxy %s --targets %s --listen %s --seed %d", quote(c.Scenario), quote(c.Targets), quote(c.Listen), c.Scenarios.Seed)
	for _, o := range c.Only {
		text += " --only " + quote(o)
	}
	for _, o := range c.Scenarios.Set {
		text += " --set " + quote(o)
	}
	return text
}

// failed says why the proxy did not serve.
func (c *proxyCmd) failed(s *session, err error) int {
	if errors.Is(err, proxy.ErrNoTarget) {
		return s.fail(exitBroken, "start the backends, or correct "+c.Targets, "%v", err)
	}
	return s.fail(exitBroken, "", "%v", err)
}

// plan loads the scenario and leaves the one cell whose policies are used.
func (c *proxyCmd) plan(s *session) (*scenarios.Plan, int) {
	selections, err := parseOnly(c.Only)
	if err != nil {
		return nil, s.fail(exitUsage, "", "%v", err)
	}
	plans, code := s.load([]string{c.Scenario}, &c.Scenarios)
	if plans == nil {
		return nil, code
	}
	p := plans[0]
	if err := only(p, selections); err != nil {
		return nil, s.fail(exitUsage, "", "%v", err)
	}
	var labels []string
	for _, cell := range p.Cells {
		if !slices.Contains(labels, cell.Policy) {
			labels = append(labels, cell.Policy)
		}
	}
	if len(labels) > 1 {
		return nil, s.fail(exitUsage, "choose one, such as --only policy="+quote(labels[0]), "the scenario has %d policies, and a proxy has one: %v", len(labels), labels)
	}
	if p.Cells[0].Limiter.Make != nil {
		return nil, s.fail(exitUsage, "leave it out: --set policies.quota=null --set quota=null", "a proxy has no quota, and would admit what policies.quota of %s denies", p.Name)
	}
	setTape(p, c.Tape)
	s.note("taillab: workload, sweep, gates and faults of %s are not used", p.Name)
	p.Cells, p.Seeds, p.Gates = p.Cells[:1], 1, nil
	p.Cells[0].Load, p.Cells[0].TimeScale, p.Cells[0].RateRPS = nil, nil, 0
	p.Cells[0].Setup.Live.Arms = nil
	return p, exitOK
}

// targets reads the targets file and holds the plan to what a live front end can do.
func (c *proxyCmd) targets(s *session, p *scenarios.Plan) (*scenarios.Targets, stamp, int) {
	file := stampOf(c.Targets)
	src, err := scenarios.ReadInput("targets file", c.Targets, s.Stdin)
	if err != nil {
		return nil, file, s.fail(exitUsage, "", "--targets: %v", err)
	}
	sources := []scenarios.Source{src, {Name: p.File, Data: p.Source}}
	t, problems := scenarios.LoadTargets(src, scenarios.TargetOptions{Plan: p, Env: s.lookup()})
	if len(problems) == 0 {
		problems = scenarios.CheckLive(p, t)
	}
	if len(problems) > 0 {
		scenarios.Print(s.err, problems, sources, s.width(s.Stderr), s.stderrColor())
		return nil, file, exitUsage
	}
	if len(t.Proxy.Routes) == 0 {
		return nil, file, s.fail(exitUsage, "add proxy: {routes: [{match: {path: /v1/}, service: NAME}]}", "%s has several services and no routes", c.Targets)
	}
	for _, n := range t.Notes {
		s.note("taillab: %s", n)
	}
	return t, file, exitOK
}

// stamp tells whether a file has changed.
type stamp struct {
	size int64
	at   time.Time
}

// stampOf looks at a file; the zero stamp is none that can be read.
func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&fs.ModeType != 0 {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}

// proxyHost is the runner.Host of a proxy: its one run lasts until the interruption.
type proxyHost struct {
	s       *session
	cmd     *proxyCmd
	plan    *scenarios.Plan
	targets *scenarios.Targets
	file    stamp
	tape    func(r *scenarios.Run, chain int, bounds scenarios.ProxyTape) (*tape.ChainWriter, error) // begins a chain
}

// Run implements runner.Host.
func (h *proxyHost) Run(ctx context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	level := slog.LevelInfo
	switch {
	case h.s.common.Quiet:
		level = slog.LevelError
	case h.s.common.Verbose:
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(h.s.err, &slog.HandlerOptions{Level: level}))
	col := rec.Begin(0, proxy.Setup(runs[0]))
	p, err := proxy.Start(ctx, proxy.Config{Run: runs[0], Targets: h.targets, Listen: h.cmd.Listen, Admin: h.cmd.Admin, Collector: col, Log: log,
		Tape: func(chain int) (proxy.TapeWriter, error) { return h.tape(&runs[0], chain, h.targets.Proxy.Tape) }})
	if err != nil {
		return err
	}
	fmt.Fprintf(h.s.out, "http://%s\n", p.Addr())
	h.s.note("taillab: serves until interrupted; admin at http://%s/metrics", p.AdminAddr())
	h.follow(p, log)
	log.Info("draining", "at most", proxyDrain)
	e := p.Close(ctx, proxyDrain)
	h.hand(e, col, rec)
	if e.Measured > 0 {
		runs[0].Cell.RateRPS = float64(e.Requests) / e.Measured.Seconds()
	}
	return nil
}

// hand gives what the run left to the recorder.
func (h *proxyHost) hand(e proxy.End, col *reports.Collector, rec reports.Recorder) {
	m := e.Messages
	col.Close(reports.End{MeasuredTime: e.Measured, Wall: e.Measured, Messages: []reports.Count{{Name: "probe", N: int64(m.Probe)}, {Name: "ask", N: int64(m.Ask)},
		{Name: "withdraw", N: int64(m.Withdraw)}, {Name: "tell", N: int64(m.Tell)}, {Name: "report", N: e.Heard}}})
	if e.Cut != nil {
		rec.Warn(0, tapeCut, "the tape ends before the run does: "+e.Cut.Error())
	}
	rec.Done(0)
}

// follow waits for the interruption, and takes the targets file over on SIGHUP and
// whenever it has changed.
func (h *proxyHost) follow(p *proxy.Proxy, log *slog.Logger) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	look := time.NewTicker(proxyLook)
	defer look.Stop()
	for {
		select {
		case <-h.s.ctx.Done():
			return
		case <-hup:
		case <-look.C:
			if now := stampOf(h.cmd.Targets); now == h.file || now == (stamp{}) {
				continue
			}
		}
		h.file = stampOf(h.cmd.Targets)
		h.reload(p, log)
	}
}

// reload takes the targets file over, or leaves everything as it is and says why.
func (h *proxyHost) reload(p *proxy.Proxy, log *slog.Logger) {
	data, err := os.ReadFile(h.cmd.Targets)
	if err != nil {
		log.Error("the targets stay as they are", "err", err)
		return
	}
	t, problems := scenarios.LoadTargets(scenarios.Source{Name: h.cmd.Targets, Data: data}, scenarios.TargetOptions{Plan: h.plan, Env: h.s.lookup()})
	for _, problem := range problems {
		err = cmp.Or(err, error(problem))
	}
	if err == nil && len(t.Proxy.Routes) == 0 {
		err = errors.New("there are several services and no routes")
	}
	if err == nil {
		err = p.Reload(t)
	}
	if err != nil {
		log.Error("the targets stay as they are", "problems", max(1, len(problems)), "err", err)
		return
	}
	log.Info("targets taken over", "file", h.cmd.Targets)
}
