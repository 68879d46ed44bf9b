package reports

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func codes(ws []Warning) []string {
	out := []string{}
	for _, w := range ws {
		if !slices.Contains(out, w.Code) {
			out = append(out, w.Code)
		}
	}
	return out
}

// seedRuns are closed runs of a M/M/1 queue with seeds 1…seeds.
func seedRuns(t *testing.T, rho float64, n, seeds int) []*Collector {
	t.Helper()
	var out []*Collector
	for s := 1; s <= seeds; s++ {
		out = append(out, queueRun(t, rho, n, s, seeds == 1))
	}
	return out
}

func one(t *testing.T, in CellRuns, opt Options) (Cell, []Warning) {
	t.Helper()
	cells, warnings := Summarize([]CellRuns{in}, opt)
	require.Len(t, cells, 1)
	return cells[0], warnings
}

func TestSummarizeSeeds(t *testing.T) {
	t.Parallel()
	load := 0.6
	runs := seedRuns(t, load, 5000, 6)
	c, warnings := one(t, CellRuns{Policy: "fifo", Load: &load, RateRPS: 60, Runs: runs}, Options{})
	require.Equal(t, UnitSeed, c.Unit)
	require.Equal(t, 6, c.Seeds)
	require.Equal(t, int64(30_000), c.Requests)
	require.Equal(t, int64(60_000), *c.Events)
	require.Len(t, c.Parts, 6)

	logSum, meanSum := 0.0, 0.0
	for _, p := range c.Parts {
		logSum += math.Log(*p.P99MS)
		meanSum += *p.MeanMS
	}
	require.InEpsilon(t, math.Exp(logSum/6), *c.P99MS, 1e-12)
	require.InEpsilon(t, meanSum/6, *c.MeanMS, 1e-12)
	require.True(t, c.P99CI[0] < *c.P99MS && *c.P99MS < c.P99CI[1])
	require.Nil(t, c.P999MS)
	require.Nil(t, c.P999CI)
	require.Contains(t, codes(warnings), "few-samples")
	require.NotContains(t, codes(warnings), "few-seeds")

	// M/M/1 at 60%: mean sojourn 25 ms, P99 115 ms. 5 standard errors of slack.
	require.InEpsilon(t, 25, *c.MeanMS, 0.15)
	require.InEpsilon(t, 25*math.Log(100), *c.P99MS, 0.25)

	sum := flat(c.Tail)
	total := 0.0
	for _, x := range sum {
		total += x
	}
	require.Greater(t, total, *c.P99MS*0.9)
	require.Len(t, c.Slowest, 10)
	require.Equal(t, *c.MaxMS, c.Slowest[0].LatencyMS)
	for _, s := range c.Slowest {
		steps := 0.0
		for _, x := range s.Steps {
			steps += x.MS
		}
		require.InDelta(t, s.LatencyMS, steps, 1e-9)
	}
}

// The order of the runs changes nothing, and neither does summarising twice.
func TestSummarizeIsIndependentOfOrder(t *testing.T) {
	t.Parallel()
	runs := seedRuns(t, 0.8, 3000, 5)
	a, wa := one(t, CellRuns{Policy: "x", Runs: runs}, Options{})
	reversed := slices.Clone(runs)
	slices.Reverse(reversed)
	b, wb := one(t, CellRuns{Policy: "x", Runs: reversed}, Options{})
	require.Equal(t, a, b)
	require.Equal(t, wa, wb)
}

func TestSummarizeOneRunIsCutIntoSections(t *testing.T) {
	t.Parallel()
	c, _ := one(t, CellRuns{Policy: "x", Runs: seedRuns(t, 0.5, 60_000, 1)}, Options{})
	require.Equal(t, UnitSection, c.Unit)
	require.Len(t, c.Parts, 10)
	require.NotNil(t, c.P999MS)
	require.Nil(t, c.P999CI, "a section has too few for P99.9: the interval is null, not the value")
	require.NotNil(t, c.P99CI)
	require.True(t, c.P99CI[0] <= *c.P99MS && *c.P99MS <= c.P99CI[1])
	requests, completed := int64(0), int64(0)
	for i, p := range c.Parts {
		require.Equal(t, i, p.Index)
		require.InEpsilon(t, 50, p.ThroughputRPS, 0.15)
		requests += p.Requests
		completed += p.Completed
	}
	require.Equal(t, c.Requests, requests)
	require.Equal(t, c.Completed, completed)

	c, _ = one(t, CellRuns{Policy: "x", Runs: seedRuns(t, 0.5, 60_000, 1)}, Options{Transient: true})
	require.Nil(t, c.P99CI)
	require.NotNil(t, c.P99MS)
}

