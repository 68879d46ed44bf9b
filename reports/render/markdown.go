package render

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"taillab/reports"
)

// maxMarkdown is what a comment on a pull request holds, in characters, with some
// room for a heading of the caller's.
const maxMarkdown = 60_000

// Markdown writes the gates first, then the table, the warnings and the command to
// repeat the run, in at most 60,000 characters. Rows that do not fit are counted.
func Markdown(w io.Writer, s *reports.Summary, o Options) error {
	v := newView(s, o)
	var b strings.Builder
	fmt.Fprintf(&b, "## %s: %s\n\n%s, %s.\n", md(s.Scenario), md(verdictWord(s)), md(v.size()), md(v.how()))
	if !s.Complete && len(s.Cells) > 0 {
		b.WriteString("\n**Interrupted**: only what had finished is shown.\n")
	}
	end := mdEnd(o)
	// Each part may use what is left after a reserve for those behind it.
	mdRows(&b, "\n### Gates\n\n| | gate | result |\n|---|---|---|\n", gateRows(s), "gate", maxMarkdown/2, o.MaxRows)
	b.WriteString(mdCaveat(s))
	mdTable(&b, v, "Results at "+v.place(), v.columns(), maxMarkdown*5/6, o.MaxRows)
	for _, f := range v.families() {
		mdTable(&b, v, "Family "+f.name, f.cols, maxMarkdown*5/6, o.MaxRows)
	}
	var notesMD []string
	for i, n := range notes(s) {
		notesMD = append(notesMD, fmt.Sprintf("%d. **%s**: %s\n", i+1, md(n.code), md(n.text)))
	}
	mdRows(&b, "\n### Warnings\n\n", notesMD, "warning", maxMarkdown-utf8.RuneCountInString(end)-100, o.MaxRows)
	b.WriteString(end)
	_, err := io.WriteString(w, b.String())
	return err
}

// mdCaveat is a paragraph below the gates; often there is none.
func mdCaveat(s *reports.Summary) string {
	if c := caveat(s); c != "" {
		return "\n" + md(strings.ToUpper(c[:1])+c[1:]) + ".\n"
	}
	return ""
}

// gateRows are the rows of the table of gates.
func gateRows(s *reports.Summary) []string {
	rows := make([]string, len(s.Gates))
	for i, g := range s.Gates {
		rows[i] = fmt.Sprintf("| %s | %s | %s |\n", mark(g.Verdict), mdCode(gateName(g)), md(gateText(g)))
	}
	return rows
}

func mdTable(b *strings.Builder, v view, title string, cols []column, limit, most int) {
	if len(v.rows) == 0 {
		b.WriteString("\nNo results.\n")
		return
	}
	head := "\n### " + md(title) + "\n\n|"
	rule := "|"
	for i, c := range cols {
		head += " " + md(c.name) + " |"
		if i == 0 {
			rule += "---|"
		} else {
			rule += "---:|"
		}
	}
	var rows []string
	for k, r := range v.rows {
		row := "|"
		for _, c := range cols {
			text := md(c.cell(r))
			if v.bestRow(c) == k {
				text = "**" + text + "**"
			}
			row += " " + text + " |"
		}
		rows = append(rows, row+"\n")
	}
	mdRows(b, head+"\n"+rule+"\n", rows, "row", limit, most)
}

// mdRows writes head and as many rows as fit until the whole text has limit
// characters, then says how many were left out.
func mdRows(b *strings.Builder, head string, rows []string, noun string, limit, most int) {
	if len(rows) == 0 {
		return
	}
	b.WriteString(head)
	used := utf8.RuneCountInString(b.String())
	for i, r := range rows {
		used += utf8.RuneCountInString(r)
		if used > limit || most > 0 && i >= most {
			fmt.Fprintf(b, "\n… and %s.\n", count(len(rows)-i, "more "+noun, "more "+noun+"s"))
			return
		}
		b.WriteString(r)
	}
}

func mdEnd(o Options) string {
	out := ""
	if o.AgainCommand != "" {
		out += "\nRepeat: " + mdCode(o.AgainCommand) + "\n"
	}
	if o.ReportPath != "" {
		out += "\nReport: " + mdCode(o.ReportPath) + "\n"
	}
	return out
}

// verdictWord is the one-word outcome of a summary.
func verdictWord(s *reports.Summary) string {
	switch s.Verdict {
	case reports.Pass:
		return "passed"
	case reports.Fail:
		return "failed"
	case reports.Inconclusive:
		return "inconclusive"
	case reports.Invalid:
		return "not valid"
	}
	return "no gates"
}

// mdSpecial are the characters that could begin markup.
const mdSpecial = "\\`*_[]<>|#~!&"

// md escapes text for Markdown, also inside a table cell.
func md(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "�") {
		switch {
		case r < 0x20 || r == 0x7f:
			b.WriteByte(' ')
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@': // a name behind it would be notified
			b.WriteString("&#64;")
		case strings.ContainsRune(mdSpecial, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// mdCode is a text as code. An element, not back-ticks: inside a table a pipe
// would end the cell, and text may hold back-ticks.
func mdCode(s string) string { return "<code>" + md(s) + "</code>" }
