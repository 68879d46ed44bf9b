package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// CapacityInput is what Capacity draws: how far each policy can be driven while it
// meets a rule, and the measurements that say so.
type CapacityInput struct {
	Origin
	Rule    string  // p99 < 600ms
	Metric  string  // P99
	Limit   float64 // of the rule, in Unit
	Unit    string  // of Limit and Y: ms rps s ratio
	Setting string  // what is varied, in words: offered load
	Share   bool    // settings are fractions
	Fewer   bool    // less of the setting is better: replicas
	Rows    []CapacityLine
}

// CapacityLine is one policy.
type CapacityLine struct {
	Label string
	At    Value  // the setting at which the rule stops holding; nil when there is none
	Note  string // said in its place: "never met", "≥99.5%"
	All   bool   // the rule holds at every setting
	X     []float64
	Y     []Value // of the rule's metric at X, in Unit
}

// Capacity draws the metric against the setting, with the rule's limit across it, and
// below on the same axis where each policy crosses the limit, with its interval.
func Capacity(in CapacityInput, theme Theme) Figure {
	f := Figure{
		Kind: KindCapacity, ID: in.id(string(KindCapacity)), theme: theme, scene: &scene{},
		Title:    in.title(),
		Subtitle: in.Metric + " against " + in.Setting + "; below, where it crosses the limit, with confidence intervals",
		Header:   []string{"policy", "capacity", "interval", "measured at"},
	}
	for _, r := range in.Rows {
		f.Labels = append(f.Labels, r.Label)
		ci := Missing
		if r.At.known() {
			ci = in.place(r.At.CI[0]) + "…" + in.place(r.At.CI[1])
		}
		f.Rows = append(f.Rows, []string{r.Label, in.answer(r), ci, in.measured(r)})
	}
	note := ""
	if in.Seeds > 0 {
		note = "up to " + plural(in.Seeds, "seed")
	}
	if len(in.Rows) > maxSeries {
		note = fmt.Sprintf("the best %d of %d shown, all in the data", maxSeries, len(in.Rows))
		in.Rows = in.Rows[:maxSeries]
	}
	f.Foot = in.foot(note)
	f.Alt = f.Title + ". " + f.Subtitle + ". " + in.words()
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	lo, hi, ok := in.span()
	if !ok {
		f.Rows = nil
		f.scene.nothing(b, "nothing was measured")
		return f
	}
	f.scene.capacity(b, in, lo, hi)
	return f
}

// place prints a setting.
func (in CapacityInput) place(x float64) string {
	if in.Share {
		return CapacityShare(x)
	}
	return Count(int64(math.Round(x)))
}

// CapacityShare prints a load that was tried or found: 91.2%.
func CapacityShare(x float64) string {
	if !plottable(x) {
		return Missing
	}
	return strconv.FormatFloat(x*100, 'f', 1, 64) + "%"
}

// value prints the metric.
func (in CapacityInput) value(y float64) string {
	switch in.Unit {
	case "ms":
		return Latency(y)
	case "s":
		return Latency(y * 1e3)
	}
	return Digits(y, 3)
}

func (in CapacityInput) answer(r CapacityLine) string {
	if r.At.V == nil {
		return r.Note
	}
	return in.place(*r.At.V)
}

func (in CapacityInput) measured(r CapacityLine) string {
	out := ""
	for i, x := range r.X {
		if i > 0 {
			out += ", "
		}
		out += in.place(x) + ": "
		if v := r.Y[i].V; v == nil {
			out += Missing
		} else {
			out += in.value(*v)
		}
	}
	return out
}

