package reports

import (
	"math/bits"
	"time"
)

// Precision of the histograms in bits: a bin is at most 2^-bits of its value.
const (
	HistBits  = 10 // run histograms: bins ≤ 0.098%, the geometry of HdrHistogram with 3 digits
	GroupBits = 7  // sparse histograms of groups: bins ≤ 0.78%
	tailBits  = 5  // step sums for "why the tail": bins ≤ 3.1%
)

// HistMax is the largest value with a bin of its own, 1 h in ns. Larger values
// are counted in the last bin and in Over.
const HistMax = int64(time.Hour)

// Hist is a dense log-linear histogram of int64 nanoseconds.
//
// A value v of at most bits+1 significant bits has a bin of width 1; above that
// every power of two is cut into 2^bits bins. Count, sum (128 bit), minimum and
// maximum are exact. Merging adds integers, so it does not depend on order.
// The zero value is not usable: call NewHist. Not safe for concurrent use.
type Hist struct {
	counts []int64
	mask   uint64 // 2^(bits+1) − 1: values up to it have exact bins
	bits   uint
	moments
}

// moments is what a histogram knows exactly.
type moments struct {
	n, over      int64
	min, max     int64
	sumLo, sumHi uint64
}

// NewHist returns an empty histogram with 2^precision bins per power of two;
// precision is HistBits for everything that is exported, 1…14 otherwise.
func NewHist(precision int) *Hist {
	precision = min(max(precision, 1), 14)
	b := uint(precision)
	return &Hist{counts: make([]int64, cellsOf(b)), bits: b, mask: 1<<(b+1) - 1, moments: emptyMoments()}
}

func emptyMoments() moments { return moments{min: int64(^uint64(0) >> 1), max: -1} }

// cellsOf is the number of cells that cover 0…HistMax, rounded up to a whole
// power of two of values as HdrHistogram does: 33,792 for 10 bits.
func cellsOf(b uint) int {
	s := uint(bits.Len64(uint64(HistMax))) - b - 1
	return int(s+2) << b
}

// indexOf is s·2^b + (v >> s) with s = max(0, bitlen(v) − b − 1).
func indexOf(v int64, b uint) int {
	s := uint(bits.Len64(uint64(v)|(1<<(b+1)-1))) - b - 1
	return int(s<<b) + int(uint64(v)>>s)
}

// edgesOf returns the lower edge and the width of a cell.
func edgesOf(i int, b uint) (low, width int64) {
	if i < 2<<b {
		return int64(i), 1
	}
	s := uint(i>>b) - 1
	return int64(i-int(s<<b)) << s, 1 << s
}

// Record adds one value in ns. A negative value is a broken invariant of the
// caller and panics.
func (h *Hist) Record(v int64) {
	if uint64(v) > uint64(HistMax) {
		h.recordOver(v)
		return
	}
	s := uint(bits.Len64(uint64(v)|h.mask)) - h.bits - 1
	h.counts[int(s<<(h.bits&63))+int(uint64(v)>>(s&63))]++
	h.n++
	var carry uint64
	h.sumLo, carry = bits.Add64(h.sumLo, uint64(v), 0)
	h.sumHi += carry
	if v > h.max {
		h.max = v
	}
	if v < h.min {
		h.min = v
	}
}

// recordAll is Record for all values.
func (h *Hist) recordAll(values []int64) {
	h.noteAll(values)
	counts, b := h.counts, h.bits
	for _, v := range values {
		if v > HistMax {
			v = HistMax
			h.over++
		}
		counts[indexOf(v, b)]++
	}
}

// recordKnown records a time unless it is below 0, not applicable.
func (h *Hist) recordKnown(d time.Duration) {
	if d >= 0 {
		h.Record(int64(d))
	}
}

// recordOver books a value beyond the last bin: clamped there, exact in the sum.
func (h *Hist) recordOver(v int64) {
	h.note(v)
	h.over++
	h.counts[indexOf(HistMax, h.bits)]++
}

// note keeps the exact moments of one value.
func (m *moments) note(v int64) {
	if v < 0 {
		panic("reports: a negative duration was recorded: completions precede their arrival")
	}
	m.n++
	var carry uint64
	m.sumLo, carry = bits.Add64(m.sumLo, uint64(v), 0)
	m.sumHi += carry
	m.max = max(m.max, v)
	m.min = min(m.min, v)
}

// noteAll is note for all values.
func (m *moments) noteAll(values []int64) {
	lo, hi, least, most := m.sumLo, m.sumHi, m.min, m.max
	for _, v := range values {
		var carry uint64
		lo, carry = bits.Add64(lo, uint64(v), 0)
		hi += carry
		least, most = min(least, v), max(most, v)
	}
	if least < 0 {
		panic("reports: a negative duration was recorded: completions precede their arrival")
	}
	m.sumLo, m.sumHi, m.min, m.max = lo, hi, least, most
	m.n += int64(len(values))
}

