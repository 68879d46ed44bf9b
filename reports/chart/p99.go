package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// P99Input is what P99vsLoad and Matrix draw: one P99 in milliseconds for each
// policy and load.
type P99Input struct {
	Origin
	Rate   bool      // X are arrival rates per second, not loads
	X      []float64 // loads as fractions, ascending
	Series []P99Series

	Earlier *Earlier[P99Series] // of another run, drawn dashed in the colours of the same labels
}

// P99Series is one policy: Values[i] belongs to X[i].
type P99Series struct {
	Label  string
	Values []Value // milliseconds
}

// value is Values[i], or unknown.
func (p P99Series) value(i int) Value {
	if i >= len(p.Values) || !drawable(p.Values[i].V) {
		return Value{}
	}
	return p.Values[i]
}

// P99vsLoad draws P99 against load on a log axis, with its intervals as bands and
// the names at the ends of the lines. One load alone is drawn as dots with bars.
func P99vsLoad(in P99Input, theme Theme) Figure {
	f := Figure{
		Kind: KindP99, ID: in.id(string(KindP99)), theme: theme, scene: &scene{palette: in.Palette},
		Title:    leadersTitle(in),
		Subtitle: "P99 latency against " + in.xWord() + "; bands are confidence intervals",
		Labels:   labelsOf(in.Series),
	}
	f.Header, f.Rows = in.table()
	f.Subtitle += in.Earlier.words()
	shown, note := in.shown()
	f.Foot = in.foot(note)
	if len(in.X) == 1 {
		f.Subtitle = "P99 latency at " + in.xLabel(in.X[0]) + "; bars are confidence intervals" + in.Earlier.words()
	}
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	lo, hi, ok := in.span(shown)
	switch {
	case !ok:
		f.Rows = nil
		f.scene.nothing(b, "no P99 to draw: too few completed requests")
	case len(in.X) == 1:
		f.scene.dots(b, in, shown, lo, hi)
	default:
		f.scene.curves(b, in, shown, lo, hi)
	}
	f.Alt = f.Title + ". " + f.Subtitle + ". " + in.words()
	return f
}

func (in P99Input) xWord() string {
	if in.Rate {
		return "arrival rate"
	}
	return "offered load"
}

// xLabel names one place of the sweep in a sentence.
func (in P99Input) xLabel(x float64) string {
	if in.Rate {
		return short(round(x, 4)) + "/s"
	}
	return Percent(x) + " load"
}

func (in P99Input) xTick(x float64) string {
	if in.Rate {
		return tickNumber(round(x, 4)) + "/s"
	}
	return Percent(x)
}

func labelsOf(ss []P99Series) []string {
	out := make([]string, len(ss))
	for i, s := range ss {
		out[i] = s.Label
	}
	return out
}

// shown are the indices of the series to draw: all, or the maxSeries that come
// nearest to the best.
func (in P99Input) shown() ([]int, string) {
	idx := make([]int, len(in.Series))
	for i := range idx {
		idx[i] = i
	}
	if len(idx) <= maxSeries {
		return idx, ""
	}
	worst := func(i int) float64 { _, m := in.worstRatio(i); return m }
	slices.SortStableFunc(idx, func(a, b int) int { return cmp.Compare(worst(a), worst(b)) })
	idx = idx[:maxSeries]
	slices.Sort(idx)
	return idx, fmt.Sprintf("the best %d of %d shown, all in the data", maxSeries, len(in.Series))
}

// span is the range of what is drawn. Intervals count, but a very wide one may
// not squeeze the lines together.
func (in P99Input) span(shown []int) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	cilo, cihi := lo, hi
	add := func(ps P99Series) {
		for k := range in.X {
			v := ps.value(k)
			if v.V == nil {
				continue
			}
			lo, hi = min(lo, *v.V), max(hi, *v.V)
			if v.known() {
				cilo, cihi = min(cilo, v.CI[0]), max(cihi, v.CI[1])
			}
		}
	}
	for _, i := range shown {
		add(in.Series[i])
		if before := in.Earlier.find(in.Series[i].Label); before != nil {
			add(*before)
		}
	}
	if lo > hi {
		return 0, 0, false
	}
	lo, hi = min(lo, max(cilo, lo/2)), max(hi, min(cihi, hi*2))
	lo, hi = logRange(lo, hi)
	return lo, hi, true
}

