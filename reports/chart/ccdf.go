package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// CCDFInput is what CCDF draws: the share of requests slower than x.
type CCDFInput struct {
	Origin
	At     string // where in the sweep, such as "85% load"
	Series []CCDFSeries

	Earlier *Earlier[CCDFSeries] // of another run, drawn dashed in the colours of the same labels
}

// CCDFSeries is one policy. X are latencies in milliseconds, ascending; Y[i] is
// the share of completed requests slower than X[i].
type CCDFSeries struct {
	Label string
	X, Y  []float64
	N     int64 // completed requests; the line ends where fewer than 30 are left. 0: not cut
	P99   Value // milliseconds
}

// leastLeft is the number of requests below which a tail is noise.
const leastLeft = 30

// CCDF draws the tails on two log axes, with each P99 as a dot on the 1% line.
func CCDF(in CCDFInput, theme Theme) Figure {
	cmpIn := in.asP99()
	f := Figure{
		Kind: KindCCDF, ID: in.id(string(KindCCDF)), theme: theme, scene: &scene{palette: in.Palette},
		Title:    in.title(cmpIn),
		Subtitle: "Latency distribution of completed requests" + where(in.At) + "; the marks are P99",
		Labels:   labelsOf(cmpIn.Series),
		Header:   []string{"policy", "P50", "P90", "P99", "P99.9", "requests"},
	}
	if in.Earlier != nil {
		f.Subtitle = "Completed requests" + where(in.At) + "; the marks are P99" + in.Earlier.words()
	}
	order, note := cmpIn.shown()
	cutNote := ""
	lines := make([][]pt, len(in.Series)) // in data units: latency, share
	for i, s := range in.Series {
		var wasCut bool
		lines[i], wasCut = s.tail()
		if wasCut {
			cutNote = fmt.Sprintf("cut below %d requests", leastLeft)
		}
		f.Rows = append(f.Rows, s.row(lines[i]))
		if before := in.Earlier.find(s.Label); before != nil {
			line, _ := before.tail()
			f.Rows = append(f.Rows, before.row(line))
			f.Rows[len(f.Rows)-1][0] += ", " + in.Earlier.Name
		}
	}
	f.Foot = in.foot(cutNote, note)
	f.Alt = f.Title + ". " + f.Subtitle + ". " + cmpIn.words()
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	if !f.scene.tails(b, in, order, lines) {
		f.Rows = nil
		f.scene.nothing(b, "no distribution to draw: no request completed")
	}
	return f
}

func where(at string) string {
	if at == "" {
		return ""
	}
	return " at " + at
}

// asP99 views the P99 values as a comparison at one place, for title and choice.
func (in CCDFInput) asP99() P99Input {
	out := P99Input{Origin: in.Origin, X: []float64{1}}
	for _, s := range in.Series {
		out.Series = append(out.Series, P99Series{Label: s.Label, Values: []Value{s.P99}})
	}
	return out
}

func (in CCDFInput) title(p P99Input) string {
	l := p.leadAt(0)
	switch {
	case l.best < 0:
		return "Latency distribution" + where(in.At)
	case len(in.Series) == 1:
		return in.Series[0].Label + ": P99 is " + Latency(*in.Series[0].P99.V) + where(in.At)
	case !p.intervals():
		return in.Series[l.best].Label + " has the lowest P99" + where(in.At) + " (no intervals)"
	case !l.clear:
		return "No clear winner" + where(in.At)
	}
	return in.Series[l.best].Label + " has the shortest tail" + where(in.At)
}

// tail are the points that can be drawn: positive, in order, and backed by enough
// requests. It tells whether the end was cut for the last reason.
func (s CCDFSeries) tail() (out []pt, wasCut bool) {
	for i := range min(len(s.X), len(s.Y)) {
		x, y := s.X[i], s.Y[i]
		switch {
		case !drawable(&x) || !drawable(&y) || y > 1:
			continue
		case s.N > 0 && y*float64(s.N) < leastLeft:
			return out, true
		}
		out = append(out, pt{x, y})
	}
	return out, false
}

// row is the data table's row: where the drawn line crosses the usual shares.
func (s CCDFSeries) row(line []pt) []string {
	row := []string{s.Label}
	for _, share := range []float64{0.5, 0.1, 0.01, 0.001} {
		if share == 0.01 && drawable(s.P99.V) {
			row = append(row, withCI(s.P99))
			continue
		}
		x := Missing
		for _, p := range line {
			if p.y <= share*(1+1e-9) {
				x = Latency(p.x)
				break
			}
		}
		row = append(row, x)
	}
	if s.N > 0 {
		return append(row, Count(s.N))
	}
	return append(row, Missing)
}

