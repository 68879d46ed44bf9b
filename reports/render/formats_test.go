package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/reports"
)

func written(t *testing.T, f func(w io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, f(&b))
	return b.Bytes()
}

func placed() Options {
	o := options()
	o.File = "scenarios/wechat-jiq.yaml"
	return o
}

// fullGates is a sample whose gates have places, and one of every verdict.
func fullGates() *reports.Summary {
	s := withGates(sample(3, loads...))
	for i := range s.Gates {
		s.Gates[i].Line, s.Gates[i].Column = 12+i, 5
	}
	return s
}

func TestVerdictFormatsGolden(t *testing.T) {
	t.Parallel()
	strict := placed()
	strict.Strict = true
	for name, c := range map[string]struct {
		s *reports.Summary
		o Options
	}{
		"": {fullGates(), placed()}, "-strict": {fullGates(), strict}, "-nasty": {withNasty(fullGates()), placed()},
		"-empty": {&reports.Summary{Scenario: "nothing"}, Options{}},
	} {
		golden(t, "junit"+name, written(t, func(w io.Writer) error { return JUnit(w, c.s, c.o) }))
		golden(t, "github"+name, written(t, func(w io.Writer) error { return GitHub(w, c.s, c.o) }))
	}
}

// element is XML as any reader sees it.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
	Text     string     `xml:",chardata"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// junitRules are those of the JUnit schema that the strict readers use: which
// children an element may have, in this order, and which attributes it must and may
// have. A child marked ? may be missing, one marked * may come any number of times.
var junitRules = map[string]struct{ children, must, may string }{
	"testsuites": {"testsuite*", "", ""},
	"testsuite":  {"properties testcase* system-out system-err", "name package id timestamp hostname tests failures errors time", "skipped"},
	"properties": {"property*", "", ""},
	"property":   {"", "name value", ""},
	"testcase":   {"skipped? error? failure?", "name classname time", ""},
	"skipped":    {"", "", "message"},
	"error":      {"", "type", "message"},
	"failure":    {"", "type", "message"},
	"system-out": {"", "", ""},
	"system-err": {"", "", ""},
}

func checkJUnit(t require.TestingT, e element) {
	rule, known := junitRules[e.XMLName.Local]
	require.True(t, known, e.XMLName.Local)
	for _, must := range strings.Fields(rule.must) {
		require.True(t, slices.ContainsFunc(e.Attrs, func(a xml.Attr) bool { return a.Name.Local == must }), "%s needs %s", e.XMLName.Local, must)
	}
	for _, a := range e.Attrs {
		require.Contains(t, strings.Fields(rule.must+" "+rule.may), a.Name.Local, e.XMLName.Local)
	}
	next := 0
	for _, want := range strings.Fields(rule.children) {
		name := strings.TrimRight(want, "?*")
		n := 0
		for next < len(e.Children) && e.Children[next].XMLName.Local == name {
			next, n = next+1, n+1
		}
		require.True(t, n == 1 || strings.HasSuffix(want, "*") || n == 0 && strings.HasSuffix(want, "?"), "%s has %d of %s", e.XMLName.Local, n, name)
	}
	require.Len(t, e.Children, next, "%s: an element out of order", e.XMLName.Local)
	for _, c := range e.Children {
		checkJUnit(t, c)
	}
}

var isoTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`)

func TestJUnitFollowsTheSchema(t *testing.T) {
	t.Parallel()
	for _, s := range []*reports.Summary{fullGates(), withNasty(fullGates()), {}} {
		for _, strict := range []bool{false, true} {
			o := placed()
			o.Strict = strict
			var root element
			require.NoError(t, xml.Unmarshal(written(t, func(w io.Writer) error { return JUnit(w, s, o) }), &root))
			checkJUnit(t, root)
			suite := root.Children[0]
			require.Regexp(t, isoTime, suite.attr("timestamp"))
			count := map[string]int{}
			names := map[string]bool{}
			cases := 0
			for _, c := range suite.Children {
				if c.XMLName.Local != "testcase" {
					continue
				}
				cases++
				require.False(t, names[c.attr("name")], "%s twice", c.attr("name"))
				names[c.attr("name")] = true
				for _, k := range c.Children {
					count[k.XMLName.Local]++
					require.NotEmpty(t, k.attr("message"))
				}
			}
			require.Equal(t, len(s.Gates), cases)
			for attr, kind := range map[string]string{"failures": "failure", "errors": "error", "skipped": "skipped"} {
				require.Equal(t, fmt.Sprint(count[kind]), suite.attr(attr))
			}
			require.Equal(t, fmt.Sprint(cases), suite.attr("tests"))
			if len(s.Gates) > 0 {
				want := map[string]int{"failure": 1, "error": 1, "skipped": 1}
				if strict {
					want = map[string]int{"failure": 2, "error": 1}
				}
				require.Equal(t, want, count)
			}
		}
	}
}

