package workloads

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"taillab/policies/chance"
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
	if spec.Format == "mooncake" || spec.Format == "" && line[0] == '{' {
		if spec.Format == "" && (spec.Columns != (ColumnMap{}) || !looksLikeMooncake(line)) {
			return nil, nil, false, fmt.Errorf("%s: JSON without the keys of a known format: name one of %s", spec.File, strings.Join(Formats(), ", "))
		}
		var row mooncakeRow
		b = newBuilder(spec.File, "mooncake", shape{stamps: true, input: true, output: true, prefixes: true})
		return func(line []byte, r *record) *fault { return mooncake(line, spec, &row, r) }, b, true, nil
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

// clip keeps window and limit, and counts stamps from the first row kept.
func (t *Trace) clip(spec TraceSpec) (*Trace, error) {
	from, to := 0, t.Len()
	if w := spec.Window; w != nil {
		from = sort.Search(to, func(i int) bool { return t.At[i] >= w.From })
		to = sort.Search(to, func(i int) bool { return t.At[i] >= w.To })
		if from >= to {
			return nil, fmt.Errorf("%s has no rows in the window [%v, %v): it spans %v", spec.File, w.From, w.To, t.Span())
		}
	}
	if spec.Limit > 0 {
		to = min(to, from+spec.Limit)
	}
	out := t.cut(from, to)
	out.Rows.Used = to - from
	out.Rows.Filtered += t.Len() - out.Rows.Used
	if first := out.At[0]; first > 0 {
		out.offset += first
		out.At = slices.Clone(out.At)
		for i := range out.At {
			out.At[i] -= first
		}
	}
	return out, nil
}

// spread moves each row of a grid cell to a uniform instant inside the cell; the
// rows of a cell keep their order.
func (t *Trace) spread() *Trace {
	out, dice := *t, chance.Stream(0, "jitter")
	out.At = slices.Clone(t.At)
	for i := 0; i < len(out.At); {
		j := i
		for cell := t.At[i]; j < len(out.At) && t.At[j] == cell; j++ {
			out.At[j] += time.Duration(chance.Below(&dice, uint64(t.grid)))
		}
		slices.Sort(out.At[i:j])
		i = j
	}
	return &out
}

// scaleLoad keeps each row with probability f below 1; above, each row is
// emitted ⌊f⌋ times and once more with the rest's probability, the further
// copies moved by up to half the mean gap around the row.
func (t *Trace) scaleLoad(f float64) (*Trace, error) {
	if f == 1 || f == 0 {
		return t, nil
	}
	if float64(t.Len())*f > maxRows/8 {
		return nil, fmt.Errorf("load_scale %v on %d rows makes too many: use limit, or loop", f, t.Len())
	}
	dice := chance.Stream(0, "load_scale")
	var order []int32
	var at []time.Duration
	kept := 0
	for i := range t.At {
		n := int(math.Floor(f))
		if chance.Float(&dice) < f-math.Floor(f) {
			n++
		}
		for k := range n {
			shift := time.Duration(0)
			if k > 0 {
				shift = t.shift(i, &dice)
			}
			order, at = append(order, int32(i)), append(at, max(0, t.At[i]+shift))
		}
		kept += min(n, 1)
	}
	if kept == 0 {
		return nil, fmt.Errorf("load_scale %v leaves none of %d rows", f, t.Len())
	}
	by := make([]int32, len(order))
	for i := range by {
		by[i] = int32(i)
	}
	slices.SortStableFunc(by, func(a, b int32) int { return cmp.Compare(at[a], at[b]) })
	out := t.pick(choose(order, by))
	out.At = choose(at, by)
	out.Rows.Filtered += t.Rows.Used - kept
	out.Rows.Used, out.Rows.Copies = kept, len(order)-kept
	return out, nil
}

// shift draws a move of a copy within half the mean of the two gaps of row i.
func (t *Trace) shift(i int, dice *rand.PCG) time.Duration {
	lo, hi := t.At[max(i-1, 0)], t.At[min(i+1, len(t.At)-1)]
	half := float64(hi-lo) / 4
	return time.Duration(math.Floor(half * (2*chance.Float(dice) - 1)))
}

// readColumn reads one column of numbers of a CSV, or one key of JSON lines.
func readColumn(file, column string, opt Options) ([]float64, error) {
	r, err := opt.open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	in := newLines(r)
	line, err := in.next()
	if err == io.EOF {
		return nil, fmt.Errorf("%s is empty", file)
	}
	if err != nil {
		return nil, broken(file, in.num, err)
	}
	cell, rows, err := cellReader(file, column, line)
	if err != nil {
		return nil, err
	}
	var out []float64
	for ; err == nil; line, err = in.next() {
		if !rows {
			rows = true
			continue
		}
		s, ferr := cell(line)
		if ferr != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, in.num, ferr)
		}
		v, perr := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if perr != nil || !within(v, 0, 1e18) {
			return nil, fmt.Errorf("%s:%d: %s", file, in.num, &fault{column: column, what: "not a number of at least 0", got: s})
		}
		out = append(out, v)
	}
	if err != io.EOF {
		return nil, broken(file, in.num+1, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has a header but no rows", file)
	}
	return out, nil
}

// cellReader returns how to get the column out of a line.
func cellReader(file, column string, first []byte) (cell func([]byte) (string, error), rows bool, err error) {
	if first[0] == '{' {
		return func(line []byte) (string, error) {
			var keys map[string]json.RawMessage
			if json.Unmarshal(line, &keys) != nil {
				return "", errors.New("malformed JSON")
			}
			v, ok := keys[column]
			if !ok {
				return "", fmt.Errorf("the key %q is missing", column)
			}
			return string(v), nil
		}, true, nil
	}
	sep := separator(first)
	names, err := splitFields(first, sep, nil)
	if err != nil {
		return nil, false, fmt.Errorf("%s:1: the header has %w", file, err)
	}
	at := slices.IndexFunc(names, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), column) })
	if at < 0 {
		return nil, false, unknownColumn(file, column, names)
	}
	var fields []string
	return func(line []byte) (string, error) {
		fields, err := splitFields(line, sep, fields)
		if err != nil {
			return "", err
		}
		if at >= len(fields) {
			return "", fmt.Errorf("%d columns where the header has %d", len(fields), len(names))
		}
		return fields[at], nil
	}, false, nil
}
