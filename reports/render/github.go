package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"taillab/reports"
)

// maxAnnotations is how many annotations of one kind GitHub shows per step; it
// drops the rest without a word.
const maxAnnotations = 10

// annotation is one workflow command of GitHub Actions.
type annotation struct {
	kind      string // error, warning or notice
	title     string
	text      string
	line, col int // of the gate; 0 without a place
}

// GitHub writes annotations: a failed gate is an error, an inconclusive one a
// warning (an error if o.Strict), and what must be known about the run a notice.
// At most 10 of a kind are written; the last one says how many more there are.
func GitHub(w io.Writer, s *reports.Summary, o Options) error {
	kinds := map[string][]annotation{}
	add := func(a annotation) { kinds[a.kind] = append(kinds[a.kind], a) }
	for _, g := range s.Gates {
		a := annotation{kind: "error", title: gateName(g), line: g.Line, col: g.Column}
		word := "not valid: "
		switch g.Verdict {
		case reports.Pass:
			continue
		case reports.Fail:
			word = "failed: "
		case reports.Inconclusive:
			word = "inconclusive: "
			if !o.Strict {
				a.kind = "warning"
			}
		}
		a.text = word + gateText(g)
		add(a)
	}
	add(annotation{kind: "notice", title: s.Scenario, text: tallyGates(s)})
	for _, n := range notes(s) {
		add(annotation{kind: "notice", title: s.Scenario + ": " + n.code, text: n.text})
	}
	var b strings.Builder
	for _, kind := range []string{"error", "warning", "notice"} {
		for _, a := range bounded(kinds[kind]) {
			b.WriteString(a.command(o.File) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// bounded keeps as many annotations of one kind as are shown.
func bounded(all []annotation) []annotation {
	if len(all) <= maxAnnotations {
		return all
	}
	left := len(all) - maxAnnotations + 1
	last := annotation{kind: all[0].kind, title: "and more", text: fmt.Sprintf("%d more %ss are not shown here", left, all[0].kind)}
	return append(all[:maxAnnotations-1:maxAnnotations-1], last)
}

// command is the annotation as GitHub reads it from a step's output.
func (a annotation) command(file string) string {
	var props []string
	if file != "" && a.line > 0 {
		props = append(props, "file", file, "line", strconv.Itoa(a.line), "col", strconv.Itoa(a.col))
	}
	return Command(a.kind, a.text, append(props, "title", a.title)...)
}

var (
	commandText  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandValue = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// visible makes control characters harmless in a log that interprets them.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// Command is a workflow command of GitHub Actions: kind error, warning or notice,
// and properties as names and values in turn.
func Command(kind, text string, properties ...string) string {
	var b strings.Builder
	b.WriteString("::" + kind)
	for i := 0; i+1 < len(properties); i += 2 {
		sep := ","
		if i == 0 {
			sep = " "
		}
		b.WriteString(sep + properties[i] + "=" + commandValue.Replace(visible(properties[i+1])))
	}
	return b.String() + "::" + commandText.Replace(visible(text))
}
