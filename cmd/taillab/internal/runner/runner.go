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
	"time"

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
	From int // replications before this one are left out
	// Together says that the policies at one point of the sweep are arms of one
	// comparison, in the order of the plan: the host gets them in one call.
	Together bool
	// Progress is called now and then, from one goroutine at a time, with the share
	// of the expected time that has passed, 0…1. What is learned on the way may take it
	// back a little.
	Progress func(share float64)
	// Finished is told of every run that the host has finished, pilots aside, from one
	// goroutine at a time; it may let go of what the result need not hold.
	Finished func(r *Run)
	// AsPlanned runs the plan's seeds, once, whatever precision it asks for: a live
	// host does, and a simulation beside one.
	AsPlanned  bool
	Confidence float64 // of the intervals that a precision is about; 0 = the default
}

// Run is what one replication gave.
type Run struct {
	scenarios.Run
	Collector *reports.Collector   // closed; nil when the run did not finish; of several blocks, the first
	Blocks    []*reports.Collector // of a run in blocks: one each, in order
	Timeline  []reports.TimelineRow
	Tapes     []Tape
	Warnings  []reports.Warning
	Err       error
}

// Collectors are all that a finished run gave: one, or one per block.
func (r *Run) Collectors() []*reports.Collector {
	switch {
	case r.Collector == nil:
		return nil
	case len(r.Blocks) > 0:
		return r.Blocks
	}
	return []*reports.Collector{r.Collector}
}

// Tape is one taped stream.
type Tape struct {
	Stream string
	Data   []byte
}

// Result holds the runs in plan order: cells, then replications. With a precision
// cells differ in their replications, and all policies at one point are alike.
type Result struct {
	Runs     []Run
	Complete bool              // every run finished
	Warnings []reports.Warning // what the search for a warm-up found
	Notes    []string          // for people: which warm-up was found, which precision was not reached
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

// Do runs a plan. A run that breaks is kept with its error and the others go on;
// when ctx ends, runs under way are dropped and finished ones kept. A warm-up that
// the plan leaves open is found first, by a pilot of its own; then seeds or requests
// are added until the plan's precision is reached.
func Do(ctx context.Context, h Host, p *scenarios.Plan, opt Options) *Result {
	c := newCampaign(ctx, h, p, opt)
	c.settle()
	c.first()
	c.refine()
	return c.result()
}

// DoRuns carries out runs as they are: no warm-up is sought and no seed added. One that
// breaks is kept with its error and the others go on; when ctx ends, runs under way are
// dropped and finished ones kept.
func DoRuns(ctx context.Context, h Host, runs []scenarios.Run, opt Options) *Result {
	c := &campaign{ctx: ctx, host: h, opt: opt}
	for _, r := range runs {
		c.res.Runs = append(c.res.Runs, Run{Run: r})
	}
	c.execute(c.res.Runs, opt.Progress, opt.Finished)
	c.res.Complete = ctx.Err() == nil
	for i := range c.res.Runs {
		c.res.Complete = c.res.Complete && c.res.Runs[i].Collector != nil
	}
	return &c.res
}

// execute runs a batch, several at a time, each in its place.
func (c *campaign) execute(batch []Run, progress func(float64), finished func(*Run)) {
	jobs := c.opt.Jobs
	if jobs < 1 {
		jobs = runtime.GOMAXPROCS(0)
	}
	calls := longestFirst(batch, together(batch, c.opt.Together))
	b := newBoard(batch, progress)
	b.finished = finished
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(jobs, len(calls)) {
		wg.Go(func() {
			for c.ctx.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= len(calls) {
					return
				}
				b.call(c.ctx, c.host, batch, calls[k])
			}
		})
	}
	wg.Wait()
}

// together lists the runs of every call of the host: one each, or the arms of one
// comparison.
func together(runs []Run, join bool) [][]int {
	var calls [][]int
	for i := range runs {
		k := slices.IndexFunc(calls, func(c []int) bool { return join && samePoint(&runs[c[0]], &runs[i]) })
		if k < 0 {
			calls = append(calls, []int{i})
			continue
		}
		calls[k] = append(calls[k], i)
	}
	return calls
}

