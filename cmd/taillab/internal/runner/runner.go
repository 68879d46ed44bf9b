// Package runner spreads the runs of a plan over goroutines and gathers what they
// give. Parallelism is over (cell, seed), never inside a run; results are placed
// by index, so they do not depend on the number of jobs.
package runner

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
)

// Host runs replications: the simulator, or a live driver. Several runs in one
// call are arms of one comparison, which a live host interleaves.
type Host interface {
	Run(ctx context.Context, runs []scenarios.Run, rec reports.Recorder) error
}

// Options of Run.
type Options struct {
	Jobs int // goroutines; 0 = GOMAXPROCS
	// Progress is called now and then, from one goroutine at a time, with the share
	// of the work done, 0…1, weighted by requests.
	Progress func(share float64)
}

// Run is what one replication gave.
type Run struct {
	scenarios.Run
	Collector *reports.Collector // closed; nil when the run did not finish
	Timeline  []reports.TimelineRow
	Tapes     []Tape
	Warnings  []reports.Warning
	Err       error
}

// Tape is one taped stream.
type Tape struct {
	Stream string
	Data   []byte
}

// Result holds the runs in plan order: cells, then replications.
type Result struct {
	Runs     []Run
	Complete bool // every run finished
}

// Err joins the errors of the runs that broke, not the interruption.
func (r *Result) Err() error {
	var errs []error
	for i := range r.Runs {
		if err := r.Runs[i].Err; err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Expand lists the runs of a plan in order: cells, then replications.
func Expand(p *scenarios.Plan) []scenarios.Run {
	runs := make([]scenarios.Run, 0, len(p.Cells)*p.Seeds)
	for i, c := range p.Cells {
		for k := range p.Seeds {
			runs = append(runs, scenarios.Run{Cell: c, Index: i, Rep: k, Seed: chance.RunSeed(p.BaseSeed, k)})
		}
	}
	return runs
}

// Do runs a plan. A run that breaks is kept with its error and the others go on;
// when ctx ends, runs under way are dropped and finished ones kept.
func Do(ctx context.Context, h Host, p *scenarios.Plan, opt Options) *Result {
	res := &Result{}
	for _, r := range Expand(p) {
		res.Runs = append(res.Runs, Run{Run: r})
	}
	jobs := opt.Jobs
	if jobs < 1 {
		jobs = runtime.GOMAXPROCS(0)
	}
	order := longestFirst(res.Runs)
	b := newBoard(res, opt.Progress)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(jobs, len(order)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= len(order) {
					return
				}
				res.Runs[order[k]].run(ctx, h, order[k], b)
			}
		})
	}
	wg.Wait()
	res.Complete = ctx.Err() == nil
	for i := range res.Runs {
		res.Complete = res.Complete && res.Runs[i].Collector != nil
	}
	return res
}

func (r *Run) run(ctx context.Context, h Host, i int, b *board) {
	rec := &recorder{run: r, index: i, board: b}
	err := h.Run(ctx, []scenarios.Run{r.Run}, rec)
	if err != nil || !rec.done {
		r.Collector, r.Timeline, r.Tapes = nil, nil, nil
		r.Err = err
		if err == nil {
			r.Err = context.Canceled
		}
	}
	b.set(i, 1)
}

// longestFirst orders runs by expected cost, so that no long one is left at the end.
func longestFirst(runs []Run) []int {
	order := make([]int, len(runs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weight(&runs[b]), weight(&runs[a])) })
	return order
}

// weight is a run's expected cost: requests, more where queues are longer.
func weight(r *Run) float64 {
	m := &r.Cell.Setup.Measure
	n := float64(m.Requests)
	if m.Horizon > 0 {
		n = m.Horizon.Seconds() * r.Cell.RateRPS
	}
	if r.Cell.Load != nil {
		n *= 1 + *r.Cell.Load
	}
	return max(n, 1)
}

// recorder is the reports.Recorder of one run.
type recorder struct {
	run   *Run
	index int
	board *board
	done  bool
}

func (r *recorder) Begin(_ int, s reports.Setup) *reports.Collector {
	s.Sections = r.board.single
	r.run.Collector = reports.NewCollector(s)
	return r.run.Collector
}

func (r *recorder) Progress(_ int, share float64) { r.board.set(r.index, share) }

func (r *recorder) Tick(_ int, row reports.TimelineRow) {
	r.run.Timeline = append(r.run.Timeline, row)
}

func (r *recorder) Tape(_ int, stream string, data []byte) {
	r.run.Tapes = append(r.run.Tapes, Tape{stream, slices.Clone(data)})
}

func (r *recorder) Warn(_ int, code, message string) {
	seed := r.run.Rep + 1
	r.run.Warnings = append(r.run.Warnings, reports.Warning{Code: code, Message: message,
		Policy: r.run.Cell.Policy, Load: r.run.Cell.Load, Seed: &seed})
}

func (r *recorder) Done(int) { r.done = true }

// board adds up the progress of all runs.
type board struct {
	mu     sync.Mutex
	shares []float64
	weight []float64
	total  float64
	done   float64
	report func(float64)
	single bool // one replication per cell
}

func newBoard(res *Result, report func(float64)) *board {
	b := &board{report: report, shares: make([]float64, len(res.Runs)), weight: make([]float64, len(res.Runs)), single: true}
	for i := range res.Runs {
		b.weight[i] = weight(&res.Runs[i])
		b.total += b.weight[i]
		b.single = b.single && res.Runs[i].Rep == 0
	}
	return b
}

func (b *board) set(i int, share float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if share <= b.shares[i] {
		return
	}
	b.done += (share - b.shares[i]) * b.weight[i]
	b.shares[i] = share
	if b.report != nil {
		b.report(b.done / b.total)
	}
}
