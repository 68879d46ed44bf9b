package scenarios

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// perFile is how many problems of one file Print shows.
const perFile = 10

// Print shows problems as code frames, at most ten per file. sources are those
// that were loaded; width is the width of the terminal in columns.
func Print(w io.Writer, problems []Problem, sources []Source, width int, color bool) {
	texts := map[string]*text{}
	for _, s := range sources {
		texts[s.Name] = newText(s)
	}
	for _, p := range problems {
		if p.secret {
			texts[p.File].hide(p)
		}
	}
	shown := map[string]int{}
	for i, p := range problems {
		file := p.File
		if shown[file]++; shown[file] > perFile {
			if last := !slices.ContainsFunc(problems[i+1:], func(q Problem) bool { return q.File == file }); last {
				fmt.Fprintf(w, "… and %d more\n\n", shown[file]-perFile)
			}
			continue
		}
		frame(w, p, texts[file], width, color)
		fmt.Fprintln(w)
	}
}

// hide blanks what a problem underlines: a secret in a file stays out of logs.
// A text that runs on is hidden to the end of its first line.
func (t *text) hide(p Problem) {
	if t == nil || p.Line < 1 || p.Line > len(t.lines) {
		return
	}
	line := []rune(t.lines[p.Line-1])
	for i := max(p.Column-1, 0); i < min(p.EndColumn-1, len(line)); i++ {
		line[i] = '*'
	}
	t.lines[p.Line-1] = string(line)
}

func frame(w io.Writer, p Problem, t *text, width int, color bool) {
	paint := func(code, s string) string {
		if !color || s == "" {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	fmt.Fprintln(w, paint("1", p.where())+paint("31", p.Sentence()))
	margin := "    "
	if t != nil && p.Line >= 1 && p.Line <= len(t.lines) {
		number := fmt.Sprintf("%4d", p.Line)
		line, caret := window(t.lines[p.Line-1], p.Column, p.EndColumn, width-len(number)-3)
		fmt.Fprintln(w, paint("34", number+" │")+" "+line)
		margin = strings.Repeat(" ", len(number))
		fmt.Fprintln(w, paint("34", margin+" │")+" "+caret[:len(caret)-len(strings.TrimLeft(caret, " \t"))]+paint("31", strings.TrimLeft(caret, " \t")))
	}
	if p.Hint != "" {
		fmt.Fprintln(w, paint("34", margin+" =")+" "+p.Hint)
	}
}

// window cuts a long line around the columns to underline, and makes the line of
// carets below it. Columns count characters; what is printed counts cells.
func window(line string, col, end, width int) (shown, caret string) {
	runes := []rune(strings.Map(printable, line))
	from := min(max(col-1, 0), len(runes))
	to := min(max(end-1, from), len(runes))
	lo, hi := cut(runes, from, to, max(width, 20))
	var a, b strings.Builder
	if lo > 0 {
		a.WriteString("…")
		b.WriteString(" ")
	}
	a.WriteString(string(runes[lo:hi]))
	if hi < len(runes) {
		a.WriteString("…")
	}
	for i, r := range runes[lo:min(max(to, from), hi)] {
		switch {
		case lo+i >= from && r == '\t':
			b.WriteString("^")
		case lo+i >= from:
			b.WriteString(strings.Repeat("^", max(cells(r), 1)))
		case r == '\t':
			b.WriteString("\t")
		default:
			b.WriteString(strings.Repeat(" ", cells(r)))
		}
	}
	if to == from {
		b.WriteString("^")
	}
	return a.String(), b.String()
}

// cut chooses the part of a line that is shown: all of it when it fits, else the
// underlined part with what fits around it.
func cut(runes []rune, from, to, width int) (lo, hi int) {
	total := 0
	for _, r := range runes {
		total += cells(r)
	}
	if total <= width {
		return 0, len(runes)
	}
	cells := func(i int) int { return max(cells(runes[i]), 1) }
	lo, hi = from, from
	room := width - 2 // for the two ellipses
	for hi < to && room >= cells(hi) {
		room -= cells(hi)
		hi++
	}
	for room > 0 {
		before := room
		if lo > 0 && room >= cells(lo-1) {
			lo--
			room -= cells(lo)
		}
		if hi < len(runes) && room >= cells(hi) {
			room -= cells(hi)
			hi++
		}
		if room == before {
			break
		}
	}
	return lo, hi
}

// printable keeps escapes in a file from reaching the terminal.
func printable(r rune) rune {
	if r == '\t' || strconv.IsPrint(r) {
		return r
	}
	return '�'
}

// cells is how many columns of a terminal a character takes: two for the wide
// East Asian blocks and emoji, none for marks that combine with the character before.
func cells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r < 0x1100:
		return 1
	case r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf && r != 0x303f, r >= 0xa960 && r <= 0xa97c, r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f64f, r >= 0x1f900 && r <= 0x1f9ff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}
