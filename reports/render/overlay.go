package render

import (
	"fmt"
	"io"

	"taillab/reports"
	"taillab/reports/chart"
)

// Overlay is two runs beside each other, such as before and after a change. What
// Charts of the options hold is drawn by the caller from both.
type Overlay struct{ Base, New *reports.Summary }

// change is one cell that both runs have.
type change struct {
	cell reports.Cell // of the new run
	reports.Change
}

// changes compares P99 of the cells that both have, in the order of the new run; the
// rest is counted.
func (v Overlay) changes() (out []change, alone int) {
	matched := 0
	for i := range v.New.Cells {
		c := &v.New.Cells[i]
		if b := v.partner(c); b != nil {
			matched++
			out = append(out, change{*c, reports.Compare(b, c, "p99", v.New.Confidence)})
		}
	}
	return out, len(v.New.Cells) + len(v.Base.Cells) - 2*matched
}

// partner is the cell of the other run with the same name and place.
func (v Overlay) partner(c *reports.Cell) *reports.Cell {
	for i := range v.Base.Cells {
		b := &v.Base.Cells[i]
		if chart.Label(*b) == chart.Label(*c) && (b.Load == nil) == (c.Load == nil) && same(chart.PlaceOf(*b, c.Load == nil), chart.PlaceOf(*c, c.Load == nil)) {
			return b
		}
	}
	return nil
}

// BaseName names the run that is compared with.
func (v Overlay) BaseName() string {
	switch {
	case v.Base.RunID != "" && v.Base.RunID != v.New.RunID:
		return v.Base.RunID
	case v.Base.Git != nil && v.Base.Git.Commit != "":
		return "commit " + v.Base.Git.Commit[:min(9, len(v.Base.Git.Commit))]
	}
	return "the first run"
}

// Figures are the charts of both runs: P99 with the base dashed, what the caller
// brings, and the changes as a forest plot.
func (v Overlay) Figures(o Options, theme chart.Theme) []chart.Figure {
	var out []chart.Figure
	add := func(f chart.Figure) {
		if !f.Empty() {
			out = append(out, f)
		}
	}
	in, base := chart.P99Of(v.New), chart.P99Of(v.Base)
	in.Earlier = &chart.Earlier[chart.P99Series]{Name: v.BaseName()}
	for _, s := range base.Series { // on the loads of the new run
		moved := chart.P99Series{Label: s.Label, Values: make([]chart.Value, len(in.X))}
		for k, x := range in.X {
			for i, b := range base.X {
				if same(x, b) && i < len(s.Values) {
					moved.Values[k] = s.Values[i]
				}
			}
		}
		in.Earlier.Series = append(in.Earlier.Series, moved)
	}
	add(chart.P99vsLoad(in, theme))
	for _, f := range o.Charts {
		add(f)
	}
	add(chart.Forest(v.forest(), theme))
	return out
}

func (v Overlay) forest() chart.ForestInput {
	in := chart.ForestInput{Origin: chart.OriginOf(v.New), Of: "Change of P99 against " + v.BaseName() + ", with its interval; left is better"}
	list, _ := v.changes()
	for _, c := range list {
		r := chart.ForestRow{Label: v.place(c.cell), Word: c.Word, Change: chart.Value{V: c.Change.Change}}
		if c.CI != nil {
			r.Change.CI = &[2]float64{c.CI[0], c.CI[1]}
		}
		in.Rows = append(in.Rows, r)
	}
	return in
}

func (v Overlay) place(c reports.Cell) string {
	return chart.Label(c) + " at " + chart.PlaceName(chart.PlaceOf(c, c.Load == nil), c.Load == nil)
}

// says warns where the two runs are not of one kind.
func (v Overlay) says() []string {
	out := []string{"Before: " + v.BaseName() + ", drawn dashed. Changes are paired seed by seed where both runs saw the same arrivals and the same work."}
	if v.Base.Scenario != v.New.Scenario {
		out = append(out, "The runs are of different scenarios: "+v.Base.Scenario+" and "+v.New.Scenario+".")
	} else if v.Base.ScenarioHash != v.New.ScenarioHash {
		out = append(out, "The scenario has changed between the runs.")
	}
	if v.Base.Host != v.New.Host {
		out = append(out, "The runs are of different hosts: "+v.Base.Host+" and "+v.New.Host+".")
	}
	if _, alone := v.changes(); alone > 0 {
		out = append(out, count(alone, "cell stands in one run only.", "cells stand in one run only."))
	}
	return out
}

func (v Overlay) table() *htmlTable {
	list, _ := v.changes()
	if len(list) == 0 {
		return nil
	}
	t := &htmlTable{Caption: "P99 of every cell that both runs have", Head: heads("policy", "at", "before", "now", "change", "interval", "pairs", "")}
	t.Head[7].Class = "l"
	for _, c := range list[:min(len(list), maxHTMLCells)] {
		delta, ci, word := chart.Missing, chart.Missing, c.Word
		if c.Change.Change != nil {
			delta = chart.Change(*c.Change.Change)
		}
		if c.CI != nil {
			ci = chart.Change(c.CI[0]) + "…" + chart.Change(c.CI[1])
		}
		if c.Unpaired {
			word += ", unpaired"
		}
		if c.Reason != "" {
			word = c.Reason
		}
		byRate := c.cell.Load == nil
		t.Rows = append(t.Rows, []htmlCell{{chart.Label(c.cell), "l"}, {Text: chart.PlaceName(chart.PlaceOf(c.cell, byRate), byRate)}, {Text: chart.LatencyPtr(c.Base)},
			{Text: chart.LatencyPtr(c.New)}, {Text: delta}, {Text: ci}, {Text: fmt.Sprint(c.N)}, {word, "l w"}})
	}
	t.More = more(len(list)-maxHTMLCells, "cell")
	return t
}

// OverlayHTML writes the page of the new run with the base drawn into it.
func OverlayHTML(w io.Writer, v Overlay, o Options) error {
	shown := newView(v.New, o)
	raw, note, err := rawSummary(v.New)
	if err != nil {
		return err
	}
	p := newPage(v.New, o)
	forest := chart.Forest(v.forest(), chart.Light())
	p.Verdict, p.Tally = "two runs", forest.Title
	p.Size, p.How = shown.size(), shown.how()
	p.Raw, p.RawNote = rawScript("summary", raw), note+" It is that of the second run."
	p.ResultsTitle, p.Results, p.Says = "What changed", v.table(), v.says()
	p.Cells, p.CellsTitle = cellTable(shown), "every cell of the second run"
	for i, f := range v.Figures(o, chart.Light()) {
		p.Charts = append(p.Charts, figureOf(f, i))
	}
	return p.write(w)
}
