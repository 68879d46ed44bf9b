package balance

import (
	"math"
	"math/bits"
	"time"

	"taillab/policies"
)

// Health of a replica in the eyes of one front end.
type Health uint8

// The states of health, best first. Ejected and Down replicas are not eligible.
const (
	Healthy Health = iota
	Degraded
	Ejected
	Down
)

// Table is a service's membership as the plan gives it: shared by all front ends
// and read-only for them. Replica IDs are 0 … N−1; a fleet that grows has IDs for
// replicas to come.
type Table struct {
	N       int
	Weights []float64           // by ID; nil = all 1
	Slots   []int32             // slots or max_batch, by ID; nil = all 1
	Labels  []map[string]string // by ID; nil = none
	Later   int                 // the last so many IDs are no members at the start
}

// labels of a replica, nil when it has none.
func (t *Table) labels(id uint32) map[string]string {
	if t.Labels == nil {
		return nil
	}
	return t.Labels[id]
}

// Fleet is the eligible replicas of one service as columns with a dense index
// 0 ≤ i < Len(), valid for one call; the order is unspecified. A Fleet may be a
// view of another (Without, Keep …), lent for the call.
type Fleet struct {
	c       *Book
	n       int
	dense   []uint32  // index → ID; nil = identity
	pos     []uint32  // ID → index+1, 0 = not eligible; nil = identity
	bits    []uint64  // eligible IDs, for Next; nil = identity
	weights []float64 // by ID; nil = all 1
	maxW    float64   // an upper bound of the weights
	sumW    float64
	sick    int // eligible replicas that are not Healthy
	ejected int // replicas of the book's fleet that Eject has taken out of this view
}

// Len is the number of eligible replicas.
func (f *Fleet) Len() int { return f.n }

// Known is the number of replicas that are not removed.
func (f *Fleet) Known() int { return f.c.known }

// span is the number of replica IDs of the service: the length of a column by ID.
func (f *Fleet) span() int { return f.c.t.N }

func (f *Fleet) id(i int) uint32 {
	if f.dense == nil {
		return uint32(i)
	}
	return f.dense[i]
}

// Ref names the replica at index i.
func (f *Fleet) Ref(i int) policies.Ref {
	id := f.id(i)
	if f.c.inc == nil {
		return policies.Ref{ID: id}
	}
	return policies.Ref{ID: id, Inc: f.c.inc[id]}
}

// Index returns the index of r, −1 when it is not eligible or another incarnation.
func (f *Fleet) Index(r policies.Ref) int {
	if int(r.ID) >= f.c.t.N || (f.c.inc != nil && f.c.inc[r.ID] != r.Inc) || (f.c.inc == nil && r.Inc != 0) {
		return -1
	}
	return f.index(r.ID)
}

func (f *Fleet) index(id uint32) int {
	if f.pos == nil {
		if int(id) < f.n {
			return int(id)
		}
		return -1
	}
	return int(f.pos[id]) - 1
}

// Outstanding is the number of this front end's own attempts out at index i.
func (f *Fleet) Outstanding(i int) int { return f.c.outstanding(f.id(i)) }

// OutstandingSum is the sum of Outstanding over all replicas ever known.
func (f *Fleet) OutstandingSum() int { return f.c.outSum }

// Uniform tells whether all weights are equal and all eligible replicas healthy:
// the fast path of comparisons.
func (f *Fleet) Uniform() bool { return f.weights == nil && f.sick == 0 }

// Weight of the replica at index i; 0 is never picked.
func (f *Fleet) Weight(i int) float64 { return f.weightOf(f.id(i)) }

func (f *Fleet) weightOf(id uint32) float64 {
	if f.weights == nil {
		return 1
	}
	return f.weights[id]
}

// WeightSum is the sum of the eligible weights.
func (f *Fleet) WeightSum() float64 {
	if f.weights == nil {
		return float64(f.n)
	}
	return f.sumW
}

// Scaled is Outstanding/Weight; infinite for weight 0.
func (f *Fleet) Scaled(i int) float64 {
	if f.weights == nil {
		return float64(f.Outstanding(i))
	}
	return float64(f.Outstanding(i)) / f.Weight(i)
}

// Slots is the number of slots (or max_batch) of the replica at index i.
func (f *Fleet) Slots(i int) int {
	if f.c.t.Slots == nil {
		return 1
	}
	return int(f.c.t.Slots[f.id(i)])
}

// Health of the replica at index i.
func (f *Fleet) Health(i int) Health {
	if f.c.health == nil {
		return Healthy
	}
	return f.c.health[f.id(i)]
}

// AddedAt is when this front end learned of the replica's present incarnation.
func (f *Fleet) AddedAt(i int) time.Duration {
	if f.c.addedAt == nil {
		return 0
	}
	return f.c.addedAt[f.id(i)]
}

