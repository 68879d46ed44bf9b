package render

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"taillab/reports"
)

// Limits of the terminal output; what is beyond is counted, never dropped in
// silence.
const (
	maxTableWarnings = 6
	maxTableGates    = 20
	minLabelWidth    = 8
)

// Table writes the summary for a terminal: the results at one load, best P99
// first, then gates, warnings and where the report is. No line of the results is
// wider than o.Width if dropping columns and shortening labels can help it.
func Table(w io.Writer, s *reports.Summary, o Options) error {
	v := newView(s, o)
	t := terminal{o: o, v: v}
	t.title()
	if len(v.rows) == 0 {
		t.line("no results")
	} else if err := t.table("at "+v.place(), v.columns()); err != nil {
		return err
	}
	for _, f := range v.families() {
		t.line("")
		if err := t.table(f.name, f.cols); err != nil {
			return err
		}
	}
	t.gates()
	t.warnings()
	t.ending()
	_, err := w.Write(t.out.Bytes())
	return err
}

// terminal collects the output.
type terminal struct {
	o   Options
	v   view
	out bytes.Buffer
}

// line writes one line without trailing blanks.
func (t *terminal) line(s string) {
	t.out.WriteString(strings.TrimRight(s, " "))
	t.out.WriteByte('\n')
}

// asciiFor are the characters of ours that ASCII can imitate.
var asciiFor = strings.NewReplacer("−", "-", "±", "+/-", "µ", "u", "…", "..", "×", "x", "–", "-", "·", "-",
	"─", "-", "≥", ">=", "≤", "<=", "’", "'", "τ", "tau", "→", "->")

// asciiMarks are the signs of the verdicts in ASCII; there the words are clearer.
var asciiMarks = map[reports.Verdict]string{
	reports.Pass: "ok  ", reports.Fail: "FAIL", reports.Inconclusive: "~   ", reports.Invalid: "?   ",
}

// mark is the sign of a verdict in the characters allowed.
func (t *terminal) mark(v reports.Verdict) string {
	if !t.o.ASCII {
		return mark(v)
	}
	if m, ok := asciiMarks[v]; ok {
		return m
	}
	return asciiMarks[reports.Invalid]
}

// text makes a text safe for the terminal: no control characters, and nothing
// beyond ASCII if that is asked.
func (t *terminal) text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if !t.o.ASCII {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r > 0x7e {
			return '?'
		}
		return r
	}, asciiFor.Replace(s))
}

// The ANSI styles used. Each only repeats what a sign or a word says already.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (t *terminal) paint(code, s string) string {
	if !t.o.Color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// title says what ran. It breaks where it does not fit.
func (t *terminal) title() {
	name, size, how := t.text(t.v.s.Scenario), t.text(t.v.size()), t.text(t.v.how())
	if name == "" {
		name = "(no name)"
	}
	one := name + "   " + size + "   " + how
	if twwidth.Width(one) <= t.o.width() {
		t.line(t.paint(bold, name) + one[len(name):])
	} else {
		t.line(t.paint(bold, name))
		for _, l := range append(wrapText(size, t.o.width()-2), how) {
			t.line("  " + l)
		}
	}
	if !t.v.s.Complete && len(t.v.s.Cells) > 0 {
		t.line(t.paint(yellow, "interrupted: only what had finished is shown"))
	}
	t.line("")
}

// table writes the rows under the columns, dropping some until it fits. The first
// column is headed by what the table is about.
func (t *terminal) table(about string, cols []column) error {
	for {
		need, label := t.measure(about, cols)
		over := need - t.o.width()
		if over <= 0 {
			return t.render(about, cols, label)
		}
		if i := nextToDrop(cols); i >= 0 {
			cols = slices.Delete(cols, i, i+1)
			continue
		}
		return t.render(about, cols, max(minLabelWidth, label-over))
	}
}

// nextToDrop is the column that a narrow terminal loses first; -1 if all must
// stay.
func nextToDrop(cols []column) int {
	best := -1
	for i, c := range cols {
		if c.drop > 0 && (best < 0 || c.drop > cols[best].drop) {
			best = i
		}
	}
	return best
}

// measure is the width of the table and that of its first column.
func (t *terminal) measure(about string, cols []column) (total, label int) {
	for i, c := range cols {
		w := twwidth.Width(t.header(about, i, c))
		for _, r := range t.v.rows {
			w = max(w, twwidth.Width(t.text(c.cell(r))))
		}
		if i == 0 {
			label = w
		}
		total += w + padding
	}
	return total - 2, label // nothing stands right of the last column but its rule
}

// padding is the room around a column.
const padding = 3

// header names column i; the first one says what is shown, such as which load.
func (t *terminal) header(about string, i int, c column) string {
	if i == 0 {
		return t.text(about)
	}
	return t.shorten(t.text(c.name), 16) // a long name of the base must not widen its column
}