func TestSummarizeWarnings(t *testing.T) {
	t.Parallel()
	_, w := one(t, CellRuns{Policy: "x", Runs: seedRuns(t, 1.3, 20_000, 3)}, Options{PolicyChanceOnly: true})
	require.Subset(t, codes(w), []string{"policy-chance-only", "few-seeds", "few-samples", "unstable"})
	for _, x := range w {
		require.True(t, slices.ContainsFunc(WarningCodes(), func(k WarningCode) bool { return k.Code == x.Code }), x.Code)
		require.NotEmpty(t, x.Message)
	}

	// Failures beyond 1 − p, an overflow, and requests that never ended.
	c := NewCollector(Setup{Outcomes: []string{"ok", "lost", "unfinished"}, Seed: 1})
	for i := range 4000 {
		r := served(uint64(i), ms)
		if i < 41 {
			r.Outcome = 2
		} else if i == 50 {
			r.Latency, r.Steps.Service = 2*time.Hour, 2*time.Hour
		}
		c.Add(&r)
	}
	cell, w := one(t, CellRuns{Policy: "x", Runs: []*Collector{c.closed0()}}, Options{})
	require.Subset(t, codes(w), []string{"unfinished", "survivor-bias", "histogram-overflow"})
	require.Equal(t, int64(4000), cell.Completed+cell.Errors["unfinished"])
	require.Equal(t, 7.2e6, *cell.MaxMS)
}

// The level of the slow requests differs between seeds, as if each seed saw one
// slow phase only: P99 of all requests is not the mean of the seeds' P99.
func TestShortRunIsNoticed(t *testing.T) {
	t.Parallel()
	var runs []*Collector
	for seed := range 10 {
		c := NewCollector(Setup{Seed: seed + 1})
		for i := range 3000 {
			r := served(uint64(i), ms)
			switch {
			case i < 60 && seed < 3:
				r = served(uint64(i), time.Second)
			case i < 60:
				r = served(uint64(i), 10*ms)
			}
			c.Add(&r)
		}
		runs = append(runs, c.closed0())
	}
	cell, w := one(t, CellRuns{Policy: "x", Runs: runs}, Options{})
	require.Contains(t, codes(w), "short-run")
	gates, _ := Judge(place(t, "p99(x) < 1h"), []Cell{cell}, JudgeOptions{Warnings: w})
	require.Equal(t, Inconclusive, gates[0].Verdict)
	require.Contains(t, *gates[0].Reason, "short-run")
}

func TestSummarizeNothing(t *testing.T) {
	t.Parallel()
	cells, warnings := Summarize([]CellRuns{{Policy: "x"}, {Policy: "y", Runs: []*Collector{NewCollector(Setup{Seed: 1}).closed0()}}}, Options{})
	require.Empty(t, cells[0].Parts)
	require.Nil(t, cells[1].P99MS)
	require.Nil(t, cells[1].ErrorRate)
	require.Nil(t, cells[1].Tail)
	require.Equal(t, []string{"few-seeds"}, codes(warnings))
	data, err := json.Marshal(Summary{Schema: SummarySchema, Cells: cells, Warnings: warnings})
	require.NoError(t, err)
	for _, field := range []string{`"errors":{}`, `"metrics":{}`, `"groups":[]`, `"slowest":[]`, `"params":{}`, `"axes":{}`} {
		require.Contains(t, string(data), field)
	}
}

func TestSummarizeGroupsAndMetrics(t *testing.T) {
	t.Parallel()
	var runs []*Collector
	for seed := 1; seed <= 2; seed++ {
		c := NewCollector(Setup{Seed: seed, Tenants: []string{"a", "b"}, Outcomes: []string{"ok", "lost"}})
		for i := range 8000 {
			r := served(uint64(i), time.Duration(seed)*ms)
			r.Tenant = uint16(i % 2)
			if i%10 == 1 {
				r.Outcome = 1
			}
			c.Add(&r)
		}
		x, y := float64(seed), 0.5
		gpu := 10.0
		m := []Metric{{"slo_miss_s", &x}}
		if seed == 2 {
			m = append(m, Metric{"jain", &y})
		}
		c.Close(End{MeasuredTime: time.Second, Metrics: m, GPUSeconds: &gpu})
		runs = append(runs, c)
	}
	c, _ := one(t, CellRuns{Policy: "x", Runs: runs}, Options{})
	require.Equal(t, 1.5, *c.Metrics["slo_miss_s"])
	require.Equal(t, 0.5, *c.Metrics["jain"])
	require.Equal(t, 20.0, *c.GPUSec)
	require.Equal(t, map[string]int64{"lost": 1600}, c.Errors)
	require.Len(t, c.Groups, 2)
	a, b := c.Groups[0], c.Groups[1]
	require.Equal(t, int64(8000), a.Requests)
	require.Zero(t, *a.ErrorRate)
	require.InDelta(t, 0.2, *b.ErrorRate, 1e-12)
	require.InEpsilon(t, math.Sqrt2, *a.P99MS, 1e-6) // geometric mean of 1 and 2 ms
	require.InEpsilon(t, 1.5, *a.MeanMS, 1e-6)
}

func TestMergedHistsIsTheWhole(t *testing.T) {
	t.Parallel()
	runs := seedRuns(t, 0.7, 2000, 3)
	whole := NewHist(HistBits)
	for _, r := range runs {
		whole.Merge(r.Hists()[0].Hist)
	}
	got := MergedHists(runs)
	require.Len(t, got, 1)
	require.Equal(t, "latency", got[0].Tag)
	require.Equal(t, whole, got[0].Hist)
	require.Equal(t, int64(6000), whole.Count())
}
