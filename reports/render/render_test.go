package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/stretchr/testify/require"

	"taillab/reports"
	"taillab/reports/chart"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var loads = []float64{0.5, 0.7, 0.8, 0.85, 0.9, 0.95}

func options() Options {
	return Options{ReportPath: "runs/wechat-jiq/2026-11-20T23-50-07Z/index.html", AgainCommand: "taillab run wechat-jiq --seed 42"}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update once")
	require.Equal(t, string(want), string(got), name)
}

func table(t *testing.T, s *reports.Summary, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Table(&b, s, o))
	return b.Bytes()
}

// streaming is a token-streaming summary with errors and a second swept axis.
func streaming() *reports.Summary {
	s := sample(2, 0.8)
	for i := range s.Cells {
		c := &s.Cells[i]
		c.TTFTP99MS, c.TPOTP99MS = ptr(240.0*float64(i+1)), ptr(21.4)
		c.Errors, c.ErrorRate = map[string]int64{"queue_full": 2700}, ptr(0.01)
		c.Axes = map[string]any{"gateways": 10}
	}
	return s
}

// Each golden was read by a person: a difference is a change for users.
func TestTableGolden(t *testing.T) {
	t.Parallel()
	full, o := func() *reports.Summary { return withGates(sample(6, loads...)) }, options()
	golden(t, "table", table(t, full(), o))
	with := func(f func(*Options)) Options { c := o; f(&c); return c }
	golden(t, "table-ascii", table(t, full(), with(func(o *Options) { o.ASCII = true })))
	golden(t, "table-colour", table(t, full(), with(func(o *Options) { o.Color = true })))
	golden(t, "table-narrow", table(t, full(), with(func(o *Options) { o.Width = 40 })))
	golden(t, "table-at", table(t, full(), with(func(o *Options) { o.AtLoad = ptr(0.5) })))
	golden(t, "table-nasty", table(t, withNasty(full()), o))
	golden(t, "table-streaming", table(t, streaming(), o))
	golden(t, "table-empty", table(t, &reports.Summary{Scenario: "nothing", Host: "sim"}, Options{}))
}

func TestMarkdownGolden(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*reports.Summary{
		"md": withGates(sample(3, loads...)), "md-nasty": withNasty(withGates(sample(2, 0.85))), "md-empty": {Scenario: "nothing"},
	} {
		var b bytes.Buffer
		require.NoError(t, Markdown(&b, s, options()))
		golden(t, name, b.Bytes())
	}
}

// No line of the results may wrap, whatever the terminal and the labels.
func TestTableFitsWidth(t *testing.T) {
	t.Parallel()
	s := withGates(sample(8, loads...))
	for i := range s.Cells {
		if s.Cells[i].Policy == "p2c" {
			s.Cells[i].Policy = "a-policy-with-quite-a-long-name"
		}
		if s.Cells[i].Policy == "prequal" {
			s.Cells[i].Policy = "名前の長い方針"
		}
	}
	for _, ascii := range []bool{false, true} {
		for width := 36; width <= 120; width += 7 {
			out := string(table(t, s, Options{Width: width, ASCII: ascii}))
			require.Contains(t, out, "P99")
			for _, l := range strings.Split(out, "\n") {
				require.LessOrEqual(t, twwidth.Width(l), width, "width %d: %q", width, l)
				require.Equal(t, strings.TrimRight(l, " "), l)
				if ascii {
					require.Equal(t, len(l), utf8.RuneCountInString(l), "%q", l)
				}
			}
			require.Equal(t, width >= 71, strings.Contains(out, "95% CI"), "the interval goes first, at width %d", width)
			require.Equal(t, width >= 64, strings.Contains(out, "P50 "), "the median goes second, at width %d", width)
		}
	}
}

