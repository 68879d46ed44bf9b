package balance

import (
	"math"
	"slices"
	"time"

	"taillab/policies"
)

// states of a replica in the eyes of one front end.
const (
	stateUp uint8 = iota
	stateDraining
	stateRemoved
)

// saturated marks a count that is kept in the wide table.
const saturated = math.MaxUint16

// Book is what one front end believes of one service: the shared table plus this
// front end's differences, its own counts, and what it was told. The flow core
// folds every input into it before a policy is called; policies see its Fleet.
type Book struct {
	Fleet Fleet // the eligible replicas

	t       *Table
	known   int
	out     []uint16 // own attempts out, by ID
	wide    map[uint32]int
	outSum  int
	inc     []uint32 // by ID; nil = all 0
	state   []uint8  // by ID; nil = all up
	health  []Health // by ID; nil = all healthy
	addedAt []time.Duration
	said    said   // by ID
	told    []told // by ID; nil = nothing heard, or loads are not kept
	noLoads bool

	views       [maxViews]Fleet
	viewWeights [maxViews][]float64
	nextView    int
	perm        []uint32
}

// NewBook starts with every member of the table known, up and of incarnation 0.
func NewBook(t *Table) *Book {
	b := &Book{t: t, known: t.N, out: make([]uint16, t.N)}
	b.Fleet = Fleet{c: b, n: t.N, weights: uneven(t.Weights)}
	for _, w := range b.Fleet.weights {
		b.Fleet.sumW += w
		b.Fleet.maxW = max(b.Fleet.maxW, w)
	}
	if b.Fleet.weights != nil && slices.Min(b.Fleet.weights) <= 0 { // weight 0: known, never eligible
		b.split()
		for id := range uint32(t.N) {
			b.settle(id)
		}
	}
	if t.Later > 0 {
		b.split()
		for id := uint32(t.N - t.Later); id < uint32(t.N); id++ {
			b.become(id, stateRemoved)
			b.settle(id)
		}
	}
	return b
}

// uneven returns nil for weights that are all equal: then they change no decision.
func uneven(w []float64) []float64 {
	for _, x := range w {
		if x != w[0] || x <= 0 {
			return w
		}
	}
	return nil
}

// split gives this front end columns of its own, once anything differs from the table.
func (b *Book) split() {
	if b.state != nil {
		return
	}
	n := b.t.N
	b.state, b.health, b.inc = make([]uint8, n), make([]Health, n), make([]uint32, n)
	b.addedAt = make([]time.Duration, n)
	f := &b.Fleet
	f.dense, f.pos, f.bits = make([]uint32, n), make([]uint32, n), make([]uint64, (n+63)/64)
	for i := range uint32(n) {
		f.dense[i], f.pos[i] = i, i+1
		f.mark(i)
	}
}

// settle makes eligibility follow state, health and weight.
func (b *Book) settle(id uint32) {
	f := &b.Fleet
	want := b.state[id] == stateUp && b.health[id] < Ejected && (f.weights == nil || f.weights[id] > 0)
	at := f.pos[id]
	switch {
	case want && at == 0:
		f.put(id)
	case !want && at != 0:
		f.n--
		last := f.dense[f.n]
		f.dense[at-1] = last
		f.pos[last] = at
		f.pos[id] = 0
		f.bits[id/64] &^= 1 << (id % 64)
		if f.weights != nil {
			f.sumW -= f.weights[id]
		}
		if b.health[id] != Healthy {
			f.sick--
		}
	}
}

// setHealth changes the health and keeps the count of sick eligible replicas.
func (b *Book) setHealth(id uint32, h Health) {
	f := &b.Fleet
	if f.pos[id] != 0 {
		f.sick += sickness(h) - sickness(b.health[id])
	}
	b.health[id] = h
}

func sickness(h Health) int {
	if h == Healthy {
		return 0
	}
	return 1
}

func (b *Book) outstanding(id uint32) int {
	if v := b.out[id]; v != saturated {
		return int(v)
	}
	return b.wide[id]
}

// Sent counts an own attempt.
func (b *Book) Sent(r policies.Ref) {
	b.outSum++
	if v := b.out[r.ID]; v < saturated-1 {
		b.out[r.ID] = v + 1
		return
	}
	if b.wide == nil {
		b.wide = map[uint32]int{}
	}
	b.wide[r.ID] = b.outstanding(r.ID) + 1
	b.out[r.ID] = saturated
}

