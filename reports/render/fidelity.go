package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"taillab/reports"
	"taillab/reports/chart"
)

// Both is a plan that was simulated and driven live, compared.
type Both struct {
	Fidelity  *reports.Fidelity
	Live, Sim *reports.Summary
	Overhead  string // what the calibrated simulator adds, in words; empty without one
	Invalid   string // why the live measurement is not sound; empty if it is
}

// bothColumns are the headings of the comparison; the first is the place.
func (b Both) columns(confidence string) []string {
	out := []string{"metric", "sim", "live", confidence + " CI", "error"}
	if b.Overhead != "" {
		out = append(out, "calibrated")
	}
	return out
}

// fidelityLine is one metric of one policy, in text.
type fidelityLine struct {
	policy string
	cells  []string
}

// lines are the metrics at the place that v shows, policies as in its table.
func (b Both) lines(v view) []fidelityLine {
	var out []fidelityLine
	for _, r := range v.rows {
		for i, c := range b.Fidelity.Cells {
			if c.Calibrated || !c.Of(&r) {
				continue
			}
			name, sim, live := comparedText(c)
			l := fidelityLine{chart.Label(r), []string{name, sim, live, liveCI(c), errorText(c.Error)}}
			if b.Overhead != "" {
				l.cells = append(l.cells, b.calibrated(i))
			}
			out = append(out, l)
		}
	}
	return out
}

// calibrated is the error of the calibrated row that belongs to row i.
func (b Both) calibrated(i int) string {
	rows := b.Fidelity.Cells
	if i+1 < len(rows) && rows[i+1].Calibrated { // it stands right behind
		return errorText(rows[i+1].Error)
	}
	return chart.Missing
}

// comparedText is what is compared, with its values: a percentile, or a metric of the
// policy family by its title.
func comparedText(c reports.FidelityCell) (name, sim, live string) {
	for _, m := range reports.Metrics() {
		if m.JSON != c.Metric || m.Family == "" {
			continue
		}
		of := func(x *float64) string {
			if x == nil {
				return chart.Missing
			}
			return amount(m, *x)
		}
		return m.Title, of(c.Sim), of(c.Live)
	}
	return strings.ToUpper(c.Metric), chart.LatencyPtr(c.Sim), chart.LatencyPtr(c.Live)
}

func liveCI(c reports.FidelityCell) string {
	if c.Live == nil || c.LiveCI == nil {
		return chart.Missing
	}
	return chart.PlusMinus(*c.Live, c.LiveCI[0], c.LiveCI[1])
}

func errorText(e *float64) string {
	if e == nil {
		return chart.Missing
	}
	return chart.Change(*e)
}

// says are the sentences below the comparison: the order of the policies, what was
// calibrated, and whether the measurement was sound.
func (b Both) says() []string {
	var out []string
	for _, o := range b.Fidelity.Orders() {
		if s := orderText(o); s != "" {
			out = append(out, s)
		}
	}
	if rows := b.Fidelity.Cells; len(out) == 0 && slices.ContainsFunc(rows, func(c reports.FidelityCell) bool { return c.Policy != rows[0].Policy }) {
		out = append(out, "order by P99: not known, P99 needs more requests")
	}
	if b.Overhead != "" {
		out = append(out, "calibrated: "+b.Overhead)
	}
	if b.Invalid != "" {
		out = append(out, b.Invalid+"; these errors say nothing")
	}
	return out
}

// orderText says how far the simulator ranks the policies as the live run does.
func orderText(o reports.FidelityOrder) string {
	if o.Tau == nil {
		return ""
	}
	who := "order by P99"
	if o.Calibrated {
		who += ", calibrated"
	}
	if at := placeText(o.Load, o.Axes); at != "" {
		who += ", " + at
	}
	tau := fmt.Sprintf("%s: Kendall's τ %s over %s", who, strings.ReplaceAll(strconv.FormatFloat(*o.Tau, 'f', 2, 64), "-", "−"), count(o.Policies, "policy", "policies"))
	switch {
	case !o.Intervals:
		return tau + "; no live intervals to tell them apart by"
	case o.Separated == 0:
		return tau + "; the live intervals tell no two apart"
	}
	return tau + fmt.Sprintf("; kept in %d of %s that the live intervals tell apart", o.Kept, count(o.Separated, "pair", "pairs"))
}

func placeText(load *float64, axes map[string]any) string {
	var parts []string
	if load != nil {
		parts = append(parts, chart.PlaceName(*load, false))
	}
	for _, k := range slices.Sorted(maps.Keys(axes)) {
		parts = append(parts, fmt.Sprintf("%s %v", k, axes[k]))
	}
	return strings.Join(parts, ", ")
}

// FidelityTable writes the comparison for a terminal: the errors at one load, the order
// of the policies, then the live run's gates and warnings.
func FidelityTable(w io.Writer, b Both, o Options) error {
	named := *b.Live
	named.Host = "both"
	t := terminal{o: o, v: newView(&named, o)}
	t.title()
	if err := t.fidelity(b); err != nil {
		return err
	}
	t.line("")
	for _, s := range b.says() {
		for i, l := range wrapText(t.text(s), o.width()-2) {
			if i > 0 {
				l = "  " + l
			}
			t.line(l)
		}
	}
	t.gates()
	t.warnings()
	t.ending()
	_, err := w.Write(t.out.Bytes())
	return err
}