// Label of the replica at index i, "" when it has none of that key.
func (f *Fleet) Label(i int, key string) string {
	if f.c.t.Labels == nil {
		return ""
	}
	return f.c.t.Labels[f.id(i)][key]
}

// Next returns the index of the smallest eligible ID above id, else of the
// smallest; −1 when the fleet is empty. It costs O(known/64) at worst.
func (f *Fleet) Next(id uint32) int {
	if f.n == 0 {
		return -1
	}
	if f.pos == nil {
		if int(id) < f.n-1 {
			return int(id) + 1
		}
		return 0
	}
	if id < math.MaxUint32 && int(id)+1 < len(f.pos) {
		word := int(id+1) / 64
		if rest := f.bits[word] >> ((id + 1) % 64); rest != 0 {
			return int(f.pos[int(id)+1+bits.TrailingZeros64(rest)]) - 1
		}
		for word++; word < len(f.bits); word++ {
			if f.bits[word] != 0 {
				return int(f.pos[64*word+bits.TrailingZeros64(f.bits[word])]) - 1
			}
		}
	}
	for word, w := range f.bits {
		if w != 0 {
			return int(f.pos[64*word+bits.TrailingZeros64(w)]) - 1
		}
	}
	return -1
}

func (f *Fleet) mark(id uint32) { f.bits[id/64] |= 1 << (id % 64) }

// First returns the index of the smallest eligible ID, −1 when the fleet is empty.
func (f *Fleet) First() int {
	if f.n == 0 {
		return -1
	}
	if f.pos == nil {
		return 0
	}
	return f.Next(math.MaxUint32)
}

// Heard returns the last load told by a message, probe, board or reply, and when
// it was received; false when nothing was heard of this incarnation, or the balancer
// does not want loads.
func (f *Fleet) Heard(i int) (Load, time.Duration, bool) {
	return f.c.heard(f.id(i))
}

// LessLoaded returns i or j: the healthier one first, then the smaller Scaled; i
// wins ties, so pass a pair in random order.
func (f *Fleet) LessLoaded(i, j int) int {
	if f.weights == nil && f.sick == 0 && f.c.wide == nil {
		a, b := f.c.out[f.id(i)], f.c.out[f.id(j)]
		return i ^ ((i ^ j) & -less(b, a))
	}
	if a, b := f.Health(i), f.Health(j); a != b {
		if b < a {
			return j
		}
		return i
	}
	if f.Scaled(j) < f.Scaled(i) {
		return j
	}
	return i
}

// less is 1 when b < a, without a branch: half of such comparisons would be
// mispredicted.
func less(b, a uint16) int { return int((uint32(b) - uint32(a)) >> 31) }

// Least returns a uniform one among the least loaded (healthier first, then
// Scaled); −1 when nothing has a positive weight. It scans the fleet twice.
func (f *Fleet) Least(r Dice) int {
	if f.n == 0 {
		return -1
	}
	if f.weights == nil && f.sick == 0 && f.c.wide == nil {
		return f.leastUniform(r)
	}
	best, ties := -1, 0
	for i := range f.n {
		switch c := f.compare(i, best); {
		case c < 0:
			best, ties = i, 1
		case c == 0:
			ties++
		}
	}
	if ties <= 1 {
		return best
	}
	k := Below(r, ties)
	for i := best; i < f.n; i++ {
		if i == best || f.compare(i, best) == 0 {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return best
}

// compare orders i before (−1), with (0) or after (1) the best so far; weight 0 is after all.
func (f *Fleet) compare(i, best int) int {
	if f.weights != nil && f.Weight(i) <= 0 {
		return 1
	}
	if best < 0 {
		return -1
	}
	if a, b := f.Health(i), f.Health(best); a != b {
		return int(a) - int(b)
	}
	a, b := f.Scaled(i), f.Scaled(best)
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (f *Fleet) leastUniform(r Dice) int {
	low, ties := f.c.out[f.id(0)], 0
	if f.dense == nil {
		for _, v := range f.c.out[:f.n] {
			if v < low {
				low, ties = v, 1
			} else if v == low {
				ties++
			}
		}
	} else {
		for _, id := range f.dense[:f.n] {
			if v := f.c.out[id]; v < low {
				low, ties = v, 1
			} else if v == low {
				ties++
			}
		}
	}
	k := 0
	if ties > 1 {
		k = Below(r, ties)
	}
	for i := range f.n {
		if f.c.out[f.id(i)] == low {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return 0
}

// Below draws uniformly from 0 … n−1 with one word. n must be at least 1.
func Below(r Dice, n int) int {
	hi, _ := bits.Mul64(r.Uint64(), uint64(n))
	return int(hi)
}
