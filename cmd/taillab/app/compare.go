package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
)

// compareCmd is `taillab compare`: it holds one saved run against another and runs
// nothing.
type compareCmd struct {
	Base       string   `arg:"" help:"Run directory, summary.json or baseline: what it was."`
	New        string   `arg:"" help:"Run directory, summary.json or baseline: what it is."`
	Metric     []string `default:"p50,p99" help:"Metrics to compare, as gates name them." placeholder:"LIST"`
	Tolerance  string   `help:"A gate more for each common cell: p99 within X% of BASE." placeholder:"X%"`
	Correction string   `enum:"none,holm" default:"none" help:"${enum}: adjust fails for the number of gates." placeholder:"HOW"`
	Confidence float64  `default:"0.95" help:"Confidence of intervals, 0.80…0.999." placeholder:"P"`
	Format     string   `default:"table" help:"table md json csv junit github; FMT=PATH writes to a file; at most one goes to stdout." placeholder:"LIST"`
	Strict     bool     `help:"Exit 4 when a gate is inconclusive."`
	Common     common   `embed:""`
}

func (c *compareCmd) run(s *session) int {
	outs, err := parseFormats(c.Format, false, "html", "svg", "png")
	opt, errOpt := c.options()
	if err := errors.Join(err, errOpt); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	base, err := openSide(c.Base)
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	now, err := openSide(c.New)
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	cmp, err := reports.CompareRuns(base, now, opt)
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	code := reports.ExitCode(cmp.Gates, c.Strict)
	if cmp.Invalid != "" { // what did not measure must not pass
		code = worst(code, s.fail(exitBroken, "", "%s", cmp.Invalid))
	}
	o := render.Options{Width: s.width(s.Stdout), Color: s.stdoutColor(), ASCII: s.asciiOnly(), Verbose: s.common.Verbose, Strict: c.Strict, AgainCommand: s.typed()}
	if err := s.writeDoc(comparisonDoc{cmp}, outs, o); err != nil {
		code = worst(code, s.fail(exitBroken, "", "%v", err))
	}
	return code
}

// options reads the flags.
func (c *compareCmd) options() (reports.CompareOptions, error) {
	opt := reports.CompareOptions{Metrics: c.Metric, Confidence: c.Confidence, Holm: c.Correction == "holm"}
	if err := checkConfidence(c.Confidence); err != nil {
		return opt, err
	}
	if c.Tolerance == "" {
		return opt, nil
	}
	number, percent := strings.CutSuffix(c.Tolerance, "%")
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(x > 0 && x <= 1000) {
		return opt, fmt.Errorf("--tolerance %s: write a percentage above 0%% and at most 1000%%, such as 5%%", c.Tolerance)
	}
	opt.Tolerance = x
	return opt, nil
}

// openSide reads one side of a comparison.
func openSide(path string) (*reports.Stored, error) {
	if err := oneHost(path); err != nil {
		return nil, err
	}
	side, err := reports.ReadStored(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no run and no baseline at %s", path)
	}
	return side, err
}

// typed is this command line, safe to paste.
func (s *session) typed() string {
	parts := s.command()
	for i := range parts {
		parts[i] = quote(parts[i])
	}
	return strings.Join(parts, " ")
}

// comparisonDoc is a comparison as --format writes it.
type comparisonDoc struct{ *reports.Comparison }

func (d comparisonDoc) scenario() string { return d.New.Scenario }

func (d comparisonDoc) figures(render.Options) []chart.Figure { return nil }

func (d comparisonDoc) text(w io.Writer, format string, o render.Options) error {
	switch format {
	case "md":
		return render.ComparisonMarkdown(w, d.Comparison, o)
	case "json":
		return writeJSON(w, d)
	case "csv":
		return render.ComparisonCSV(w, d.Comparison)
	case "junit":
		return render.JUnit(w, render.ComparisonVerdicts(d.Comparison), o)
	case "github":
		return render.GitHub(w, render.ComparisonVerdicts(d.Comparison), o)
	}
	return render.ComparisonTable(w, d.Comparison, o)
}
