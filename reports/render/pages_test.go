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

var (
	rowRE  = regexp.MustCompile(`(?s)<tr>(.*?)</tr>`)
	cellRE = regexp.MustCompile(`(?s)<t[dh][^>]*>(?:<a[^>]*>)?(.*?)(?:</a>)?</t[dh]>`)
)

// rowsOf are the rows of all tables of a page, as text.
func rowsOf(page []byte) [][]string {
	var out [][]string
	for _, r := range rowRE.FindAllSubmatch(page, -1) {
		var row []string
		for _, c := range cellRE.FindAllSubmatch(r[1], -1) {
			row = append(row, html.UnescapeString(string(c[1])))
		}
		out = append(out, row)
	}
	return out
}

// Every number of the tables is one of the document inside the page, rounded: results,
// cells, groups, slowest requests.
func TestPageEqualsItsJSON(t *testing.T) {
	t.Parallel()
	s := withGates(sample(4, loads...))
	for i := range s.Cells {
		s.Cells[i].Groups = []reports.Group{{By: "tenant", Name: "chat", P50MS: ptr(1.234 * float64(i+1)), P99MS: ptr(5.678 * float64(i+1)), MeanMS: ptr(2.0), Requests: int64(1000 + i)}}
	}
	page := pageOf(t, s, Options{})
	rows := rowsOf(page)
	var back reports.Summary
	require.NoError(t, json.Unmarshal(rawRE.FindSubmatch(page)[1], &back))
	for _, c := range back.Cells {
		require.Contains(t, rows, []string{c.Policy, chart.Percent(*c.Load), chart.Latency(*c.P50MS), chart.Latency(*c.P99MS), chart.Range(c.P99CI[0], c.P99CI[1]),
			chart.Latency(*c.P999MS), chart.Latency(*c.MeanMS), chart.Share(*c.ErrorRate), chart.Digits(*c.GoodputRPS, 3) + "/s", chart.Share(*c.Utilization), chart.Count(c.Requests)})
	}
	shown := ShownAt(&back, Options{})
	for _, c := range back.Cells {
		if *c.Load != shown {
			continue
		}
		g := c.Groups[0]
		require.Contains(t, rows, []string{c.Policy, "tenant chat", chart.Latency(*g.P50MS), chart.Latency(*g.P99MS), chart.Latency(*g.MeanMS), chart.Missing, chart.Missing, chart.Count(g.Requests)})
		for _, r := range rows {
			if len(r) == 5 && r[0] == c.Policy && strings.HasPrefix(r[4], "±") {
				t.Fatal("the interval stands in the fourth column")
			}
			if len(r) == 5 && r[0] == c.Policy && strings.HasPrefix(r[3], "±") {
				require.Equal(t, []string{chart.Latency(*c.P50MS), chart.Latency(*c.P99MS), chart.PlusMinus(*c.P99MS, c.P99CI[0], c.P99CI[1])}, r[1:4])
			}
		}
	}
}

// twoRuns is a base and a new run in which jiq got better by a tenth, paired.
func twoRuns() Overlay {
	v := Overlay{Base: withGates(sample(3, loads...)), New: withGates(sample(3, loads...))}
	v.Base.RunID = "2026-11-19T00-00-00Z"
	for i := range v.New.Cells {
		c := &v.New.Cells[i]
		if c.Policy != "p2c" {
			continue
		}
		c.ResultHash += "-new"
		for k := range c.Parts {
			*c.Parts[k].P99MS *= 0.9 + 0.001*float64(k)
		}
	}
	return v
}

func TestOverlayPage(t *testing.T) {
	t.Parallel()
	v := twoRuns()
	var b bytes.Buffer
	o := options()
	require.NoError(t, OverlayHTML(&b, v, o))
	checkPage(t, b.Bytes())
	require.LessOrEqual(t, b.Len(), 300_000)
	better, identical := 0, 0
	for _, r := range rowsOf(b.Bytes()) {
		if len(r) != 8 {
			continue
		}
		switch r[7] {
		case "better":
			better++
			require.Equal(t, []string{"p2c", "−9.55%", "10"}, []string{r[0], r[4], r[6]}, "exp(mean ln(0.9 + 0.001 k)) − 1")
		case "identical":
			identical++
			require.Equal(t, "0.00%", r[4])
		}
	}
	require.Equal(t, []int{len(loads), 2 * len(loads)}, []int{better, identical})
	page := b.String()
	require.True(t, strings.Contains(page, "; dashed: 2026-11-19T00-00-00Z"))
	require.True(t, strings.Contains(page, "p2c, 2026-11-19T00-00-00Z"), "the data table has both")
	require.Equal(t, len(loads)*3, len(v.forest().Rows))

	v.Base.ScenarioHash, v.Base.Host = "sha256:other", "live"
	v.Base.Cells = v.Base.Cells[1:]
	b.Reset()
	require.NoError(t, OverlayHTML(&b, v, o))
	for _, want := range []string{"The scenario has changed", "different hosts: live and sim", "1 cell stands in one run only"} {
		require.True(t, strings.Contains(b.String(), want), want)
	}
	b.Reset()
	require.NoError(t, OverlayHTML(&b, Overlay{Base: withNasty(sample(2, 0.5)), New: withNasty(sample(2, 0.5))}, o))
	checkPage(t, b.Bytes())
	b.Reset()
	require.NoError(t, OverlayHTML(&b, Overlay{Base: &reports.Summary{}, New: &reports.Summary{}}, Options{}))
	checkPage(t, b.Bytes())
}

func TestIndexPage(t *testing.T) {
	t.Parallel()
	x := Index{Folder: "runs", Entries: []IndexEntry{
		{Name: "wechat-jiq/b", Link: "wechat-jiq/b/index.html", Status: reports.RunComplete, Summary: withGates(sample(3, loads...))},
		{Name: "wechat-jiq/a", Link: "wechat-jiq/a/index.html", Status: reports.RunComplete, Capacity: sampleCapacity(false)},
		{Name: nasty, Link: "x%3Ascript/index.html", Status: reports.RunInterrupted, Summary: withNasty(sample(1, 0.5))},
	}}
	var b bytes.Buffer
	require.NoError(t, IndexHTML(&b, x, Options{}))
	checkPage(t, b.Bytes())
	rows := rowsOf(b.Bytes())
	require.Equal(t, []string{"wechat-jiq/b", "wechat-jiq", "sim", "✗ fail", chart.Finding(x.Entries[0].Summary)}, rows[1])
	require.Equal(t, []string{"capacity", "jiq-amnesia keeps p99 < 600ms at every setting tried"}, rows[2][3:])
	require.Equal(t, reports.RunInterrupted, rows[3][3])
	require.True(t, strings.Contains(b.String(), `<a href="wechat-jiq/b/index.html">wechat-jiq/b</a>`))
	var table bytes.Buffer
	require.NoError(t, IndexTable(&table, x, options()))
	golden(t, "index", table.Bytes())
	b.Reset()
	require.NoError(t, IndexHTML(&b, Index{Folder: "runs"}, Options{}))
	checkPage(t, b.Bytes())
}
