package tape

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// The ways in which the files of a folder are no chain. Each wraps ErrDamaged.
var (
	ErrMissing   = fmt.Errorf("%w: a segment is missing", ErrDamaged)
	ErrReordered = fmt.Errorf("%w: segments are out of order", ErrDamaged)
	ErrAltered   = fmt.Errorf("%w: a segment was altered", ErrDamaged)
)

// ErrNotFirst is wrapped by errors about a later segment that was given alone.
var ErrNotFirst = errors.New("a replay starts at the first segment of a chain")

// segment is a file that was read.
type segment struct {
	name string
	tape *Tape
	sum  string // of the file
	err  error  // why it cannot be read
}

func (s *segment) number() int { return s.tape.Segment.Number }

// Open reads the tape at a path: a file that is one, the first segment of a chain, or the
// folder of one chain. The segments of a chain are the files *.tape of the folder, in the
// order of their names, without those of other chains.
func Open(path string) (*Tape, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openFolder(path, "")
	}
	s := read(path)
	switch {
	case s.err != nil:
		return nil, s.err
	case s.tape.Segment == nil:
		return s.tape, nil
	case s.number() > 1:
		return nil, fmt.Errorf("this is segment %d: %w", s.number(), ErrNotFirst)
	}
	return openFolder(filepath.Dir(path), s.tape.Segment.Chain)
}

// read reads a file, with the digest of all its bytes.
func read(path string) *segment {
	s := &segment{name: filepath.Base(path)}
	f, err := os.Open(path)
	if err != nil {
		s.err = err
		return s
	}
	defer func() { _ = f.Close() }() // only read
	sum := sha256.New()
	in := io.TeeReader(f, sum)
	if s.tape, s.err = Read(in); s.err != nil {
		return s
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		s.err = err
	}
	s.sum = hex.EncodeToString(sum.Sum(nil))
	return s
}

// openFolder reads the chain in a folder; "" is its only one.
func openFolder(dir, chain string) (*Tape, error) {
	files, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return filepath.Ext(f.Name()) != ".tape" })
	var list []*segment
	for _, f := range files {
		s := read(filepath.Join(dir, f.Name()))
		if s.err == nil && s.tape.Segment == nil {
			if len(files) == 1 {
				return s.tape, nil
			}
			return nil, fmt.Errorf("the folder holds several tapes: name one of them, such as %s", s.name)
		}
		if s.err == nil && chain != "" && s.tape.Segment.Chain != chain {
			continue
		}
		list = append(list, s)
	}
	switch {
	case len(list) == 0:
		return nil, errors.New("the folder holds no tape")
	case slices.ContainsFunc(list, func(s *segment) bool { return s.err == nil && other(list, s) }):
		return nil, errors.New("the folder holds several chains: name the first segment of one")
	}
	return join(list)
}

// other tells whether a segment is of another chain than those before it.
func other(list []*segment, s *segment) bool {
	first := slices.IndexFunc(list, func(x *segment) bool { return x.err == nil })
	return list[first].tape.Segment.Chain != s.tape.Segment.Chain
}

// join holds the segments to their chain and joins their streams. The last one may be
// cut short: then the tape is Cut. Where it says that another follows, the tape is what
// there is, beside the error.
func join(list []*segment) (*Tape, error) {
	if err := inOrder(list); err != nil {
		return nil, err
	}
	out, tail := list[0].tape, list[len(list)-1]
	for i, s := range list[1:] {
		switch before := list[i]; {
		case s.tape.Segment.Previous != before.sum:
			return nil, fmt.Errorf("%w: %s is not what %s follows", ErrAltered, before.name, s.name)
		case !before.tape.more:
			return nil, fmt.Errorf("%w: %s ends the tape, and %s follows it", ErrAltered, before.name, s.name)
		}
		out.extend(s.tape)
	}
	out.Cut = tail.tape.Cut
	if tail.tape.more {
		return out, fmt.Errorf("%w: number %d, after %s", ErrMissing, tail.number()+1, tail.name)
	}
	return out, nil
}

// inOrder finds what is unreadable, missing, twice there or out of its place.
func inOrder(list []*segment) error {
	var good []*segment
	for _, s := range list {
		if s.err != nil {
			return fmt.Errorf("%w: %s cannot be read: %w", ErrAltered, s.name, s.err)
		}
		good = append(good, s)
	}
	slices.SortStableFunc(good, func(a, b *segment) int { return cmp.Compare(a.number(), b.number()) })
	for i, s := range good {
		switch n := s.number(); {
		case n > i+1:
			return fmt.Errorf("%w: number %d, before %s", ErrMissing, i+1, s.name)
		case n < i+1:
			return fmt.Errorf("%w: %s and %s are both number %d", ErrReordered, good[i-1].name, s.name, n)
		}
	}
	for i, s := range list {
		if s.number() != i+1 {
			return fmt.Errorf("%w: %s stands at place %d and is number %d", ErrReordered, s.name, i+1, s.number())
		}
	}
	return nil
}

// extend joins the streams of a further segment to those that are there.
func (t *Tape) extend(more *Tape) {
	for _, s := range more.Streams {
		i := slices.IndexFunc(t.Streams, func(x Stream) bool { return x.Name == s.Name })
		if i < 0 {
			t.Streams = append(t.Streams, s)
			continue
		}
		t.Streams[i].Data = append(t.Streams[i].Data, s.Data...)
	}
}
