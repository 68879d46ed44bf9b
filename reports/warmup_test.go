package reports

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// started is a run of 1 ms services whose first measured request comes at start; its
// one slot is busy for the given share of the time.
func started(start time.Duration, busy float64, setup Setup) *Collector {
	setup.Seed = max(setup.Seed, 1)
	c := NewCollector(setup)
	for i := range 4000 {
		r := served(uint64(i), ms)
		r.Arrived = start + time.Duration(i)*2*ms
		c.Add(&r)
	}
	c.Close(End{MeasuredTime: time.Second, ProvisionedSlotTime: time.Second, BusySlotTime: time.Duration(busy * float64(time.Second))})
	return c
}

func TestWarmupFloors(t *testing.T) {
	t.Parallel()
	short := func(in CellRuns, opt Options) bool {
		in.Policy = "x"
		c, w := one(t, in, opt)
		found := hasWarning(w, &c, "p99", "warmup-short") != ""
		gates, _ := Judge(place(t, "p99(x) < 1h"), []Cell{c}, JudgeOptions{Warnings: w})
		require.NotContains(t, *orText(gates[0].Reason), "warmup-short", "a rule of thumb bars no gate")
		return found
	}
	runs := func(start time.Duration, busy float64) []*Collector {
		return []*Collector{started(time.Hour, busy, Setup{}), started(start, busy, Setup{Seed: 2})}
	}
	require.True(t, short(CellRuns{Runs: runs(49*ms, .9)}, Options{}), "the shortest warm-up counts")
	require.False(t, short(CellRuns{Runs: runs(51*ms, .9)}, Options{}))
	require.False(t, short(CellRuns{Slots: 5, Runs: runs(11*ms, .9)}, Options{}), "more slots settle sooner")
	require.True(t, short(CellRuns{Slots: 500, Runs: runs(9*ms, .9)}, Options{}), "but no sooner than a few services")

	// Queues of their own: 3/(1−√ρ)² is 12 at ρ = 25% and 1,139 at 90%.
	require.True(t, short(CellRuns{Separate: true, Runs: runs(11*ms, .25)}, Options{}))
	require.False(t, short(CellRuns{Separate: true, Runs: runs(13*ms, .25)}, Options{}))
	require.True(t, short(CellRuns{Separate: true, Runs: runs(1100*ms, .9)}, Options{}))
	require.False(t, short(CellRuns{Separate: true, Runs: runs(1150*ms, .9)}, Options{}))

	// Slots that serve batches are busy long before they are full.
	batching := func(start time.Duration) []*Collector {
		return []*Collector{started(start, .99, Setup{NoCapacity: true})}
	}
	load := .25
	require.True(t, short(CellRuns{Separate: true, Load: &load, Runs: batching(11 * ms)}, Options{}))
	require.False(t, short(CellRuns{Separate: true, Load: &load, Runs: batching(13 * ms)}, Options{}))
	require.False(t, short(CellRuns{Separate: true, Runs: batching(51 * ms)}, Options{}), "no load is known: the rule for fleets")

	// Where the rule says nothing.
	require.False(t, short(CellRuns{Runs: runs(0, .9)}, Options{WarmupAuto: true}))
	require.False(t, short(CellRuns{Runs: runs(0, .9)}, Options{Transient: true}))
	require.False(t, short(CellRuns{Runs: []*Collector{started(0, .9, Setup{Opaque: true})}}, Options{}))
	pair := 0
	require.False(t, short(CellRuns{Runs: []*Collector{started(0, .9, Setup{Pair: &pair})}}, Options{}))
}

// When the warm-up was looked for and not found, no latency gate is judged.
func TestNoSteadyStateNoGate(t *testing.T) {
	t.Parallel()
	c, _ := one(t, CellRuns{Policy: "x", Runs: seedRuns(t, .5, 5000, 5)}, Options{WarmupAuto: true})
	opt := JudgeOptions{WarmupAuto: true, Warnings: []Warning{{Code: "warmup-short", Policy: "x"}}}
	gates, _ := Judge(append(place(t, "p99(x) < 1h"), place(t, "error_rate(x) < 1%")...), []Cell{c}, opt)
	require.Equal(t, Inconclusive, gates[0].Verdict)
	require.Contains(t, *gates[0].Reason, "warmup-short")
	require.Equal(t, Pass, gates[1].Verdict, "errors need no steady state of the latency")
	opt.Warnings[0].Policy = "y"
	gates, _ = Judge(place(t, "p99(x) < 1h"), []Cell{c}, opt)
	require.Equal(t, Pass, gates[0].Verdict)
}
