package chart

import (
	"fmt"
	"math"
	"slices"
)

// FleetInput is what FleetTimeline draws: how autoscalers follow a load, and what the
// users feel of it. X of all series are seconds since the run began.
type FleetInput struct {
	Origin
	At       string   // such as "burst, seed 1"
	Load     Series   // offered requests per second
	LimitMS  *float64 // the promise about P99; nil without one
	Policies []FleetSeries
}

// FleetSeries is one autoscaler. Desired and Ready are counts of replicas, P99 is in
// milliseconds per interval; an interval without a value is left out of P99.
type FleetSeries struct {
	Label               string
	Policy              string // whose colour it has; empty: the label's. The second of one policy has other dashes
	Desired, Ready, P99 Series
}

// FleetTimeline draws three panels over one time axis: the load, the replicas that are
// desired (thin, dashed) and ready (solid), and P99 on a log scale with its limit.
func FleetTimeline(in FleetInput, theme Theme) Figure {
	f := Figure{
		Kind: KindFleet, ID: in.id(string(KindFleet)), theme: theme, scene: &scene{palette: in.Palette},
		Subtitle: "Offered load, replicas (dashed: desired) and P99 over the time of one run" + where(in.At),
		Header:   []string{"policy", "most desired", "most ready", "mean ready", "highest P99", "intervals above the limit"},
	}
	in.Load = cleaned(in.Load, false)
	note := ""
	if n := len(in.Policies); n > maxSeries {
		note = fmt.Sprintf("%d of %d policies shown", maxSeries, n)
		in.Policies = in.Policies[:maxSeries]
	}
	drawn := false
	for i := range in.Policies {
		p := &in.Policies[i]
		p.Desired, p.Ready, p.P99 = cleaned(p.Desired, false), cleaned(p.Ready, false), cleaned(p.P99, true)
		drawn = drawn || len(p.Desired.X)+len(p.Ready.X)+len(p.P99.X) > 0
		f.Labels = append(f.Labels, p.Label)
		f.Rows = append(f.Rows, in.row(*p))
	}
	f.Title = in.title()
	f.Foot = in.foot(note)
	f.Alt = f.Title + ". " + f.Subtitle + "."
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	if !drawn {
		f.Rows = nil
		f.scene.nothing(b, "no timeline was kept")
		return f
	}
	f.scene.fleet(b, in, f.Labels)
	return f
}

// cleaned drops what has no place on a linear or a log axis.
func cleaned(s Series, log bool) Series {
	out := Series{Label: s.Label}
	for i := range min(len(s.X), len(s.Y)) {
		if plottable(s.X[i]) && plottable(s.Y[i]) && (!log || s.Y[i] >= leastDrawn) {
			out.X, out.Y = append(out.X, s.X[i]), append(out.Y, s.Y[i])
		}
	}
	return out
}

// highest is the largest value and when; ok is false without any.
func (s Series) highest() (v, at float64, ok bool) {
	v = math.Inf(-1)
	for i, y := range s.Y {
		if y > v {
			v, at, ok = y, s.X[i], true
		}
	}
	return v, at, ok
}

// above counts the intervals whose P99 breaks the promise.
func (in FleetInput) above(p FleetSeries) (n int) {
	if in.LimitMS == nil {
		return 0
	}
	for _, y := range p.P99.Y {
		if y > *in.LimitMS {
			n++
		}
	}
	return n
}

func (in FleetInput) row(p FleetSeries) []string {
	out := []string{p.Label, Missing, Missing, Missing, Missing, Missing}
	if v, _, ok := p.Desired.highest(); ok {
		out[1] = tickNumber(round3(v))
	}
	if v, _, ok := p.Ready.highest(); ok {
		sum := 0.0
		for _, y := range p.Ready.Y {
			sum += y
		}
		out[2], out[3] = tickNumber(round3(v)), Digits(sum/float64(len(p.Ready.Y)), 3)
	}
	if v, at, ok := p.P99.highest(); ok {
		out[4] = Latency(v) + " at " + short(round3(at)) + " s"
		if in.LimitMS != nil {
			out[5] = fmt.Sprintf("%d of %d", in.above(p), len(p.P99.Y))
		}
	}
	return out
}