// title says who goes farthest, if the intervals tell it from the next.
func (in CapacityInput) title() string {
	var all []string
	var rows []CapacityLine
	for _, r := range in.Rows {
		if r.All {
			all = append(all, r.Label)
		}
		if r.At.V != nil {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b CapacityLine) int {
		if in.Fewer {
			return cmp.Compare(*a.At.V, *b.At.V)
		}
		return cmp.Compare(*b.At.V, *a.At.V)
	})
	switch {
	case len(all) == 1:
		return all[0] + " keeps " + in.Rule + " at every setting tried"
	case len(all) > 1:
		return fmt.Sprintf("%d of %d policies keep %s at every setting tried", len(all), len(in.Rows), in.Rule)
	case len(rows) == 0 && len(in.Rows) == 1:
		return in.Rows[0].Label + ": " + in.Rule + " is " + in.Rows[0].Note
	case len(rows) == 0:
		return "No threshold of " + in.Rule + " was found"
	case len(rows) == 1:
		return rows[0].Label + " keeps " + in.Rule + in.upTo(rows[0])
	}
	best, next := rows[0], rows[1]
	if clear := best.At.known() && next.At.known() && (best.At.CI[1] < next.At.CI[0] || next.At.CI[1] < best.At.CI[0]); !clear {
		return fmt.Sprintf("No clear winner under %s: %s %s, %s %s", in.Rule, best.Label, in.place(*best.At.V), next.Label, in.place(*next.At.V))
	}
	return best.Label + " keeps " + in.Rule + " farthest," + in.upTo(best)
}

// upTo says how far a policy goes.
func (in CapacityInput) upTo(r CapacityLine) string {
	switch at := in.place(*r.At.V); {
	case in.Share:
		return " up to " + at + " load"
	case in.Fewer:
		return " down to " + at + " " + in.Setting
	default:
		return " up to " + at + " " + in.Setting
	}
}

func (in CapacityInput) words() string {
	out := ""
	for _, r := range in.Rows {
		out += r.Label + ": " + in.answer(r) + ". "
	}
	return out
}