// Which load is shown, by the rule of the specification.
func TestShownLoad(t *testing.T) {
	t.Parallel()
	s := sample(2, loads...)
	require.Equal(t, 0.95, newView(s, Options{}).at, "no gate, nothing unstable: the highest")
	s.Warnings = []reports.Warning{{Code: "unstable", Load: ptr(0.95)}, {Code: "unstable", Load: ptr(0.9)}}
	require.Equal(t, 0.85, newView(s, Options{}).at)
	s.Gates = []reports.Gate{{Expr: "p99(a) < 1s at load 0.7", Load: ptr(0.7)}, {Expr: "p99(a) < 1s", Load: ptr(0.95)}}
	require.Equal(t, 0.7, newView(s, Options{}).at, "a gate without at does not choose")
	require.Equal(t, 0.9, newView(s, Options{AtLoad: ptr(0.9)}).at)
	for i := range s.Cells {
		s.Cells[i].Load = nil
	}
	v := newView(s, Options{})
	require.InDelta(t, 760, v.at, 1e-9, "no loads: the highest rate")
	require.Equal(t, "760/s", v.place())
}

func TestBase(t *testing.T) {
	t.Parallel()
	s := sample(6, 0.85)
	require.Equal(t, "jiq", newView(s, Options{}).base, "no gates: the best")
	ref := func(p string) reports.Gate {
		return reports.Gate{Reference: reports.Reference{Kind: "policy", Policy: p}}
	}
	s.Gates = []reports.Gate{ref("random"), ref("p2c"), ref("p2c"), ref("gone"), ref("gone"), ref("gone")}
	require.Equal(t, "p2c", newView(s, Options{}).base)
	s.Cells[0].ResultHash = s.Cells[2].ResultHash
	v := newView(s, Options{})
	require.Equal(t, "identical", v.against(s.Cells[0]))
	require.Equal(t, "base", v.against(s.Cells[2]))
	require.Equal(t, "−17.0%", v.against(s.Cells[3]))
	other := s.Cells[3]
	other.Axes = map[string]any{"share": 0.5}
	require.Equal(t, chart.Missing, v.against(other), "compared at the same place of other axes only")
	require.Empty(t, newView(sample(1, 0.85), Options{}).base)
}

func TestGateText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want string
		g    reports.Gate
	}{
		{"501 ms (CI 486…517 ms)", reports.Gate{Verdict: reports.Pass, Value: ptr(501.0), Limit: ptr(600.0), Unit: "ms", Reference: reports.Reference{Kind: "constant"}, Change: ptr(-0.165), ChangeCI: &reports.Interval{-0.19, -0.13833}}},
		{"501 ms", reports.Gate{Verdict: reports.Fail, Value: ptr(501.0), Unit: "ms", Reference: reports.Reference{Kind: "constant"}, Reason: ptr("the whole interval lies above the bound")}},
		{"2.50", reports.Gate{Verdict: reports.Pass, Value: ptr(2.5), Unit: "ratio", Reference: reports.Reference{Kind: "constant"}}},
		{"120/s", reports.Gate{Verdict: reports.Pass, Value: ptr(120.0), Unit: "rps"}},
		{"1.50 s", reports.Gate{Verdict: reports.Pass, Value: ptr(1.5), Unit: "s"}},
		{"110 ms against 100 ms of p2c, +10.0%, 1 more seed would settle it", reports.Gate{Verdict: reports.Inconclusive, Value: ptr(110.0), Unit: "ms", Reference: reports.Reference{Kind: "policy", Policy: "p2c"}, Change: ptr(0.1), More: ptr(1)}},
		{"110 ms against 100 ms of p2c, +10.0%, 8 more block pairs would settle it", reports.Gate{Verdict: reports.Inconclusive, Value: ptr(110.0), Unit: "ms", Reference: reports.Reference{Kind: "policy", Policy: "p2c"}, Change: ptr(0.1), More: ptr(8), Reason: ptr("the interval holds the bound; 8 more block pairs would settle it")}},
		{"90.0 ms against 100 ms of baseline, −10.0%, improved; refresh the baseline", reports.Gate{Verdict: reports.Pass, Value: ptr(90.0), Unit: "ms", Reference: reports.Reference{Kind: "baseline"}, Change: ptr(-0.1), Reason: ptr("improved; refresh the baseline")}},
		{"no baseline yet", reports.Gate{Verdict: reports.Inconclusive, Reference: reports.Reference{Kind: "baseline"}, Reason: ptr("no baseline yet")}},
		{"not measured", reports.Gate{Verdict: reports.Invalid}},
	} {
		require.Equal(t, c.want, gateText(c.g))
	}
}

