package runner

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/workloads"
)

// lottery is a host whose latencies follow from the policy's name, the seed and the
// length of the run.
type lottery struct {
	spread map[string]float64 // of ln(latency) between seeds, by policy
	ramp   map[string]bool    // policies whose queue grows to the end
	short  int                // runs below so many requests show their slow phase in some seeds only
	cold   bool               // in the first tenth of the run 30 requests wait at a time
	fail   error

	mu   sync.Mutex
	runs []scenarios.Run
}

func (h *lottery) Run(_ context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	h.mu.Lock()
	h.runs = append(h.runs, runs...)
	h.mu.Unlock()
	if h.fail != nil {
		return h.fail
	}
	for i, r := range runs {
		h.one(rec.Begin(i, reports.Setup{Seed: r.Rep + 1, Requests: int64(r.Cell.Setup.Measure.Requests)}), r)
		rec.Done(i)
	}
	return nil
}

func (h *lottery) one(c *reports.Collector, r scenarios.Run) {
	const gap = 10 * time.Millisecond
	rng := rand.New(rand.NewPCG(r.Seed, 1))
	scale := math.Exp(h.spread[r.Cell.Policy] * rng.NormFloat64())
	n := r.Cell.Setup.Measure.Requests
	for k := range n {
		at := time.Duration(k) * gap
		latency := time.Duration(scale * float64(time.Millisecond) * rng.ExpFloat64())
		if k%50 == 0 && n < h.short && r.Rep%3 == 0 {
			latency *= 20
		}
		if h.cold && k < n/10 {
			latency = 30 * gap
		}
		if h.ramp[r.Cell.Policy] {
			latency = time.Duration(k) * gap
		}
		c.Add(&reports.Record{Request: uint64(k), Arrived: at, Latency: latency, TTFT: -1, TPOT: -1,
			Steps: reports.Steps{Service: latency}, Replica: reports.NoReplica})
	}
	c.Close(reports.End{MeasuredTime: time.Duration(n) * gap})
}

// seedsOf counts the finished replications of each cell and their lengths.
func seedsOf(t *testing.T, res *Result) (seeds map[string]int, requests map[string]int64) {
	t.Helper()
	seeds, requests = map[string]int{}, map[string]int64{}
	for i := range res.Runs {
		r := &res.Runs[i]
		require.Equal(t, seeds[r.Cell.Policy], r.Rep, "replications in order")
		require.Equal(t, chance.RunSeed(7, r.Rep), r.Seed)
		require.NotNil(t, r.Collector)
		seeds[r.Cell.Policy]++
		requests[r.Cell.Policy] = r.Collector.Part().Requests
	}
	return seeds, requests
}

func study(t *testing.T, m scenarios.Measure, names ...string) *scenarios.Plan {
	t.Helper()
	w := workloads.NewSpec()
	w.Demand = workloads.Constant(1e6)
	c, problems := workloads.Compile(w, workloads.Options{Services: []string{"main"}})
	require.Empty(t, problems)
	p := &scenarios.Plan{Seeds: 3, BaseSeed: 7}
	for _, name := range names {
		p.Cells = append(p.Cells, &scenarios.Cell{Policy: name, RateRPS: 100})
	}
	for _, cell := range p.Cells {
		cell.Setup = &scenarios.Setup{Measure: m, Workload: c}
		if cell != p.Cells[0] {
			cell.Setup = p.Cells[0].Setup
		}
	}
	return p
}

// Seeds are added until the widest interval of a point is narrow enough, for all its
// policies alike; the seeds that were there stay.
func TestPrecisionAddsSeeds(t *testing.T) {
	t.Parallel()
	h := &lottery{spread: map[string]float64{"wild": .05}}
	m := scenarios.Measure{Requests: 10_000, Precision: .02, MaxSeeds: 500}
	var shares []float64
	res := Do(context.Background(), h, study(t, m, "calm", "wild"), Options{Jobs: 2, Progress: func(x float64) { shares = append(shares, x) }})
	seeds, requests := seedsOf(t, res)
	require.Equal(t, seeds["wild"], seeds["calm"], "pairs need the same seeds")
	// P99 of 10,000 exponential values is known to 2.2%, the scale of a seed to 5%: the
	// half-width 1.96 · 0.055/√n falls below ln 1.02 at n = 30 or so.
	require.InDelta(t, 30, seeds["wild"], 12)
	require.Equal(t, int64(10_000), requests["wild"])
	require.Len(t, h.runs, 2*seeds["wild"], "no seed is run twice")
	require.Empty(t, res.Notes)
	require.True(t, res.Complete)
	require.LessOrEqual(t, slices.Max(shares), 1.0)
	require.Equal(t, 1.0, shares[len(shares)-1])

	again := Do(context.Background(), h, study(t, m, "calm", "wild"), Options{Jobs: 1})
	require.Len(t, again.Runs, len(res.Runs), "whatever the jobs")
	planned := Do(context.Background(), h, study(t, m, "calm", "wild"), Options{AsPlanned: true})
	require.Len(t, planned.Runs, 6)
	rest := Do(context.Background(), h, study(t, m, "calm", "wild"), Options{AsPlanned: true, From: 2})
	require.Len(t, rest.Runs, 2)
	require.Equal(t, 2, rest.Runs[1].Rep)
}