// span is the range of settings drawn: around the thresholds, else all that was
// measured.
func (in CapacityInput) span() (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	widen := func(x float64) {
		if plottable(x) {
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	for _, r := range in.Rows {
		if r.At.V != nil {
			widen(*r.At.V)
			if r.At.known() {
				widen(r.At.CI[0])
				widen(r.At.CI[1])
			}
		}
	}
	if lo > hi {
		for _, r := range in.Rows {
			for _, x := range r.X {
				widen(x)
			}
		}
	}
	if lo > hi {
		return 0, 0, false
	}
	pad := max((hi-lo)*0.12, math.Abs(hi)*0.01, 1e-9)
	lo, hi = max(lo-pad, 0), hi+pad
	if in.Share {
		hi = min(hi, max(1, lo+1e-9))
	}
	return lo, hi, true
}

// capacity draws both panels.
func (s *scene) capacity(b box, in CapacityInput, lo, hi float64) {
	n := float64(len(in.Rows))
	names, answers := 0.0, 0.0
	for _, r := range in.Rows {
		names = max(names, textWidth(r.Label, labelSize, false))
		answers = max(answers, textWidth(in.answer(r), labelSize, false))
	}
	names = min(names, 120)
	y, yt := in.yAxis(lo, hi)
	b.left += max(names+10, widest(yt)+6)
	b.right -= min(answers, 90) + 8
	b.bottom -= 24
	row := min(13, (b.height()-70)/n)
	rows := box{b.left, b.bottom - row*n - 3, b.right, b.bottom}
	top := box{b.left, b.top + 14, b.right, rows.top - 8}
	y.p0, y.p1 = top.bottom, top.top
	x := axis{lo: lo, hi: hi, p0: b.left + 4, p1: b.right - 4, unit: "n"}
	if in.Share {
		x.unit = "load"
	}
	title := in.Metric
	if y.log {
		title += ", log scale"
	}
	s.write(margin, b.top+4, title, tickSize, muted, 0)
	s.drawY(top, y, yt)
	s.drawX(b, x, ticks(linTicks(lo, hi, 8), in.tick), false)
	s.write((b.left+b.right)/2, b.bottom+23, in.Setting, tickSize, muted, 0.5)
	for i, r := range in.Rows {
		s.series(i, func() { s.measurements(in, r, x, y, lookOf(i)) })
	}
	if in.Limit >= y.lo && in.Limit <= y.hi {
		at := y.at(in.Limit)
		s.stroke(text, 0.9, []float64{4, 2}, pt{top.left, at}, pt{top.right, at})
		s.write(top.right+6, at+3, "limit", labelSize, text, 0)
	}
	for i, r := range in.Rows {
		at := rows.top + row*(float64(i)+0.5) + 2
		s.series(i, func() { s.threshold(rows, in, r, x, at, names, lookOf(i)) })
	}
}

func (in CapacityInput) tick(v float64) string {
	if in.Share {
		return Percent(v)
	}
	return tickNumber(v)
}

// yAxis spans what was measured between lo and hi, and the limit; a decade beyond the
// limit is enough of a curve that leaves.
func (in CapacityInput) yAxis(lo, hi float64) (axis, []tick) {
	least, most := math.Inf(1), math.Inf(-1)
	if plottable(in.Limit) {
		least, most = in.Limit, in.Limit
	}
	for _, r := range in.Rows {
		for i, x := range r.X {
			if v := r.Y[i].V; v != nil && plottable(*v) && x >= lo && x <= hi {
				least, most = min(least, *v), max(most, *v)
			}
		}
	}
	a := axis{unit: in.Unit}
	if least > most {
		least, most = 0, 1
	}
	if least > leastDrawn && plottable(in.Limit) {
		a.log = true
		a.lo, a.hi = logRange(max(least, in.Limit/10), min(most, in.Limit*10))
		return a, ticks(logTicks(a.lo, a.hi, 5), in.yTick)
	}
	a.lo, a.hi = min(0, least), max(most, least+1e-9)*1.05
	return a, ticks(linTicks(a.lo, a.hi, 5), in.yTick)
}

func (in CapacityInput) yTick(v float64) string {
	switch in.Unit {
	case "ms":
		return tickLatency(v)
	case "s":
		return tickLatency(v * 1e3)
	}
	return tickNumber(v)
}

// measurements draws the curve of one policy inside the panel.
func (s *scene) measurements(in CapacityInput, r CapacityLine, x, y axis, l look) {
	inside := func(a axis, v float64) bool { return v >= a.lo && v <= a.hi }
	var upper, lower, line []pt
	flush := func() {
		slices.Reverse(lower)
		s.fill(l.line, 0.15, append(upper, lower...)...)
		if len(line) > 1 {
			s.add(op{path: line, stroke: l.line, width: 1.4, dash: l.dash})
		}
		upper, lower, line = nil, nil, nil
	}
	for i, at := range r.X {
		v := r.Y[i]
		if v.V == nil || !inside(x, at) || !inside(y, *v.V) {
			flush()
			continue
		}
		p := pt{x.at(at), y.at(*v.V)}
		line = append(line, p)
		if v.known() && (v.CI[1] > 0 || !y.log) {
			upper = append(upper, pt{p.x, y.at(y.clamp(v.CI[1]))})
			lower = append(lower, pt{p.x, y.at(y.clamp(v.CI[0]))})
		}
	}
	flush()
	for i, at := range r.X {
		if v := r.Y[i].V; v != nil && inside(x, at) && inside(y, *v) {
			s.marker(l, pt{x.at(at), y.at(*v)}, 1.7, r.Label+" at "+in.place(at)+": "+in.value(*v))
		}
	}
}

// threshold draws one row of the lower panel.
func (s *scene) threshold(b box, in CapacityInput, r CapacityLine, x axis, y, names float64, l look) {
	s.write(b.left-6, y+3, fit(r.Label, labelSize, names, false), labelSize, l.label, 1)
	s.stroke(grid, 0.6, nil, pt{b.left, y}, pt{b.right, y})
	if r.At.V == nil || !plottable(*r.At.V) {
		s.write(b.right+6, y+3, fit(r.Note, labelSize, 90, false), labelSize, muted, 0)
		return
	}
	if r.At.known() {
		s.stroke(l.line, 1.6, nil, pt{x.at(x.clamp(r.At.CI[0])), y}, pt{x.at(x.clamp(r.At.CI[1])), y})
	}
	s.marker(l, pt{x.at(x.clamp(*r.At.V)), y}, 2.8, r.Label+": "+in.place(*r.At.V))
	s.write(b.right+6, y+3, in.answer(r), labelSize, text, 0)
}
