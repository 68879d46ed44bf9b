package chart

import (
	"fmt"
	"math"
	"slices"
)

// QQInput is what QQ draws: quantiles of the simulator against those measured live.
type QQInput struct {
	Origin
	At     string // where in the sweep, such as "85% load"
	Series []QQSeries
}

// QQSeries is one policy. P are probabilities, ascending; the others are the latencies
// in milliseconds at them. Calibrated is nil without a calibrated simulator.
type QQSeries struct {
	Label      string
	P          []float64
	Live, Sim  []float64
	Calibrated []float64
	N          int64    // completed requests of the smaller side; the line ends where fewer than 30 are left
	Error      *float64 // of P99, sim/live − 1; of the calibrated simulator if there is one
}

// qqBand is how far from the diagonal the simulator is meant to stay.
const qqBand = 0.1

// qqShown are the probabilities of the data table.
var qqShown = []float64{0.5, 0.9, 0.95, 0.99, 0.999}

// QQ draws quantiles of the simulator over those measured live, on two log axes with
// the diagonal and a band of ±10% around it.
func QQ(in QQInput, theme Theme) Figure {
	f := Figure{
		Kind: KindQQ, ID: in.id(string(KindQQ)), theme: theme, scene: &scene{palette: in.Palette},
		Title:    in.title(),
		Subtitle: "Quantiles of latency" + where(in.At) + ", simulated against live; the band is ±10%",
		Header:   []string{"policy", "quantile", "live", "simulated", "error"},
	}
	calibrated := in.calibrated()
	if calibrated {
		f.Subtitle = "Quantiles of latency" + where(in.At) + ": calibrated with marks, as it is without; band ±10%"
		f.Header = append(f.Header, "calibrated", "error")
	}
	cutNote := ""
	for _, s := range in.Series {
		f.Labels = append(f.Labels, s.Label)
		f.Rows = append(f.Rows, s.rows(calibrated)...)
		if s.end() < len(s.P) {
			cutNote = fmt.Sprintf("cut below %d requests", leastLeft)
		}
	}
	more := ""
	shown := in.Series
	if len(shown) > maxSeries {
		shown = shown[:maxSeries]
		more = fmt.Sprintf("%d of %d policies drawn", maxSeries, len(in.Series))
	}
	f.Foot = in.foot(cutNote, more)
	f.Alt = f.Title + ". " + f.Subtitle + "."
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	if !f.scene.quantiles(b, shown) {
		f.Rows = nil
		f.scene.nothing(b, "no quantiles to compare: no request completed in both")
	}
	return f
}

func (in QQInput) calibrated() bool {
	return slices.ContainsFunc(in.Series, func(s QQSeries) bool { return s.Calibrated != nil })
}

// title is the finding: the worst error of P99.
func (in QQInput) title() string {
	worst, label, known := 0.0, "", 0
	for _, s := range in.Series {
		if s.Error == nil || !finite(*s.Error) {
			continue
		}
		if known++; known == 1 || math.Abs(*s.Error) > math.Abs(worst) {
			worst, label = *s.Error, s.Label
		}
	}
	who := "The simulator"
	if in.calibrated() {
		who = "The calibrated simulator"
	}
	switch {
	case known == 0:
		return "Simulated against live" + where(in.At)
	case math.Abs(worst) > qqBand:
		return fmt.Sprintf("%s misses P99 of %s by %s%s", who, label, Change(worst), where(in.At))
	case known == 1:
		return fmt.Sprintf("%s is within 10%% of P99 of %s%s", who, label, where(in.At))
	}
	return fmt.Sprintf("%s is within 10%% of P99 of all %d policies%s", who, known, where(in.At))
}

// end is the number of quantiles that enough requests are behind.
func (s QQSeries) end() int {
	n := min(len(s.P), len(s.Live), len(s.Sim))
	for i, p := range s.P[:n] {
		if s.N > 0 && math.Round((1-p)*float64(s.N)) < leastLeft {
			return i
		}
	}
	return n
}

// line are the points of one simulator in data units: live, simulated.
func (s QQSeries) line(sim []float64) (out []pt) {
	for i := range min(s.end(), len(sim)) {
		if x, y := s.Live[i], sim[i]; drawable(&x) && drawable(&y) {
			out = append(out, pt{x, y})
		}
	}
	return out
}

func (s QQSeries) rows(calibrated bool) (out [][]string) {
	for i := range s.end() {
		if !slices.Contains(qqShown, s.P[i]) {
			continue
		}
		row := []string{s.Label, "P" + short(s.P[i]*100), Latency(s.Live[i]), Latency(s.Sim[i]), Change(s.Sim[i]/s.Live[i] - 1)}
		if calibrated && i < len(s.Calibrated) {
			row = append(row, Latency(s.Calibrated[i]), Change(s.Calibrated[i]/s.Live[i]-1))
		} else if calibrated {
			row = append(row, Missing, Missing)
		}
		out = append(out, row)
	}
	return out
}

