package app

import (
	"maps"
	"slices"
	"strings"

	"taillab/cmd/taillab/internal/capacity"
	"taillab/cmd/taillab/internal/runner"
	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim"
)

// series is the search for one policy, at one point of the axes that the scenario
// sweeps beside the load.
type series struct {
	template *scenarios.Cell
	search   *capacity.Search
	seen     map[int]*setting
}

// setting is what is known of a policy at one setting.
type setting struct {
	cell     *scenarios.Cell
	runs     []*reports.Collector
	point    reports.CapacityPoint
	warnings []reports.Warning

	unsettled bool // the pilot did not find a warm-up
}

func (q *quest) addSeries(cell *scenarios.Cell) {
	for _, x := range q.series {
		if seriesName(x.template) == seriesName(cell) {
			return
		}
	}
	q.series = append(q.series, &series{template: cell, search: capacity.New(q.vary.count(), q.few, q.many), seen: map[int]*setting{}})
}

// question is what one search asks next.
type question struct {
	series *series
	point  int
	seeds  int
	target *setting
}

// search answers the questions of all policies side by side, until none is left or
// the work is interrupted. It tells of runs that break.
func (q *quest) search() (complete bool) {
	bar := q.s.progress(q.plan.Name, q.cmd.UI)
	defer bar.end()
	expected := len(q.series) * (8*q.few + 8*q.many) // as a search costs on the whole
	for {
		questions, err := q.ask()
		if err != nil {
			q.broken = true
			q.s.fail(exitBroken, "", "%s: %v", q.plan.Name, err)
			return false
		}
		if len(questions) == 0 {
			return true
		}
		do := func(runs []scenarios.Run) *runner.Result {
			before, part := float64(q.runs), float64(len(runs))
			return q.execute(runs, func(x float64) { bar.update(min((before+x*part)/float64(expected), 0.99)) })
		}
		if !q.settle(questions, do) {
			return false
		}
		var runs []scenarios.Run
		for i, a := range questions {
			runs = append(runs, q.list(a.target.cell, i, len(a.target.runs), a.seeds)...)
		}
		res := do(runs)
		if res == nil {
			return false
		}
		q.answer(questions, res)
	}
}

// list makes the runs of a cell for replications from…to−1, which answer question i.
func (q *quest) list(cell *scenarios.Cell, i, from, to int) (runs []scenarios.Run) {
	for rep := from; rep < to; rep++ {
		runs = append(runs, scenarios.Run{Cell: cell, Index: i, Rep: rep, Seed: chance.RunSeed(q.plan.BaseSeed, rep)})
	}
	return runs
}

// execute makes runs; nil when they were interrupted or broke, which is told.
func (q *quest) execute(runs []scenarios.Run, progress func(float64)) *runner.Result {
	res := runner.DoRuns(q.s.ctx, sim.Host{}, runs, runner.Options{Jobs: q.cmd.Jobs, Progress: progress})
	if err := res.Err(); err != nil {
		q.broken = true
		first, _, _ := strings.Cut(err.Error(), "\n") // the others repeat it
		q.s.fail(exitBroken, "", "%s: %s", q.plan.Name, first)
		return nil
	}
	if !res.Complete {
		return nil
	}
	q.runs += len(res.Runs)
	return res
}

// pilotSeeds bounds a pilot, as that of a run.
const pilotSeeds = 10

// settle finds the warm-up of the settings that leave it open, by a pilot of each from
// its first request on (MSER-5). A policy that does not settle in the first half of it
// has no percentile there and does not meet a rule on one. False when the pilots were
// not made.
func (q *quest) settle(questions []question, do func([]scenarios.Run) *runner.Result) bool {
	var runs []scenarios.Run
	for i, a := range questions {
		if a.target.cell.Setup.Measure.WarmupAuto {
			runs = append(runs, q.list(withMeasure(a.target.cell, func(m *scenarios.Measure) { m.Tape = false }), i, 0, min(a.seeds, pilotSeeds))...)
		}
	}
	if runs == nil {
		return true
	}
	res := do(runs)
	if res == nil {
		return false
	}
	pilots := make([][]*reports.Collector, len(questions))
	for i := range res.Runs {
		pilots[res.Runs[i].Index] = append(pilots[res.Runs[i].Index], res.Runs[i].Collectors()...)
	}
	for i, pilot := range pilots {
		if pilot == nil {
			continue
		}
		t := questions[i].target
		cut, ok := reports.WarmUp(pilot)
		if !ok {
			cut, t.unsettled = pilot[0].MeasuredTime()/2, true
		}
		t.cell = withMeasure(t.cell, func(m *scenarios.Measure) { m.WarmupAuto, m.WarmupTime = false, cut })
	}
	return true
}

// withMeasure is a cell with another Measure.
func withMeasure(c *scenarios.Cell, edit func(*scenarios.Measure)) *scenarios.Cell {
	cell, setup := *c, *c.Setup
	edit(&setup.Measure)
	cell.Setup = &setup
	return &cell
}