// samePoint tells whether two runs are replications of one point, of the same seed.
func samePoint(a, b *Run) bool {
	return a.Rep == b.Rep && samePlace(a.Cell, b.Cell)
}

// call hands runs to the host, all of which finish or none.
func (b *board) call(ctx context.Context, h Host, runs []Run, call []int) {
	var list []scenarios.Run
	var rec recorders
	for _, i := range call {
		list = append(list, runs[i].Run)
		rec = append(rec, &recorder{run: &runs[i], index: i, board: b})
	}
	began := time.Now()
	err := h.Run(ctx, list, rec)
	if err == nil {
		b.learn(call, time.Since(began))
	}
	for k, r := range rec {
		if err != nil || !r.done {
			x := r.run
			x.Collector, x.Blocks, x.Timeline, x.Tapes = nil, nil, nil, nil
			x.Err = context.Canceled
			if err != nil && k == 0 { // one error, told once
				x.Err = err
			}
		} else if b.finished != nil {
			b.told.Lock()
			b.finished(r.run)
			b.told.Unlock()
		}
		b.set(r.index, 1)
	}
}

// longestFirst orders calls by expected cost, so that no long one is left at the end;
// but one of every policy comes first, so that soon all costs are known.
func longestFirst(runs []Run, calls [][]int) [][]int {
	cost := func(call []int) (sum float64) {
		for _, i := range call {
			sum += weight(&runs[i])
		}
		return sum
	}
	slices.SortStableFunc(calls, func(a, b []int) int { return cmp.Compare(cost(b), cost(a)) })
	seen := map[string]bool{}
	scout := map[int]bool{} // by the call's first run
	for _, c := range calls {
		if p := runs[c[0]].Cell.Policy; !seen[p] {
			seen[p], scout[c[0]] = true, true
		}
	}
	rank := func(call []int) int {
		if scout[call[0]] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(calls, func(a, b []int) int { return cmp.Compare(rank(a), rank(b)) })
	return calls
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

// recorders is the reports.Recorder of one call of the host.
type recorders []*recorder

func (l recorders) Begin(run int, s reports.Setup) *reports.Collector { return l[run].Begin(run, s) }
func (l recorders) Progress(run int, share float64)                   { l[run].Progress(run, share) }
func (l recorders) Tick(run int, row reports.TimelineRow)             { l[run].Tick(run, row) }
func (l recorders) Tape(run int, stream string, data []byte)          { l[run].Tape(run, stream, data) }
func (l recorders) Warn(run int, code, message string)                { l[run].Warn(run, code, message) }
func (l recorders) Done(run int)                                      { l[run].Done(run) }

// recorder is the reports.Recorder of one run.
type recorder struct {
	run   *Run
	index int
	board *board
	done  bool

	ticks   int  // instants of the timeline so far
	thinned uint // times that every other one was dropped
}

func (r *recorder) Begin(_ int, s reports.Setup) *reports.Collector {
	s.Sections = s.Pair == nil && r.board.single
	c := reports.NewCollector(s)
	if r.run.Collector == nil {
		r.run.Collector = c
	}
	if s.Pair != nil {
		r.run.Blocks = append(r.run.Blocks, c)
	}
	return c
}

func (r *recorder) Progress(_ int, share float64) { r.board.set(r.index, share) }

// maxRows bounds the timeline of a run. Beyond it every other instant is dropped, as
// often as it takes, so that a run of any length has a timeline of thousands of rows.
const maxRows = 16_384

func (r *recorder) Tick(_ int, row reports.TimelineRow) {
	if row.Service == 0 {
		r.ticks++
	}
	if (r.ticks-1)&(1<<r.thinned-1) != 0 {
		return
	}
	r.run.Timeline = append(r.run.Timeline, row)
	if len(r.run.Timeline) > maxRows {
		r.thin()
	}
}

// thin drops every other instant of the timeline; an instant is a row per service.
func (r *recorder) thin() {
	r.thinned++
	kept, instant := r.run.Timeline[:0], -1
	for _, row := range r.run.Timeline {
		if row.Service == 0 {
			instant++
		}
		if instant&1 == 0 {
			kept = append(kept, row)
		}
	}
	r.run.Timeline = kept
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
