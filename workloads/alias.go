package workloads

import (
	"math/bits"
	"math/rand/v2"
)

// alias draws an index in proportion to fixed weights in constant time
// (Walker 1977, in Vose's order).
type alias struct {
	cut   []float64 // keep the column when the draw is below it
	other []uint32
}

// newAlias needs at least one weight above 0; none may be negative.
func newAlias(weights []float64) *alias {
	n, sum := len(weights), 0.0
	for _, w := range weights {
		sum += w
	}
	t := &alias{cut: make([]float64, n), other: make([]uint32, n)}
	var small, large []int
	for i, w := range weights {
		t.cut[i], t.other[i] = w/sum*float64(n), uint32(i)
		if t.cut[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		t.other[s] = uint32(l)
		t.cut[l] -= 1 - t.cut[s]
		if t.cut[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) { // what rounding left over
		t.cut[i] = 1
		if weights[i] == 0 {
			t.cut[i], t.other[i] = 0, uint32(largest(weights))
		}
	}
	return t
}

func largest(weights []float64) int {
	at := 0
	for i, w := range weights {
		if w > weights[at] {
			at = i
		}
	}
	return at
}

func (t *alias) draw(p *rand.PCG) uint32 {
	hi, lo := bits.Mul64(p.Uint64(), uint64(len(t.cut)))
	if float64(lo>>11)*0x1p-53 < t.cut[hi] {
		return uint32(hi)
	}
	return t.other[hi]
}

// scale maps a hash to 0 … n−1 evenly.
func scale(h, n uint64) uint32 {
	hi, _ := bits.Mul64(h, n)
	return uint32(hi)
}
