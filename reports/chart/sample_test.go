package chart

import (
	"math"
	"strings"
)

func ptr[T any](v T) *T { return &v }

var sampleNames = []string{"random", "round-robin", "p2c", "least-loaded-oracle", "jiq", "jiq-amnesia", "peak-ewma", "sita-e", "bounded-hash", "prequal", "central-queue", "weighted", "a|b<script>%0A", "名前の長い方針", strings.Repeat("long-", 20)}

var sampleOrigin = Origin{Scenario: "wechat-jiq", Host: "sim", Seed: 42, Seeds: 10, Commit: "4f2a9c1d77aa", Requests: 1_620_000}

// samplePP is n policies at l loads: made-up curves that look like the real ones.
func sampleP99(n, l int) P99Input {
	in := P99Input{Origin: sampleOrigin}
	for k := range l {
		in.X = append(in.X, math.Round((0.5+0.45*float64(k+1)/float64(l))*1000)/1000)
	}
	factor := []float64{3.4, 2.6, 1.15, 1.0, 0.9, 1.05, 1.2, 2.2, 1.8, 1.1, 0.96, 1.4, 1.7, 1.02, 2}
	for i := range n {
		s := P99Series{Label: sampleNames[i%len(sampleNames)]}
		for _, load := range in.X {
			f := factor[i%len(factor)]
			if i == 4 && load > 0.9 {
				f = 1.5
			}
			v, w := 60+40*f*f/(1-load), 0.02+0.03*load*f
			s.Values = append(s.Values, Value{V: ptr(v), CI: &[2]float64{v * (1 - w), v * (1 + w)}})
		}
		in.Series = append(in.Series, s)
	}
	return in
}

func sampleCCDF(n int) CCDFInput {
	in := CCDFInput{Origin: sampleOrigin, At: "85% load"}
	for _, s := range sampleP99(n, 1).Series {
		c := CCDFSeries{Label: s.Label, N: 30_000, P99: s.Values[0]}
		for k := range 60 {
			y := math.Pow(10, -5*float64(k)/59)
			c.X, c.Y = append(c.X, *s.Values[0].V*math.Pow((0.3-math.Log(y))/4.9, 1.3)), append(c.Y, y)
		}
		in.Series = append(in.Series, c)
	}
	return in
}

func sampleTail(n int) TailInput {
	in := TailInput{Origin: sampleOrigin, At: "85% load"}
	for i, s := range sampleP99(n, 1).Series {
		v := *s.Values[0].V
		b := TailBar{Label: s.Label, P99: s.Values[0], Parts: [6]*float64{ptr(0.01 * v), ptr(0.0), ptr(.02 * v), ptr(v * .57), ptr(.1 * v), ptr(.5 * v)}}
		if i == 1 {
			b.Parts[2], b.Parts[3], b.Parts[4] = nil, nil, nil
		}
		in.Bars = append(in.Bars, b)
		in.Slowest = append(in.Slowest, SlowRequest{s.Label, 5 * v, "queue 1.00 s, service 40.0 ms"})
	}
	return in
}

func sampleTimeline(n, points int) TimelineInput {
	in := TimelineInput{Origin: sampleOrigin, At: "85% load, seed 1"}
	for k, name := range []string{"queue depth", "in flight", "replicas"} {
		p := Panel{Name: name}
		for i := range n {
			s := Series{Label: sampleNames[i]}
			for t := range points {
				s.X, s.Y = append(s.X, float64(t)), append(s.Y, math.Round(float64(3-k)*(30+20*math.Sin(float64(t)/20+float64(i)))))
			}
			p.Series = append(p.Series, s)
		}
		in.Panels = append(in.Panels, p)
	}
	return in
}

// sampleQQ is n policies whose simulator is a little too fast, more so at the low end.
func sampleQQ(n int, calibrated bool) QQInput {
	in := QQInput{Origin: sampleOrigin, At: "85% load"}
	for i, c := range sampleCCDF(n).Series {
		s := QQSeries{Label: c.Label, N: 30_000, P: QQGrid(30_000)}
		for _, p := range s.P {
			live := *c.P99.V * math.Pow((0.3-math.Log(1-p))/4.9, 1.3)
			sim := max(live*(0.99-0.01*float64(i))-1.5, live/3)
			s.Live, s.Sim = append(s.Live, live), append(s.Sim, sim)
			if calibrated {
				s.Calibrated = append(s.Calibrated, sim+1.2)
			}
		}
		s.Error = ptr(-0.01 * float64(i))
		in.Series = append(in.Series, s)
	}
	return in
}