func TestManyGatesAreCounted(t *testing.T) {
	t.Parallel()
	s := sample(2, 0.85)
	for i := range 30 {
		v := reports.Pass
		if i == 7 {
			v = reports.Fail
		}
		s.Gates = append(s.Gates, reports.Gate{Expr: fmt.Sprintf("p99(random) < %ds", i), Verdict: v, Value: ptr(1.0), Unit: "ms"})
	}
	for range 9 {
		s.Warnings = append(s.Warnings, reports.Warning{Code: "short-run", Message: fmt.Sprint(len(s.Warnings))})
	}
	out := string(table(t, s, Options{}))
	require.Contains(t, out, "✓ 29 more passed")
	require.Contains(t, out, "✗ p99(random) < 7s")
	require.Contains(t, out, "1 of 30 gates failed.")
	require.Contains(t, out, "… and 3 more")
}

func TestMarkdownIsBounded(t *testing.T) {
	t.Parallel()
	s := sample(11, 0.85)
	for range 60 {
		s.Cells = append(s.Cells, s.Cells[:11]...)
	}
	for i := range s.Cells {
		s.Cells[i].Policy += fmt.Sprint("-", i)
	}
	for i := range 900 {
		s.Gates = append(s.Gates, reports.Gate{Expr: fmt.Sprintf("p99(random-%d) < 1s", i), Verdict: reports.Pass})
		s.Warnings = append(s.Warnings, reports.Warning{Code: "short-run", Message: strings.Repeat("x", 50) + fmt.Sprint(i)})
	}
	var b bytes.Buffer
	require.NoError(t, Markdown(&b, s, options()))
	require.LessOrEqual(t, utf8.RuneCount(b.Bytes()), maxMarkdown)
	for _, what := range []string{"more gates", "more rows", "more warnings", "taillab run wechat-jiq --seed 42"} {
		require.Contains(t, b.String(), what)
	}
	b.Reset()
	require.NoError(t, Markdown(&b, sample(5, 0.85), Options{MaxRows: 2}))
	require.Contains(t, b.String(), "… and 3 more rows.")
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	s := withNasty(withGates(sample(2, 0.5, 0.85)))
	s.Cells[0].P999MS, s.Cells[1].P99CI = ptr(math.NaN()), &reports.Interval{1, math.Inf(1)}
	s.Cells[1].Metrics = map[string]*float64{"jain": ptr(math.Inf(-1))}
	var b bytes.Buffer
	require.NoError(t, JSON(&b, s))
	require.True(t, strings.HasSuffix(b.String(), "\n}\n"))
	require.NotContains(t, b.String(), "NaN")
	require.Contains(t, b.String(), "\n  \"schema\": \"taillab/summary/v1\",\n")
	require.Contains(t, b.String(), "p99(jiq) < p99(p2c)", "readable without a decoder")
	var back reports.Summary
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&back))
	require.False(t, d.More(), "exactly one document")
	require.Nil(t, back.Cells[0].P999MS)
	require.Nil(t, back.Cells[1].P99CI)
	require.Nil(t, back.Cells[1].Metrics["jain"])
	require.Equal(t, s.Cells[2].P99MS, back.Cells[2].P99MS)
	require.Equal(t, nasty, back.Cells[0].Policy)
	require.True(t, math.IsNaN(*s.Cells[0].P999MS), "the caller's summary is left alone")

	s.Cells[1].RateRPS = math.NaN()
	require.ErrorContains(t, JSON(&b, s), "summary.Cells[1].RateRPS is NaN")
}

func TestJSONOfNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, JSON(&b, &reports.Summary{Cells: []reports.Cell{{}}}))
	for _, field := range []string{"gates", "warnings", "groups", "slowest", "parts"} {
		require.Contains(t, b.String(), `"`+field+`": []`)
	}
	for _, field := range []string{"errors", "metrics", "params", "axes"} {
		require.Contains(t, b.String(), `"`+field+`": {}`)
	}
	require.Contains(t, b.String(), `"p99_ms": null`)
}

