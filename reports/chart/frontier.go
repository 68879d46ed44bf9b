package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// FrontierInput is what Frontier draws: what each policy costs against what it gives,
// where no single number ranks them: GPU hours against missed deadlines, throughput
// against fairness.
type FrontierInput struct {
	Origin
	At     string // where in the sweep, such as "85% load"
	X, Y   Dimension
	Points []FrontierPoint
}

// Dimension is one axis of a frontier.
type Dimension struct {
	Name   string               // GPU hours, misses of the SLO
	Log    bool                 // a log axis, if all values are above 0
	Higher bool                 // more is better
	Format func(float64) string // of values and ticks; nil: plain numbers
}

// FrontierPoint is one policy at one setting. Points of one Series are joined by a thin
// line in their order, such as the settings of one policy.
type FrontierPoint struct {
	Label  string
	Series string // empty: the point stands alone
	X, Y   Value
}

func (d Dimension) text(v float64) string {
	if d.Format != nil {
		return d.Format(v)
	}
	return Digits(v, 3)
}

func (d Dimension) tick(v float64) string {
	if d.Format != nil {
		return d.Format(v)
	}
	return tickNumber(v)
}

// atLeast is true if a is at least as good as b.
func (d Dimension) atLeast(a, b float64) bool {
	if d.Higher {
		return a >= b
	}
	return a <= b
}

func (d Dimension) side() string {
	if d.Higher {
		return "more is better"
	}
	return "less is better"
}

// Frontier draws the points with their intervals as crosses, and the Pareto line: those
// that no other point beats in one dimension without losing in the other.
func Frontier(in FrontierInput, theme Theme) Figure {
	f := Figure{
		Kind: KindFrontier, ID: in.id(string(KindFrontier)), theme: theme, scene: &scene{palette: in.Palette},
		Subtitle: in.Y.Name + " (" + in.Y.side() + ") against " + in.X.Name + " (" + in.X.side() + ")" + where(in.At),
		Header:   []string{"policy", in.X.Name, in.Y.Name, "on the frontier"},
	}
	points, missing := in.placed()
	front := in.pareto(points)
	for i, p := range points {
		word := "no"
		if front[i] {
			word = "yes"
		}
		f.Rows = append(f.Rows, []string{p.Label, in.X.text(*p.X.V), in.Y.text(*p.Y.V), word})
	}
	f.Labels = in.names(points)
	f.Title = in.title(points, front)
	note := ""
	if missing > 0 {
		note = plural(missing, "point") + " without a place left out"
	}
	f.Foot = in.foot(note)
	f.Alt = f.Title + ". " + f.Subtitle + "."
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	if len(points) == 0 {
		f.scene.nothing(b, "nothing was measured")
		return f
	}
	f.scene.frontier(b, in, points, front, f.Labels)
	return f
}

// placed are the points that have a place; a log axis takes none at or below 0.
func (in FrontierInput) placed() (out []FrontierPoint, missing int) {
	fits := func(d Dimension, v *float64) bool {
		return v != nil && plottable(*v) && (!d.Log || *v >= leastDrawn)
	}
	for _, p := range in.Points {
		if fits(in.X, p.X.V) && fits(in.Y, p.Y.V) {
			out = append(out, p)
		}
	}
	return out, len(in.Points) - len(out)
}

// pareto tells which points no other beats.
func (in FrontierInput) pareto(ps []FrontierPoint) []bool {
	out := make([]bool, len(ps))
	for i, p := range ps {
		out[i] = !slices.ContainsFunc(ps, func(q FrontierPoint) bool {
			same := *q.X.V == *p.X.V && *q.Y.V == *p.Y.V
			return !same && in.X.atLeast(*q.X.V, *p.X.V) && in.Y.atLeast(*q.Y.V, *p.Y.V)
		})
	}
	return out
}

// names are what the colours stand for: series, and points that stand alone.
func (in FrontierInput) names(ps []FrontierPoint) []string {
	var out []string
	for _, p := range ps {
		if !slices.Contains(out, p.name()) {
			out = append(out, p.name())
		}
	}
	return out
}

func (p FrontierPoint) name() string {
	if p.Series != "" {
		return p.Series
	}
	return p.Label
}