// shorten cuts a text to a width in columns.
func (t *terminal) shorten(s string, w int) string {
	if twwidth.Width(s) <= w {
		return s
	}
	if t.o.ASCII {
		return twwidth.Truncate(s, w, "..")
	}
	return twwidth.Truncate(s, w, "…")
}

func (t *terminal) render(about string, cols []column, label int) error {
	head := make([]string, len(cols))
	best := make([]int, len(cols))
	for i, c := range cols {
		head[i] = t.header(about, i, c)
		best[i] = t.v.bestRow(c)
	}
	var rows [][]string
	for k, r := range t.v.rows {
		row := make([]string, len(cols))
		for i, c := range cols {
			row[i] = t.text(c.cell(r))
			switch {
			case i == 0:
				row[i] = t.shorten(row[i], label)
			case best[i] == k:
				row[i] = t.paint(bold, row[i])
			}
		}
		rows = append(rows, row)
	}
	return t.grid(head, rows)
}

var verdictColour = map[reports.Verdict]string{
	reports.Pass: green, reports.Fail: red, reports.Inconclusive: yellow, reports.Invalid: yellow,
}

// gates lists the verdicts. Of many, passed ones are only counted.
func (t *terminal) gates() {
	all := t.v.s.Gates
	if len(all) == 0 {
		return
	}
	shown, hidden := all, 0
	if len(all) > maxTableGates {
		shown = slices.DeleteFunc(slices.Clone(all), func(g reports.Gate) bool { return g.Verdict == reports.Pass })
		hidden = len(all) - len(shown)
	}
	names := 0
	for _, g := range shown {
		names = max(names, twwidth.Width(t.text(gateName(g))))
	}
	names = min(names, t.o.width()/2)
	t.line("")
	t.line("gates")
	for _, g := range shown {
		m := t.paint(verdictColour[g.Verdict], t.mark(g.Verdict))
		name, text := t.text(gateName(g)), t.text(gateText(g))
		head := "  " + m + " " + name
		gap := names - twwidth.Width(name)
		if gap >= 0 && twwidth.Width(head)+gap+3+twwidth.Width(text) <= t.o.width() {
			t.line(head + strings.Repeat(" ", gap) + "   " + text)
			continue
		}
		for i, l := range wrapText(name, t.o.width()-twwidth.Width(head)+twwidth.Width(name)) {
			if i == 0 {
				l = "  " + m + " " + l
			} else {
				l = "      " + l
			}
			t.line(l)
		}
		for _, l := range wrapText(text, t.o.width()-8) {
			t.line("        " + l)
		}
	}
	if hidden > 0 {
		t.line("  " + t.mark(reports.Pass) + fmt.Sprintf(" %d more passed", hidden))
	}
}

// warnings are numbered notes.
func (t *terminal) warnings() {
	all := notes(t.v.s)
	if len(all) == 0 {
		return
	}
	t.line("")
	t.line("warnings")
	for i, n := range all[:min(len(all), maxTableWarnings)] {
		head := fmt.Sprintf("  %d ", i+1)
		for k, l := range wrapText(t.text(n.code+": "+n.text), t.o.width()-len(head)) {
			if k > 0 {
				head = strings.Repeat(" ", len(head))
			}
			t.line(head + l)
		}
	}
	if n := len(all) - maxTableWarnings; n > 0 {
		t.line(t.text(fmt.Sprintf("  … and %d more: see the report", n)))
	}
}

// ending is the tally, where the report is, and how to repeat the run.
func (t *terminal) ending() {
	tally := t.text(tallyGates(t.v.s))
	var tails []string
	if t.o.ReportPath != "" {
		tails = append(tails, "report  "+t.text(t.o.ReportPath))
	}
	if t.o.AgainCommand != "" {
		tails = append(tails, "again   "+t.text(t.o.AgainCommand))
	}
	if len(t.v.s.Gates) == 0 && len(tails) > 0 {
		tally = ""
	}
	t.line("")
	colour := verdictColour[t.v.s.Verdict]
	indent := strings.Repeat(" ", twwidth.Width(tally)+3)
	beside := tally != "" && len(tails) > 0 &&
		!slices.ContainsFunc(tails, func(s string) bool { return twwidth.Width(indent+s) > t.o.width() })
	if beside {
		t.line(t.paint(colour, tally) + "   " + tails[0])
		for _, l := range tails[1:] {
			t.line(indent + l)
		}
		return
	}
	for _, l := range wrapText(tally, t.o.width()) {
		t.line(t.paint(colour, l))
	}
	for _, l := range tails {
		t.line(l)
	}
}

// wrapText breaks a text at blanks; a word wider than w stays whole.
func wrapText(s string, w int) []string {
	var out []string
	cur := ""
	for _, word := range strings.Fields(s) {
		if cur != "" && twwidth.Width(cur)+1+twwidth.Width(word) > w {
			out = append(out, cur)
			cur = ""
		}
		if cur != "" {
			cur += " "
		}
		cur += word
	}
	if cur != "" {
		out = append(out, cur)
	}
	return out
}
