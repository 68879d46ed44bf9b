package render

import (
	"bytes"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/reports"
	"taillab/reports/chart"
)

func pageOf(t *testing.T, s *reports.Summary, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, HTML(&b, s, o))
	return b.Bytes()
}

func withCharts(n int) Options {
	o := options()
	o.Charts = []chart.Figure{sampleCCDF(n), sampleTimeline(min(n, 4))}
	return o
}

var (
	policyRE = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`)
	rawRE    = regexp.MustCompile(`(?s)<script type="application/json" id="summary">(.*?)</script>`)
	scriptRE = regexp.MustCompile(`(?s)<script[^>]*>.*?</script>`)
	styleRE  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	tagRE    = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>`)
	attrRE   = regexp.MustCompile(`([a-zA-Z-]+)="([^"]*)"`)
)

// voids are the HTML elements without an end tag.
var voids = map[string]bool{"meta": true, "br": true, "hr": true, "img": true, "input": true, "link": true}

// checkPage holds what every page must: balanced elements, unique ids, labels that
// refer to something, no address outside the page, no inline style or handler, and
// a policy that names exactly the style and the script there are.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	text := string(page)
	require.True(t, strings.HasPrefix(text, "<!doctype html>"), "no doctype")
	style := styleRE.FindStringSubmatch(text)
	require.Len(t, style, 2)
	policy := policyRE.FindStringSubmatch(text)
	require.Len(t, policy, 2)
	require.Equal(t, "default-src 'none'; style-src "+hash(style[1])+"; script-src "+hash(pageJS)+"; base-uri 'none'; form-action 'none'", html.UnescapeString(policy[1]))
	require.Equal(t, 2, len(scriptRE.FindAllString(text, -1)), "the page's own script and the raw summary")
	bare := styleRE.ReplaceAllString(scriptRE.ReplaceAllString(text, ""), "")

	var open []string
	ids, refs := map[string]bool{}, []string{}
	for _, m := range tagRE.FindAllStringSubmatch(bare, -1) {
		name := strings.ToLower(m[2])
		if m[1] == "/" {
			require.NotEmpty(t, open, "</%s> without start", name)
			require.Equal(t, open[len(open)-1], name, "elements are nested wrongly")
			open = open[:len(open)-1]
			continue
		}
		for _, a := range attrRE.FindAllStringSubmatch(m[3], -1) {
			switch key := strings.ToLower(a[1]); {
			case key == "id":
				require.False(t, ids[a[2]], "id %q twice", a[2])
				ids[a[2]] = true
			case key == "aria-labelledby":
				refs = append(refs, strings.Fields(a[2])...)
			case key == "style" || strings.HasPrefix(key, "on"):
				require.Fail(t, "inline style or handler", "%s in <%s>", a[0], name)
			case key == "src" || key == "href":
				require.NotContains(t, a[2], "://")
			}
		}
		if !voids[name] && !strings.HasSuffix(m[3], "/") {
			open = append(open, name)
		}
	}
	require.Empty(t, open, "elements not closed")
	for _, r := range refs {
		require.True(t, ids[r], "aria-labelledby names %q, which does not exist", r)
	}
	require.False(t, strings.Contains(bare, "<img"), "an image")
	require.Equal(t, strings.Count(tagRE.ReplaceAllString(bare, ""), "<"), strings.Count(bare, "<!doctype"), "a < that is no tag")
}

func TestPage(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 6, 11} {
		page := pageOf(t, withGates(sample(n, loads...)), withCharts(n))
		checkPage(t, page)
		require.LessOrEqual(t, len(page), 300_000, "%d policies", n)
		require.True(t, bytes.Equal(page, pageOf(t, withGates(sample(n, loads...)), withCharts(n))), "twice the same bytes")
	}
	checkPage(t, pageOf(t, withNasty(withGates(sample(3, loads...))), withCharts(3)))
	checkPage(t, pageOf(t, streaming(), Options{}))
	checkPage(t, pageOf(t, &reports.Summary{}, Options{}))
	require.LessOrEqual(t, len(pageJS), 2048)
}

func TestPageOrder(t *testing.T) {
	t.Parallel()
	s := withGates(sample(4, loads...))
	for i := range s.Cells {
		s.Cells[i].Groups = []reports.Group{{By: "tenant", Name: "chat", P99MS: ptr(float64(100 + i)), Requests: 10}, {By: "tenant", Name: "unknown"}}
	}
	page := string(pageOf(t, s, withCharts(4)))
	at := -1
	for _, mark := range []string{
		`class="verdict fail"`, `id="gates"`, `id="results"`, `id="charts"`, `-p99-vs-load"`, `-ccdf"`, `-matrix"`, `-changes"`, `id="why"`,
		`id="groups"`, `id="timeline"`, `id="slowest"`, `id="warnings"`, `id="repeat"`, "taillab run wechat-jiq --seed 42", "4f2a9c1d77aa", `id="summary"`,
	} {
		i := strings.Index(page[at+1:], mark)
		require.GreaterOrEqual(t, i, 0, "%s is missing or out of order", mark)
		at += 1 + i
	}
	require.Less(t, strings.Index(page, "tenant chat"), strings.Index(page, "tenant unknown"), "worst group first, unknown last")
}

func TestPageHoldsTheSummary(t *testing.T) {
	t.Parallel()
	s := withNasty(withGates(sample(2, 0.85)))
	raw := rawRE.FindSubmatch(pageOf(t, s, Options{}))
	require.Len(t, raw, 2)
	var back reports.Summary
	require.NoError(t, json.Unmarshal(raw[1], &back))
	require.Equal(t, nasty, back.Cells[0].Policy)
	require.Equal(t, s.Cells[1].P99MS, back.Cells[1].P99MS)
	require.Len(t, back.Cells[0].Parts, 10)

	big := pageOf(t, sample(11, loads...), Options{})
	require.NoError(t, json.Unmarshal(rawRE.FindSubmatch(big)[1], &back))
	require.Empty(t, back.Cells[0].Parts)
	require.True(t, bytes.Contains(big, []byte("are left out here; summary.json has them")), "the page says what it leaves out")
}

// The data tables under the charts say what the summary says.
func TestChartTables(t *testing.T) {
	t.Parallel()
	s := sample(3, loads...)
	page := string(pageOf(t, s, Options{}))
	for _, c := range s.Cells {
		want := ">" + chart.Latency(*c.P99MS) + " (CI " + chart.Range(c.P99CI[0], c.P99CI[1]) + ")</td>"
		require.True(t, strings.Contains(page, want), want)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	kinds := func(s *reports.Summary, o Options) (out []chart.Kind) {
		for _, f := range Figures(s, o, chart.Light()) {
			out = append(out, f.Kind)
		}
		return out
	}
	require.Equal(t, []chart.Kind{chart.KindP99, chart.KindCCDF, chart.KindMatrix, chart.KindForest, chart.KindTail, chart.KindTimeline}, kinds(withGates(sample(2, loads...)), withCharts(2)))
	require.Equal(t, []chart.Kind{chart.KindP99, chart.KindTail}, kinds(sample(1, 0.5), Options{}), "one policy has nothing to be compared with")
	require.Empty(t, kinds(&reports.Summary{}, Options{}))
}
