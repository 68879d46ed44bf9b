package workloads

import (
	"fmt"
	"strings"
)

// SkipBad says what happens to rows that cannot be read.
type SkipBad uint8

// The choices of --skip-bad.
const (
	SkipNone SkipBad = iota // stop, with the first and the count
	SkipSome                // skip them, but fail above 5 %
	SkipAll                 // skip them, whatever their share
)

// BadRowsError says that a file holds rows that cannot be read.
type BadRowsError struct {
	File  string
	Line  int    // of the first, from 1
	What  string // column and fault of the first
	Bad   int
	Read  int
	Share bool // they were being skipped, but are more than 5 %
}

// Error names the first row, the count and what to do.
func (e *BadRowsError) Error() string {
	s := fmt.Sprintf("%s:%d: %s (%d of %d rows are bad", e.File, e.Line, e.What, e.Bad, e.Read)
	if e.Share {
		return s + ", more than 5 %; --skip-bad=all skips them all the same)"
	}
	return s + "; --skip-bad leaves them out)"
}

// fault is what is wrong with one row.
type fault struct {
	column string // "" when it is the row as a whole
	what   string
	got    string
}

func (f *fault) String() string {
	got := f.got
	if len(got) > 60 {
		got = strings.ToValidUTF8(got[:60], "") + "…"
	}
	s := fmt.Sprintf("%s, got %q", f.what, got)
	if f.column != "" {
		s = f.column + ": " + s
	}
	return s
}

// tally counts rows while a file is read.
type tally struct {
	file             string
	read, bad, apart int // apart: left out on purpose
	first            *BadRowsError
	places           []string // of the first five bad rows
}

func (t *tally) fault(line int, f *fault) {
	t.bad++
	if t.first == nil {
		t.first = &BadRowsError{File: t.file, Line: line, What: f.String()}
	}
	if len(t.places) < 5 {
		t.places = append(t.places, fmt.Sprintf("%s:%d", t.file, line))
	}
}

// settle decides whether the bad rows are an error or a warning.
func (t *tally) settle(skip SkipBad) ([]Warning, error) {
	if t.bad == 0 {
		return nil, nil
	}
	t.first.Bad, t.first.Read = t.bad, t.read
	switch {
	case skip == SkipNone:
		return nil, t.first
	case skip == SkipSome && 20*t.bad > t.read:
		t.first.Share = true
		return nil, t.first
	}
	w := warning("skipped-rows", "%d of %d rows were skipped: %s", t.bad, t.read, strings.Join(t.places, ", "))
	if t.bad > len(t.places) {
		w.Message += " …"
	}
	return []Warning{w}, nil
}
