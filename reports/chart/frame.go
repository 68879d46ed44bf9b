package chart

import "math"

// Type sizes in points.
const (
	titleSize = 13
	subSize   = 9.5
	tickSize  = 8.5
	labelSize = 8.5
	footSize  = 7.5
	margin    = 12
)

// box is a rectangle of the chart; y grows downwards.
type box struct{ left, top, right, bottom float64 }

func (b box) width() float64  { return b.right - b.left }
func (b box) height() float64 { return b.bottom - b.top }

// heading draws title, subtitle and foot, and returns the space between them.
func (s *scene) heading(title, subtitle, foot string) box {
	const inner = width - 2*margin
	y, size := 20.0, float64(titleSize)
	if textWidth(title, size, true) > inner { // a little smaller is better than a second line
		size = 12
	}
	for i, line := range wrap(title, size, inner, true, 2) {
		if i > 0 {
			y += 14
		}
		s.writeBold(margin, y, line, size, text, 0)
	}
	if subtitle != "" {
		y += 14
		s.write(margin, y, fit(subtitle, subSize, inner, false), subSize, muted, 0)
	}
	s.write(margin, height-8, fit(foot, footSize, inner, false), footSize, muted, 0)
	return box{margin, y + 8, width - margin, height - 20}
}

// tick is a labelled place on an axis.
type tick struct {
	v     float64
	label string
}

func ticks(vs []float64, label func(float64) string) []tick {
	out := make([]tick, len(vs))
	for i, v := range vs {
		out[i] = tick{v, label(v)}
	}
	return out
}

// widest is the width of the widest tick label.
func widest(ts []tick) float64 {
	w := 0.0
	for _, t := range ts {
		w = max(w, textWidth(t.label, tickSize, false))
	}
	return w
}

// drawY draws the grid lines and labels of a vertical axis left of b.
func (s *scene) drawY(b box, a axis, ts []tick) {
	for _, t := range ts {
		y := a.at(t.v)
		s.stroke(grid, 0.6, nil, pt{b.left, y}, pt{b.right, y})
		s.write(b.left-5, y+3, t.label, tickSize, muted, 1)
	}
}

// drawX draws the labels of a horizontal axis below b, leaving out those that
// would touch a neighbour, and grid lines if asked.
func (s *scene) drawX(b box, a axis, ts []tick, lines bool) {
	for i, keep := range uncrowded(a, ts) {
		x := a.at(ts[i].v)
		if lines && keep {
			s.stroke(grid, 0.6, nil, pt{x, b.top}, pt{x, b.bottom})
		}
		s.stroke(muted, 0.6, nil, pt{x, b.bottom}, pt{x, b.bottom + 3})
		if keep {
			// A label at the very edge of the chart is pulled in.
			half := textWidth(ts[i].label, tickSize, false) / 2
			x = min(max(x, half+2), width-half-2)
			s.write(x, b.bottom+12, ts[i].label, tickSize, muted, 0.5)
		}
	}
	s.stroke(muted, 0.8, nil, pt{b.left, b.bottom}, pt{b.right, b.bottom})
}

// uncrowded decides which of the ticks, in ascending order, get a label. The last
// one is kept rather than the one before it: the end of a sweep is read most.
func uncrowded(a axis, ts []tick) []bool {
	keep := make([]bool, len(ts))
	next := math.Inf(1) // left edge of the label to the right
	for i := len(ts) - 1; i >= 0; i-- {
		x, half := a.at(ts[i].v), textWidth(ts[i].label, tickSize, false)/2
		if x+half+4 <= next {
			keep[i] = true
			next = x - half
		}
	}
	return keep
}

// spread moves labels apart: it returns places at least gap apart, in the order
// of the wanted ones, within [lo, hi] if they fit, as near as possible to what was
// wanted. Labels that touch form a block, and a block sits at the mean of its wishes.
func spread(want []float64, gap, lo, hi float64) []float64 {
	if n := len(want); n > 1 && gap*float64(n-1) > hi-lo {
		gap = (hi - lo) / float64(n-1)
	}
	type block struct {
		sum   float64 // of the wishes, each relative to the block's first label
		n     int
		start float64
	}
	var blocks []block
	for _, w := range want {
		b := block{sum: w, n: 1}
		for {
			span := gap * float64(b.n-1)
			b.start = min(max(b.sum/float64(b.n), lo), max(lo, hi-span))
			if len(blocks) == 0 {
				break
			}
			p := blocks[len(blocks)-1]
			if p.start+gap*float64(p.n) <= b.start+1e-9 {
				break
			}
			b.sum = p.sum + b.sum - gap*float64(p.n)*float64(b.n)
			b.n += p.n
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	out := make([]float64, 0, len(want))
	for _, b := range blocks {
		for i := range b.n {
			out = append(out, b.start+gap*float64(i))
		}
	}
	return out
}

// nothing draws the sentence of a chart without data.
func (s *scene) nothing(b box, why string) {
	s.write((b.left+b.right)/2, (b.top+b.bottom)/2, why, 10, muted, 0.5)
}