// curves draws one line per series.
func (s *scene) curves(b box, in P99Input, shown []int, lo, hi float64) {
	names := 0.0
	for _, i := range shown {
		names = max(names, textWidth(in.Series[i].Label, labelSize, false))
	}
	names = min(names, 120)
	y := axis{log: true, lo: lo, hi: hi, unit: "ms"}
	yt := ticks(logTicks(lo, hi, 7), tickLatency)
	b.left += widest(yt) + 5
	b.right -= names + 30
	b.bottom -= 24
	s.write(margin, b.top+4, "P99, log scale", tickSize, muted, 0)
	b.top += 14
	y.p0, y.p1 = b.bottom, b.top
	x := axis{lo: in.X[0], hi: in.X[len(in.X)-1], p0: b.left + 6, p1: b.right - 4, unit: "load"}
	if in.Rate {
		x.unit = "rate"
	}
	s.x, s.y = &x, &y
	s.drawY(b, y, yt)
	s.drawX(b, x, ticks(in.X, in.xTick), false)
	s.write((b.left+b.right)/2, b.bottom+23, in.xWord(), tickSize, muted, 0.5)
	opacity := 0.22
	if len(shown) > 6 {
		opacity = 0.1 // many bands on top of each other hide the lines
	}
	for _, i := range shown {
		s.series(i, func() { s.bands(in.X, in.Series[i], x, y, s.look(in.Series[i].Label, i).line, opacity) })
	}
	for _, i := range shown {
		s.series(i, func() {
			l := in.Earlier.look(s.look(in.Series[i].Label, i))
			if before := in.Earlier.find(in.Series[i].Label); before != nil {
				s.line(in.X, *before, x, y, l.before(), 1.1)
			}
			s.curve(in, in.Series[i], x, y, l)
		})
	}
	s.endLabels(b, in, shown, x, y, names)
}

// bands fills the intervals, one area per unbroken run of loads that have one.
func (s *scene) bands(xs []float64, ps P99Series, x, y axis, c ink, opacity float64) {
	var upper, lower []pt
	flush := func() {
		slices.Reverse(lower)
		s.fill(c, opacity, append(upper, lower...)...)
		upper, lower = nil, nil
	}
	for k, v := range xs {
		ci := ps.value(k)
		if ci.V == nil || !ci.known() || ci.CI[1] <= 0 {
			flush()
			continue
		}
		upper = append(upper, pt{x.at(v), y.at(y.clamp(ci.CI[1]))})
		lower = append(lower, pt{x.at(v), y.at(y.clamp(ci.CI[0]))})
	}
	flush()
}

// curve draws the line and its markers; a missing value breaks the line.
func (s *scene) curve(in P99Input, ps P99Series, x, y axis, l look) {
	s.line(in.X, ps, x, y, l, 1.6)
	for k, v := range in.X {
		if p := ps.value(k); p.V != nil {
			tip := ps.Label + " at " + in.xLabel(v) + ": " + withCI(p)
			s.marker(l, pt{x.at(v), y.at(*p.V)}, 2.3, tip)
		}
	}
}

// line draws the values of a series; a missing one breaks it.
func (s *scene) line(xs []float64, ps P99Series, x, y axis, l look, w float64) {
	var run []pt
	flush := func() {
		if len(run) > 1 {
			s.add(op{path: run, stroke: l.line, width: w, dash: l.dash, line: true})
		}
		run = nil
	}
	for k, v := range xs {
		if p := ps.value(k); p.V != nil {
			run = append(run, pt{x.at(v), y.at(*p.V)})
		} else {
			flush()
		}
	}
	flush()
}

