package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"taillab/reports"
	"taillab/reports/chart"
)

// htmlTable is a table of the page; the first cell of a row is its heading.
type htmlTable struct {
	Caption string
	Head    []htmlCell
	Rows    [][]htmlCell
	More    string   // what was left out
	Links   []string // of the rows' headings, to other pages on this machine; nil for none
}

// htmlCell is text with classes of page.css: l left, w wrapping, best bold.
type htmlCell struct{ Text, Class string }

// Bounds of the long tables, so that the page stays small; what is left out is
// counted.
const (
	maxHTMLGates   = 200
	maxHTMLGroups  = 60
	maxHTMLCells   = 300
	maxHTMLSlowest = 30
)

// more says how many rows are missing.
func more(n int, noun string) string {
	if n <= 0 {
		return ""
	}
	return "… and " + count(n, "more "+noun, "more "+noun+"s") + "."
}

// heads makes headings, the first left-aligned.
func heads(names ...string) []htmlCell {
	out := make([]htmlCell, len(names))
	for i, n := range names {
		out[i] = htmlCell{Text: n}
		if i == 0 {
			out[i].Class = "l"
		}
	}
	return out
}

func gateTable(s *reports.Summary) *htmlTable {
	if len(s.Gates) == 0 {
		return nil
	}
	t := &htmlTable{Caption: "Each rule of the scenario, judged", Head: []htmlCell{
		{"gate", "l"}, {"verdict", "l"}, {"result", "l"}}}
	for _, g := range s.Gates[:min(len(s.Gates), maxHTMLGates)] {
		t.Rows = append(t.Rows, []htmlCell{
			{gateName(g), "l w"}, {mark(g.Verdict) + " " + string(g.Verdict), "l " + verdictClass(g.Verdict)}, {gateText(g), "l w"}})
	}
	t.More = more(len(s.Gates)-maxHTMLGates, "gate")
	return t
}

// verdictClass is the class of a verdict; only known ones become markup.
func verdictClass(v reports.Verdict) string {
	if _, ok := marks[v]; ok {
		return string(v)
	}
	return "invalid"
}

func resultTable(v view) *htmlTable {
	if len(v.rows) == 0 {
		return nil
	}
	return rowTable(v, "At "+v.place()+", best P99 first", v.columns())
}

// familyTables are those of the policy families' metrics.
func familyTables(v view) []*htmlTable {
	var out []*htmlTable
	for _, f := range v.families() {
		out = append(out, rowTable(v, "The family "+f.name+", with half of the "+v.confidence()+" CI of the mean", f.cols))
	}
	return out
}

