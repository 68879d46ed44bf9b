package scenarios

import (
	"math"
	"slices"
	"time"

	"taillab/reports"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// cells appends the cells of one combination of policies at one point.
func (l *loader) cells(d *draft, p point, combo []int) {
	base := Cell{Axes: map[string]any{}, Setup: d.setup,
		Balancers: make([]Policy, len(d.services)), Autoscalers: make([]Autoscaler, len(d.services))}
	for i, a := range l.sweep.axes {
		base.Axes[a.name] = axisValue(p.values[i])
	}
	places := placesOf(d.services)
	for i, pl := range places {
		base.put(pl, pl.list[combo[i]])
	}
	base.name(places, combo)
	c := d.setup.Workload
	if len(l.sweep.loads) == 0 {
		cell := base
		cell.RateRPS = c.Rate()
		d.measure.outlasts(&l.decoder, cell.RateRPS)
		cell.scale(c)
		l.plan.Cells = append(l.plan.Cells, &cell)
	}
	for _, load := range l.sweep.loads {
		cell := base
		v := load.v
		cell.Load, cell.RateRPS = &v, v*d.capacity
		d.measure.outlasts(&l.decoder, cell.RateRPS)
		cell.scale(c)
		l.plan.Cells = append(l.plan.Cells, &cell)
	}
}

func (c *Cell) scale(w *workloads.Compiled) {
	if w.Trace() != nil {
		v := w.TimeScale(c.RateRPS)
		c.TimeScale = &v
	}
}

// AtRate is the cell with arrivals at another rate per second, whatever the scenario
// says of loads and rates. Its load is nil where Capacity is not known.
func (c *Cell) AtRate(rate float64) *Cell {
	out := *c
	out.RateRPS, out.Load, out.TimeScale = rate, nil, nil
	if full := Capacity(c.Setup); full > 0 {
		load := rate / full
		out.Load = &load
	}
	out.scale(c.Setup.Workload)
	return &out
}

// Capacity is the arrival rate per second at which the fullest service of the
// configured, fault-free fleet would have load 1.
func Capacity(s *Setup) float64 {
	shares := s.Workload.ServiceShares(len(s.Services))
	fullest := 0.0
	for i := range s.Services {
		if c := serviceCapacity(&s.Services[i], s.Workload); c > 0 {
			fullest = max(fullest, shares[i]/c)
		}
	}
	if fullest == 0 {
		return 0
	}
	return 1 / fullest
}

// serviceCapacity is Σ speed · slots / E[work at the model's best batch].
func serviceCapacity(s *Service, w *workloads.Compiled) float64 {
	sum := 0.0
	for _, g := range s.Groups {
		if work := g.Model.Best(mixFor(g.Model, w)); work > 0 {
			sum += float64(g.Replicas) * g.Speed * float64(g.Model.Slots()) / work.Seconds()
		}
	}
	return sum
}

// mixFor describes the workload to a latency model.
func mixFor(m *gpu.Model, w *workloads.Compiled) gpu.Mix {
	mo := w.Moments()
	mix := gpu.Mix{
		Demand: time.Duration(math.Round(mo.Demand)),
		Input:  mo.Input, InputSq: mo.InputSq, Output: mo.Output, OutputSq: mo.OutputSq, InOut: mo.InputOutput,
	}
	spec := m.Spec()
	if knots := prefillKnots(spec); len(knots) > 0 {
		mix.MeanOver = func(f func(float64) float64) float64 { return meanOver(f, knots, w) }
	}
	return mix
}

// prefillKnots are where a prompt's time bends: at the knee, or at the points of
// a table, with some between them where it is not linear there.
func prefillKnots(s gpu.Spec) []float64 {
	if s.Kind != gpu.Tokens {
		return nil
	}
	if len(s.Prefill.Table.X) == 0 {
		if s.Prefill.Knee > 0 {
			return []float64{0, s.Prefill.Knee}
		}
		return nil
	}
	x := slices.Sorted(slices.Values(s.Prefill.Table.X))
	knots := []float64{0}
	for i, v := range x {
		if i > 0 && s.Prefill.Table.Scale == gpu.LogLog {
			for k := range 15 {
				knots = append(knots, x[i-1]+(v-x[i-1])*float64(k+1)/16)
			}
		}
		knots = append(knots, v)
	}
	slices.Sort(knots)
	return slices.Compact(knots)
}

// meanOver is E[f(input)] of a function that is linear between the knots and
// beyond the last: f(0) + Σ change of slope · E[max(0, input − knot)].
func meanOver(f func(float64) float64, knots []float64, w *workloads.Compiled) float64 {
	sum, slope := f(knots[0]), 0.0
	for i, k := range knots {
		next := k + 1
		if i+1 < len(knots) {
			next = knots[i+1]
		}
		rise := (f(next) - f(k)) / (next - k)
		sum += (rise - slope) * w.InputExcess(k)
		slope = rise
	}
	return sum
}

// warningsOf carries the workload's findings into the plan, each once.
func warningsOf(cells []*Cell) []reports.Warning {
	var out []reports.Warning
	seen := map[workloads.Warning]bool{}
	var last *Setup
	for _, c := range cells {
		if c.Setup == last {
			continue
		}
		last = c.Setup
		for _, w := range c.Setup.warnings {
			if !slices.ContainsFunc(out, func(x reports.Warning) bool { return x.Code == w.Code && x.Message == w.Message }) {
				out = append(out, w)
			}
		}
		for _, w := range c.Setup.Workload.Warnings() {
			if !seen[w] {
				seen[w] = true
				out = append(out, reports.Warning{Code: w.Code, Message: w.Message})
			}
		}
	}
	return out
}