// ask collects the next question of every search. What needs no run is answered at
// once.
func (q *quest) ask() (questions []question, err error) {
	for _, x := range q.series {
		for {
			point, seeds, ok := x.search.Next()
			if !ok {
				break
			}
			t := x.seen[point]
			if t == nil {
				cell, why, err := q.vary.cell(x.template, point)
				if err != nil {
					return nil, err
				}
				t = &setting{cell: cell}
				x.seen[point] = t
				if why != "" {
					t.point = reports.CapacityPoint{At: q.vary.at(point), Load: cell.Load, RateRPS: cell.RateRPS, Verdict: reports.Fail, Reason: &why}
				}
			}
			if len(t.runs) >= seeds || t.point.Verdict == reports.Fail && t.point.Seeds == 0 {
				x.search.Add(point, seeds, answerOf(&t.point))
				continue
			}
			questions = append(questions, question{x, point, seeds, t})
			break
		}
	}
	return questions, nil
}

// answer judges the settings that were measured.
func (q *quest) answer(questions []question, res *runner.Result) {
	for i := range res.Runs {
		t := questions[res.Runs[i].Index].target
		t.runs = append(t.runs, res.Runs[i].Collectors()...)
	}
	auto := q.plan.Cells[0].Setup.Measure.WarmupAuto
	for _, a := range questions {
		c, t := a.target.cell, a.target
		in := runsOf(c)
		in.Runs = t.runs
		cells, warnings := reports.Summarize([]reports.CellRuns{in}, reports.Options{Confidence: q.cmd.Confidence, WarmupAuto: auto})
		if t.unsettled {
			warnings = append(warnings, reports.Warning{Code: "warmup-short", Policy: c.Policy, Load: c.Load, Axes: c.Axes,
				Message: "no steady state in the first half of the pilot (MSER-5); use more requests"})
		}
		t.point = reports.JudgeSLO(q.rule, &cells[0], reports.JudgeOptions{Confidence: q.cmd.Confidence, AllowOverload: q.plan.AllowOverload, WarmupAuto: auto, Warnings: warnings})
		t.point.At, t.warnings = q.vary.at(a.point), warnings
		q.s.log.Debug("measured", "policy", c.Policy, "at", t.point.At, "seeds", a.seeds, "verdict", t.point.Verdict)
		a.series.search.Add(a.point, a.seeds, answerOf(&t.point))
	}
}

func answerOf(p *reports.CapacityPoint) capacity.Answer {
	a := capacity.Answer{Below: p.Below}
	switch p.Verdict {
	case reports.Pass:
		a.Side = capacity.Met
	case reports.Fail:
		a.Side = capacity.Missed
	}
	return a
}

// row is the answer of one search, with what its reader must know.
func (x *series) row(q *quest) (reports.CapacityRow, []reports.Warning) {
	r := x.search.Result()
	row := reports.CapacityRow{Policy: x.template.Policy, PolicyType: x.template.PolicyType, Axes: x.template.Axes}
	if !r.Done {
		row.Outcome = reports.CapacityOpen
	}
	points := map[int]reports.CapacityPoint{}
	for _, i := range slices.Sorted(maps.Keys(x.seen)) {
		t := x.seen[i]
		row.Runs += len(t.runs)
		if t.point.Verdict == "" { // interrupted before it was measured
			continue
		}
		points[i] = t.point
		row.Points = append(row.Points, t.point)
	}
	row.Locate(&q.doc, points, q.vary.at, q.vary.count(), r.Passes, r.Cross, r.Fails)
	var warnings []reports.Warning
	if r.Tangled {
		warnings = append(warnings, reports.Warning{Code: "not-monotone", Policy: row.Policy, Axes: row.Axes,
			Message: "the rule is missed at one setting and met at a harder one: there may be several thresholds"})
	}
	for _, i := range []int{r.Passes, r.Cross, r.Fails} {
		if t := x.seen[i]; t != nil {
			warnings = mergeWarnings(warnings, t.warnings, q.rule.Left.Name)
		}
	}
	return row, warnings
}

// mergeWarnings adds those about the metric, each code once: the settings around a
// threshold repeat each other. Instability is what a threshold is made of.
func mergeWarnings(have, more []reports.Warning, metric string) []reports.Warning {
	for _, w := range more {
		other := w.Metric != "" && w.Metric != metric || w.Code == "few-samples" && !strings.HasPrefix(w.Message, metric+" ")
		if other || w.Code == "unstable" || w.Code == "few-seeds" {
			continue
		}
		if !slices.ContainsFunc(have, func(h reports.Warning) bool { return h.Code == w.Code }) {
			w.Load, w.Message = nil, "near the threshold: "+w.Message
			have = append(have, w)
		}
	}
	return have
}