// A gate without `at`, on several axes and in several families' labels, is a case of
// its own in each cell.
func TestGateNamesTellCellsApart(t *testing.T) {
	t.Parallel()
	g := reports.Gate{Expr: "p99(lease) < 1s", Policy: "lease/maxmin", Load: ptr(0.8), Axes: map[string]any{"n": 2, "share": 0.5}}
	require.Equal(t, "p99(lease) < 1s at load 0.8, n 2, share 0.5 of lease/maxmin", gateName(g))
	g.Expr, g.Policy = "p99(lease) < 1s at load 0.8, share 0.5", "lease"
	require.Equal(t, "p99(lease) < 1s at load 0.8, share 0.5, n 2", gateName(g))
	g.Expr, g.Load = "p99(lease) < 1s", nil
	require.Equal(t, "p99(lease) < 1s at n 2, share 0.5", gateName(g))
}

// With several gates, one of which failed, the reader learns what chance alone does.
func TestCaveat(t *testing.T) {
	t.Parallel()
	s := fullGates()
	require.Empty(t, caveat(s), "four gates")
	for range 36 {
		s.Gates = append(s.Gates, reports.Gate{Verdict: reports.Pass})
	}
	require.Equal(t, "nothing corrects for the number of gates: if every difference lay on its bound, 1.0 of 40 would fail by chance", caveat(s))
	require.Contains(t, string(written(t, func(w io.Writer) error { return Markdown(w, s, Options{}) })), "1.0 of 40 would fail by chance.")
	s.Gates[1].Verdict = reports.Pass
	require.Empty(t, caveat(s), "nothing failed")
}

// Verdicts forced out of an invalid measurement are never told as if they stood.
func TestForcedVerdictsAreMarked(t *testing.T) {
	t.Parallel()
	s := fullGates()
	s.Gates, s.Verdict = s.Gates[:2], reports.Invalid
	require.Equal(t, "not valid, and by force: 1 of 2 gates failed.", tallyGates(s))
	require.Contains(t, string(written(t, func(w io.Writer) error { return Markdown(w, s, Options{}) })), "wechat-jiq: not valid")
}

// unescape reads a workflow command as the runner does.
var unescape = strings.NewReplacer("%3A", ":", "%2C", ",", "%0D", "\r", "%0A", "\n", "%25", "%")

func TestGitHubCommands(t *testing.T) {
	t.Parallel()
	s := withNasty(fullGates())
	for i := range 30 {
		s.Gates = append(s.Gates, reports.Gate{Expr: fmt.Sprintf("p99(x) < %dms", i), Line: i + 1, Column: 1, Verdict: reports.Fail})
	}
	s.Gates = append(s.Gates, reports.Gate{Expr: "p99(a:b, c) < 1s", Verdict: reports.Fail, Reason: ptr("50%\nor so")})
	out := string(written(t, func(w io.Writer) error { return GitHub(w, s, placed()) }))
	command := regexp.MustCompile(`^::(error|warning|notice) ([a-z]+=[^,:]*(?:,[a-z]+=[^,:]*)*)::(.*)$`)
	kinds := map[string]int{}
	for _, line := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		m := command.FindStringSubmatch(line)
		require.NotNil(t, m, line)
		kinds[m[1]]++
	}
	require.LessOrEqual(t, kinds["error"], maxAnnotations)
	require.Equal(t, 10, kinds["error"])
	require.Equal(t, 1, kinds["warning"])
	require.Contains(t, out, "title=and more::24 more errors are not shown here")
	require.Contains(t, out, "file=scenarios/wechat-jiq.yaml,line=13,col=5,")

	line := Command("error", "a: b, 50%\r\nc", "title", "x:y,z\n100%")
	require.Equal(t, "::error title=x%3Ay%2Cz%0A100%25::a: b, 50%25%0D%0Ac", line)
	require.Equal(t, "::error title=x:y,z\n100%::a: b, 50%\r\nc", unescape.Replace(line))
}

// Every scalar of a cell stands in the CSV as the JSON has it, in its order.
func TestCSVEqualsJSON(t *testing.T) {
	t.Parallel()
	s := withNasty(sample(3, 0.5, 0.85))
	s.Cells[1].P99MS, s.Cells[1].Tail = nil, nil
	rows, err := csv.NewReader(bytes.NewReader(written(t, func(w io.Writer) error { return CSV(w, s) }))).ReadAll()
	require.NoError(t, err)
	var doc struct{ Cells []json.RawMessage }
	require.NoError(t, json.Unmarshal(written(t, func(w io.Writer) error { return JSON(w, s) }), &doc))
	for i, raw := range doc.Cells {
		at := 0
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		_, err := d.Token()
		require.NoError(t, err)
		for d.More() {
			key, err := d.Token()
			require.NoError(t, err)
			var v any
			require.NoError(t, d.Decode(&v))
			switch v.(type) {
			case map[string]any, []any:
				continue // lists, and maps that the CSV flattens
			}
			if slices.Contains([]string{"tail"}, key.(string)) || strings.HasSuffix(key.(string), "_ci_ms") {
				continue // null here, several columns there
			}
			col := slices.Index(rows[0], key.(string))
			require.GreaterOrEqual(t, col, at, "%s is missing or out of order", key)
			at = col
			want := ""
			if v != nil {
				want = fmt.Sprint(v)
			}
			require.Equal(t, number(want), number(rows[i+1][col]), key)
		}
	}
}

// number is a text in the one form of its number.
func number(s string) string {
	var n json.Number
	if json.Unmarshal([]byte(s), &n) == nil {
		if f, err := n.Float64(); err == nil {
			return float(f)
		}
	}
	return s
}