// title says which points no other beats.
func (in FrontierInput) title(ps []FrontierPoint, front []bool) string {
	var names []string
	n := 0
	for i, p := range ps {
		if front[i] {
			n++
			if name := p.name(); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	switch {
	case n == 0:
		return "Nothing to weigh"
	case len(ps) == 1:
		return ps[0].Label + ": " + in.X.text(*ps[0].X.V) + ", " + in.Y.text(*ps[0].Y.V)
	case len(names) == 1:
		return names[0] + " beats all others in both"
	case n == len(ps):
		return fmt.Sprintf("Every one of %d is a trade-off: none beats another in both", n)
	case len(names) == 2:
		return names[0] + " and " + names[1] + " are the trade-off; the others lose in both"
	}
	return fmt.Sprintf("%d of %d are worth choosing from; the others lose in both", n, len(ps))
}

// scale lays an axis over the values, with some room.
func (d Dimension) scale(ps []FrontierPoint, of func(FrontierPoint) Value) axis {
	lo, hi := math.Inf(1), math.Inf(-1)
	widen := func(v float64) {
		if plottable(v) && (!d.Log || v >= leastDrawn) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	for _, p := range ps {
		v := of(p)
		widen(*v.V)
		if v.known() {
			widen(v.CI[0])
			widen(v.CI[1])
		}
	}
	a := axis{log: d.Log, unit: "n"}
	if d.Log {
		a.lo, a.hi = logRange(lo, hi)
		return a
	}
	pad := max((hi-lo)*0.08, math.Abs(hi)*0.02, 1e-9)
	a.lo, a.hi = lo-pad, hi+pad
	if lo >= 0 && a.lo < 0 {
		a.lo = 0
	}
	return a
}

func (d Dimension) ticks(a axis, most int) []tick {
	if d.Log {
		return ticks(logTicks(a.lo, a.hi, most), d.tick)
	}
	return ticks(linTicks(a.lo, a.hi, most), d.tick)
}

func (s *scene) frontier(b box, in FrontierInput, ps []FrontierPoint, front []bool, names []string) {
	y := in.Y.scale(ps, func(p FrontierPoint) Value { return p.Y })
	x := in.X.scale(ps, func(p FrontierPoint) Value { return p.X })
	yt := in.Y.ticks(y, 6)
	b.left += max(widest(yt), 12) + 5
	b.right -= 14
	b.bottom -= 24
	s.write(margin, b.top+4, fit(in.Y.Name+logWord(in.Y.Log), tickSize, width-2*margin, false), tickSize, muted, 0)
	b.top += 14
	x.p0, x.p1, y.p0, y.p1 = b.left+4, b.right-4, b.bottom, b.top
	s.drawY(b, y, yt)
	xt := in.X.ticks(x, 8)
	for most := 7; most > 2 && slices.Contains(uncrowded(x, xt), false); most-- {
		xt = in.X.ticks(x, most)
	}
	s.drawX(b, x, xt, true)
	s.write((b.left+b.right)/2, b.bottom+23, in.X.Name+logWord(in.X.Log), tickSize, muted, 0.5)
	s.paretoLine(x, y, ps, front)
	for i, name := range names {
		s.series(i, func() { s.frontierSeries(x, y, ps, name, s.look(name, i)) })
	}
	s.frontierLabels(b, in, x, y, ps, front, names)
}

func logWord(log bool) string {
	if log {
		return ", log scale"
	}
	return ""
}

// paretoLine joins the points of the frontier, from left to right.
func (s *scene) paretoLine(x, y axis, ps []FrontierPoint, front []bool) {
	var at []pt
	for i, p := range ps {
		if front[i] {
			at = append(at, pt{x.at(*p.X.V), y.at(*p.Y.V)})
		}
	}
	slices.SortStableFunc(at, func(a, b pt) int { return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(a.y, b.y)) })
	s.stroke(muted, 1, []float64{4, 2.5}, at...)
}

// frontierSeries draws the points of one name: crosses for intervals, a thin line
// where the series has several.
func (s *scene) frontierSeries(x, y axis, ps []FrontierPoint, name string, l look) {
	var line []pt
	for _, p := range ps {
		if p.name() == name {
			line = append(line, pt{x.at(*p.X.V), y.at(*p.Y.V)})
		}
	}
	s.stroke(l.line, 0.8, nil, line...)
	for _, p := range ps {
		if p.name() != name {
			continue
		}
		at := pt{x.at(*p.X.V), y.at(*p.Y.V)}
		if p.X.known() {
			s.stroke(l.line, 1, nil, pt{x.at(x.clamp(p.X.CI[0])), at.y}, pt{x.at(x.clamp(p.X.CI[1])), at.y})
		}
		if p.Y.known() {
			s.stroke(l.line, 1, nil, pt{at.x, y.at(y.clamp(p.Y.CI[0]))}, pt{at.x, y.at(y.clamp(p.Y.CI[1]))})
		}
		s.marker(l, at, 3, p.Label)
	}
}

// frontierLabels names the points where there is room, those of the frontier first;
// the data table names all.
func (s *scene) frontierLabels(b box, in FrontierInput, x, y axis, ps []FrontierPoint, front []bool, names []string) {
	var taken []box
	for _, p := range ps {
		at := pt{x.at(*p.X.V), y.at(*p.Y.V)}
		taken = append(taken, box{at.x - 4, at.y - 4, at.x + 4, at.y + 4})
	}
	free := func(c box) bool {
		return c.left >= b.left && c.right <= width-2 && c.top >= b.top-4 && c.bottom <= b.bottom-1 && !slices.ContainsFunc(taken, func(t box) bool {
			return c.left < t.right && t.left < c.right && c.top < t.bottom && t.top < c.bottom
		})
	}
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, c int) int {
		rank := map[bool]int{true: 0, false: 1}
		return cmp.Compare(rank[front[a]], rank[front[c]])
	})
	side := 1.0 // the first choice is away from the frontier, which falls or rises
	if in.X.Higher != in.Y.Higher {
		side = -1
	}
	for _, i := range order {
		text := fit(ps[i].Label, labelSize, 110, false)
		w, at := textWidth(text, labelSize, false), pt{x.at(*ps[i].X.V), y.at(*ps[i].Y.V)}
		for _, left := range []pt{{at.x + 5, at.y - 8*side}, {at.x - 5 - w, at.y + 8*side}, {at.x + 5, at.y + 8*side}, {at.x - 5 - w, at.y - 8*side}} {
			left.y += 3
			c := box{left.x, left.y - labelSize*0.8, left.x + w, left.y + 1.5}
			if !free(c) {
				continue
			}
			taken = append(taken, c)
			k := slices.Index(names, ps[i].name())
			s.series(k, func() { s.write(left.x, left.y, text, labelSize, s.look(names[k], k).label, 0) })
			break
		}
	}
}
