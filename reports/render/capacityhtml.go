package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"taillab/reports"
	"taillab/reports/chart"
)

// maxHTMLPoints bounds the table of everything that was measured.
const maxHTMLPoints = 300

// CapacityHTML writes the answer as a page of the same kind as HTML.
func CapacityHTML(w io.Writer, c *reports.Capacity, o Options) error {
	v := capacityView{c}
	p := newPage(v.summary(), o)
	raw, err := c.JSON()
	if err != nil {
		return err
	}
	var short bytes.Buffer
	if err := json.Compact(&short, raw); err != nil {
		return fmt.Errorf("writing the capacities into the page: %w", err)
	}
	f := chart.Capacity(chart.CapacityOf(c), chart.Light())
	p.Verdict, p.Tally = v.question(), f.Title
	p.Size, p.How, p.Interrupted = v.size(), v.how(), !c.Complete
	p.Raw, p.RawNote = rawScript("capacity", inScript(short.Bytes())), "The answer as JSON is the script element with the id capacity of this page."
	p.ResultsTitle, p.Says = capitalised(v.question()), v.says()
	p.Results = v.table()
	p.Cells, p.CellsTitle = v.points(), "everything that was measured"
	if !f.Empty() {
		p.Charts = []htmlFigure{figureOf(f, 0)}
	}
	return p.write(w)
}

func capitalised(s string) string { return string(s[0]-'a'+'A') + s[1:] }

func (v capacityView) table() *htmlTable {
	t := &htmlTable{Caption: "The most capable first", Head: heads(v.head()...)}
	for k, r := range v.Policies {
		var row []htmlCell
		for i, text := range v.row(r) {
			cell := htmlCell{Text: text}
			switch {
			case i == 0:
				cell.Class = "l"
			case i == 1 && k == 0 && len(v.Policies) > 1:
				cell.Class = "best"
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// points lists everything measured, by policy and setting.
func (v capacityView) points() *htmlTable {
	t := &htmlTable{Caption: "Every setting that was measured", Head: heads("policy", v.Vary, "requests/s", "seeds", "value", chart.Percent(v.Confidence)+" CI", "rule", "why")}
	t.Head[6].Class, t.Head[7].Class = "l", "l"
	n := 0
	for _, r := range v.Policies {
		for _, p := range r.Points {
			if n++; n > maxHTMLPoints {
				continue
			}
			ci, why := chart.Missing, ""
			if p.CI != nil {
				ci = quantities(p.CI[0], p.CI[1], v.Unit)
			}
			if p.Reason != nil && p.Verdict != reports.Pass {
				why = *p.Reason
			}
			t.Rows = append(t.Rows, []htmlCell{{v.label(r), "l"}, {Text: v.setting(p.At)}, {Text: perS(p.RateRPS)}, {Text: fmt.Sprint(p.Seeds)},
				{Text: v.value(p.Value)}, {Text: ci}, {mark(p.Verdict) + " " + ruleWord(p.Verdict), "l " + verdictClass(p.Verdict)}, {why, "l w"}})
		}
	}
	t.More = more(n-maxHTMLPoints, "setting")
	return t
}

// ruleWord says a verdict about a setting.
func ruleWord(v reports.Verdict) string {
	switch v {
	case reports.Pass:
		return "met"
	case reports.Fail:
		return "missed"
	}
	return "cannot tell"
}