// Ended uncounts an own attempt; it does nothing for an earlier incarnation, whose
// attempts were forgotten when it was replaced.
func (b *Book) Ended(r policies.Ref) {
	if b.Inc(r.ID) != r.Inc {
		return
	}
	v := b.outstanding(r.ID)
	if v == 0 {
		return
	}
	b.outSum--
	if b.out[r.ID] != saturated {
		b.out[r.ID]--
		return
	}
	b.wide[r.ID] = v - 1
	if v-1 < saturated {
		b.out[r.ID] = uint16(v - 1)
		delete(b.wide, r.ID)
		if len(b.wide) == 0 {
			b.wide = nil
		}
	}
}

// Up is the number of replicas known that are not draining, healthy or not.
func (b *Book) Up() int {
	n := b.known
	for _, s := range b.state {
		if s == stateDraining {
			n--
		}
	}
	return n
}

// Inc returns the incarnation this front end knows.
func (b *Book) Inc(id uint32) uint32 {
	if b.inc == nil {
		return 0
	}
	return b.inc[id]
}

// N is the number of replica IDs.
func (b *Book) N() int { return b.t.N }

// Eligible tells whether a choice of r may be carried out: it is known in this
// incarnation, not removed, not draining, and of positive weight. Ejected and down
// replicas pass, since the panic decorator may choose them.
func (b *Book) Eligible(r policies.Ref) bool {
	if int(r.ID) >= b.t.N || b.Inc(r.ID) != r.Inc {
		return false
	}
	return (b.state == nil || b.state[r.ID] == stateUp) && b.Fleet.weightOf(r.ID) > 0
}

// Apply folds a membership change in; it returns false when the change is old news
// or none at all.
func (b *Book) Apply(now time.Duration, c Change) bool {
	if c.Kind == ChangeReset || int(c.Ref.ID) >= b.t.N {
		return c.Kind == ChangeReset
	}
	b.split()
	id := c.Ref.ID
	if c.Ref.Inc < b.inc[id] {
		return false
	}
	later, was := c.Ref.Inc > b.inc[id], b.state[id]
	switch {
	case later && c.Kind != ChangeChanged: // whatever was known is of an earlier life
		b.inc[id] = c.Ref.Inc
		b.forget(id)
	case later, // weight or health of a life not announced yet
		c.Kind == ChangeAdded && was == stateUp && b.health[id] == Healthy,
		c.Kind == ChangeDraining && was != stateUp,
		c.Kind == ChangeRemoved && was == stateRemoved:
		return false
	}
	switch c.Kind {
	case ChangeAdded:
		b.setHealth(id, Healthy)
		b.become(id, stateUp)
		b.addedAt[id] = now
	case ChangeDraining:
		b.become(id, stateDraining)
	case ChangeRemoved:
		b.become(id, stateRemoved)
		b.forget(id)
	}
	b.settle(id)
	return true
}

// become changes the state of a replica and the number of those known.
func (b *Book) become(id uint32, state uint8) {
	if b.state[id] == stateRemoved {
		b.known++
	}
	if state == stateRemoved {
		b.known--
	}
	b.state[id] = state
}

// forget erases counts and loads of a replica: it was removed or restarted. What
// its present life has said already, before its membership was known, stays.
func (b *Book) forget(id uint32) {
	b.outSum -= b.outstanding(id)
	b.out[id] = 0
	delete(b.wide, id)
	b.forgetTold(id)
}

// SetHealth changes the health of a replica; false when it had that health before.
func (b *Book) SetHealth(id uint32, h Health) bool {
	if b.health == nil && h == Healthy {
		return false
	}
	b.split()
	if b.health[id] == h {
		return false
	}
	b.setHealth(id, h)
	b.settle(id)
	return true
}

// Hash digests the view, for the tape.
func (b *Book) Hash() uint64 {
	h := uint64(14695981039346656037)
	mix := func(x uint64) { h = (h ^ x) * 1099511628211 }
	mix(uint64(b.Fleet.n))
	mix(uint64(b.outSum))
	for i := range b.Fleet.n {
		id := b.Fleet.id(i)
		mix(uint64(id)<<32 | uint64(b.Inc(id)))
		mix(uint64(b.outstanding(id)))
		if b.told != nil {
			t := &b.told[id]
			mix(uint64(t.at))
			mix(uint64(uint32(t.load.Running))<<32 | uint64(uint32(t.load.Queued)))
		}
	}
	return h
}
