// Package render writes a summary as text or as a file: a table for the terminal,
// Markdown for a pull request, JSON, CSV, and a self-contained HTML page.
//
// A renderer is a pure function of the summary and its options: no clock, no
// environment, no map order. It computes no statistic; it rounds, orders and
// names. Every text of the scenario is escaped for its format.
//
// One format per file; what they share is in view.go (which rows, which load) and
// gates.go (how a verdict reads).
package render

import (
	"taillab/reports"
	"taillab/reports/chart"
)

// Options are what a renderer cannot know from the summary. The zero value is a
// plain UTF-8 table 100 columns wide.
type Options struct {
	Width int  // columns of the terminal; 0 is 100
	Color bool // ANSI colours in Table
	ASCII bool // Table without characters beyond ASCII

	// AtLoad chooses the load shown; nil leaves it to the rule in view.go. For a
	// summary without loads it is an arrival rate per second.
	AtLoad *float64

	ReportPath   string // printed by Table; empty leaves it out
	AgainCommand string // the command that repeats the run; empty leaves it out

	// Charts are drawn by the caller, for what a summary does not hold: the latency
	// distribution and the timeline. One of a kind that Figures draws replaces it.
	Charts []chart.Figure

	Verbose bool // ComparisonTable: what pairing by seed was worth

	// File is the scenario's path, for annotations; empty if it has none.
	File string
	// Strict makes an inconclusive gate a failure in JUnit and GitHub.
	Strict bool

	// MaxRows bounds the rows of Markdown; 0 is bounded by its size alone.
	MaxRows int
}

// width is the number of columns to fit.
func (o Options) width() int {
	if o.Width <= 0 {
		return 100
	}
	return o.Width
}

// Figures are the charts of a summary in the order of the page: those that follow
// from it, drawn in theme, with o.Charts in their places. Charts without data are
// left out.
func Figures(s *reports.Summary, o Options, theme chart.Theme) []chart.Figure {
	byKind := map[chart.Kind]chart.Figure{}
	add := func(f chart.Figure) {
		if !f.Empty() {
			byKind[f.Kind] = f
		}
	}
	if len(s.Cells) > 0 {
		in := chart.P99Of(s)
		add(chart.P99vsLoad(in, theme))
		if len(in.Series) > 1 {
			add(chart.Matrix(in, theme))
		}
		add(chart.Tail(chart.TailOf(s, newView(s, o).at), theme))
		add(chart.Forest(forestOf(s), theme))
		if in, ok := scalingFrontier(newView(s, o)); ok {
			add(chart.Frontier(in, theme))
		} else if in, ok := quotaFrontier(newView(s, o)); ok {
			add(chart.Frontier(in, theme))
		}
	}
	for _, f := range o.Charts {
		add(f)
	}
	var out []chart.Figure
	for _, k := range []chart.Kind{chart.KindQQ, chart.KindP99, chart.KindCCDF, chart.KindMatrix, chart.KindFrontier, chart.KindFleet, chart.KindForest, chart.KindTail, chart.KindTimeline} {
		if f, ok := byKind[k]; ok {
			out = append(out, f)
		}
	}
	return out
}
