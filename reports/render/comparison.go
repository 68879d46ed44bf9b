package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
)

// compareColumns are the headings of a comparison; the first is the metric.
func compareColumns(confidence string) []string {
	return []string{"base", "new", "change", confidence + " CI", "n", "lower in", ""}
}

// compareDrops are the columns that a narrow terminal loses, first to last.
var compareDrops = []int{6, 5, 1} // lower in, n, base

// comparisonView is a comparison in text.
type comparisonView struct {
	c    *reports.Comparison
	feet []footnote
}

// footnote is one numbered remark below the tables.
type footnote struct {
	code, text string
	of         []reports.Warning // about some cells; empty: about the whole comparison
	reason     string            // why a change is not known or in doubt; empty for other remarks
}

func newComparisonView(c *reports.Comparison) comparisonView {
	v := comparisonView{c: c}
	if c.Invalid != "" {
		v.feet = append(v.feet, footnote{code: "not valid", text: c.Invalid + ": these numbers say nothing"})
	}
	const most = 10
	for i, k := range c.Changed {
		if i == most {
			v.feet = append(v.feet, footnote{code: "changed", text: "… and " + count(len(c.Changed)-most, "more key", "more keys")})
			break
		}
		v.feet = append(v.feet, footnote{code: "changed", text: k})
	}
	for _, side := range []struct {
		where string
		cells []reports.CellName
	}{{c.Base.Path, c.OnlyBase}, {c.New.Path, c.OnlyNew}} {
		if len(side.cells) > 0 {
			v.feet = append(v.feet, footnote{code: "missing", text: "only in " + side.where + ": " + cellNames(side.cells)})
		}
	}
	for _, n := range notes(v.verdicts()) {
		v.feet = append(v.feet, footnote{code: n.code, text: n.text, of: n.of})
	}
	if text := caveat(v.verdicts()); text != "" && !c.Holm {
		v.feet = append(v.feet, footnote{code: "chance", text: text + " (--correction holm)"})
	}
	for _, m := range c.Metrics {
		for _, x := range m.Cells {
			if x.Reason != "" && !slices.ContainsFunc(v.feet, func(f footnote) bool { return f.reason == x.Reason }) {
				v.feet = append(v.feet, footnote{code: "not compared", text: x.Reason, reason: x.Reason})
			}
			if x.Doubt != "" && !slices.ContainsFunc(v.feet, func(f footnote) bool { return f.reason == x.Doubt }) {
				v.feet = append(v.feet, footnote{code: "doubt", text: x.Doubt, reason: x.Doubt})
			}
		}
	}
	return v
}

