package verify

import (
	"context"
	"slices"

	"taillab/cmd/taillab/internal/runner"
	"taillab/policies"
	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
)

// Options say how points are verified.
type Options struct {
	Quick      bool
	Seed       uint64 // base seed
	Jobs       int    // goroutines; 0 = GOMAXPROCS
	Confidence float64
	Correction string
	Catalog    policies.Catalog
}

// quickRequests and fullRequests are the least measured requests of each seed.
const (
	quickRequests = 20_000
	fullRequests  = 120_000
)

// A difference may be chance once in a family of checks, hardly twice: what fails is
// simulated again with seeds of its own and repeatTimes the requests, and only what
// fails again is reported. Beyond certain, the adjusted p-value leaves nothing to ask.
const (
	repeatTimes = 4
	certain     = 1e-6
)

// experiment is one point with all that is known about it.
type experiment struct {
	model  Model
	point  Point
	pred   Prediction
	size   size
	cell   *scenarios.Cell
	checks []*reports.TheoryCheck
}

// Work is what has been found good and can be run.
type Work struct {
	list []*experiment
	o    Options
	effort
	progress func(share float64)
}

// Prepare computes what theory says of the points and makes their scenarios. An error
// is the user's: a point that has no law, or takes too long.
func Prepare(points []Point, o Options) (*Work, error) {
	w := &Work{o: o, effort: effort{requests: fullRequests, seeds: seeds}}
	if o.Quick {
		w.requests = quickRequests
	}
	for _, p := range points {
		x, err := prepare(p, w.effort, o.Catalog)
		if err != nil {
			return nil, err
		}
		w.list = append(w.list, x)
	}
	return w, nil
}

// prepare computes what theory says and makes the scenario.
func prepare(p Point, e effort, catalog policies.Catalog) (*experiment, error) {
	x := &experiment{model: find(p.Case), point: p}
	var err error
	if x.pred, err = x.model.law(p); err != nil {
		return nil, err
	}
	if x.size, err = x.model.sized(p, x.pred, e); err != nil {
		return nil, err
	}
	x.cell, err = x.model.cell(p, x.pred, x.size, catalog)
	return x, err
}

// Run simulates everything, and again what disagrees, and returns the checks in the
// order of the points. They do not depend on Jobs. progress gets the share done.
func (w *Work) Run(ctx context.Context, host runner.Host, progress func(share float64)) ([]*reports.TheoryCheck, error) {
	w.progress = progress
	if err := w.simulate(ctx, host, w.list, w.from); err != nil {
		return nil, err
	}
	var all []*reports.TheoryCheck
	for _, x := range w.list {
		all = append(all, x.checks...)
	}
	reports.JudgeTheory(all, w.o.Confidence, w.o.Correction)
	return all, w.repeat(ctx, host)
}

// repeat simulates again, with seeds of its own and more requests, the points with a
// doubtful check, and puts what it finds in its place. Those are judged among themselves.
func (w *Work) repeat(ctx context.Context, host runner.Host) error {
	var again, fresh []*experiment
	for _, x := range w.list {
		if !slices.ContainsFunc(x.checks, doubtful) {
			continue
		}
		y, err := prepare(x.point, effort{requests: repeatTimes * float64(x.size.measured), seeds: w.seeds}, w.o.Catalog)
		if err != nil {
			return err
		}
		y.size.top = x.size.top // the same checks
		again, fresh = append(again, x), append(fresh, y)
	}
	if len(again) == 0 {
		return nil
	}
	if err := w.simulate(ctx, host, fresh, w.from+w.seeds); err != nil {
		return err
	}
	var judged []*reports.TheoryCheck
	for i, x := range again {
		for k, c := range x.checks {
			if doubtful(c) {
				*c = *fresh[i].checks[k]
				c.Repeated = true
				judged = append(judged, c)
			}
		}
	}
	reports.JudgeTheory(judged, w.o.Confidence, w.o.Correction)
	return nil
}

// doubtful is a check that failed, but might have by chance.
func doubtful(c *reports.TheoryCheck) bool {
	return c.Verdict == reports.Fail && c.Adjusted > certain
}

// simulate runs all seeds of all experiments and makes their checks.
func (w *Work) simulate(ctx context.Context, host runner.Host, list []*experiment, from int) error {
	var runs []scenarios.Run
	for i, x := range list {
		for k := range w.seeds {
			runs = append(runs, scenarios.Run{Cell: x.cell, Index: i, Rep: from + k, Seed: chance.RunSeed(w.o.Seed, from+k)})
		}
	}
	res := runner.DoRuns(ctx, host, runs, runner.Options{Jobs: w.o.Jobs, Progress: w.progress})
	if err := res.Err(); err != nil {
		return err
	}
	if !res.Complete {
		return ctx.Err()
	}
	of := make([][]*reports.Collector, len(list))
	for i := range res.Runs {
		r := &res.Runs[i]
		of[r.Index] = append(of[r.Index], r.Collector)
	}
	for i, x := range list {
		x.checks = x.check(of[i], w.o.Confidence)
	}
	return nil
}
