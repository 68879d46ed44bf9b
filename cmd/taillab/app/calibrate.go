package app

import (
	"errors"
	"fmt"
	"time"

	"taillab/realrun"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// calibrateCmd is `taillab calibrate`.
type calibrateCmd struct {
	Targets   string        `arg:"" optional:"" help:"Targets file, or emulator for built-in backends."`
	Profile   string        `required:"" help:"File the profile is written to; for run --both --profile." placeholder:"FILE"`
	Stated    time.Duration `help:"Lowest time a single request takes inside a backend, for those that do not state it." placeholder:"DURATION"`
	Points    string        `help:"Fit a latency model to what was measured before, a CSV (see below); the profile is then one for fleet.gpu and for targets." placeholder:"FILE.csv"`
	Sweep     int           `help:"Measure batches of 1 to N requests at every target instead, with --kind tokens closed loops of 1 to N, and fit a latency model to them, as --points does." placeholder:"N"`
	Input     uint32        `default:"16" help:"With --sweep: tokens of every request; of closed loops the shortest prompts, others are 4 and 16 times as long." placeholder:"TOKENS"`
	Output    uint32        `default:"32" help:"With --sweep and --kind tokens: the shorter answers, the longer ones are 4 times as long." placeholder:"TOKENS"`
	Kind      string        `enum:"affine,affine-tokens,hinge,smooth-max,table,tokens" default:"affine" help:"With --points or --sweep: the model, ${enum}."`
	Scale     string        `help:"With --points of a served run: find one factor on all times of a preset or profile on its first third, and score it on the rest." placeholder:"PROFILE"`
	Slots     int           `help:"With --kind tokens or --scale: requests that a replica takes at a time; else the most that were seen." placeholder:"N"`
	Weight    string        `enum:"relative,sqrt" default:"relative" help:"With --points: what counts, ${enum}; sqrt for attention terms."`
	SkipBad   bool          `help:"With --points: leave out rows that cannot be used, however many."`
	Residuals string        `help:"With --points: write every point, measured and predicted." placeholder:"FILE.csv"`
	Common    common        `embed:""`
}

// Help tells the forms of --points.
func (c *calibrateCmd) Help() string {
	return `Without --points and --sweep: the idle overhead of backends, for run --both --profile.

--points fits a latency model to rows of a CSV; its header says what they are:

	batch,ms                                batches and their times; also tokens and tokens_sq of a batch
	concurrency,input,output,tpot_ms,ttft_ms   closed loops of equal requests: --kind tokens
	arrival_s,input,output,ttft_ms,e2e_ms   the requests of a served run, replica if there were several: --kind tokens, or --scale PROFILE

Errors are told with each row left out in turn; of a served run, on the two thirds that were not fitted. Rows without numbers or with times of 0 are left out if they are at most 1 in 100.`
}

func (c *calibrateCmd) checkPoints() error {
	switch {
	case c.Slots < 0 || c.Slots > 4096:
		return fmt.Errorf("--slots is %d: it must lie in [1, 4096], or be left out", c.Slots)
	case c.Slots > 0 && c.Scale == "" && c.kind() != gpu.Tokens:
		return errors.New("--slots goes with --kind tokens or --scale")
	case c.Scale != "" && c.Residuals != "":
		return errors.New("--residuals: --scale fits no single points")
	case c.Scale != "" && c.kind() != gpu.Affine:
		return errors.New("--scale takes the kind of its profile: leave --kind out")
	}
	return nil
}

// run measures the idle overhead and writes the profile.
func (c *calibrateCmd) run(s *session) int {
	switch {
	case c.Points != "" && (c.Targets != "" || c.Sweep != 0):
		return s.fail(exitUsage, "", "--points fits what was measured before: leave the targets and --sweep out")
	case c.Points != "":
		if err := c.checkPoints(); err != nil {
			return s.fail(exitUsage, "", "%v", err)
		}
		return c.fitPoints(s)
	case c.Scale != "" || c.Slots != 0 || c.SkipBad || c.Residuals != "":
		return s.fail(exitUsage, "", "--scale, --slots, --skip-bad and --residuals go with --points")
	case c.Targets == "":
		return s.fail(exitUsage, "name a targets file, or emulator; or fit measured batches with --points FILE.csv", "calibrate needs something to measure")
	}
	if c.Sweep != 0 {
		return c.sweep(s)
	}
	if c.Stated < 0 {
		return s.fail(exitUsage, "", "--stated is %v: it must be above 0", c.Stated)
	}
	targets, code := c.read(s)
	if code != exitOK {
		return code
	}
	idle, err := realrun.MeasureIdle(s.ctx, targets, c.Stated, func(d time.Duration) {
		s.note("taillab: 200 requests, every backend at most 5%% of the time: about %v", d.Round(time.Second))
	})
	if err != nil {
		if code := s.stopped.get(); code != 0 {
			return s.fail(code, "", "interrupted: no profile was written")
		}
		return s.fail(exitBroken, "", "%v", err)
	}
	p := scenarios.Overhead{Overhead: idle.Median(), Requests: len(idle.Overheads), Source: c.source(idle)}
	if err := writeFile(c.Profile, p.YAML()); err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	fmt.Fprintf(s.out, "idle overhead   %v   median of %d requests, P10 %v, P90 %v\n", rounded(idle.Median()), len(idle.Overheads), rounded(idle.At(0.1)), rounded(idle.At(0.9)))
	fmt.Fprintf(s.out, "profile         %s\n", c.Profile)
	fmt.Fprintf(s.out, "use             taillab run SCENARIO --both --profile %s\n", quote(c.Profile))
	return exitOK
}

// read loads the targets file; nil targets with exitOK are the emulated backends.
func (c *calibrateCmd) read(s *session) (*scenarios.Targets, int) {
	if c.Targets == emulated {
		return nil, exitOK
	}
	src, err := scenarios.ReadInput("targets file", c.Targets, s.Stdin)
	if err != nil {
		return nil, s.fail(exitUsage, "a targets file, or emulator for backends on this machine", "%v", err)
	}
	t, problems := scenarios.LoadTargets(src, scenarios.TargetOptions{Env: s.lookup()})
	if len(problems) > 0 {
		scenarios.Print(s.err, problems, []scenarios.Source{src}, s.width(s.Stderr), s.stderrColor())
		return nil, exitUsage
	}
	notes, err := realrun.Resolve(s.ctx, t)
	if err != nil {
		return nil, s.fail(exitBroken, "", "%v", err)
	}
	for _, n := range notes {
		s.note("taillab: %s", n)
	}
	return t, exitOK
}

// lookup looks up environment variables; an empty one counts as not set.
func (s *session) lookup() func(string) (string, bool) {
	return func(k string) (string, bool) { v := s.Getenv(k); return v, v != "" }
}

// source says in words where the overhead was measured.
func (c *calibrateCmd) source(idle *realrun.Idle) string {
	how := "the servers' own times taken off"
	if !idle.Stated {
		how = fmt.Sprintf("a stated %v taken off", c.Stated)
	}
	m := machineOf()
	return fmt.Sprintf("%s, %s, idle, %s; %s/%s, %s, %s", c.Targets, plural(idle.Backends, "backend", "backends"), how, m.OS, m.Arch, m.CPU, plural(m.Cores, "core", "cores"))
}

// rounded leaves out digits that nobody reads.
func rounded(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

// readProfile reads the profile of --profile; problems are printed, and the code says so.
func (s *session) readProfile(path string) (*scenarios.Overhead, int) {
	src, err := scenarios.ReadInput("profile", path, s.Stdin)
	if err != nil {
		return nil, s.fail(exitUsage, "taillab calibrate TARGETS.yaml --profile "+quote(path)+" writes one", "--profile: %v", err)
	}
	o, problems := scenarios.LoadOverhead(src)
	if len(problems) > 0 {
		scenarios.Print(s.err, problems, []scenarios.Source{src}, s.width(s.Stderr), s.stderrColor())
		return nil, exitUsage
	}
	return o, exitOK
}
