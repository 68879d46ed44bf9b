package app

import (
	"fmt"
	"slices"
	"time"

	"taillab/cmd/taillab/internal/runner"
	"taillab/reports"
	"taillab/scenarios"
)

// summarise turns finished runs into the summary.
func (j *job) summarise(git *reports.Git) {
	p := j.plan
	chanceOnly := policyChanceOnly(p)
	confidence := j.cmd.Confidence
	transient := p.Cells[0].Setup.Measure.Transient
	auto := p.Cells[0].Setup.Measure.WarmupAuto
	cells, warnings := reports.Summarize(cellRuns(p, j.result), reports.Options{Confidence: confidence, Live: j.live != nil, Transient: transient,
		PolicyChanceOnly: chanceOnly, WarmupAuto: auto})
	warnings = slices.Concat(j.result.Warnings, warnings)
	j.sum = &reports.Summary{
		Schema: reports.SummarySchema, ToolVersion: buildOf().Version, Scenario: p.Name, ScenarioHash: p.Hash, Host: j.kind(),
		Seed: p.BaseSeed, Git: git, Machine: machineOf(), StartedAt: j.started.UTC().Format(time.RFC3339),
		Complete: j.result.Complete, Confidence: confidence, AllowOverload: p.AllowOverload, Cells: cells,
	}
	gates, judged := reports.Judge(p.Gates, cells, reports.JudgeOptions{Confidence: confidence, Live: j.live != nil, Invalid: j.live.unsound(), Transient: transient,
		AllowOverload: p.AllowOverload, PolicyChanceOnly: chanceOnly, WarmupAuto: auto, Warnings: warnings,
		Baseline: j.baseline(), Force: j.cmd.ForceVerdict})
	all := slices.Concat(p.Warnings, j.runWarnings(), warnings, judged)
	if !j.result.Complete {
		all = append(all, reports.Warning{Code: "interrupted", Message: fmt.Sprintf("%d of %d runs finished: the others are missing", j.finished(), len(j.result.Runs))})
	}
	j.sum.Gates, j.sum.Warnings, j.sum.Verdict = gates, all, reports.Overall(gates)
	if j.live.unsound() != "" { // also without gates: what compares with this run must know
		j.sum.Verdict = reports.Invalid
	}
	j.sum.WallS = time.Since(j.started).Seconds()
}

// policyChanceOnly is true when all seeds share one trace as it is.
func policyChanceOnly(p *scenarios.Plan) bool {
	w := p.Cells[0].Setup.Workload
	return w != nil && w.Trace() != nil && !w.Rotates()
}

// runWarnings collects what single runs found, each finding once per cell: the
// seeds of a cell repeat each other.
func (j *job) runWarnings() []reports.Warning {
	var out []reports.Warning
	for i := range j.result.Runs {
		r := &j.result.Runs[i]
		if r.Collector == nil {
			continue
		}
		for _, w := range r.Warnings {
			if !slices.ContainsFunc(out, func(o reports.Warning) bool {
				return o.Code == w.Code && o.Policy == w.Policy && samePoint(o.Load, w.Load)
			}) {
				out = append(out, w)
			}
		}
	}
	return out
}

func samePoint(a, b *float64) bool { return a == b || a != nil && b != nil && *a == *b }

// runsOf is a cell without runs yet.
func runsOf(c *scenarios.Cell) reports.CellRuns {
	return reports.CellRuns{Policy: c.Policy, PolicyType: c.PolicyType, Family: c.Family, Params: c.Params,
		Load: c.Load, Axes: c.Axes, RateRPS: c.RateRPS, TimeScale: c.TimeScale, Slots: c.Setup.ReplicaSlots(), Separate: c.Separate()}
}

// cellRuns sorts the runs under their cells.
func cellRuns(p *scenarios.Plan, res *runner.Result) []reports.CellRuns {
	out := make([]reports.CellRuns, len(p.Cells))
	for i, c := range p.Cells {
		out[i] = runsOf(c)
	}
	for i := range res.Runs {
		if r := &res.Runs[i]; r.Collector != nil {
			out[r.Index].Runs = append(out[r.Index].Runs, r.Collectors()...)
		}
	}
	return out
}
