package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"taillab/reports"
)

// ComparisonTable writes a comparison for a terminal: one table per metric, the
// gates, and what must be known about the numbers as footnotes.
func ComparisonTable(w io.Writer, c *reports.Comparison, o Options) error {
	v := newComparisonView(c)
	t := terminal{o: o, v: newView(v.verdicts(), o)}
	name := t.text(c.New.Scenario)
	t.line(t.paint(bold, name) + t.text(strings.TrimPrefix(v.title(), c.New.Scenario)))
	for _, m := range c.Metrics {
		t.line("")
		if err := t.comparison(v, m); err != nil {
			return err
		}
	}
	if o.Verbose {
		for i, g := range v.gains() {
			if i == 0 {
				t.line("")
			}
			t.line("  " + t.text(g))
		}
	}
	t.gates()
	t.footnotes(v)
	t.ending()
	_, err := w.Write(t.out.Bytes())
	return err
}

// comparison writes the table of one metric, dropping columns that do not fit.
func (t *terminal) comparison(v comparisonView, m reports.MetricChange) error {
	head := append([]string{m.Metric}, compareColumns(t.v.confidence())...)
	rows := v.rows(m)
	for _, r := range rows {
		for i := range r {
			r[i] = t.text(r[i])
		}
	}
	for i := range head {
		head[i] = t.text(head[i])
	}
	for _, drop := range compareDrops {
		if gridWidth(head, rows) <= t.o.width() {
			break
		}
		head = slices.Delete(head, drop, drop+1)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], drop, drop+1)
		}
	}
	over := gridWidth(head, rows) - t.o.width()
	label := columnWidth(head, rows, 0)
	for _, r := range rows {
		if over > 0 {
			r[0] = t.shorten(r[0], max(minLabelWidth, label-over))
		}
		r[len(r)-1] = t.paintWord(r[len(r)-1])
	}
	return t.grid(head, rows, len(head)-1)
}

// paintWord colours the word that a row ends with.
func (t *terminal) paintWord(s string) string {
	switch {
	case strings.HasPrefix(s, reports.Worse):
		return t.paint(red, s)
	case strings.HasPrefix(s, reports.BetterBy):
		return t.paint(green, s)
	}
	return s
}

func gridWidth(head []string, rows [][]string) int {
	total := 0
	for i := range head {
		total += columnWidth(head, rows, i) + padding
	}
	return total - 2 // nothing stands right of the last column but its rule
}

func columnWidth(head []string, rows [][]string, i int) int {
	w := twwidth.Width(head[i])
	for _, r := range rows {
		w = max(w, twwidth.Width(r[i]))
	}
	return w
}

// footnotes lists the numbered remarks; all of them, as rows refer to them.
func (t *terminal) footnotes(v comparisonView) {
	if len(v.feet) == 0 {
		return
	}
	t.line("")
	for i, f := range v.feet {
		head := fmt.Sprintf("  [%d] ", i+1)
		for k, l := range wrapText(t.text(f.code+": "+f.text), t.o.width()-len(head)) {
			if k > 0 {
				head = strings.Repeat(" ", len(head))
			}
			t.line(head + l)
		}
	}
}

// ComparisonMarkdown writes a comparison for a pull request, within the bounds of
// Markdown: gates first, then the metrics, the footnotes and the command.
func ComparisonMarkdown(w io.Writer, c *reports.Comparison, o Options) error {
	v := newComparisonView(c)
	s := v.verdicts()
	var b strings.Builder
	fmt.Fprintf(&b, "## %s: %s\n\n%s against %s.\n", md(c.New.Scenario), md(verdictWord(s)), mdCode(c.New.Path), mdCode(c.Base.Path))
	end := mdEnd(o)
	mdRows(&b, "\n### Gates\n\n| | gate | result |\n|---|---|---|\n", gateRows(s), "gate", maxMarkdown/3, o.MaxRows)
	b.WriteString(mdCaveat(s))
	for i, m := range c.Metrics {
		head := append([]string{m.Metric}, compareColumns(newView(s, o).confidence())...)
		var rows []string
		for _, r := range v.rows(m) {
			for k := range r {
				r[k] = md(r[k])
			}
			rows = append(rows, "| "+strings.Join(r, " | ")+" |\n")
		}
		for k := range head {
			head[k] = md(head[k])
		}
		top := "\n| " + strings.Join(head, " | ") + " |\n|---|" + strings.Repeat("---:|", len(head)-2) + "---|\n"
		share := maxMarkdown/3 + maxMarkdown/2*(i+1)/len(c.Metrics)
		mdRows(&b, top, rows, "row", share, o.MaxRows)
	}
	var feet []string
	for i, f := range v.feet {
		feet = append(feet, fmt.Sprintf("%d. **%s**: %s\n", i+1, md(f.code), md(f.text)))
	}
	mdRows(&b, "\n### Notes\n\n", feet, "note", maxMarkdown-utf8.RuneCountInString(end)-100, o.MaxRows)
	b.WriteString(end)
	_, err := io.WriteString(w, b.String())
	return err
}

// ComparisonCSV writes one row per metric, cell and group as RFC 4180, with full
// precision; an unknown value is empty.
func ComparisonCSV(w io.Writer, c *reports.Comparison) error {
	rows := [][]string{strings.Fields("metric unit policy load axes group_by group base new change change_ci_lo change_ci_hi n dropped word unpaired lower pairing_gain sign_flip_p reason")}
	for _, m := range c.Metrics {
		for _, x := range slices.Concat(m.Cells, m.Groups) {
			by, name, lo, hi := "", "", "", ""
			if x.Group != nil {
				by, name = x.Group.By, x.Group.Name
			}
			if x.CI != nil {
				lo, hi = float(x.CI[0]), float(x.CI[1])
			}
			rows = append(rows, []string{m.Metric, m.Unit, x.Policy, opt(x.Load), pairs(x.Axes), by, name, opt(x.Base), opt(x.New), opt(x.Change.Change), lo, hi,
				strconv.Itoa(x.N), strconv.Itoa(x.Dropped), x.Word, strconv.FormatBool(x.Unpaired), opt(x.Lower), opt(x.Gain), opt(x.SignFlip), x.Reason})
		}
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("writing the comparison as CSV: %w", err)
	}
	return nil
}
