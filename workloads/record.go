package workloads

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// record is one row as a reader found it.
type record struct {
	at            time.Duration // as stamped: since the epoch or since anything
	input, output uint32
	demand        time.Duration
	tenant, model string
	session       string
	blocks        []uint64 // valid until the next row
	failed        bool     // at the provider: kept out unless asked for
}

// shape says which columns a file has.
type shape struct {
	stamps, dates                                           bool
	optional                                                bool // a column without content is dropped
	input, output, demand, tenant, model, session, prefixes bool
}

// maxRows bounds a trace: rows are numbered with 31 bits.
const maxRows = math.MaxInt32

// builder collects records into columns.
type builder struct {
	t       *Trace
	has     shape
	tenants map[string]uint32
	models  map[string]uint32
}

func newBuilder(file, format string, has shape) *builder {
	return &builder{t: &Trace{File: file, Format: format}, has: has, tenants: map[string]uint32{}, models: map[string]uint32{}}
}

func (b *builder) add(r *record) {
	t := b.t
	if n := len(t.At); n > 0 && r.at < t.At[n-1] {
		t.inversions++
	}
	t.At = append(t.At, r.at)
	if b.has.input {
		t.Input = append(t.Input, r.input)
	}
	if b.has.output {
		t.Output = append(t.Output, r.output)
	}
	if b.has.demand {
		t.Demand = append(t.Demand, r.demand)
	}
	if b.has.tenant {
		t.Tenant = append(t.Tenant, number(b.tenants, &t.Tenants, r.tenant))
	}
	if b.has.model {
		t.Model = append(t.Model, number(b.models, &t.Models, r.model))
	}
	if b.has.session {
		t.Session = append(t.Session, xxhash.Sum64String(r.session))
	}
	if b.has.prefixes {
		t.blocks = append(t.blocks, r.blocks...)
		t.blockEnd = append(t.blockEnd, uint32(len(t.blocks)))
	}
}

// number interns a name in order of first appearance.
func number(m map[string]uint32, list *[]string, name string) uint32 {
	i, ok := m[name]
	if !ok {
		i = uint32(len(*list))
		m[name] = i
		*list = append(*list, name)
	}
	return i
}

// dropEmpty forgets the columns that no row has filled.
func (t *Trace) dropEmpty() {
	if slices.Max(t.Demand) == 0 {
		t.Demand = nil
	}
	if len(t.Tenants) == 1 && t.Tenants[0] == "" {
		t.Tenant, t.Tenants = nil, nil
	}
	if len(t.Models) == 1 && t.Models[0] == "" {
		t.Model, t.Models = nil, nil
	}
	none := xxhash.Sum64String("")
	if !slices.ContainsFunc(t.Session, func(s uint64) bool { return s != none }) {
		t.Session = nil
	}
}

// finish sorts the rows stably and counts stamps from the first.
func (b *builder) finish() *Trace {
	t := b.t
	if b.has.optional {
		t.dropEmpty()
	}
	if len(t.blocks) == 0 {
		t.blockEnd = nil
	}
	if t.inversions > 0 {
		order := make([]int32, len(t.At))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortStableFunc(order, func(x, y int32) int { return cmp.Compare(t.At[x], t.At[y]) })
		*t = *t.pick(order)
	}
	first := t.At[0]
	if !b.has.dates {
		t.offset = first
	}
	for i := range t.At {
		t.At[i] -= first
	}
	t.grid = gridOf(t.At)
	return t
}

// pick returns the given rows, in the given order, as a trace of its own.
func (t *Trace) pick(rows []int32) *Trace {
	out := *t
	out.At = choose(t.At, rows)
	out.Input, out.Output = choose(t.Input, rows), choose(t.Output, rows)
	out.Demand = choose(t.Demand, rows)
	out.Tenant, out.Model, out.Session = choose(t.Tenant, rows), choose(t.Model, rows), choose(t.Session, rows)
	if t.blockEnd == nil {
		return &out
	}
	out.blocks, out.blockEnd = nil, nil
	for _, i := range rows {
		out.blocks = append(out.blocks, t.Blocks(int(i))...)
		out.blockEnd = append(out.blockEnd, uint32(len(out.blocks)))
	}
	return &out
}

func choose[T any](column []T, rows []int32) []T {
	if column == nil {
		return nil
	}
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = column[r]
	}
	return out
}

// cut returns rows [from, to), sharing the columns.
func (t *Trace) cut(from, to int) *Trace {
	out := *t
	out.At = t.At[from:to]
	out.Input, out.Output = part(t.Input, from, to), part(t.Output, from, to)
	out.Demand = part(t.Demand, from, to)
	out.Tenant, out.Model, out.Session = part(t.Tenant, from, to), part(t.Model, from, to), part(t.Session, from, to)
	if t.blockEnd == nil || from == 0 {
		out.blockEnd = part(t.blockEnd, from, to)
		return &out
	}
	base := t.blockEnd[from-1]
	out.blocks, out.blockEnd = t.blocks[base:], make([]uint32, to-from)
	for i := range out.blockEnd {
		out.blockEnd[i] = t.blockEnd[from+i] - base
	}
	return &out
}

func part[T any](column []T, from, to int) []T {
	if column == nil {
		return nil
	}
	return column[from:to]
}

// minGrid is the finest grid of stamps worth a word.
const minGrid = 100 * time.Millisecond

// gridOf returns the largest g of which all stamps are multiples, if at least
// half of the gaps are zero and g is at least 100 ms; else 0.
func gridOf(at []time.Duration) time.Duration {
	var g time.Duration
	zero := 0
	for i := 1; i < len(at); i++ {
		if at[i] == at[i-1] {
			zero++
		}
		for a, b := g, at[i]; ; a, b = b, a%b {
			if b == 0 {
				g = a
				break
			}
		}
	}
	if g < minGrid || 2*zero < len(at)-1 {
		return 0
	}
	return g
}

// tenantShares is the share of the rows of each tenant.
func (t *Trace) tenantShares() []float64 {
	out := make([]float64, len(t.Tenants))
	for _, i := range t.Tenant {
		out[i] += 1 / float64(len(t.Tenant))
	}
	return out
}
