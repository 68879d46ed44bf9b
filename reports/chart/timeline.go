package chart

import (
	"fmt"
	"math"
	"slices"
)

// TimelineInput is what Timeline draws: small panels over one time axis.
type TimelineInput struct {
	Origin
	At     string // such as "85% load, seed 1"
	Panels []Panel
}

// Panel is one quantity, such as queue depth; X of its series are seconds since the
// run began.
type Panel struct {
	Name   string
	Series []Series
}

// maxPoints bounds a line of the timeline, chartPoints all lines of one together;
// extremes always survive.
const (
	maxPoints   = 2000
	chartPoints = 5000
)

// maxPanels is what fits under each other.
const maxPanels = 5

// Timeline draws the panels under each other with a shared time axis.
func Timeline(in TimelineInput, theme Theme) Figure {
	f := Figure{
		Kind: KindTimeline, ID: in.id(string(KindTimeline)), theme: theme, scene: &scene{palette: in.Palette},
		Title:    in.title(),
		Subtitle: "Over the time of one run" + where(in.At),
		Header:   []string{"quantity", "series", "lowest", "mean", "highest", "highest at"},
	}
	in.Panels = in.drawable()
	note := ""
	for _, p := range in.Panels {
		for _, s := range p.Series {
			f.Rows = append(f.Rows, append([]string{p.Name, s.Label}, describe(s)...))
		}
		if len(p.Series) > len(f.Labels) {
			f.Labels = seriesLabels(p.Series)
		}
	}
	if n := len(in.Panels); n > maxPanels {
		in.Panels = in.Panels[:maxPanels]
		note = fmt.Sprintf("%d of %d quantities shown, all in the data", maxPanels, n)
	}
	f.Foot = in.foot(note)
	f.Alt = f.Title + ". " + f.Subtitle + "."
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	if len(in.Panels) == 0 {
		f.scene.nothing(b, "no timeline was kept")
		return f
	}
	f.scene.panels(b, in.Panels, f.Labels)
	return f
}

func seriesLabels(ss []Series) []string {
	out := make([]string, len(ss))
	for i, s := range ss {
		out[i] = s.Label
	}
	return out
}

// drawable drops points that are not numbers, and what is then empty.
func (in TimelineInput) drawable() []Panel {
	var out []Panel
	for _, p := range in.Panels {
		q := Panel{Name: p.Name}
		for _, s := range p.Series {
			c := Series{Label: s.Label}
			for i := range min(len(s.X), len(s.Y)) {
				if plottable(s.X[i]) && plottable(s.Y[i]) {
					c.X, c.Y = append(c.X, s.X[i]), append(c.Y, s.Y[i])
				}
			}
			if len(c.X) > 0 {
				q.Series = append(q.Series, c)
			}
		}
		if len(q.Series) > 0 {
			out = append(out, q)
		}
	}
	return out
}

// title names the peak of the first quantity.
func (in TimelineInput) title() string {
	for _, p := range in.drawable() {
		at, peak, who := 0.0, math.Inf(-1), ""
		for _, s := range p.Series {
			for i, v := range s.Y {
				if v > peak {
					at, peak, who = s.X[i], v, s.Label
				}
			}
		}
		out := fmt.Sprintf("%s peaks at %s after %s s", capitalStep(p.Name), tickNumber(round3(peak)), short(round(at, 3)))
		if len(p.Series) > 1 && who != "" {
			out += " (" + who + ")"
		}
		return out
	}
	return "Timeline"
}

// describe is the row of one series: lowest, mean, highest and when.
func describe(s Series) []string {
	lo, hi, sum, at := math.Inf(1), math.Inf(-1), 0.0, 0.0
	for i, v := range s.Y {
		lo, sum = min(lo, v), sum+v
		if v > hi {
			hi, at = v, s.X[i]
		}
	}
	return []string{Digits(lo, 3), Digits(sum/float64(len(s.Y)), 3), Digits(hi, 3), Digits(at, 3) + " s"}
}

