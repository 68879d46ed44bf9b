package sim

import (
	"math"
	"time"

	"taillab/policies/balance"
)

// column is the true state of a service's replicas, kept only for oracles: queue
// lengths with an index by length, so that the shortest is found at once.
type column struct {
	s      *service
	lens   []uint16 // running + queued, saturated
	exact  []int32
	wire   []uint16
	work   []time.Duration // of requests inside, as accepted
	order  []uint32        // replicas by length, shortest first
	pos    []uint32
	start  []uint32 // first place in order of each length
	equal  bool     // all weights are equal
	temp16 []uint16
	tempD  []time.Duration
}

func newColumn(s *service) *column {
	n := s.pool.Len()
	c := &column{s: s, lens: make([]uint16, n), exact: make([]int32, n), wire: make([]uint16, n),
		work: make([]time.Duration, n), order: make([]uint32, n), pos: make([]uint32, n), start: []uint32{0, uint32(n)}, equal: true}
	for i := range uint32(n) {
		c.order[i], c.pos[i] = i, i
		c.equal = c.equal && (s.table.Weights == nil || s.table.Weights[i] == s.table.Weights[0])
	}
	return c
}

// accept books a request that entered replica r, and the work it brought.
func (c *column) accept(r uint32, work time.Duration) {
	c.work[r] += work
	old := c.exact[r]
	c.exact[r]++
	for int(old)+2 >= len(c.start) {
		c.start = append(c.start, uint32(len(c.order)))
	}
	// r becomes the last of its length, then that place belongs to the next length
	c.start[old+1]--
	c.swap(r, c.start[old+1])
	c.lens[r] = uint16(min(c.exact[r], math.MaxUint16))
}

// leave books a request that left replica r.
func (c *column) leave(r uint32, work time.Duration) {
	c.work[r] -= work
	old := c.exact[r]
	c.exact[r]--
	c.swap(r, c.start[old])
	c.start[old]++
	c.lens[r] = uint16(min(c.exact[r], math.MaxUint16))
}

func (c *column) swap(r, to uint32) {
	at, other := c.pos[r], c.order[to]
	c.order[at], c.order[to] = other, r
	c.pos[other], c.pos[r] = at, to
}

func (c *column) transit(r uint32, by int) { c.wire[r] = uint16(int(c.wire[r]) + by) }

// truth is the column as one front end may index it: as its fleet.
type truth struct {
	s     *service
	fleet *balance.Fleet
	now   func() time.Duration
}

// Look implements balance.TruthView: a decorator shows the oracle another fleet.
func (t *truth) Look(f *balance.Fleet) { t.fleet = f }

// Lens implements balance.Truth.
func (t *truth) Lens() []uint16 { return t.gather(t.s.truth.lens) }

// InTransit implements balance.Truth.
func (t *truth) InTransit() []uint16 { return t.gather(t.s.truth.wire) }

func (t *truth) gather(col []uint16) []uint16 {
	c := t.s.truth
	c.temp16 = c.temp16[:0]
	for i := range t.fleet.Len() {
		c.temp16 = append(c.temp16, col[t.fleet.Ref(i).ID])
	}
	return c.temp16
}

// WorkLeft implements balance.Truth: the work of the requests inside, the served
// part of running ones not subtracted.
func (t *truth) WorkLeft() []time.Duration {
	c := t.s.truth
	c.tempD = c.tempD[:0]
	for i := range t.fleet.Len() {
		c.tempD = append(c.tempD, c.work[t.fleet.Ref(i).ID])
	}
	return c.tempD
}

// Shortest implements balance.Truth.
func (t *truth) Shortest(r balance.Dice) int {
	c, f := t.s.truth, t.fleet
	n := f.Len()
	if n == 0 {
		return -1
	}
	if c.equal && n == len(c.order) && f.Uniform() {
		low := c.exact[c.order[0]]
		ties := int(c.start[low+1] - c.start[low])
		k := 0
		if ties > 1 {
			k = balance.Below(r, ties)
		}
		id := c.order[int(c.start[low])+k]
		if i := int(id); i < n && f.Ref(i).ID == id {
			return i
		}
		for i := range n {
			if f.Ref(i).ID == id {
				return i
			}
		}
	}
	return t.scan(r)
}

// scan finds a uniform one among the least length/weight.
func (t *truth) scan(r balance.Dice) int {
	c, f := t.s.truth, t.fleet
	key := func(i int) float64 { return float64(c.exact[f.Ref(i).ID]) / f.Weight(i) }
	best, ties := math.Inf(1), 0
	for i := range f.Len() {
		switch k := key(i); {
		case k < best:
			best, ties = k, 1
		case k == best:
			ties++
		}
	}
	k := 0
	if ties > 1 {
		k = balance.Below(r, ties)
	}
	for i := range f.Len() {
		if key(i) == best {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return 0
}