// tails draws lines, P99 dots and the key; false if there is nothing.
func (s *scene) tails(b box, in CCDFInput, shown []int, lines [][]pt) bool {
	x0, x1, y0 := math.Inf(1), math.Inf(-1), 0.005
	for _, i := range shown {
		all := lines[i]
		if before := in.Earlier.find(in.Series[i].Label); before != nil {
			line, _ := before.tail()
			all = slices.Concat(all, line)
		}
		for _, p := range all {
			x0, x1, y0 = min(x0, p.x), max(x1, p.x), min(y0, p.y)
		}
	}
	if x0 > x1 {
		return false
	}
	x0, x1 = logRange(x0, x1)
	x := axis{log: true, lo: x0, hi: x1, unit: "ms"}
	y := axis{log: true, lo: y0, hi: 1, unit: "share"}
	yt := ticks(decades(y0, 1, []float64{1}), Percent)
	keyWidth := s.keyWidth(in, shown)
	b.left += widest(yt) + 5
	b.right -= keyWidth + 14
	b.bottom -= 24
	s.write(margin, b.top+4, "share of requests slower than x, log scale", tickSize, muted, 0)
	b.top += 14
	x.p0, x.p1, y.p0, y.p1 = b.left, b.right, b.bottom, b.top
	s.x, s.y = &x, &y
	s.drawY(b, y, yt)
	s.drawX(b, x, x.fitting(tickLatency), true)
	s.stroke(muted, 0.6, []float64{1.5, 2}, pt{b.left, y.at(0.01)}, pt{b.right, y.at(0.01)})
	s.write((b.left+b.right)/2, b.bottom+23, "latency, log scale", tickSize, muted, 0.5)
	for _, i := range shown {
		s.series(i, func() {
			l := in.Earlier.look(s.look(in.Series[i].Label, i))
			if before := in.Earlier.find(in.Series[i].Label); before != nil {
				line, _ := before.tail()
				s.tailLine(line, x, y, l.before())
			}
			s.tailLine(lines[i], x, y, l)
		})
	}
	for _, i := range shown {
		if p := in.Series[i].P99; drawable(p.V) && *p.V >= x0 && *p.V <= x1 {
			s.series(i, func() {
				s.marker(s.look(in.Series[i].Label, i), pt{x.at(*p.V), y.at(0.01)}, 2.6, in.Series[i].Label+": P99 "+withCI(p))
			})
		}
	}
	s.key(b, in, shown, keyWidth)
	return true
}

// tailLine draws one line, without points nearer to each other than can be seen.
func (s *scene) tailLine(line []pt, x, y axis, l look) {
	var out []pt
	for i, p := range line {
		q := pt{x.at(p.x), y.at(p.y)}
		if n := len(out); n > 0 && i < len(line)-1 && math.Hypot(q.x-out[n-1].x, q.y-out[n-1].y) < 0.5 {
			continue
		}
		out = append(out, q)
	}
	if len(out) > 1 {
		s.add(op{path: out, stroke: l.line, width: 1.5, dash: l.dash, line: true})
	}
}

// swatch is the length of the line drawn beside a name in the key.
const swatch = 22

func (s *scene) keyWidth(in CCDFInput, shown []int) float64 {
	w := textWidth("P99", labelSize, false)
	for _, i := range shown {
		v := textWidth(LatencyPtr(in.Series[i].P99.V), labelSize, false)
		w = max(w, min(textWidth(in.Series[i].Label, labelSize, false), 110)+8+v)
	}
	return w + swatch + 5
}

// key lists the series with their P99, best first, right of the body.
func (s *scene) key(b box, in CCDFInput, shown []int, w float64) {
	order := slices.Clone(shown)
	slices.SortStableFunc(order, func(a, c int) int {
		return cmp.Compare(sortKey(in.Series[a].P99), sortKey(in.Series[c].P99))
	})
	left, right := b.right+14, b.right+14+w
	s.write(right, b.top, "P99", tickSize, muted, 1)
	step := min(14, (b.height()-6)/float64(len(order)))
	for k, i := range order {
		l := in.Earlier.look(s.look(in.Series[i].Label, i))
		y := b.top + 8 + step*(float64(k)+0.5)
		v := LatencyPtr(in.Series[i].P99.V)
		room := right - left - swatch - 5 - textWidth(v, labelSize, false) - 6
		s.series(i, func() {
			s.stroke(l.line, 1.5, l.dash, pt{left, y}, pt{left + swatch, y})
			s.marker(l, pt{left + swatch/2, y}, 2.3, "")
			s.write(left+swatch+5, y+3, fit(in.Series[i].Label, labelSize, room, false), labelSize, l.label, 0)
			s.write(right, y+3, v, labelSize, text, 1)
		})
	}
}

// sortKey puts an unknown P99 last.
func sortKey(v Value) float64 {
	if !drawable(v.V) {
		return math.Inf(1)
	}
	return *v.V
}
