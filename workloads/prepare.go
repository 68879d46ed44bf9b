package workloads

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"taillab/policies/chance"
)

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