func (t *terminal) fidelity(b Both) error {
	lines := b.lines(t.v)
	if len(lines) == 0 {
		t.line("no results")
		return nil
	}
	head := append([]string{"at " + t.v.place()}, b.columns(t.v.confidence())...)
	for i := range head {
		head[i] = t.text(head[i])
	}
	var rows [][]string
	before, room := "", t.room(head, lines)
	for _, l := range lines {
		row := []string{""}
		if l.policy != before {
			row[0] = t.shorten(t.text(l.policy), room)
		}
		before = l.policy
		for _, c := range l.cells {
			row = append(row, t.text(c))
		}
		rows = append(rows, row)
	}
	return t.grid(head, rows)
}

// room is what the other columns leave to the labels.
func (t *terminal) room(head []string, lines []fidelityLine) int {
	left := t.o.width() - (padding - 2) // nothing stands right of the last column
	for i, h := range head[1:] {
		w := twwidth.Width(h)
		for _, l := range lines {
			w = max(w, twwidth.Width(t.text(l.cells[i])))
		}
		left -= w + padding
	}
	return max(minLabelWidth, left)
}

// FidelityMarkdown writes the comparison for a pull request, within the bounds of
// Markdown: the live run's gates, the errors, the order, the warnings.
func FidelityMarkdown(w io.Writer, b Both, o Options) error {
	v := newView(b.Live, o)
	var s strings.Builder
	fmt.Fprintf(&s, "## %s: simulator against live\n\n%s, seed %d.\n", md(b.Live.Scenario), md(v.size()), b.Live.Seed)
	end := mdEnd(o)
	mdRows(&s, "\n### Gates, live\n\n| | gate | result |\n|---|---|---|\n", gateRows(b.Live), "gate", maxMarkdown/2, o.MaxRows)
	head := append([]string{"at " + v.place()}, b.columns(v.confidence())...)
	for i := range head {
		head[i] = md(head[i])
	}
	var rows []string
	for _, l := range b.lines(v) {
		row := "| " + md(l.policy)
		for _, c := range l.cells {
			row += " | " + md(c)
		}
		rows = append(rows, row+" |\n")
	}
	top := "\n### Comparison\n\n| " + strings.Join(head, " | ") + " |\n|---|---|" + strings.Repeat("---:|", len(head)-2) + "\n"
	mdRows(&s, top, rows, "row", maxMarkdown*2/3, o.MaxRows)
	var says, notesMD []string
	for _, x := range b.says() {
		says = append(says, "- "+md(x)+"\n")
	}
	mdRows(&s, "\n", says, "line", maxMarkdown*5/6, o.MaxRows)
	for i, n := range notes(b.Live) {
		notesMD = append(notesMD, fmt.Sprintf("%d. **%s**: %s\n", i+1, md(n.code), md(n.text)))
	}
	mdRows(&s, "\n### Warnings\n\n", notesMD, "warning", maxMarkdown-utf8.RuneCountInString(end)-100, o.MaxRows)
	s.WriteString(end)
	_, err := io.WriteString(w, s.String())
	return err
}

// FidelityCSV writes one row per percentile, policy, place and simulator.
func FidelityCSV(w io.Writer, f *reports.Fidelity) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	rows := [][]string{{"policy", "load", "axes", "metric", "sim", "live", "live_ci_lo", "live_ci_hi", "error", "calibrated"}}
	for _, c := range f.Cells {
		row := []string{c.Policy, opt(c.Load), pairs(c.Axes), c.Metric, opt(c.Sim), opt(c.Live), "", "", opt(c.Error), strconv.FormatBool(c.Calibrated)}
		if c.LiveCI != nil {
			row[6], row[7] = float(c.LiveCI[0]), float(c.LiveCI[1])
		}
		rows = append(rows, row)
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("writing the comparison as CSV: %w", err)
	}
	return nil
}

// htmlBoth is the comparison on a page.
type htmlBoth struct {
	Says  []string
	Table *htmlTable
	QQ    *htmlFigure
	Sim   *htmlTable
}

// FidelityHTML writes the page of the live run with the comparison on top; o.Charts
// hold the Q-Q chart.
func FidelityHTML(w io.Writer, b Both, o Options) error {
	v := newView(b.Live, o)
	names := append([]string{"policy"}, b.columns(v.confidence())...)
	t := &htmlTable{Caption: "Percentiles of latency at " + v.place() + "; error = simulated / live − 1", Head: heads(names...)}
	for _, l := range b.lines(v) {
		row := []htmlCell{{l.policy, "l"}}
		for _, c := range l.cells {
			row = append(row, htmlCell{Text: c})
		}
		t.Rows = append(t.Rows, row)
	}
	return writePage(w, b.Live, o, &htmlBoth{Says: b.says(), Table: t, Sim: resultTable(newView(b.Sim, o))})
}