func cellNames(cells []reports.CellName) string {
	const most = 5
	var out []string
	for _, c := range cells[:min(len(cells), most)] {
		out = append(out, cellText(c))
	}
	text := strings.Join(out, "; ")
	if n := len(cells) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// verdicts is the part of a comparison that has the form of a run: what formats
// made of gates need.
func (v comparisonView) verdicts() *reports.Summary { return ComparisonVerdicts(v.c) }

// ComparisonVerdicts is a summary that holds a comparison's gates and warnings and
// no cells, for the formats that show verdicts: JUnit and GitHub.
func ComparisonVerdicts(c *reports.Comparison) *reports.Summary {
	return &reports.Summary{Schema: reports.SummarySchema, ToolVersion: c.New.ToolVersion, Scenario: c.New.Scenario, ScenarioHash: c.New.ScenarioHash,
		Host: c.New.Host, Seed: c.New.Seed, StartedAt: c.New.StartedAt, Git: c.New.Git, Complete: true, Confidence: c.Confidence, Verdict: c.Verdict, Gates: c.Gates, Warnings: c.Warnings}
}

// title says what is compared with what.
func (v comparisonView) title() string {
	return v.c.New.Scenario + "   " + v.c.Base.Path + " → " + v.c.New.Path
}

// cellText names a cell: "jiq at 80% load, n 2".
func cellText(c reports.CellName) string {
	at := placeText(c.Load, c.Axes)
	if at == "" {
		return c.Policy
	}
	return c.Policy + " at " + at
}

// rows are the lines of one metric: its cells, its geometric mean, then those groups
// whose interval excludes no change.
func (v comparisonView) rows(m reports.MetricChange) [][]string {
	var out [][]string
	for _, c := range m.Cells {
		out = append(out, v.row(m, c))
	}
	if g := m.Geomean; g != nil {
		c := reports.Change{Base: g.Base, New: g.New, Change: g.Change, CI: g.CI}
		out = append(out, append([]string{"geometric mean"}, v.figures(m, c)...))
		out[len(out)-1] = append(out[len(out)-1], "", "", "")
	}
	for _, c := range m.Groups {
		if c.Word == reports.Worse || c.Word == reports.BetterBy {
			out = append(out, v.row(m, c))
		}
	}
	return out
}

func (v comparisonView) row(m reports.MetricChange, c reports.CellChange) []string {
	name := cellText(c.CellName)
	if c.Group != nil {
		name += ", " + c.Group.By + " " + c.Group.Name
	}
	row := append([]string{name}, v.figures(m, c.Change)...)
	lower := chart.Missing
	if c.Lower != nil {
		lower = fmt.Sprintf("%.0f/%d", *c.Lower*float64(c.N), c.N)
	}
	word := c.Word
	if c.Unpaired {
		word += " unpaired"
	}
	return append(row, strconv.Itoa(c.N), lower, strings.TrimSpace(word+v.marks(c)))
}

// figures are base, new, change and interval.
func (v comparisonView) figures(m reports.MetricChange, c reports.Change) []string {
	out := []string{valueText(c.Base, m.Unit), valueText(c.New, m.Unit), chart.Missing, chart.Missing}
	if c.Change != nil {
		out[2] = chart.Change(*c.Change)
	}
	if c.CI != nil && c.CI[0] != c.CI[1] { // equal ends: identical, or no spread to speak of
		out[3] = changeRange(*c.CI)
	}
	return out
}

func valueText(x *float64, unit string) string {
	if x == nil {
		return chart.Missing
	}
	return quantity(*x, unit)
}

// changeRange is an interval of a change: "+0.07…+8.25%".
func changeRange(ci reports.Interval) string {
	return strings.TrimSuffix(chart.Change(ci[0]), "%") + "…" + chart.Change(ci[1])
}

// marks are the numbers of the footnotes about one cell.
func (v comparisonView) marks(c reports.CellChange) string {
	var out strings.Builder
	for i, f := range v.feet {
		if f.reason != "" && (f.reason == c.Reason || f.reason == c.Doubt) || slices.ContainsFunc(f.of, func(w reports.Warning) bool { return about(w, c.CellName) }) {
			fmt.Fprintf(&out, " [%d]", i+1)
		}
	}
	return out.String()
}

// about says whether a warning names a cell.
func about(w reports.Warning, c reports.CellName) bool {
	return w.Policy == c.Policy && (w.Load == nil || c.Load != nil && same(*w.Load, *c.Load)) && (len(w.Axes) == 0 || pairs(w.Axes) == pairs(c.Axes))
}

// gains says what pairing by seed was worth, for the curious.
func (v comparisonView) gains() []string {
	var out []string
	for _, m := range v.c.Metrics {
		lo, hi, little, n := 0.0, 0.0, 0, 0
		for _, c := range m.Cells {
			if c.Gain == nil {
				continue
			}
			if n++; n == 1 {
				lo, hi = *c.Gain, *c.Gain
			}
			lo, hi = min(lo, *c.Gain), max(hi, *c.Gain)
			if *c.Gain < 1.2 {
				little++
			}
		}
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%s: pairing by seed saves %s to %s times the seeds", m.Metric, chart.Digits(lo, 3), chart.Digits(hi, 3))
		if little > 0 {
			text += fmt.Sprintf("; pairing gains little in %s", count(little, "cell", "cells"))
		}
		out = append(out, text)
	}
	return out
}

// ChangeLines are the cells of a comparison in one line each, for a log: "p99(jiq) at
// 80% load: 501 ms → 518 ms, +3.39% (CI +0.07…+6.82%), worse".
func ChangeLines(c *reports.Comparison) []string {
	var out []string
	for _, m := range c.Metrics {
		for _, x := range m.Cells {
			line := fmt.Sprintf("%s(%s)", m.Metric, x.Policy)
			if at := placeText(x.Load, x.Axes); at != "" {
				line += " at " + at
			}
			line += ": " + valueText(x.Base, m.Unit) + " → " + valueText(x.New, m.Unit)
			if x.Change.Change != nil && x.Word != reports.Identical {
				line += ", " + chart.Change(*x.Change.Change)
			}
			if x.CI != nil && x.Word != reports.Identical {
				line += " (CI " + changeRange(*x.CI) + ")"
			}
			if x.Word != "" {
				line += ", " + x.Word
			}
			if x.Unpaired {
				line += ", unpaired"
			}
			out = append(out, line)
		}
	}
	for _, n := range c.OnlyBase {
		out = append(out, cellText(n)+": no longer there")
	}
	for _, n := range c.OnlyNew {
		out = append(out, cellText(n)+": new")
	}
	return out
}
