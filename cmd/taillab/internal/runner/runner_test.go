package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/reports"
	"taillab/scenarios"
)

// scripted is a host that gives two blocks per run, or an error.
type scripted struct {
	mu    sync.Mutex
	calls [][]string
	err   error
}

func (h *scripted) Run(_ context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	var names []string
	for i := range runs {
		names = append(names, runs[i].Cell.Policy)
		for pair := range 2 {
			rec.Begin(i, reports.Setup{Seed: runs[i].Rep + 1, Index: pair, Pair: &pair}).Close(reports.End{})
		}
		rec.Warn(i, "host-load", "of "+runs[i].Cell.Policy)
		rec.Progress(i, 0.5)
		rec.Done(i)
	}
	h.mu.Lock()
	h.calls = append(h.calls, names)
	h.mu.Unlock()
	return h.err
}

func plan() *scenarios.Plan {
	setup := &scenarios.Setup{Measure: scenarios.Measure{Requests: 10}}
	p := &scenarios.Plan{Seeds: 2}
	for _, name := range []string{"a", "b"} {
		for _, rate := range []float64{10, 20} {
			p.Cells = append(p.Cells, &scenarios.Cell{Policy: name, RateRPS: rate, Setup: setup})
		}
	}
	return p
}

// Arms of one comparison go to the host in one call: the policies of one point and one
// repetition, in the order of the plan. Each keeps its blocks and its warnings.
func TestArmsGoTogether(t *testing.T) {
	t.Parallel()
	h := &scripted{}
	res := Do(context.Background(), h, plan(), Options{Jobs: 1, Together: true})
	require.Equal(t, [][]string{{"a", "b"}, {"a", "b"}, {"a", "b"}, {"a", "b"}}, h.calls)
	require.True(t, res.Complete)
	require.Len(t, res.Runs, 8)
	for i := range res.Runs {
		r := &res.Runs[i]
		require.Len(t, r.Collectors(), 2)
		require.Equal(t, r.Collector, r.Blocks[0])
		require.Equal(t, "of "+r.Cell.Policy, r.Warnings[0].Message)
	}
	h = &scripted{}
	Do(context.Background(), h, plan(), Options{Jobs: 1})
	require.Len(t, h.calls, 8, "else every run is a call of its own")
}

// Every run is told of once it has finished, one at a time, with all it gave; one that
// broke is not.
func TestFinishedRunsAreTold(t *testing.T) {
	t.Parallel()
	var told []string
	o := Options{Jobs: 4, Finished: func(r *Run) {
		told = append(told, fmt.Sprintf("%s %g %d %d", r.Cell.Policy, r.Cell.RateRPS, r.Rep, len(r.Warnings)))
	}}
	Do(context.Background(), &scripted{}, plan(), o)
	require.ElementsMatch(t, []string{"a 10 0 1", "a 10 1 1", "a 20 0 1", "a 20 1 1", "b 10 0 1", "b 10 1 1", "b 20 0 1", "b 20 1 1"}, told)
	told = nil
	Do(context.Background(), &scripted{err: errors.New("no backend")}, plan(), o)
	require.Empty(t, told)
}

// When a comparison breaks, all its runs are gone, and the error is told once.
func TestAComparisonBreaksAsAWhole(t *testing.T) {
	t.Parallel()
	p := plan()
	p.Seeds = 1
	res := Do(context.Background(), &scripted{err: errors.New("no backend")}, p, Options{Jobs: 1, Together: true})
	require.False(t, res.Complete)
	require.EqualError(t, res.Err(), "no backend\nno backend", "one per comparison")
	for i := range res.Runs {
		require.Nil(t, res.Runs[i].Collectors())
	}
}

// A timeline of any length keeps thousands of rows at even distances.
func TestLongTimelinesAreThinned(t *testing.T) {
	t.Parallel()
	run := &Run{}
	r := &recorder{run: run}
	for at := range 100_000 {
		for service := range 2 {
			r.Tick(0, reports.TimelineRow{At: time.Duration(at), Service: service})
		}
	}
	rows := run.Timeline
	require.Less(t, len(rows), maxRows+1)
	require.Greater(t, len(rows), maxRows/3)
	step := rows[2].At - rows[0].At
	require.Equal(t, time.Duration(16), step)
	for i, row := range rows {
		require.Equal(t, i%2, row.Service)
		require.Equal(t, time.Duration(i/2)*step, row.At)
	}
}
