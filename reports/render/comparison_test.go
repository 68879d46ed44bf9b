package render

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/stretchr/testify/require"

	"taillab/reports"
	"taillab/reports/chart"
)

// comparison is of two samples: one policy worse, one better, one as it was, one on
// each side that the other does not have.
func comparison(t *testing.T, edit ...func(base, now *reports.Stored)) *reports.Comparison {
	t.Helper()
	base := &reports.Stored{Path: "baselines/wechat-jiq.json", Summary: *sample(4, 0.8, 0.9)}
	now := &reports.Stored{Path: "runs/wechat-jiq/2026-11-20T23-50-07Z", Summary: *sample(5, 0.8, 0.9)}
	for i := range now.Cells {
		c := &now.Cells[i]
		factor := map[string]float64{"random": 1.08, "p2c": 0.9}[c.Policy]
		if factor == 0 {
			continue
		}
		c.ResultHash += "-new"
		*c.P99MS *= factor
		for k := range c.Parts {
			*c.Parts[k].P99MS *= factor + float64(k%3)/100
		}
	}
	base.Cells = base.Cells[1:]
	now.Gates = withGates(sample(1, 0.8)).Gates[:2]
	now.Gates[1].Expr = "p99(random) within 5% of baseline at load 0.9"
	now.Gates = append(now.Gates, reports.Gate{Expr: "p99(p2c) within 5% of baseline", Line: 9, Column: 5}) // what the tolerance asks, too
	now.Warnings = []reports.Warning{{Code: "near-critical", Message: "a sign of instability", Policy: "p2c", Load: ptr(0.9)}}
	base.Plan, now.Plan, base.ScenarioHash = []byte(`{"measure": {"requests": 1}}`), []byte(`{"measure": {"requests": 2}}`), "sha256:other"
	for _, f := range edit {
		f(base, now)
	}
	c, err := reports.CompareRuns(base, now, reports.CompareOptions{Tolerance: 5})
	require.NoError(t, err)
	return c
}

func nastySides(base, now *reports.Stored) {
	for _, s := range []*reports.Stored{base, now} {
		s.Scenario = "x|<b>\n\x1b[31m"
		for i := range s.Cells {
			if s.Cells[i].Policy == "p2c" {
				s.Cells[i].Policy = nasty
			}
		}
	}
	now.Warnings[0].Policy = nasty
	base.Path = "a|b\x1b"
}

// Each golden was read by a person.
func TestComparisonGolden(t *testing.T) {
	t.Parallel()
	o := Options{Width: 100, Verbose: true, AgainCommand: "taillab compare baselines/wechat-jiq.json runs/wechat-jiq/2026-11-20T23-50-07Z --tolerance 5%"}
	for name, c := range map[string]*reports.Comparison{"compare": comparison(t), "compare-nasty": comparison(t, nastySides)} {
		golden(t, name, written(t, func(w io.Writer) error { return ComparisonTable(w, c, o) }))
		golden(t, name+"-md", written(t, func(w io.Writer) error { return ComparisonMarkdown(w, c, o) }))
	}
	narrow := o
	narrow.Width, narrow.ASCII, narrow.Verbose = 60, true, false
	golden(t, "compare-narrow", written(t, func(w io.Writer) error { return ComparisonTable(w, comparison(t), narrow) }))
	golden(t, "compare-junit", written(t, func(w io.Writer) error { return JUnit(w, ComparisonVerdicts(comparison(t)), o) }))
	var lines bytes.Buffer
	for _, l := range ChangeLines(comparison(t)) {
		fmt.Fprintln(&lines, l)
	}
	golden(t, "compare-lines", lines.Bytes())
}

func TestComparisonFits(t *testing.T) {
	t.Parallel()
	c := comparison(t, func(base, now *reports.Stored) {
		for _, s := range []*reports.Stored{base, now} {
			for i := range s.Cells {
				if s.Cells[i].Policy == "p2c" {
					s.Cells[i].Policy = "a-policy-with-quite-a-long-name"
				}
			}
		}
		base.Path, now.Path = "a", "b"
	})
	for width := 60; width <= 120; width += 10 {
		out := string(written(t, func(w io.Writer) error { return ComparisonTable(w, c, Options{Width: width}) }))
		for _, l := range strings.Split(out, "\n") {
			require.LessOrEqual(t, twwidth.Width(l), width, "width %d: %q", width, l)
		}
	}
}

// The CSV has the numbers of the JSON in full, the table and the Markdown the same
// numbers rounded.
func TestComparisonNumbersAgree(t *testing.T) {
	t.Parallel()
	c := comparison(t)
	rows, err := csv.NewReader(bytes.NewReader(written(t, func(w io.Writer) error { return ComparisonCSV(w, c) }))).ReadAll()
	require.NoError(t, err)
	col := map[string]int{}
	for i, name := range rows[0] {
		col[name] = i
	}
	text := string(written(t, func(w io.Writer) error { return ComparisonTable(w, c, Options{Width: 200}) }))
	page := string(written(t, func(w io.Writer) error { return ComparisonMarkdown(w, c, Options{}) }))
	k := 0
	for _, m := range c.Metrics {
		for _, x := range m.Cells {
			k++
			require.Equal(t, []string{m.Metric, x.Policy}, []string{rows[k][col["metric"]], rows[k][col["policy"]]})
			for name, v := range map[string]*float64{"base": x.Base, "new": x.New, "change": x.Change.Change, "load": x.Load, "change_ci_lo": &x.CI[0], "change_ci_hi": &x.CI[1]} {
				got, err := strconv.ParseFloat(rows[k][col[name]], 64)
				require.NoError(t, err, name)
				require.Equal(t, *v, got, name)
			}
			for _, shown := range []string{chart.Latency(*x.Base), chart.Latency(*x.New), chart.Change(*x.Change.Change)} {
				require.Contains(t, text, shown)
				require.Contains(t, page, shown)
			}
		}
	}
	require.Len(t, rows, k+1)
}

func TestComparisonMarkdownIsBounded(t *testing.T) {
	t.Parallel()
	c := comparison(t)
	for i := range 3000 {
		x := c.Metrics[0].Cells[0]
		x.Policy = fmt.Sprint("policy-", i)
		c.Metrics[0].Cells = append(c.Metrics[0].Cells, x)
		c.Gates = append(c.Gates, c.Gates[0])
		c.Warnings = append(c.Warnings, reports.Warning{Code: "short-run", Message: fmt.Sprint(i)})
	}
	page := written(t, func(w io.Writer) error { return ComparisonMarkdown(w, c, options()) })
	require.LessOrEqual(t, len([]rune(string(page))), maxMarkdown)
	for _, what := range []string{"more gates", "more rows", "more notes", "wechat-jiq --seed 42"} {
		require.Contains(t, string(page), what)
	}
}