// endLabels names each line at its right end, moved apart where they would
// overlap, with a leader back to the line.
func (s *scene) endLabels(b box, in P99Input, shown []int, x, y axis, names float64) {
	type end struct {
		i  int
		at pt
	}
	var ends []end
	for _, i := range shown {
		for k := len(in.X) - 1; k >= 0; k-- {
			if v := in.Series[i].value(k); v.V != nil {
				ends = append(ends, end{i, pt{x.at(in.X[k]), y.at(*v.V)}})
				break
			}
		}
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(a.at.y, b.at.y) })
	want := make([]float64, len(ends))
	for k, e := range ends {
		want[k] = e.at.y
	}
	for k, yy := range spread(want, labelSize+2.2, b.top-4, b.bottom-2) {
		e := ends[k]
		l := s.look(in.Series[e.i].Label, e.i)
		s.series(e.i, func() {
			s.stroke(l.line, 0.5, nil, pt{e.at.x + 3.5, e.at.y}, pt{b.right + 15, yy})
			s.marker(l, pt{b.right + 19, yy}, 2.3, "")
			s.write(b.right+25, yy+3, fit(in.Series[e.i].Label, labelSize, names, false), labelSize, l.label, 0)
		})
	}
}

// dots draws one load: a row per series, best first, with its interval.
func (s *scene) dots(b box, in P99Input, shown []int, lo, hi float64) {
	rows := slices.DeleteFunc(slices.Clone(shown), func(i int) bool { return in.Series[i].value(0).V == nil })
	slices.SortStableFunc(rows, func(a, b int) int {
		return cmp.Compare(*in.Series[a].value(0).V, *in.Series[b].value(0).V)
	})
	names, values := 0.0, 0.0
	for _, i := range rows {
		names = max(names, textWidth(in.Series[i].Label, labelSize, false))
		values = max(values, textWidth(Latency(*in.Series[i].value(0).V), labelSize, false))
	}
	names = min(names, 130)
	b.left += names + 12
	b.right -= values + 8
	b.bottom -= 24
	x := axis{log: true, lo: lo, hi: hi, p0: b.left + 4, p1: b.right - 6, unit: "ms"}
	s.drawX(b, x, x.fitting(tickLatency), true)
	s.write((b.left+b.right)/2, b.bottom+23, "P99 latency, log scale", tickSize, muted, 0.5)
	step := min(b.height()/float64(len(rows)), 40)
	for k, i := range rows {
		v, l := in.Series[i].value(0), s.look(in.Series[i].Label, i)
		y := b.top + step*(float64(k)+0.5)
		s.series(i, func() {
			s.write(b.left-8, y+3, fit(in.Series[i].Label, labelSize, names, false), labelSize, l.label, 1)
			if v.known() && v.CI[1] > 0 {
				s.stroke(l.line, 1.4, nil, pt{x.at(x.clamp(v.CI[0])), y}, pt{x.at(x.clamp(v.CI[1])), y})
			}
			if before := in.Earlier.find(in.Series[i].Label); before != nil && before.value(0).V != nil {
				s.marker(look{line: l.line, marker: l.marker, hollow: true}, pt{x.at(*before.value(0).V), y}, 3.2, before.Label+", before: "+withCI(before.value(0)))
			}
			s.marker(l, pt{x.at(*v.V), y}, 3, in.Series[i].Label+": "+withCI(v))
			s.write(b.right+6, y+3, Latency(*v.V), labelSize, text, 0)
		})
	}
}

// withCI prints a value and its interval.
func withCI(v Value) string {
	out := LatencyPtr(v.V)
	if v.known() {
		out += " (CI " + Range(v.CI[0], v.CI[1]) + ")"
	}
	return out
}

// table is the data behind the chart: a row per series, a column per load.
func (in P99Input) table() ([]string, [][]string) {
	header := []string{"policy"}
	for _, x := range in.X {
		header = append(header, in.xTick(x))
	}
	var rows [][]string
	add := func(s P99Series, name string) {
		row := []string{name}
		for k := range in.X {
			row = append(row, withCI(s.value(k)))
		}
		rows = append(rows, row)
	}
	for _, s := range in.Series {
		add(s, s.Label)
		if before := in.Earlier.find(s.Label); before != nil {
			add(*before, s.Label+", "+in.Earlier.Name)
		}
	}
	return header, rows
}

// words says the chart in one sentence per policy, for at most maxSeries.
func (in P99Input) words() string {
	out := ""
	for _, s := range in.Series[:min(len(in.Series), maxSeries)] {
		for k := len(in.X) - 1; k >= 0; k-- {
			if v := s.value(k); v.V != nil {
				out += s.Label + ": " + Latency(*v.V) + " at " + in.xLabel(in.X[k]) + ". "
				break
			}
		}
	}
	return out
}