func (m *moments) merge(o *moments) {
	var carry uint64
	m.sumLo, carry = bits.Add64(m.sumLo, o.sumLo, 0)
	m.sumHi += o.sumHi + carry
	m.n += o.n
	m.over += o.over
	m.max = max(m.max, o.max)
	m.min = min(m.min, o.min)
}

// Count returns the number of recorded values.
func (m *moments) Count() int64 { return m.n }

// Over returns how many values were above HistMax and clamped.
func (m *moments) Over() int64 { return m.over }

// Min returns the smallest value in ns, 0 when empty.
func (m *moments) Min() int64 {
	if m.n == 0 {
		return 0
	}
	return m.min
}

// Max returns the largest value in ns, 0 when empty.
func (m *moments) Max() int64 {
	if m.n == 0 {
		return 0
	}
	return m.max
}

// Mean returns the exact mean in ns, rounded once, 0 when empty.
func (m *moments) Mean() float64 {
	if m.n == 0 {
		return 0
	}
	if m.sumHi < uint64(m.n) { // the quotient fits 64 bits: keep its whole part exact
		q, r := bits.Div64(m.sumHi, m.sumLo, uint64(m.n))
		return float64(q) + float64(r)/float64(m.n)
	}
	return (float64(m.sumHi)*(1<<32)*(1<<32) + float64(m.sumLo)) / float64(m.n)
}

// Precision returns the bits of the histogram.
func (h *Hist) Precision() int { return int(h.bits) }

// Merge adds all values of o; both must have the same precision.
func (h *Hist) Merge(o *Hist) {
	if h.bits != o.bits {
		panic("reports: merging histograms of different precision")
	}
	if o.n == 0 {
		return
	}
	counts := h.counts[:len(o.counts)]
	for i, c := range o.counts {
		counts[i] += c
	}
	h.merge(&o.moments)
}

// Reset empties the histogram and keeps its memory.
func (h *Hist) Reset() {
	clear(h.counts)
	h.moments = emptyMoments()
}

// Quantile returns the value in ns at k per mille (990 is P99), 0 when empty.
// The rank is ⌈k·n/1000⌉ in integers; inside its bin the value is interpolated
// and clamped to [Min, Max].
func (h *Hist) Quantile(k int) float64 { return h.AtRank(rankOf(k, h.n)) }

// QuantileAt returns the value in ns at probability p in [0, 1], for curves; a
// percentile that is judged comes from Quantile, whose rank has no rounding.
func (h *Hist) QuantileAt(p float64) float64 { return h.AtRank(rankAt(p, h.n)) }

// AtRank returns the value in ns of the r-th smallest, r from 1; r is clamped.
func (h *Hist) AtRank(r int64) float64 {
	if h.n == 0 {
		return 0
	}
	r = min(max(r, 1), h.n)
	below := int64(0)
	for i, c := range h.counts {
		if below+c >= r {
			return h.within(i, h.bits, r, below, c)
		}
		below += c
	}
	return float64(h.max)
}

// within places rank r in cell i, which holds count values after below others.
func (m *moments) within(i int, b uint, r, below, count int64) float64 {
	low, width := edgesOf(i, b)
	v := float64(low)
	if width > 1 {
		v += float64(width) * (float64(r-below) - 0.5) / float64(count)
	}
	return min(max(v, float64(m.min)), float64(m.max))
}

// rankOf is ⌈k·n/1000⌉ for k per mille, in integers.
func rankOf(k int, n int64) int64 {
	hi, lo := bits.Mul64(uint64(max(k, 0)), uint64(n))
	lo, carry := bits.Add64(lo, 999, 0)
	q, _ := bits.Div64(hi+carry, lo, 1000)
	return int64(q)
}

// rankAt is ⌈p·n⌉ without the excess of a rounded product: 0.99·100 is 99.
func rankAt(p float64, n int64) int64 {
	x := p * float64(n)
	r := int64(x)
	if x-float64(r) > 1e-9*max(1, x) {
		r++
	}
	return r
}

// CountUpTo returns how many values lie in bins at or below that of v (ns): the
// number of values ≤ v to within one bin.
func (h *Hist) CountUpTo(v int64) int64 {
	if v < 0 {
		return 0
	}
	if v >= h.max {
		return h.n
	}
	sum := int64(0)
	for _, c := range h.counts[:indexOf(min(v, HistMax), h.bits)+1] {
		sum += c
	}
	return sum
}

// Bin is one non-empty cell of a histogram: values in [Low, Low+Width) ns.
type Bin struct{ Low, Width, Count int64 }

// Bins returns the non-empty cells in ascending order.
func (h *Hist) Bins() []Bin {
	var out []Bin
	for i, c := range h.counts {
		if c > 0 {
			low, width := edgesOf(i, h.bits)
			out = append(out, Bin{Low: low, Width: width, Count: c})
		}
	}
	return out
}