func TestCSV(t *testing.T) {
	t.Parallel()
	s := withNasty(sample(2, 0.5, 0.85))
	s.Cells[1].P99MS, s.Cells[1].Tail = nil, nil
	s.Cells[2].Errors = map[string]int64{"shed": 2, "lost": 3}
	var b bytes.Buffer
	require.NoError(t, CSV(&b, s))
	require.Equal(t, 5, strings.Count(b.String(), "\r\n"))
	rows, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	col := map[string]int{}
	for i, name := range rows[0] {
		col[name] = i
	}
	require.Equal(t, nasty, rows[1][col["policy"]])
	require.Equal(t, "as=random;choices=2", rows[1][col["params"]])
	require.Equal(t, "5", rows[3][col["errors_total"]])
	require.Empty(t, rows[2][col["p99_ms"]])
	require.Empty(t, rows[2][col["tail.queue_ms"]])
	for i, c := range s.Cells {
		v, err := strconv.ParseFloat(rows[i+1][col["max_ms"]], 64)
		require.NoError(t, err)
		require.Equal(t, *c.MaxMS, v, "full precision")
	}
	require.Equal(t, "0.98", rows[1][col["metrics.jain"]])
}

// Every number of the results stands in each format as the JSON has it, rounded
// to 3 significant digits.
func TestNumbersAgree(t *testing.T) {
	t.Parallel()
	s := withGates(sample(5, loads...))
	var md, html bytes.Buffer
	require.NoError(t, Markdown(&md, s, Options{}))
	require.NoError(t, HTML(&html, s, Options{}))
	text := string(table(t, s, Options{Width: 200}))
	for _, c := range s.Cells {
		if *c.Load != 0.85 {
			continue
		}
		for _, v := range []float64{*c.P50MS, *c.P99MS} {
			want := chart.Latency(v)
			require.Contains(t, text, want)
			require.Contains(t, md.String(), want)
			require.True(t, strings.Contains(html.String(), want), want)
		}
	}
}

// Permuting the cells changes nothing but the order in which series are listed.
func TestOrderOfCells(t *testing.T) {
	t.Parallel()
	a, b := withGates(sample(6, loads...)), withGates(sample(6, loads...))
	for i, j := 0, len(b.Cells)-1; i < j; i, j = i+1, j-1 {
		b.Cells[i], b.Cells[j] = b.Cells[j], b.Cells[i]
	}
	require.Equal(t, string(table(t, a, options())), string(table(t, b, options())))
	var ma, mb bytes.Buffer
	require.NoError(t, Markdown(&ma, a, options()))
	require.NoError(t, Markdown(&mb, b, options()))
	require.Equal(t, ma.String(), mb.String())
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestWriteErrors(t *testing.T) {
	t.Parallel()
	s := sample(2, 0.85)
	require.Error(t, Table(brokenPipe{}, s, Options{}))
	require.Error(t, Markdown(brokenPipe{}, s, Options{}))
	require.Error(t, JSON(brokenPipe{}, s))
	require.Error(t, CSV(brokenPipe{}, s))
	require.Error(t, HTML(brokenPipe{}, s, Options{}))
	require.Error(t, JUnit(brokenPipe{}, s, Options{}))
	require.Error(t, GitHub(brokenPipe{}, s, Options{}))
}

// A label comes from a file of the user's: no format may break on one.
func FuzzLabels(f *testing.F) {
	for _, l := range []string{nasty, "", "\x1b[31m", "</script>", "\xff\xfe", "名前", "‮abc", "```\n|", "=1+1"} {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, label string) {
		s := withGates(sample(2, 0.5, 0.85))
		s.Scenario, s.Cells[0].Policy, s.Cells[1].Policy = label, label, label
		s.Gates[0].Expr, s.Warnings[0].Message = label, label
		out := string(table(t, s, Options{}))
		require.NotContains(t, out, "\x1b")
		var b bytes.Buffer
		require.NoError(t, Markdown(&b, s, Options{}))
		b.Reset()
		require.NoError(t, JSON(&b, s))
		require.True(t, json.Valid(b.Bytes()))
		b.Reset()
		require.NoError(t, CSV(&b, s))
		b.Reset()
		require.NoError(t, JUnit(&b, s, Options{}))
		var root element
		require.NoError(t, xml.Unmarshal(b.Bytes(), &root))
		checkJUnit(t, root)
		b.Reset()
		require.NoError(t, GitHub(&b, s, Options{File: label}))
		for _, l := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
			require.True(t, strings.HasPrefix(l, "::"), "%q", l)
			require.NotContains(t, l, "\r")
		}
		b.Reset()
		require.NoError(t, HTML(&b, s, Options{}))
		checkPage(t, b.Bytes())
	})
}
