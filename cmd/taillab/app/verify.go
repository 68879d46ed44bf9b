package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"taillab/cmd/taillab/internal/verify"
	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
	"taillab/scenarios"
	"taillab/sim"
)

// verifyCmd is `taillab verify`.
type verifyCmd struct {
	Quick       bool      `help:"A smaller grid and shorter runs: below 10 s."`
	Case        []string  `help:"Only these cases." placeholder:"CASE"`
	Rho         []float64 `help:"Loads of points of your own." placeholder:"R"`
	N           []int     `name:"n" help:"Replicas." placeholder:"N"`
	Service     []string  `help:"Law of service, mean 1: exp det lognCV bimodal hyperCV, e.g. logn2; batching: A+B, e.g. 1.19ms+0.95ms." placeholder:"LAW"`
	Dispatchers []int     `help:"Front ends of jiq_mf." placeholder:"M"`
	Choices     []int     `help:"Choices of jsqd_limit and stale_periodic." placeholder:"D"`
	Room        []int     `help:"mmck: requests waiting and running; batching: largest batch." placeholder:"K"`
	Every       []float64 `help:"stale_periodic: age of the board in mean service times." placeholder:"T"`
	Seed        uint64    `default:"1" help:"Base seed, 0…2⁵³−1." placeholder:"N"`
	Jobs        int       `short:"j" help:"Parallel runs; the result never depends on it. Default: all cores." placeholder:"N"`
	Confidence  float64   `default:"0.99" help:"Of intervals, 0.80…0.999; 1 − it is the family-wise false-alarm rate." placeholder:"P"`
	Correction  string    `enum:"holm,none" default:"holm" help:"For many comparisons: ${enum}." placeholder:"HOW"`
	Format      string    `default:"table" help:"table md json csv; FMT=PATH writes to a file; at most one goes to stdout." placeholder:"LIST"`
	UI          string    `name:"ui" enum:"auto,bar,plain,none" default:"auto" help:"Progress on stderr: ${enum}." placeholder:"HOW"`
	Common      common    `embed:""`
}

// Help lists the cases.
func (c *verifyCmd) Help() string {
	lines := []string{"Cases, with the parameters that each takes beside --rho:", ""}
	for _, m := range verify.Models() {
		takes := ""
		if len(m.Takes) > 0 {
			takes = " (--" + strings.Join(m.Takes, " --") + ")"
		}
		lines = append(lines, fmt.Sprintf("%s: %s%s", m.Name, m.About, takes), "")
	}
	return strings.Join(lines, "\n")
}

// check refuses flags that mean nothing.
func (c *verifyCmd) check() error {
	switch {
	case c.Jobs < 0:
		return fmt.Errorf("--jobs is %d: it must be at least 1, or left out for all cores", c.Jobs)
	case !(c.Confidence >= reports.MinConfidence && c.Confidence <= reports.MaxConfidence):
		return fmt.Errorf("--confidence is %g: it must lie in [0.80, 0.999]", c.Confidence)
	case c.Seed > maxSeed:
		return fmt.Errorf("--seed is %d: it must be at most 2⁵³−1", c.Seed)
	}
	return nil
}

// run simulates the points and says whether theory holds.
func (c *verifyCmd) run(s *session) int {
	started := time.Now()
	outs, err := parseFormats(c.Format, false, "html", "svg", "png", "junit", "github")
	if err := cmp.Or(c.check(), err); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	want := verify.Want{Cases: c.Case, Rho: c.Rho, N: c.N, Dispatchers: c.Dispatchers, Choices: c.Choices, Room: c.Room, Every: c.Every, Service: c.Service}
	points, err := want.Points(c.Quick)
	var unknown *verify.UnknownCaseError
	if errors.As(err, &unknown) {
		return s.fail(exitUsage, scenarios.Suggest(unknown.Name, verify.Names(), "taillab verify --help"), "--case: %v", err)
	}
	var work *verify.Work
	if err == nil {
		work, err = verify.Prepare(points, verify.Options{Quick: c.Quick, Seed: c.Seed, Jobs: c.Jobs, Confidence: c.Confidence, Correction: c.Correction, Catalog: s.catalog})
	}
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	bar := s.progress("verify", c.UI)
	checks, err := work.Run(s.ctx, sim.Host{}, bar.update)
	bar.end()
	if code := s.stopped.get(); code != 0 {
		return s.fail(code, "", "interrupted: nothing is known yet")
	}
	if err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	return c.report(s, checks, outs, started)
}

func (c *verifyCmd) report(s *session, checks []*reports.TheoryCheck, outs []output, started time.Time) int {
	doc := reports.NewTheory(checks, c.Confidence, c.Correction)
	doc.ToolVersion, doc.Machine, doc.Seed = buildOf().Version, machineOf(), c.Seed
	doc.Git = gitOf(context.WithoutCancel(s.ctx))
	doc.WallS = time.Since(started).Seconds()
	o := render.Options{Width: s.width(s.Stdout), Color: s.stdoutColor(), ASCII: s.asciiOnly(), AgainCommand: strings.Join(quoted(s.command()), " ")}
	if err := s.writeDoc(theoryDoc{doc}, outs, o); err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	if doc.Verdict == reports.Fail {
		return exitFailed
	}
	return exitOK
}

func quoted(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = quote(a)
	}
	return out
}

// theoryDoc is a comparison with theory.
type theoryDoc struct{ *reports.Theory }

func (d theoryDoc) scenario() string { return "verify" }

func (d theoryDoc) figures(render.Options) []chart.Figure { return nil }

func (d theoryDoc) text(w io.Writer, format string, o render.Options) error {
	switch format {
	case "md":
		return render.TheoryMarkdown(w, d.Theory, o)
	case "json":
		return writeJSON(w, d)
	case "csv":
		return render.TheoryCSV(w, d.Theory)
	}
	return render.TheoryTable(w, d.Theory, o)
}