// quantiles draws the axes, the band, the lines and the key; false if there is nothing.
func (s *scene) quantiles(b box, series []QQSeries) bool {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, q := range series {
		for _, p := range append(q.line(q.Sim), q.line(q.Calibrated)...) {
			lo, hi = min(lo, p.x, p.y), max(hi, p.x, p.y)
		}
	}
	if lo > hi {
		return false
	}
	lo, hi = logRange(lo, hi)
	x := axis{log: true, lo: lo, hi: hi, unit: "ms"}
	y := x
	yt := ticks(logTicks(lo, hi, 7), tickLatency)
	names := qqKeyWidth(series)
	b.left += widest(yt) + 5
	b.right -= names + 14
	b.bottom -= 24
	s.write(margin, b.top+4, "simulated, log scale", tickSize, muted, 0)
	b.top += 14
	x.p0, x.p1, y.p0, y.p1 = b.left, b.right, b.bottom, b.top
	s.x, s.y = &x, &y
	s.drawY(b, y, yt)
	s.drawX(b, x, x.fitting(tickLatency), true)
	s.write((b.left+b.right)/2, b.bottom+23, "live, log scale", tickSize, muted, 0.5)
	s.band(x, y, lo, hi)
	for i, q := range series {
		s.series(i, func() { s.qqSeries(q, x, y, s.look(q.Label, i)) })
	}
	s.qqKey(b, series, names)
	return true
}

// band is the diagonal and what lies within ±10% of it, cut at the frame.
func (s *scene) band(x, y axis, lo, hi float64) {
	up, down := 1+qqBand, 1-qqBand
	at := func(vx, vy float64) pt { return pt{x.at(vx), y.at(vy)} }
	s.fill(muted, 0.14, at(lo, lo), at(lo, lo*up), at(hi/up, hi), at(hi, hi), at(hi, hi*down), at(lo/down, lo))
	s.stroke(muted, 0.8, nil, at(lo, lo), at(hi, hi))
}

func (s *scene) qqSeries(q QQSeries, x, y axis, l look) {
	if q.Calibrated == nil {
		s.qqLine(q, q.Sim, x, y, l, 1.5, true)
		return
	}
	s.qqLine(q, q.Sim, x, y, l, 0.8, false)
	s.qqLine(q, q.Calibrated, x, y, l, 1.5, true)
}

// qqLine draws one line, with marks at the quantiles of the data table if asked.
func (s *scene) qqLine(q QQSeries, sim []float64, x, y axis, l look, w float64, marks bool) {
	line := q.line(sim)
	for i, p := range line {
		line[i] = pt{x.at(p.x), y.at(p.y)}
	}
	if len(line) > 1 {
		s.add(op{path: line, stroke: l.line, width: w, dash: l.dash, line: marks})
	}
	for i := range min(q.end(), len(sim)) {
		if !marks || !slices.Contains(qqShown, q.P[i]) || !drawable(&q.Live[i]) || !drawable(&sim[i]) {
			continue
		}
		s.marker(l, pt{x.at(q.Live[i]), y.at(sim[i])}, 2.4, fmt.Sprintf("%s: P%s live %s, simulated %s (%s)", q.Label,
			short(q.P[i]*100), Latency(q.Live[i]), Latency(sim[i]), Change(sim[i]/q.Live[i]-1)))
	}
}

// keyed is what the key says of a series beside its name.
func (s QQSeries) keyed() string {
	if s.Error == nil {
		return Missing
	}
	return Change(*s.Error)
}

// qqKeyWidth is the width of the key.
func qqKeyWidth(series []QQSeries) float64 {
	w := textWidth("P99 error", labelSize, false)
	for _, q := range series {
		w = max(w, min(textWidth(q.Label, labelSize, false), 110)+8+textWidth(q.keyed(), labelSize, false))
	}
	return w + swatch + 5
}

// qqKey lists the series with the error of their P99, right of the body.
func (s *scene) qqKey(b box, series []QQSeries, w float64) {
	left, right := b.right+14, b.right+14+w
	s.write(right, b.top, "P99 error", tickSize, muted, 1)
	step := min(14, (b.height()-6)/float64(len(series)))
	for i, q := range series {
		l, y := s.look(q.Label, i), b.top+8+step*(float64(i)+0.5)
		room := right - left - swatch - 5 - textWidth(q.keyed(), labelSize, false) - 6
		s.series(i, func() {
			s.stroke(l.line, 1.5, l.dash, pt{left, y}, pt{left + swatch, y})
			s.marker(l, pt{left + swatch/2, y}, 2.3, "")
			s.write(left+swatch+5, y+3, fit(q.Label, labelSize, room, false), labelSize, l.label, 0)
			s.write(right, y+3, q.keyed(), labelSize, text, 1)
		})
	}
}

// QQGrid are the probabilities that a comparison of n requests is drawn at: evenly
// from 10% to the median, then evenly in the logarithm of the share that is slower, and
// those of the data table.
func QQGrid(n int64) []float64 {
	out := slices.Clone(qqShown)
	for p := 0.1; p < 0.495; p += 0.02 {
		out = append(out, p)
	}
	const points = 60
	least := float64(leastLeft) / float64(max(n, 2*leastLeft))
	for i := 1; i <= points; i++ {
		out = append(out, 1-0.5*math.Pow(least/0.5, float64(i)/points))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
