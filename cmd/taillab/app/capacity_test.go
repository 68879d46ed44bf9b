package app

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/reports"
)

// mm1 is a single server with Poisson arrivals and exponential service.
const mm1 = `version: 1
name: mm1
workload: {demand: {exponential: {mean: 10ms}}}
fleet: {replicas: 1}
policies: {balance: random}
sweep: {load: [0.5]}
measure: {requests: 8000}
`

// capacities runs `capacity` on a scenario and reads the answer.
func capacities(t *testing.T, scenario string, args ...string) reports.Capacity {
	t.Helper()
	args = append([]string{"capacity", "-", "-q", "-o", t.TempDir(), "--format", "json"}, args...)
	r := call(Process{Args: args, Stdin: strings.NewReader(scenario)})
	require.Equal(t, exitOK, r.code, r.err)
	var c reports.Capacity
	require.NoError(t, json.Unmarshal([]byte(r.out), &c))
	require.True(t, c.Complete)
	return c
}

// In an M/M/1 queue the time in the system is exponential with mean 1/(μ−λ), so its
// P99 is ln 100/(μ−λ) (Kleinrock 1975, section 3.2), which is 100 ms at
// ρ = 1 − ln(100)·10 ms/100 ms. One interval at 95%; the seed is fixed.
func TestCapacityOfMM1(t *testing.T) {
	t.Parallel()
	c := capacities(t, mm1, "--slo", "p99() < 100ms", "--seeds", "8", "--step", "0.01")
	want := 1 - math.Log(100)*10/100
	require.Len(t, c.Policies, 1)
	r := c.Policies[0]
	require.Equal(t, reports.CapacityFound, r.Outcome)
	require.InDelta(t, want, *r.Capacity, 0.03)
	require.True(t, r.CI[0] <= want && want <= r.CI[1], "%v holds %v", *r.CI, want)
	require.InDelta(t, *r.Capacity*100, *r.RateRPS, 1e-9)
	require.Equal(t, reports.Pass, r.Met.Verdict)
	require.Less(t, r.Met.CI[1], 100.0)
	require.Greater(t, r.Missed.CI[0], 100.0)
	require.Less(t, c.Runs, 99*8/4, "bisection, not a sweep")
}

// A warm-up that is looked for has a pilot at every load that is tried, found from the
// first seeds; the answer is that of theory as well, and does not hang on the jobs.
func TestCapacityFindsItsWarmup(t *testing.T) {
	t.Parallel()
	auto := []string{"--slo", "p99() < 70ms", "--seeds", "4", "--step", "0.02", "--set", "measure.warmup=auto"}
	c := capacities(t, mm1, auto...)
	want := 1 - math.Log(100)*10/70 // 34%
	r := c.Policies[0]
	require.Equal(t, reports.CapacityFound, r.Outcome)
	require.InDelta(t, want, *r.Capacity, 0.03)
	require.Greater(t, c.Runs, r.Runs, "pilots are runs, too")
	require.LessOrEqual(t, c.Runs, 2*r.Runs)
	again := capacities(t, mm1, append(auto, "-j", "1")...)
	require.Equal(t, c.Policies, again.Policies)
}

// Where a load is never steady, the rule is not met there, whatever the percentile of
// so short a run says.
func TestCapacityWithoutASteadyState(t *testing.T) {
	t.Parallel()
	late := strings.Replace(mm1, "policies:", "faults: [{at: 70s, target: {replica: 0}, kind: slow, factor: 1.4}]\npolicies:", 1)
	c := capacities(t, late, "--slo", "p99() < 10s", "--seeds", "4", "--step", "0.1", "--set", "measure.warmup=auto")
	reasons := ""
	for _, p := range c.Policies[0].Points {
		if p.Verdict == reports.Fail {
			reasons += *p.Reason
		}
	}
	require.Contains(t, reasons, "warmup-short")
}

// A sweep of every load with the same seeds, judged by the same rule, gives the same
// ends of the interval: what the search leaves out would have changed nothing.
func TestCapacityAgreesWithASweep(t *testing.T) {
	t.Parallel()
	flags := []string{"--seeds", "4", "--set", "measure.requests=3500", "--set", "fleet.replicas=4"}
	c := capacities(t, small, append([]string{"--slo", "p99() < 90ms", "--step", "0.1"}, flags...)...)
	var list []string
	for i := 1; i < 10; i++ {
		list = append(list, strconv.FormatFloat(float64(i)/10, 'f', -1, 64))
	}
	r := call(Process{Args: append([]string{"run", "-", "-q", "-o", t.TempDir(), "--format", "json",
		"--set", "sweep.load=[" + strings.Join(list, ", ") + "]", "--set", `gates=["p99(random) < 90ms", "p99(p2c) < 90ms"]`}, flags...), Stdin: strings.NewReader(small)})
	require.Contains(t, []int{exitOK, exitFailed}, r.code, r.err)
	var sweep reports.Summary
	require.NoError(t, json.Unmarshal([]byte(r.out), &sweep))
	require.Equal(t, []string{"p2c", "random"}, []string{c.Policies[0].Policy, c.Policies[1].Policy})
	for _, row := range c.Policies {
		require.Equal(t, reports.CapacityFound, row.Outcome)
		met, missed := 0.0, 1.0
		for _, g := range sweep.Gates {
			if g.Policy != row.Policy {
				continue
			}
			if g.ChangeCI != nil && g.ChangeCI[1] < 0 {
				met = max(met, *g.Load)
			}
			if g.ChangeCI == nil || g.ChangeCI[0] > 0 {
				missed = min(missed, *g.Load)
			}
		}
		require.InDelta(t, met, row.Met.At, 1e-9, row.Policy)
		require.InDelta(t, missed, row.Missed.At, 1e-9, row.Policy)
		require.True(t, met <= *row.Capacity && *row.Capacity <= missed)
	}
	require.Greater(t, *c.Policies[1].Replicas, 0.0)
	require.Zero(t, *c.Policies[1].Saved, "the worst saves nothing")
	require.Greater(t, *c.Policies[0].Saved, 0.1)
}