// rowTable writes the rows of the view under the columns.
func rowTable(v view, caption string, cols []column) *htmlTable {
	t := &htmlTable{Caption: caption}
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.name
	}
	t.Head = heads(names...)
	for k, r := range v.rows {
		var row []htmlCell
		for i, c := range cols {
			cell := htmlCell{Text: c.cell(r)}
			switch {
			case i == 0:
				cell.Class = "l"
			case v.bestRow(c) == k:
				cell.Class = "best"
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// cellTable lists every cell, in the order of the summary.
func cellTable(v view) *htmlTable {
	if len(v.s.Cells) < 2 {
		return nil
	}
	axis := "load"
	if v.byRate {
		axis = "rate"
	}
	t := &htmlTable{Caption: "Every cell of the sweep", Head: heads("policy", axis, "P50", "P99", v.confidence()+" CI of P99", "P99.9", "mean", "errors", "goodput", "utilization", "requests")}
	for _, c := range v.s.Cells[:min(len(v.s.Cells), maxHTMLCells)] {
		place := chart.Percent(chart.PlaceOf(c, v.byRate))
		if v.byRate {
			place = chart.Digits(c.RateRPS, 3) + "/s"
		}
		ci := chart.Missing
		if c.P99CI != nil {
			ci = chart.Range(c.P99CI[0], c.P99CI[1])
		}
		t.Rows = append(t.Rows, []htmlCell{
			{chart.Label(c), "l"}, {Text: place}, {Text: chart.LatencyPtr(c.P50MS)}, {Text: chart.LatencyPtr(c.P99MS)}, {Text: ci},
			{Text: chart.LatencyPtr(c.P999MS)}, {Text: chart.LatencyPtr(c.MeanMS)}, {Text: share(c.ErrorRate)}, {Text: perSecond(c.GoodputRPS)},
			{Text: share(c.Utilization)}, {Text: chart.Count(c.Requests)}})
	}
	t.More = more(len(v.s.Cells)-maxHTMLCells, "cell")
	return t
}

func share(f *float64) string {
	if f == nil {
		return chart.Missing
	}
	return chart.Share(*f)
}

func perSecond(f *float64) string {
	if f == nil {
		return chart.Missing
	}
	return chart.Digits(*f, 3) + "/s"
}

// groupTable lists the groups of the cells shown, worst P99 first.
func groupTable(v view) *htmlTable {
	type row struct {
		policy string
		g      reports.Group
	}
	var rows []row
	for _, c := range v.rows {
		for _, g := range c.Groups {
			rows = append(rows, row{chart.Label(c), g})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(worst(b.g.P99MS), worst(a.g.P99MS)) })
	t := &htmlTable{Caption: "Tenants, classes and services at " + v.place() + ", worst P99 first",
		Head: heads("policy", "group", "P50", "P99", "mean", "errors", "goodput", "requests")}
	for _, r := range rows[:min(len(rows), maxHTMLGroups)] {
		t.Rows = append(t.Rows, []htmlCell{
			{r.policy, "l"}, {Text: r.g.By + " " + r.g.Name}, {Text: chart.LatencyPtr(r.g.P50MS)}, {Text: chart.LatencyPtr(r.g.P99MS)},
			{Text: chart.LatencyPtr(r.g.MeanMS)}, {Text: share(r.g.ErrorRate)}, {Text: perSecond(r.g.GoodputRPS)}, {Text: chart.Count(r.g.Requests)}})
	}
	t.More = more(len(rows)-maxHTMLGroups, "group")
	return t
}

// worst puts an unknown P99 behind all known ones.
func worst(v *float64) float64 {
	if v == nil || math.IsNaN(*v) {
		return math.Inf(-1)
	}
	return *v
}

// slowestTable lists the slowest requests of the cells shown, slowest first.
func slowestTable(v view) *htmlTable {
	type row struct {
		policy string
		r      reports.Slow
	}
	var rows []row
	for _, c := range v.rows {
		for _, r := range c.Slowest[:min(len(c.Slowest), 3)] {
			rows = append(rows, row{chart.Label(c), r})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.r.LatencyMS, a.r.LatencyMS) })
	t := &htmlTable{Caption: "The three slowest requests of each policy at " + v.place(),
		Head: heads("policy", "request", "seed", "latency", "steps")}
	t.Head[4].Class = "l"
	for _, r := range rows[:min(len(rows), maxHTMLSlowest)] {
		t.Rows = append(t.Rows, []htmlCell{
			{r.policy, "l"}, {Text: fmt.Sprint(r.r.Request)}, {Text: fmt.Sprint(r.r.Seed)}, {Text: chart.Latency(r.r.LatencyMS)}, {chart.StepsText(r.r.Steps), "l w"}})
	}
	t.More = more(len(rows)-maxHTMLSlowest, "request")
	return t
}

// figureTable is the data table of a chart; that of the matrix carries its tints.
func figureTable(f chart.Figure) *htmlTable {
	t := &htmlTable{Caption: f.Subtitle + " · " + f.Foot, Head: heads(f.Header...)}
	for k, r := range f.Rows {
		var row []htmlCell
		for i, text := range r {
			cell := htmlCell{Text: text}
			switch {
			case i == 0:
				cell.Class = "l"
			case f.Heat != nil && f.Heat[k][i-1] >= 0:
				cell.Class = fmt.Sprintf("h%d", int(math.Round(f.Heat[k][i-1]*heatSteps)))
				if f.Heat[k][i-1] == 0 {
					cell.Class += " best"
				}
			case len(text) > 60:
				cell.Class = "l w"
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