// panels draws all of them and the key.
func (s *scene) panels(b box, ps []Panel, labels []string) {
	x0, x1 := math.Inf(1), math.Inf(-1)
	for _, p := range ps {
		for _, se := range p.Series {
			for _, v := range se.X {
				x0, x1 = min(x0, v), max(x1, v)
			}
		}
	}
	if x1 <= x0 {
		x1 = x0 + 1
	}
	if len(labels) > 1 {
		looks := make([]look, len(labels))
		for i, name := range labels {
			looks[i] = s.look(name, i)
		}
		b.top = s.lineKey(b, labels, looks)
	}
	b.left += textWidth("88.8k", tickSize, false) + 4
	b.bottom -= 24
	x := axis{lo: x0, hi: x1, p0: b.left, p1: b.right - 8, unit: "s"}
	h := b.height() / float64(len(ps))
	lines := 0
	for _, p := range ps {
		lines += len(p.Series)
	}
	for i, p := range ps {
		pb := box{b.left, b.top + h*float64(i) + 13, b.right, b.top + h*float64(i+1) - 3}
		s.panel(pb, p, labels, x, min(max(int(pb.height()/16), 2), 5), pointsOf(lines))
	}
	last := box{b.left, 0, b.right, b.bottom}
	s.drawX(last, x, ticks(linTicks(x0, x1, 8), func(v float64) string { return short(v) + " s" }), false)
	s.write((b.left+b.right)/2, b.bottom+23, "time since the run began", tickSize, muted, 0.5)
}

// panel draws one quantity; the axis starts at 0 unless a value is below.
func (s *scene) panel(b box, p Panel, labels []string, x axis, most, each int) {
	lo, hi := 0.0, 0.0
	for _, se := range p.Series {
		for _, v := range se.Y {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if hi <= lo {
		hi = lo + 1
	}
	y := axis{lo: lo, hi: hi * 1.05, p0: b.bottom, p1: b.top}
	s.write(b.left, b.top-4, p.Name, tickSize, text, 0)
	s.drawY(b, y, ticks(linTicks(lo, y.hi, most), tickNumber))
	for i, se := range p.Series {
		if k := slices.Index(labels, se.Label); k >= 0 {
			i = k // a quantity may lack some of them
		}
		l := s.look(se.Label, i)
		s.series(i, func() {
			var line []pt
			for _, q := range thin(se, each) {
				line = append(line, pt{x.at(q.x), y.at(q.y)})
			}
			line = straight(line)
			if len(line) == 1 {
				s.marker(l, line[0], 2, "")
				return
			}
			s.add(op{path: line, stroke: l.line, width: 1.2, dash: l.dash})
		})
	}
}

// pointsOf is how many points a line may have, so that a chart of so many lines stays
// small enough to send about.
func pointsOf(lines int) int { return min(max(chartPoints/max(lines, 1), 100), maxPoints) }

// straight leaves out points inside level stretches: nobody sees them.
func straight(line []pt) []pt {
	const unseen = 0.02
	out := line[:0]
	for i, p := range line {
		if n := len(out); n > 0 && i+1 < len(line) && math.Abs(p.y-out[n-1].y) < unseen && math.Abs(p.y-line[i+1].y) < unseen {
			continue
		}
		out = append(out, p)
	}
	return out
}

// thin keeps at most most points: of each stretch of equal count the lowest and
// the highest, in their order.
func thin(s Series, most int) []pt {
	n := len(s.X)
	var out []pt
	if n <= most {
		for i := range n {
			out = append(out, pt{s.X[i], s.Y[i]})
		}
		return out
	}
	buckets := most / 2
	for k := range buckets {
		from, to := k*n/buckets, (k+1)*n/buckets
		lo, hi := from, from
		for i := from; i < to; i++ {
			if s.Y[i] < s.Y[lo] {
				lo = i
			}
			if s.Y[i] > s.Y[hi] {
				hi = i
			}
		}
		for _, i := range []int{min(lo, hi), max(lo, hi)} {
			if len(out) == 0 || out[len(out)-1] != (pt{s.X[i], s.Y[i]}) {
				out = append(out, pt{s.X[i], s.Y[i]})
			}
		}
	}
	return out
}

// lineKey draws the key of line styles above the panels.
func (s *scene) lineKey(b box, labels []string, looks []look) float64 {
	x, y := b.left, b.top+6
	for i, name := range labels[:min(len(labels), maxSeries)] {
		label := fit(name, tickSize, 110, false)
		w := swatch + 5 + textWidth(label, tickSize, false) + 10
		if x+w > b.right+10 && x > b.left {
			x, y = b.left, y+12
		}
		l, at := looks[i], x
		s.series(i, func() {
			s.stroke(l.line, 1.5, l.dash, pt{at, y - 3}, pt{at + swatch, y - 3})
			s.write(at+swatch+4, y, label, tickSize, l.label, 0)
		})
		x += w
	}
	return y + 6
}