// title says who breaks the promise least, or where P99 peaks.
func (in FleetInput) title() string {
	if in.LimitMS != nil {
		least, who, ties := -1, "", 0
		for _, p := range in.Policies {
			if len(p.P99.Y) == 0 {
				continue
			}
			switch n := in.above(p); {
			case least < 0 || n < least:
				least, who, ties = n, p.Label, 1
			case n == least:
				ties++
			}
		}
		limit := "P99 below " + tickLatency(*in.LimitMS)
		switch {
		case least == 0 && ties == 1:
			return who + " keeps " + limit + " all the time"
		case least == 0:
			return fmt.Sprintf("%d of %d keep %s all the time", ties, len(in.Policies), limit)
		case least > 0 && ties == 1:
			return fmt.Sprintf("%s comes nearest to %s: %s above", who, limit, plural(least, "interval"))
		case least > 0:
			return "None keeps " + limit
		}
	}
	peak, at, who := math.Inf(-1), 0.0, ""
	for _, p := range in.Policies {
		if v, x, ok := p.P99.highest(); ok && v > peak {
			peak, at, who = v, x, p.Label
		}
	}
	if who == "" {
		return "The fleet over time"
	}
	return fmt.Sprintf("P99 peaks at %s after %s s (%s)", Latency(peak), short(round3(at)), who)
}

// fleet draws the panels that have data.
func (s *scene) fleet(b box, in FleetInput, labels []string) {
	x0, x1 := math.Inf(1), math.Inf(-1)
	all := []Series{in.Load}
	for _, p := range in.Policies {
		all = append(all, p.Desired, p.Ready, p.P99)
	}
	for _, se := range all {
		for _, v := range se.X {
			x0, x1 = min(x0, v), max(x1, v)
		}
	}
	if x1 <= x0 {
		x1 = x0 + 1
	}
	if len(labels) > 1 {
		looks := make([]look, len(labels))
		for i, l := range s.fleetLooks(in.Policies) {
			looks[i] = l.look
		}
		b.top = s.lineKey(b, labels, looks)
	}
	b.left += textWidth("500 ms", tickSize, false) + 6
	b.bottom -= 24
	x := axis{lo: x0, hi: x1, p0: b.left, p1: b.right - 8, unit: "s"}
	// The load is context and gets less room than what answers it.
	shares := [3]float64{0.24, 0.38, 0.38}
	top := b.top
	part := func(k int) box {
		h := b.height() * shares[k]
		out := box{b.left, top + 13, b.right, top + h - 4}
		top += h
		return out
	}
	s.loadPanel(part(0), in.Load, x)
	s.replicaPanel(part(1), in.Policies, x)
	s.latencyPanel(part(2), in, x)
	s.drawX(box{b.left, 0, b.right, b.bottom}, x, ticks(linTicks(x0, x1, 8), func(v float64) string { return short(v) + " s" }), false)
	s.write((b.left+b.right)/2, b.bottom+23, "time since the run began", tickSize, muted, 0.5)
}

// fleetLook is how a fleet is drawn: ready replicas have dashes of their own.
type fleetLook struct {
	look
	ready []float64
}

// fleetLooks give the fleets of one policy, in two hosts, one colour: the second has
// dots where the first has a line.
func (s *scene) fleetLooks(ps []FleetSeries) []fleetLook {
	out := make([]fleetLook, len(ps))
	for i, p := range ps {
		if p.Policy == "" {
			out[i].look = s.look(p.Label, i)
			continue
		}
		first := slices.IndexFunc(ps, func(q FleetSeries) bool { return q.Policy == p.Policy })
		out[i].look = s.look(p.Policy, first)
		if first < i {
			out[i].dash, out[i].ready = dashes[2], dashes[2]
		} else {
			out[i].dash = nil
		}
	}
	return out
}

