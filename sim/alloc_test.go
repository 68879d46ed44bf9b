package sim

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
)

// allocations is a Recorder that counts allocations between two shares of a run.
type allocations struct {
	keep
	from, to     float64
	begin, end   runtime.MemStats
	begun, ended bool
}

func (a *allocations) Progress(_ int, share float64) {
	switch {
	case !a.begun && share >= a.from:
		a.begun = true
		runtime.ReadMemStats(&a.begin)
	case !a.ended && share >= a.to:
		a.ended = true
		runtime.ReadMemStats(&a.end)
	}
}

// In steady state no event allocates: fewer than one allocation in 10,000 requests,
// which is what pages of histograms met for the first time and pools at a new
// maximum cost. The tests around it run meanwhile, hence it is not parallel.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	for _, c := range []struct {
		name string
		m    int
	}{{"p2c", 1}, {"p2c", 10}, {"jiq", 10}, {"jiq-amnesia", 10}} {
		s := spec{n: 100, m: c.m, rho: .9, service: expo(), make: policy(c.name), requests: 400_000}
		a := &allocations{from: .3, to: .97}
		run := scenarios.Run{Cell: s.cell(t), Seed: chance.RunSeed(1, 0)}
		require.NoError(t, Host{}.Run(context.Background(), []scenarios.Run{run}, a))
		require.True(t, a.begun && a.ended)
		require.Less(t, a.end.Mallocs-a.begin.Mallocs, uint64(40), "%s with %d front ends", c.name, c.m)
	}
}

// Bytes of the heap per replica once a run of a large fleet is under way, against
// what docs/performance.md says: a table that grew by a column would show here.
func TestMemoryPerReplica(t *testing.T) {
	const n = 20_000
	for _, c := range []struct {
		name string
		m    int
		most float64 // bytes per replica
	}{{"p2c", 1, 950}, {"p2c", 10, 1000}, {"jiq", 10, 1400}, {"jiq-amnesia", 10, 1750}} {
		s := spec{n: n, m: c.m, rho: .9, service: expo(), make: policy(c.name), requests: 4 * n}
		run := scenarios.Run{Cell: s.cell(t), Seed: chance.RunSeed(1, 0)}
		b := &bytesHeld{}
		runtime.GC()
		runtime.ReadMemStats(&b.before)
		require.NoError(t, Host{}.Run(context.Background(), []scenarios.Run{run}, b))
		per := float64(b.at.HeapAlloc-b.before.HeapAlloc) / n
		t.Logf("%s, %d front ends: %.0f B per replica", c.name, c.m, per)
		require.Less(t, per, c.most, "%s with %d front ends", c.name, c.m)
	}
}

// bytesHeld is a Recorder that looks at the live heap in the middle of the run.
type bytesHeld struct {
	keep
	before, at runtime.MemStats
}

func (b *bytesHeld) Progress(_ int, share float64) {
	if b.at.NumGC == 0 && share > .9 {
		runtime.GC()
		runtime.ReadMemStats(&b.at)
	}
}

var _ reports.Recorder = (*bytesHeld)(nil)
