package workloads

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Files keeps parsed files, so that the cells and seeds of a plan read each one
// once. It may be used from several goroutines.
type Files struct {
	mu   sync.Mutex
	read map[string]*cached
}

type cached struct {
	once  sync.Once
	trace *Trace
	warn  []Warning
	err   error
}

func (f *Files) load(key string, read func() (*Trace, []Warning, error)) (*Trace, []Warning, error) {
	if f == nil {
		return read()
	}
	f.mu.Lock()
	if f.read == nil {
		f.read = map[string]*cached{}
	}
	c := f.read[key]
	if c == nil {
		c = &cached{}
		f.read[key] = c
	}
	f.mu.Unlock()
	c.once.Do(func() { c.trace, c.warn, c.err = read() })
	return c.trace, c.warn, c.err
}

// LoadTrace reads a trace and prepares its rows: sorted, cut to window and
// limit, quantised stamps spread, thinned or copied by load_scale. What is drawn
// for that does not depend on a run's seed, so a trace that does not rotate is
// the same in every seed.
func LoadTrace(spec TraceSpec, opt Options) (*Trace, []Warning, error) {
	t, warn, err := load(spec, opt)
	if err == nil && t.Format == "lengths" {
		return nil, nil, fmt.Errorf("%s has lengths but no stamps: give it as workload.pairs beside an arrival process", spec.File)
	}
	return t, warn, err
}

// load is LoadTrace for files without stamps too.
func load(spec TraceSpec, opt Options) (*Trace, []Warning, error) {
	raw, warn, err := rawTrace(spec, opt)
	if err != nil {
		return nil, nil, err
	}
	warn = slices.Clone(warn)
	if raw.inversions > 0 {
		if spec.Sorted == "required" {
			return nil, nil, fmt.Errorf("%s: %d rows come earlier than the row before them, but sorted: required is set", spec.File, raw.inversions)
		}
		warn = append(warn, warning("unsorted-trace", "%s: %d rows come earlier than the row before them; sorted", spec.File, raw.inversions))
	}
	t, err := raw.clip(spec)
	if err != nil {
		return nil, nil, err
	}
	if t.grid > 0 {
		w := warning("quantised-stamps", "%s: stamps on a grid of %v", spec.File, t.grid)
		if spec.Jitter != "none" {
			w.Message += "; rows are spread evenly over it"
			t = t.spread()
		}
		warn = append(warn, w)
	}
	t, err = t.scaleLoad(spec.LoadScale)
	return t, warn, err
}

// rawTrace reads the file as it is, once.
func rawTrace(spec TraceSpec, opt Options) (*Trace, []Warning, error) {
	key := fmt.Sprintf("%q %q %q %+v %v %d %d %d", opt.Dir, spec.File, spec.Format, spec.Columns, spec.Failed, spec.MinInput, spec.MinOutput, opt.SkipBad)
	return opt.Files.load(key, func() (*Trace, []Warning, error) {
		r, err := opt.open(spec.File)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = r.Close() }()
		return readTrace(r, spec, opt.SkipBad)
	})
}

// loadPairs reads a file whose (input, output) rows are sampled together.
func loadPairs(file string, opt Options) (*Trace, []Warning, error) {
	spec := NewTrace()
	spec.File = file
	key := fmt.Sprintf("pairs %q %q %d", opt.Dir, file, opt.SkipBad)
	return opt.Files.load(key, func() (*Trace, []Warning, error) {
		r, err := opt.open(file)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = r.Close() }()
		t, warn, err := readTrace(r, spec, opt.SkipBad)
		if err == nil && (t.Input == nil || t.Output == nil) {
			err = fmt.Errorf("%s has no input and output tokens", file)
		}
		return t, warn, err
	})
}

// rowReader reads one line into a record.
type rowReader func(line []byte, r *record) *fault

// readTrace reads all rows of a text.
func readTrace(src io.Reader, spec TraceSpec, skip SkipBad) (*Trace, []Warning, error) {
	in := newLines(src)
	line, err := in.next()
	if err == io.EOF {
		return nil, nil, fmt.Errorf("%s is empty", spec.File)
	}
	if err != nil {
		return nil, nil, broken(spec.File, in.num, err)
	}
	read, b, first, err := reader(line, spec)
	if err != nil {
		return nil, nil, err
	}
	count := tally{file: spec.File}
	var r record
	for ; err == nil; line, err = in.next() {
		if !first { // the header of a CSV is no row
			first = true
			continue
		}
		count.read++
		if count.read > maxRows {
			return nil, nil, fmt.Errorf("%s has more than %d rows: use a part of it", spec.File, maxRows)
		}
		f := read(line, &r)
		switch {
		case f != nil:
			count.fault(in.num, f)
		case r.failed && !spec.Failed:
			count.apart++
		case count.bad == 0 || skip != SkipNone: // after an error only the count matters
			b.add(&r)
		}
	}
	if err != io.EOF {
		return nil, nil, broken(spec.File, in.num+1, err)
	}
	return settle(b, &count, spec, skip)
}

func broken(file string, line int, err error) error {
	if errors.Is(err, errLongLine) {
		return fmt.Errorf("%s:%d: %w", file, line, err)
	}
	return fmt.Errorf("%s:%d: the file is cut short or damaged: %w", file, line, err)
}

func settle(b *builder, count *tally, spec TraceSpec, skip SkipBad) (*Trace, []Warning, error) {
	if count.read == 0 {
		return nil, nil, fmt.Errorf("%s has a header but no rows", spec.File)
	}
	warn, err := count.settle(skip)
	if err != nil {
		return nil, nil, err
	}
	if len(b.t.At) == 0 {
		return nil, nil, fmt.Errorf("%s has no usable row: %d were skipped, %d left out", spec.File, count.bad, count.apart)
	}
	t := b.finish()
	t.Rows = Account{Read: count.read, Used: t.Len(), Skipped: count.bad, Filtered: count.apart}
	return t, warn, nil
}

// reader chooses the format by the first line; rows says whether that line is
// already a row.
func reader(line []byte, spec TraceSpec) (read rowReader, b *builder, rows bool, err error) {
	format := spec.Format
	if format == "" && line[0] == '{' {
		if format = jsonFormat(line); format == "" || spec.Columns != (ColumnMap{}) {
			return nil, nil, false, fmt.Errorf("%s: JSON without the keys of a known format: name one of %s", spec.File, strings.Join(Formats(), ", "))
		}
	}
	if format == "mooncake" || format == "jsonl" {
		read, b = jsonReader(spec.File, format, spec)
		return read, b, true, nil
	}
	l, err := readHeader(spec.File, line, spec)
	if err != nil {
		return nil, nil, false, err
	}
	var fields []string
	read = func(line []byte, r *record) (f *fault) {
		fields, f = l.row(line, fields, r)
		return f
	}
	return read, newBuilder(spec.File, l.format, l.shape()), false, nil
}