// counts is a linear axis from 0 over the values of several series.
func counts(b box, list ...Series) axis {
	lo, hi := 0.0, 0.0
	for _, se := range list {
		for _, v := range se.Y {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if hi <= lo {
		hi = lo + 1
	}
	return axis{lo: lo, hi: hi + (hi-lo)*0.08, p0: b.bottom, p1: b.top}
}

func (s *scene) loadPanel(b box, load Series, x axis) {
	y := counts(b, load)
	s.write(b.left, b.top-4, "offered load, requests/s", tickSize, text, 0)
	s.drawY(b, y, ticks(linTicks(y.lo, y.hi, 3), tickNumber))
	var line []pt
	for _, q := range thin(load, pointsOf(1)) {
		line = append(line, pt{x.at(q.x), y.at(q.y)})
	}
	line = straight(line)
	if len(line) == 0 {
		return
	}
	ground := y.at(max(y.lo, 0))
	area := append([]pt{{line[0].x, ground}}, line...)
	s.fill(muted, 0.18, append(area, pt{line[len(line)-1].x, ground})...)
	s.stroke(muted, 1.2, nil, line...)
}

func (s *scene) replicaPanel(b box, ps []FleetSeries, x axis) {
	var all []Series
	for _, p := range ps {
		all = append(all, p.Desired, p.Ready)
	}
	y := counts(b, all...)
	s.write(b.left, b.top-4, "replicas; dashed: desired", tickSize, text, 0)
	s.drawY(b, y, ticks(linTicks(y.lo, y.hi, 4), tickNumber))
	looks := s.fleetLooks(ps)
	for i, p := range ps {
		l := looks[i]
		s.series(i, func() {
			each := pointsOf(3 * len(ps))
			s.stroke(l.line, 0.9, []float64{3, 2}, steps(p.Desired, x, y, each)...)
			s.stroke(l.line, 1.5, l.ready, steps(p.Ready, x, y, each)...)
		})
	}
}

// steps are the corners of a count that holds until it changes.
func steps(se Series, x, y axis, each int) []pt {
	var out []pt
	for _, q := range thin(se, each) {
		p := pt{x.at(q.x), y.at(q.y)}
		if n := len(out); n > 0 && out[n-1].y != p.y {
			out = append(out, pt{p.x, out[n-1].y})
		}
		out = append(out, p)
	}
	return straight(out)
}

func (s *scene) latencyPanel(b box, in FleetInput, x axis) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, p := range in.Policies {
		for _, v := range p.P99.Y {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	limited := drawable(in.LimitMS)
	if limited {
		lo, hi = min(lo, *in.LimitMS), max(hi, *in.LimitMS)
	}
	lo, hi = logRange(lo, hi)
	y := axis{log: true, lo: lo, hi: hi, p0: b.bottom, p1: b.top}
	name := "P99, log scale"
	if limited {
		name += "; dotted: the limit"
	}
	s.write(b.left, b.top-4, name, tickSize, text, 0)
	s.drawY(b, y, ticks(logTicks(lo, hi, 4), tickLatency))
	if limited {
		s.stroke(text, 1, []float64{1.5, 2}, pt{b.left, y.at(*in.LimitMS)}, pt{b.right - 8, y.at(*in.LimitMS)})
	}
	looks := s.fleetLooks(in.Policies)
	for i, p := range in.Policies {
		l := looks[i].look
		s.series(i, func() {
			var line []pt
			for _, q := range thin(p.P99, pointsOf(3*len(in.Policies))) {
				line = append(line, pt{x.at(q.x), y.at(q.y)})
			}
			line = straight(line)
			if len(line) == 1 {
				s.marker(l, line[0], 2, "")
			}
			s.stroke(l.line, 1.2, l.dash, line...)
		})
	}
}
