package runner

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
)

// campaign is the work on one plan: rounds of runs, each of which may depend on what
// the rounds before have shown. Everything it decides follows from results alone, so
// it decides the same with any number of jobs.
type campaign struct {
	ctx    context.Context
	host   Host
	plan   *scenarios.Plan
	opt    Options
	runs   [][]Run // by cell of the plan, then replication
	points []point
	res    Result
	done   float64 // progress of the rounds before
}

// point is the cells that differ in their policy only. They share arrivals, demands,
// warm-up, seeds and length, so that they can be compared in pairs.
type point struct {
	cells   []int // of the plan
	setup   *scenarios.Setup
	seeds   int
	doubled int // how often the runs were made twice as long
	over    bool
}

func newCampaign(ctx context.Context, h Host, p *scenarios.Plan, opt Options) *campaign {
	c := &campaign{ctx: ctx, host: h, plan: p, opt: opt, runs: make([][]Run, len(p.Cells))}
	for i, cell := range p.Cells {
		k := 0
		for k < len(c.points) && !samePlace(c.cell(&c.points[k]), cell) {
			k++
		}
		if k == len(c.points) {
			c.points = append(c.points, point{setup: cell.Setup, seeds: c.seeds(&cell.Setup.Measure), over: c.precision(cell) == 0})
		}
		c.points[k].cells = append(c.points[k].cells, i)
	}
	return c
}

// cell is one of a point.
func (c *campaign) cell(p *point) *scenarios.Cell { return c.plan.Cells[p.cells[0]] }

// samePlace tells whether two cells differ in their policy only.
func samePlace(a, b *scenarios.Cell) bool { return a.Setup == b.Setup && a.RateRPS == b.RateRPS }

// list makes the runs of a point's cells for replications from…to−1.
func (c *campaign) list(p *point, from, to int) []Run {
	var out []Run
	for _, i := range p.cells {
		cell := c.plan.Cells[i]
		if cell.Setup != p.setup {
			own := *cell
			own.Setup = p.setup
			cell = &own
		}
		for k := max(from, c.opt.From); k < to; k++ {
			out = append(out, Run{Run: scenarios.Run{Cell: cell, Index: i, Rep: k, Seed: chance.RunSeed(c.plan.BaseSeed, k)}})
		}
	}
	return out
}

// first runs what the plan asks for.
func (c *campaign) first() {
	last := true
	var batch []Run
	for k := range c.points {
		batch = append(batch, c.list(&c.points[k], 0, c.points[k].seeds)...)
		last = last && c.points[k].over
	}
	c.execute(batch, c.stage(last), c.opt.Finished)
	c.keep(batch)
}

// keep puts the runs of a batch under their cells.
func (c *campaign) keep(batch []Run) {
	for i := range batch {
		c.runs[batch[i].Index] = append(c.runs[batch[i].Index], batch[i])
	}
}

// stage is the progress of a round. Nobody knows how many there will be: each but
// the last fills half of what was left.
func (c *campaign) stage(last bool) func(float64) {
	from, to := c.done, 1.0
	if !last {
		to = (1 + from) / 2
	}
	c.done = to
	if c.opt.Progress == nil {
		return nil
	}
	return func(share float64) { c.opt.Progress(from + share*(to-from)) }
}

// result joins the runs of all cells.
func (c *campaign) result() *Result {
	for k := range c.points {
		if p := &c.points[k]; p.doubled > 0 {
			c.note("runs at %s are %d times as long as planned, %s each: shorter ones did not carry their percentiles",
				place(c.cell(p)), 1<<p.doubled, lengthOf(&p.setup.Measure))
		}
	}
	c.res.Complete = c.ctx.Err() == nil
	for _, list := range c.runs {
		for i := range list {
			c.res.Complete = c.res.Complete && list[i].Collector != nil
		}
		c.res.Runs = append(c.res.Runs, list...)
	}
	if c.res.Complete && c.opt.Progress != nil {
		c.opt.Progress(1)
	}
	return &c.res
}

// collectors are those of the finished runs among some.
func collectors(runs []Run) []*reports.Collector {
	var out []*reports.Collector
	for i := range runs {
		out = append(out, runs[i].Collectors()...)
	}
	return out
}

// pilotSeeds bounds the pilot: it averages the seeds to see through their noise, and
// ten are enough for that.
const pilotSeeds = 10

// settle finds the warm-up of the points that leave it open. Each runs once from its
// first request on, and MSER-5 tells of every policy when it had settled; the latest
// of them is the warm-up of all, so that paired runs drop the same window. A policy
// that does not settle is named, and does not count.
func (c *campaign) settle() {
	var batch []Run
	for k := range c.points {
		p := &c.points[k]
		if c.opt.AsPlanned || !p.setup.Measure.WarmupAuto {
			continue
		}
		pilot := *p
		pilot.setup = p.edited(func(m *scenarios.Measure) { m.Tape = false })
		batch = append(batch, c.list(&pilot, 0, min(p.seeds, pilotSeeds))...)
	}
	if batch == nil {
		return
	}
	c.execute(batch, c.stage(false), nil)
	for k := range c.points {
		if p := &c.points[k]; p.setup.Measure.WarmupAuto {
			c.warmUp(p, batch)
		}
	}
}

// warmUp reads the warm-up of a point from the pilot.
func (c *campaign) warmUp(p *point, pilot []Run) {
	longest, half, settled := time.Duration(0), time.Duration(0), false
	for _, i := range p.cells {
		var runs []*reports.Collector
		for k := range pilot {
			if pilot[k].Index == i {
				runs = append(runs, pilot[k].Collectors()...)
			}
		}
		if len(runs) == 0 {
			continue // interrupted or broken: so will be the runs themselves
		}
		half = runs[0].MeasuredTime() / 2
		cut, ok := reports.WarmUp(runs)
		if ok {
			settled, longest = true, max(longest, cut)
			continue
		}
		cell := c.plan.Cells[i]
		w := reports.Warning{Code: "warmup-short", Policy: cell.Policy, Load: cell.Load,
			Message: "no steady state in the first half of the run (MSER-5): what follows describes the length of the run; use more requests"}
		if len(cell.Axes) > 0 {
			w.Axes = cell.Axes
		}
		c.res.Warnings = append(c.res.Warnings, w)
	}
	if !settled {
		longest = half
	}
	p.setup = p.edited(func(m *scenarios.Measure) { m.WarmupAuto, m.WarmupTime = false, longest })
	c.note("warm-up at %s: %v", place(c.cell(p)), longest.Round(time.Millisecond))
}

// edited is the setup of a point with another Measure.
func (p *point) edited(edit func(*scenarios.Measure)) *scenarios.Setup {
	s := *p.setup
	edit(&s.Measure)
	return &s
}

func (c *campaign) note(format string, args ...any) {
	c.res.Notes = append(c.res.Notes, fmt.Sprintf(format, args...))
}

// place names a point of the sweep.
func place(c *scenarios.Cell) string {
	s := fmt.Sprintf("%.4g requests/s", c.RateRPS)
	if c.Load != nil {
		s = fmt.Sprintf("%.4g%% load", 100**c.Load)
	}
	for _, k := range slices.Sorted(maps.Keys(c.Axes)) {
		s += fmt.Sprintf(", %s %v", k, c.Axes[k])
	}
	return s
}
