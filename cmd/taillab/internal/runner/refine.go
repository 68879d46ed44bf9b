package runner

import (
	"fmt"
	"slices"

	"taillab/reports"
	"taillab/scenarios"
)

const (
	// startSeeds is the least number of seeds before the first look: with fewer the
	// half-width is little more than a guess.
	startSeeds = 10
	// maxDoublings bounds how much longer runs may become: 32 times the plan's.
	maxDoublings = 5
	// maxRequests is the longest run that a scenario may ask for, too.
	maxRequests = 1_000_000_000
)

// precision is what a cell's plan asks for, 0 for nothing.
func (c *campaign) precision(cell *scenarios.Cell) float64 {
	if c.opt.AsPlanned {
		return 0
	}
	return cell.Setup.Measure.Precision
}

// seeds is how many the first round has.
func (c *campaign) seeds(m *scenarios.Measure) int {
	if c.opt.AsPlanned || m.Precision == 0 {
		return c.plan.Seeds
	}
	return min(max(c.plan.Seeds, startSeeds), m.MaxSeeds)
}

// refine goes on until every point is as precise as its plan asks, or cannot be.
func (c *campaign) refine() {
	for c.ctx.Err() == nil {
		var more, longer []int
		for k := range c.points {
			p := &c.points[k]
			if p.over {
				continue
			}
			switch step, seeds := c.look(p); step {
			case reports.MoreSeeds:
				p.seeds = seeds
				more = append(more, k)
			case reports.LongerRuns:
				longer = append(longer, k)
			default:
				p.over = true
			}
		}
		if more == nil && longer == nil {
			return
		}
		c.round(more, longer)
	}
}

// round adds seeds to some points, and runs others anew, twice as long.
func (c *campaign) round(more, longer []int) {
	var batch []Run
	for _, k := range more {
		p := &c.points[k]
		batch = append(batch, c.list(p, c.opt.From+len(c.runs[p.cells[0]]), p.seeds)...)
	}
	added := len(batch)
	for _, k := range longer {
		p := &c.points[k]
		p.doubled++
		p.setup = p.edited(func(m *scenarios.Measure) { m.Requests, m.Horizon = 2*m.Requests, 2*m.Horizon })
		batch = append(batch, c.list(p, 0, p.seeds)...)
	}
	c.execute(batch, c.stage(false), c.opt.Finished)
	c.keep(batch[:added])
	for _, k := range longer {
		c.replace(&c.points[k], batch[added:])
	}
}

// replace puts longer runs in place of the shorter ones, once all of them are there;
// a point that was interrupted keeps what it had.
func (c *campaign) replace(p *point, batch []Run) {
	var mine []Run
	for i := range batch {
		if slices.Contains(p.cells, batch[i].Index) {
			mine = append(mine, batch[i])
		}
	}
	if len(collectors(mine)) < len(mine) {
		p.over = true
		p.doubled--
		return
	}
	for _, i := range p.cells {
		c.runs[i] = nil
	}
	c.keep(mine)
}

// look judges a point by its cells: it needs what the worst of them needs, seeds in
// all if that is more seeds. What cannot be had is noted, and is not asked for.
func (c *campaign) look(p *point) (step reports.Step, seeds int) {
	want, most := c.precision(c.cell(p)), c.cell(p).Setup.Measure.MaxSeeds
	worst, of := reports.Progress{Step: reports.Enough}, ""
	for _, i := range p.cells {
		runs := collectors(c.runs[i])
		if len(runs) < len(c.runs[i]) {
			return reports.Hopeless, 0 // a run broke or was interrupted, which is told elsewhere
		}
		cell := c.plan.Cells[i]
		cells, warnings := reports.Summarize([]reports.CellRuns{{Policy: cell.Policy, Load: cell.Load, Axes: cell.Axes, Runs: runs}},
			reports.Options{Confidence: c.opt.Confidence})
		if now := reports.NextStep(&cells[0], warnings, want); now.Step > worst.Step || now.Step == worst.Step && now.Half > worst.Half {
			worst, of = now, cell.Policy
		}
	}
	missed := fmt.Sprintf("precision ±%.4g%% not reached at %s: ", 100*want, place(c.cell(p)))
	switch {
	case worst.Step == reports.Hopeless:
		c.note("%s%s does not settle or answers nothing; neither more seeds nor longer runs would help", missed, of)
	case worst.Step == reports.LongerRuns && !c.canDouble(p):
		c.note("%s%s of %s needs longer runs than %s", missed, worst.Of, of, lengthOf(&p.setup.Measure))
		return reports.Hopeless, 0
	case worst.Step == reports.MoreSeeds && p.seeds >= most:
		c.note("%s%s of %s is known to ±%.2g%% after %d seeds, the most that measure.max_seeds allows", missed, worst.Of, of, 100*worst.Half, p.seeds)
		return reports.Hopeless, 0
	}
	return worst.Step, min(worst.Seeds, most)
}

// canDouble tells whether runs of the point can be twice as long: a trace ends.
func (c *campaign) canDouble(p *point) bool {
	m := &p.setup.Measure
	if p.doubled >= maxDoublings || 2*m.Requests > maxRequests {
		return false
	}
	_, rows := p.setup.Workload.Requests(c.cell(p).RateRPS)
	return rows == 0 || m.Horizon == 0 && 2*m.Requests <= rows
}

func lengthOf(m *scenarios.Measure) string {
	if m.Horizon > 0 {
		return m.Horizon.String()
	}
	return fmt.Sprintf("%d requests", m.Requests)
}