// sampleCapacity is n policies, the second of which always meets the rule and the
// third never.
func sampleCapacity(n int) CapacityInput {
	in := CapacityInput{Origin: sampleOrigin, Rule: "p99 < 600ms", Metric: "P99", Limit: 600, Unit: "ms", Setting: "offered load", Share: true}
	for i := range n {
		at := 0.95 - 0.06*float64(i%6) - 0.003*float64(i)
		r := CapacityLine{Label: sampleNames[i%len(sampleNames)], At: Value{V: ptr(at), CI: &[2]float64{at - 0.02, at + 0.015}}}
		for _, x := range []float64{-0.3, -0.1, -0.02, -0.01, 0, 0.015, 0.04} {
			v := 600 * math.Exp(4*x)
			r.X, r.Y = append(r.X, at+x), append(r.Y, Value{V: ptr(v), CI: &[2]float64{v * 0.94, v * 1.06}})
		}
		switch i {
		case 1:
			r.At, r.Note, r.All = Value{}, "≥99.5%", true
		case 2:
			r.At, r.Note = Value{}, "never met"
		}
		in.Rows = append(in.Rows, r)
	}
	return in
}

// sampleForest is n gates of every verdict, one in five without a number.
func sampleForest(n int) ForestInput {
	in := ForestInput{Origin: sampleOrigin, Of: "Change against the reference of each gate"}
	for i := range n {
		r := ForestRow{Label: "p99(" + sampleNames[i%len(sampleNames)] + ") < 1.1 * p99(p2c) at load 0.85", Limit: ptr(0.1), Word: []string{"pass", "fail", "inconclusive", "pass"}[i%4], Above: i%4 == 3}
		v := []float64{-0.3, 0.47, 0.08, 1.9}[i%4] + 0.01*float64(i)
		if i%5 != 4 {
			r.Change = Value{V: ptr(v), CI: &[2]float64{v - 0.07, v + 0.09}}
		}
		in.Rows = append(in.Rows, r)
	}
	return in
}

// sampleFrontier is n policies that trade GPU hours against misses; the last setting of
// each is beaten in both.
func sampleFrontier(n int) FrontierInput {
	in := FrontierInput{Origin: sampleOrigin, At: "85% load", X: Dimension{Name: "GPU hours"}, Y: Dimension{Name: "misses of the SLO", Log: true, Format: Share}}
	for i := range n {
		x := 20 + 7*float64(i%7) + float64(i)
		y := 0.2 * math.Exp(-0.6*float64(i%7))
		if i%3 == 2 {
			y *= 4
		}
		in.Points = append(in.Points, FrontierPoint{Label: sampleNames[i%len(sampleNames)], X: Value{V: ptr(x), CI: &[2]float64{x - 0.8, x + 0.8}}, Y: Value{V: ptr(y), CI: &[2]float64{y * 0.8, y * 1.2}}})
	}
	return in
}

// sampleFleet is n autoscalers that follow a burst, each a little later than the one
// before.
func sampleFleet(n int) FleetInput {
	in := FleetInput{Origin: sampleOrigin, At: "85% load, seed 1", LimitMS: ptr(800.0)}
	for t := range 120 {
		load := 200.0
		if t >= 30 && t < 80 {
			load = 600
		}
		in.Load.X, in.Load.Y = append(in.Load.X, float64(t)), append(in.Load.Y, load+20*math.Sin(float64(t)/3))
	}
	for i := range n {
		p := FleetSeries{Label: sampleNames[i%len(sampleNames)]}
		ready := 5.0
		for t, load := range in.Load.Y {
			at := float64(t)
			desired := math.Ceil(in.Load.Y[max(0, t-2*i)] / 40)
			if t%5 == 0 && t >= 10+3*i {
				ready = math.Ceil(in.Load.Y[t-10-3*i] / 40)
			}
			p.Desired.X, p.Desired.Y = append(p.Desired.X, at), append(p.Desired.Y, desired)
			p.Ready.X, p.Ready.Y = append(p.Ready.X, at), append(p.Ready.Y, ready)
			p.P99.X, p.P99.Y = append(p.P99.X, at), append(p.P99.Y, 150+80*math.Exp(4*(load/(ready*40)-1)))
		}
		in.Policies = append(in.Policies, p)
	}
	return in
}

// gallery is every chart at one size.
func gallery(n, loads int, th Theme) []Figure {
	p := sampleP99(n, loads)
	return []Figure{P99vsLoad(p, th), Matrix(p, th), CCDF(sampleCCDF(n), th), Tail(sampleTail(n), th), Timeline(sampleTimeline(min(n, 12), 50), th), QQ(sampleQQ(n, loads%2 == 0), th), Capacity(sampleCapacity(n), th), Forest(sampleForest(n+loads), th), Frontier(sampleFrontier(n), th), FleetTimeline(sampleFleet(min(n, 12)), th)}
}
