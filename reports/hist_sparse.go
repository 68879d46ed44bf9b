package reports

import (
	"slices"
	"time"
)

const pageCells = 64

// GroupHist is a sparse log-linear histogram: the cells of Hist in pages of 64
// that are allocated on first use, 2–6 KB for a typical group. It is what one
// tenant, class, service or slice of a run records into.
type GroupHist struct {
	pages []*[pageCells]uint32
	bits  uint
	moments
}

// NewGroupHist returns an empty sparse histogram of 2^precision bins per power
// of two, precision 6…14.
func NewGroupHist(precision int) *GroupHist {
	b := uint(min(max(precision, 6), 14))
	return &GroupHist{pages: make([]*[pageCells]uint32, cellsOf(b)/pageCells), bits: b, moments: emptyMoments()}
}

// Record adds one value in ns; it allocates only on the first value of a page.
func (g *GroupHist) Record(v int64) {
	g.note(v)
	g.place(v)
}

// recordAll is Record for all values.
func (g *GroupHist) recordAll(values []int64) {
	g.noteAll(values)
	for _, v := range values {
		g.place(v)
	}
}

// recordKnown records a time unless it is below 0, not applicable.
func (g *GroupHist) recordKnown(d time.Duration) {
	if d >= 0 {
		g.Record(int64(d))
	}
}

// place counts a value in its cell.
func (g *GroupHist) place(v int64) {
	if v > HistMax {
		v = HistMax
		g.over++
	}
	i := uint(indexOf(v, g.bits))
	p := g.pages[i/pageCells]
	if p == nil {
		p = new([pageCells]uint32)
		g.pages[i/pageCells] = p
	}
	p[i%pageCells]++
}

// Precision returns the bits of the histogram.
func (g *GroupHist) Precision() int { return int(g.bits) }

// Merge adds all values of o; both must have the same precision.
func (g *GroupHist) Merge(o *GroupHist) {
	if g.bits != o.bits {
		panic("reports: merging histograms of different precision")
	}
	for k, page := range o.pages {
		if page == nil {
			continue
		}
		if g.pages[k] == nil {
			g.pages[k] = new([pageCells]uint32)
		}
		for i, c := range page {
			g.pages[k][i] += c
		}
	}
	g.merge(&o.moments)
}

// Quantile is Hist.Quantile.
func (g *GroupHist) Quantile(k int) float64 {
	if g.n == 0 {
		return 0
	}
	r := min(max(rankOf(k, g.n), 1), g.n)
	below := int64(0)
	for k, page := range g.pages {
		if page == nil {
			continue
		}
		for i, c := range page {
			if below+int64(c) >= r {
				return g.within(k*pageCells+i, g.bits, r, below, int64(c))
			}
			below += int64(c)
		}
	}
	return float64(g.max)
}

// Pack returns the non-empty cells.
func (g *GroupHist) Pack() Packed {
	p := Packed{bits: g.bits, moments: g.moments}
	for k, page := range g.pages {
		if page == nil {
			continue
		}
		for i, c := range page {
			if c > 0 {
				p.add(k*pageCells+i, int64(c))
			}
		}
	}
	return p
}

// Packed is a finished histogram: only its non-empty cells, 12 B each. Runs keep
// their histograms in this form once they are closed.
type Packed struct {
	cells  []int32
	counts []int64
	bits   uint
	moments
}

func (p *Packed) add(cell int, count int64) {
	p.cells = append(p.cells, int32(cell))
	p.counts = append(p.counts, count)
}

// Pack returns the non-empty cells of h.
func (h *Hist) Pack() Packed {
	p := Packed{bits: h.bits, moments: h.moments}
	for i, c := range h.counts {
		if c > 0 {
			p.add(i, c)
		}
	}
	p.cells, p.counts = slices.Clip(p.cells), slices.Clip(p.counts)
	return p
}

// MergePacked adds all values of p; both must have the same precision.
func (h *Hist) MergePacked(p Packed) {
	if p.n == 0 {
		return
	}
	if h.bits != p.bits {
		panic("reports: merging histograms of different precision")
	}
	for i, c := range p.cells {
		h.counts[c] += p.counts[i]
	}
	h.merge(&p.moments)
}

// mergeGroup adds all values of g; both must have the same precision.
func (h *Hist) mergeGroup(g *GroupHist) {
	for k, page := range g.pages {
		if page == nil {
			continue
		}
		for i, c := range page {
			h.counts[k*pageCells+i] += int64(c)
		}
	}
	h.merge(&g.moments)
}

// Hist returns the histogram p was packed from.
func (p Packed) Hist() *Hist {
	h := NewHist(int(max(p.bits, 1)))
	h.MergePacked(p)
	return h
}