// The same answer whatever the number of jobs.
func TestCapacityIsDeterministic(t *testing.T) {
	t.Parallel()
	args := []string{"--slo", "p99 < 60ms", "--set", "measure.requests=3500", "--seeds", "4", "--step", "0.05", "-j"}
	one, many := capacities(t, small, append(args, "1")...), capacities(t, small, append(args, "3")...)
	require.Equal(t, one.Policies, many.Policies)
	require.Equal(t, one.Runs, many.Runs)
}

// Fewest replicas for fixed traffic: at the answer the rule is met, one fewer misses
// or cannot be told, and a fleet that could not keep up costs no run.
func TestCapacityOverReplicas(t *testing.T) {
	t.Parallel()
	c := capacities(t, small, "--slo", "p99() < 80ms", "--over", "replicas=1..20", "--at", "rate=400", "--set", "measure.requests=3500", "--seeds", "4")
	require.Equal(t, 400.0, *c.RateRPS)
	require.Equal(t, []float64{20, 1, 1}, []float64{c.Easiest, c.Hardest, c.Step})
	for _, r := range c.Policies {
		require.Equal(t, reports.CapacityFound, r.Outcome)
		require.Equal(t, math.Round(*r.Capacity), *r.Capacity)
		require.Greater(t, *r.Capacity, 4.0, "four replicas would have load 1")
		require.True(t, r.CI[0] <= *r.Capacity && *r.Capacity <= r.CI[1])
		require.Equal(t, r.CI[1], r.Met.At, "the safe number is the end of the interval")
		for _, p := range r.Points {
			require.InDelta(t, 400, p.RateRPS, 1e-9)
			require.Equal(t, p.At <= 4, p.Seeds == 0, "at %v", p.At)
		}
	}
	require.Equal(t, "p2c", c.Policies[0].Policy)
}

func TestCapacityNeverAndAlways(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(slo string) (int, reports.Capacity) {
		r := call(Process{Args: []string{"capacity", "-", "-q", "-o", dir, "--slo", slo, "--set", "measure.requests=3500", "--seeds", "2", "--only", "policy=p2c", "--format", "json"}})
		var c reports.Capacity
		require.NoError(t, json.Unmarshal([]byte(r.out), &c), r.err)
		return r.code, c
	}
	code, c := run("p99() < 1ms")
	require.Equal(t, exitFailed, code)
	require.Equal(t, reports.CapacityNever, c.Policies[0].Outcome)
	require.Nil(t, c.Policies[0].Capacity)
	require.Equal(t, c.Easiest, c.Policies[0].Points[0].At, "the easiest setting was measured")
	code, c = run("p99() < 1h")
	require.Equal(t, exitOK, code)
	require.Equal(t, reports.CapacityAlways, c.Policies[0].Outcome)
	require.Equal(t, c.Hardest, c.Policies[0].Points[len(c.Policies[0].Points)-1].At)
}

// late interrupts the program at one of many picks.
type late struct {
	left    *int // shared by all instances; runs follow each other
	signals chan<- os.Signal
}

func (p *late) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	if *p.left--; *p.left == 0 {
		p.signals <- os.Interrupt
	}
	if *p.left <= 0 { // leave the processor to the one who cancels
		runtime.Gosched()
	}
	return balance.To(env.Fleet.Ref(env.Rand.IntN(env.Fleet.Len())))
}

// An interruption keeps what was found: the batches that had finished.
func TestCapacityInterrupted(t *testing.T) {
	t.Parallel()
	dir, signals := t.TempDir(), make(chan os.Signal)
	left := 12 * 4000 // of the third batch: a batch is 5 runs of 4,000 requests
	e := policies.Of("late", "interrupts after a while", func() balance.Balancer { return &late{left: &left, signals: signals} })
	r := call(Process{Args: []string{"capacity", "-", "-o", dir, "-j", "1", "--slo", "p99() < 1h", "--set", "policies.balance=late",
		"--set", "measure.requests=4000", "--format", "json"}, Signals: signals}, e)
	require.Equal(t, exitInterrupted, r.code, r.err)
	var c reports.Capacity
	require.NoError(t, json.Unmarshal([]byte(r.out), &c))
	require.False(t, c.Complete)
	require.Equal(t, reports.CapacityOpen, c.Policies[0].Outcome)
	require.Equal(t, 10, c.Runs)
	require.Len(t, c.Policies[0].Points, 2, "the batches that had finished are kept, the third is not")
	require.Contains(t, r.err, "interrupted: what was found is kept in "+dir)
	manifest, err := os.ReadFile(filepath.Join(dir, "small", c.RunID, "manifest.json"))
	require.NoError(t, err)
	require.Contains(t, string(manifest), `"status": "interrupted"`)
}

func TestShareOut(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{30, 40, 30}, shareOut(100, []int{30, 40, 30}))
	require.Equal(t, []int{2, 3, 2}, shareOut(7, []int{30, 40, 30}))
	require.Equal(t, []int{1, 0, 0}, shareOut(1, []int{1, 1, 1}))
	require.Equal(t, []int{0, 5}, shareOut(5, []int{0, 3}))
	require.Equal(t, []int{0}, shareOut(5, []int{0}))
}