func TestPrecisionStopsAtTheCap(t *testing.T) {
	t.Parallel()
	h := &lottery{spread: map[string]float64{"wild": .05}}
	res := Do(context.Background(), h, study(t, scenarios.Measure{Requests: 3000, Precision: .01, MaxSeeds: 25}, "wild"), Options{})
	seeds, _ := seedsOf(t, res)
	require.Equal(t, 25, seeds["wild"])
	require.Len(t, res.Notes, 1)
	require.Regexp(t, `^precision ±1% not reached at 100 requests/s: p\d+ of wild is known to ±[\d.]+% after 25 seeds`, res.Notes[0])
}

// Seeds too short for their P99 are biased, and more of them would not help.
func TestPrecisionLengthensRuns(t *testing.T) {
	t.Parallel()
	h := &lottery{short: 10_000}
	res := Do(context.Background(), h, study(t, scenarios.Measure{Requests: 3000, Precision: .1, MaxSeeds: 100}, "a", "b"), Options{})
	seeds, requests := seedsOf(t, res)
	require.Equal(t, map[string]int64{"a": 12_000, "b": 12_000}, requests)
	require.Equal(t, map[string]int{"a": 10, "b": 10}, seeds)
	require.Equal(t, []string{"runs at 100 requests/s are 4 times as long as planned, 12000 requests each: shorter ones did not carry their percentiles"}, res.Notes)

	h.short = 1 << 30
	res = Do(context.Background(), h, study(t, scenarios.Measure{Requests: 100, Precision: .1, MaxSeeds: 100}, "a"), Options{})
	_, requests = seedsOf(t, res)
	require.Equal(t, int64(3200), requests["a"], "32 times as long at most")
	require.Contains(t, res.Notes[0], "needs longer runs than 3200 requests")
}

func TestPrecisionGivesUpOnWhatDoesNotSettle(t *testing.T) {
	t.Parallel()
	h := &lottery{ramp: map[string]bool{"full": true}}
	res := Do(context.Background(), h, study(t, scenarios.Measure{Requests: 4000, Precision: .01, MaxSeeds: 100}, "full"), Options{})
	seeds, _ := seedsOf(t, res)
	require.Equal(t, 10, seeds["full"])
	require.Contains(t, res.Notes[0], "full does not settle")

	res = Do(context.Background(), &lottery{fail: errors.New("broken")}, study(t, scenarios.Measure{Requests: 4000, Precision: .01, MaxSeeds: 100, WarmupAuto: true}, "x"), Options{})
	require.False(t, res.Complete)
	require.ErrorContains(t, res.Err(), "broken")
	require.Len(t, res.Runs, 10, "a broken point is not refined")
}

// A pilot finds the warm-up, the latest of the policies; the runs that count drop it.
func TestWarmupIsFoundByAPilot(t *testing.T) {
	t.Parallel()
	h := &lottery{ramp: map[string]bool{"full": true}, cold: true}
	m := scenarios.Measure{Requests: 4000, WarmupAuto: true, Tape: true}
	res := Do(context.Background(), h, study(t, m, "a", "b", "full"), Options{})
	require.Len(t, h.runs, 18, "three seeds of three policies, twice")
	require.Len(t, res.Runs, 9)
	for i := range res.Runs {
		got := res.Runs[i].Cell.Setup.Measure
		require.False(t, got.WarmupAuto)
		require.True(t, got.Tape)
		require.InDelta(t, 4, got.WarmupTime.Seconds(), 1, "a tenth of 40 s")
		require.Equal(t, res.Runs[0].Cell.Setup, res.Runs[i].Cell.Setup, "one window for all policies")
	}
	require.Len(t, res.Warnings, 1)
	require.Equal(t, "warmup-short", res.Warnings[0].Code)
	require.Equal(t, "full", res.Warnings[0].Policy)
	require.Regexp(t, `^warm-up at 100 requests/s: \d`, res.Notes[0])
	for _, r := range h.runs[:9] {
		require.False(t, r.Cell.Setup.Measure.Tape, "a pilot leaves no tape")
	}

	res = Do(context.Background(), h, study(t, m, "full"), Options{})
	require.Equal(t, 20*time.Second, res.Runs[0].Cell.Setup.Measure.WarmupTime, "nothing settles: half of the run")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	res = Do(ctx, h, study(t, m, "a"), Options{})
	require.False(t, res.Complete)
	require.Len(t, res.Runs, 3)
}
