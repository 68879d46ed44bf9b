package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/reports"
	"taillab/scenarios"
)

// limited is a scenario with a quota: %s is where further keys go.
const limited = `
version: 1
name: limited
workload: {arrivals: {poisson: {rate: 300/s}}, demand: 5ms}
fleet: {replicas: 4, slots: 4}
frontends: {count: 5, split: skewed}
measure: {horizon: 20s, warmup: 0%%, tape: on}
sweep: {seeds: 1}
%s
`

// planOf loads a scenario text.
func planOf(t testing.TB, text string) *scenarios.Plan {
	t.Helper()
	plans, problems := scenarios.Load([]scenarios.Source{{Name: "s.yaml", Data: []byte(text)}}, scenarios.Options{Catalog: scenarios.Catalog(), Seed: 1})
	require.Empty(t, problems)
	return plans[0]
}

// runCell simulates one cell and returns what it gave.
func runCell(t testing.TB, c *scenarios.Cell, reps ...int) *keep {
	t.Helper()
	k := &keep{}
	var runs []scenarios.Run
	for _, i := range append(reps, 0)[:max(1, len(reps))] {
		runs = append(runs, scenarios.Run{Cell: c, Rep: i, Seed: chance.RunSeed(1, i)})
	}
	require.NoError(t, Host{}.Run(context.Background(), runs, k))
	return k
}

// of is a metric of the first run, −1 when it is not there.
func (k *keep) of(name string) float64 {
	if v := k.cols[0].Part().Metrics[name]; v != nil {
		return *v
	}
	return -1
}

// Every limiter with every divider: requests are conserved (the host checks it), and
// each front end's tape replays identically through fresh instances.
func TestLimitersOnTape(t *testing.T) {
	t.Parallel()
	text := fmt.Sprintf(limited, `
quota: {group_limit: {rate: 40/s, burst: 40}, groups: {n: 3, zipf: 1, tenants: {n: 2}}, on_denied: {retry: {max: 2, backoff: 20ms}}, store: {shards: 2, loss: 2%, timeout: 20ms, stall: {every: 3s, for: 200ms}}}
policies: {quota: [none, gcra, token, central, {name: central, as: central-gcra, inner: gcra}, static, lease, async, fixed-window, sliding-counter, sliding-log, leaky], share: [fcfs, hard, maxmin, drf]}
faults: [{at: 5s, for: 1s, target: {frontend: 1}, kind: crash}, {every: 6s, for: [0s, 2s], target: {shard: all}, kind: crash}]`)
	for _, c := range planOf(t, text).Cells {
		t.Run(strings.ReplaceAll(c.Policy, "/", " "), func(t *testing.T) {
			t.Parallel()
			k := runCell(t, c)
			require.Len(t, k.tapes, 6, "five front ends, one of them twice")
			for stream, data := range k.tapes {
				if strings.HasSuffix(stream, ".2") { // its dice go on where the first life stopped
					continue
				}
				res, err := flow.Replay(data, flow.Replayed{FrontEnd: limitedFront(stream, c)})
				require.NoError(t, err, stream)
				require.Nil(t, res.First, stream)
				require.Positive(t, res.Calls)
			}
			require.Equal(t, k.cols[0].Part().ResultHash, runCell(t, c).cols[0].Part().ResultHash, "the same seed, the same run")
		})
	}
}

// limitedFront builds a front end as the host does.
func limitedFront(stream string, c *scenarios.Cell) *flow.FrontEnd {
	var k int
	_, _ = fmt.Sscanf(stream, "frontend/%d", &k)
	seed, cfg := chance.RunSeed(1, 0), &c.Setup.Services[0]
	svc := flow.Service{Name: "main", Balancer: c.Balancers[0].Make(), Table: cfg.Table(), Period: cfg.Discovery.Period,
		Detect: detection(cfg.Discovery.Detect), Dice: chance.NewDice(seed, fmt.Sprintf("balance/main/%d", k))}
	return flow.New(flow.Config{Index: k, Count: c.Setup.FrontEnds.Count, Services: []flow.Service{svc},
		Quota: c.Setup.Quota.Stage(c.Limiter.Make(), chance.NewDice(seed, fmt.Sprintf("quota/%d", k)))})
}

// Held units: never more than the quota, and all of them back when the run is over.
func TestConcurrencyQuotas(t *testing.T) {
	t.Parallel()
	text := fmt.Sprintf(limited, `
quota: {group_limit: {concurrency: 3}, on_denied: wait, store: {rtt: 1ms}}
policies: {quota: [{name: central, inner: concurrency}, static, concurrency]}`)
	for _, c := range planOf(t, strings.ReplaceAll(text, "5ms}\nfleet", "20ms}\nfleet")).Cells {
		k := runCell(t, c)
		switch c.Policy {
		case "concurrency": // each of five front ends by itself
			require.Greater(t, k.of("over_admission"), 0.0)
		default:
			require.LessOrEqual(t, k.of("over_admission"), 0.0, c.Policy)
		}
		require.Greater(t, k.of("quota_utilization"), 0.15, c.Policy)
	}
}

// A shard that stalls for s out of every e + s: with f = s/(e + s) of the asks uniform on
// the stall, the P99 of a decision is s·(1 − 0.01/f).
func TestStallsInDecisions(t *testing.T) {
	t.Parallel()
	text := fmt.Sprintf(limited, `
quota: {group_limit: {rate: 1000/s, burst: 1000}, store: {rtt: 1ms, stall: {every: 20s, for: 500ms}}}
policies: {quota: [central, static, async]}`)
	for _, c := range planOf(t, strings.ReplaceAll(strings.ReplaceAll(text, "horizon: 20s", "horizon: 2000s"), "300/s", "40/s")).Cells {
		c.Setup.Measure.Tape = false
		k := runCell(t, c)
		if c.Policy != "central" {
			require.Zero(t, k.of("p999_decision_ms"), "a stall does not reach %s", c.Policy)
			continue
		}
		f := 0.5 / 20.5
		require.InEpsilon(t, 500*(1-.01/f), k.of("p99_decision_ms"), .2) // about 100 stalls: 10 % is one standard error
		require.InDelta(t, 1.015, k.of("p50_decision_ms"), .01, "a round trip and the service")
	}
}

// What is lost on the way to the store is decided without it.
func TestSilentStore(t *testing.T) {
	t.Parallel()
	for mode, low := range map[string]float64{"open": .99, "closed": .8, "static": .8} {
		c := planOf(t, fmt.Sprintf(limited, `
quota: {group_limit: {rate: 1000/s, burst: 1000}, on_store_loss: `+mode+`, store: {rtt: 1ms, loss: 5%, timeout: 10ms}}
policies: {quota: central}`)).Cells[0]
		k := runCell(t, c)
		require.InDelta(t, 1-.95*.95, k.of("fallback_share"), .02, mode)
		require.Greater(t, k.of("admitted_of_ideal"), low, mode)
	}
}

func TestWaitingAndRetrying(t *testing.T) {
	t.Parallel()
	for denied, want := range map[string][2]float64{"drop": {.3, .4}, "wait": {0, .35}, "{retry: {max: 3, backoff: 100ms}}": {.2, .4}} {
		c := planOf(t, fmt.Sprintf(limited, `
quota: {group_limit: {rate: 200/s, burst: 10}, wait_max: 100s, on_denied: `+denied+`, store: {rtt: 1ms}}
policies: {quota: central}`)).Cells[0]
		p := runCell(t, c).cols[0].Part()
		require.InDelta(t, (want[0]+want[1])/2, *p.ErrorRate, (want[1]-want[0])/2, "%s: %v", denied, p.Errors)
	}
}

// Twenty batches of three; a build noticed for sure goes back after the first.
func TestRollingUpdate(t *testing.T) {
	t.Parallel()
	const text = `
version: 1
name: rolling
workload: {arrivals: {poisson: {rate: 20/s}}, demand: 5ms}
fleet: {replicas: 2, slots: 2}
frontends: {count: 60}
faults: [{at: 10s, target: {frontend: all}, kind: rolling_update, batch: 3, gap: 60s, %s}]
measure: {horizon: 21m, warmup: 0%%}
sweep: {seeds: 1}
`
	for _, c := range []struct {
		keys                   string
		exposed, steps, failed float64
	}{
		{"detect: 1", .05, 1, 1},
		{"detect: 0", 1, 20, 1},
		{"detect: 0, build: good", 0, 20, 0},
		{"build: unready", 0, 1, 0},
		{"build: unready, readiness: false, detect: 1", .05, 1, 1},
	} {
		k := runCell(t, planOf(t, fmt.Sprintf(text, c.keys)).Cells[0])
		require.InDelta(t, c.exposed, k.of("exposed"), 1e-9, c.keys)
		require.InDelta(t, c.steps, k.of("update_steps"), 0, c.keys)
		require.InDelta(t, 57./60, k.of("frontends_up"), 1e-9, c.keys)
		require.Equal(t, c.failed > 0, k.cols[0].Part().Errors["http_5xx"] > 0, c.keys)
	}
}

// With detection by p after each batch the mean exposure is 0.05·(1 − (1−p)²⁰)/p.
func TestMeanExposure(t *testing.T) {
	t.Parallel()
	c := planOf(t, `
version: 1
name: rolling
workload: {arrivals: {constant: {rate: 1/s}}, demand: 5ms}
fleet: {replicas: 1}
frontends: {count: 60}
faults: [{at: 1s, target: {frontend: all}, kind: rolling_update, batch: 3, gap: 6s, detect: 0.5}]
measure: {horizon: 130s, warmup: 0%}
`).Cells[0]
	var reps []int
	for i := range 400 {
		reps = append(reps, 5000+i)
	}
	k, sum := runCell(t, c, reps...), 0.0
	for _, col := range k.cols {
		sum += *col.Part().Metrics["exposed"] / float64(len(reps))
	}
	require.InDelta(t, .1, sum, .1*3*.0707, "three standard errors: a false alarm in 400")
}

// One front end in stall: the median hardly moves, the tail grows to the stall, and
// each cure gives it back.
func TestLockStall(t *testing.T) {
	t.Parallel()
	cells := planOf(t, `
version: 1
name: lock
workload: {arrivals: {poisson: {rate: 850/s}}, demand: 5ms}
fleet: {replicas: 16, slots: 2}
frontends: {count: 20}
faults: [{every: 20s, for: [5s, 10s], target: {frontend: 0}, kind: lock_stall, hold: 20ms, above: 0.8}]
sweep: {cure: {path: "faults[0].cure", values: [none, timeout, single_flight]}, seeds: 1}
measure: {horizon: 200s, warmup: 10s}
`).Cells
	p := map[string]reports.Part{}
	for _, c := range cells {
		p[fmt.Sprint(c.Axes["cure"])] = runCell(t, c).cols[0].Part()
	}
	none, timeout, flight := p["none"], p["timeout"], p["single_flight"]
	require.InEpsilon(t, *flight.P50MS, *none.P50MS, .06)
	require.Greater(t, *none.P99MS, 2000.0)
	require.Less(t, *timeout.P99MS, 600.0)
	require.Less(t, *flight.P99MS, 400.0)
	require.Greater(t, *none.Metrics["stalled_requests"], *timeout.Metrics["stalled_requests"])
}

// A group's counters live on one shard, whatever the placement.
func TestShardsKeepTheLimit(t *testing.T) {
	t.Parallel()
	for _, placement := range quota.Placements() {
		c := planOf(t, fmt.Sprintf(limited, `
quota: {group_limit: {rate: 40/s, burst: 40}, groups: {n: 4}, store: {shards: 3, placement: `+placement+`}}
policies: {quota: central, share: maxmin}`)).Cells[0]
		k := runCell(t, c)
		require.LessOrEqual(t, k.of("over_admission"), 0.0, placement)
		require.InDelta(t, 1, k.of("admitted_of_ideal"), .01, placement)
		require.InDelta(t, 300, k.of("shard_ops_rps"), 15, placement)
	}
}

// Where nobody has a quota nothing of it is reported.
func TestNoQuotaNoMetrics(t *testing.T) {
	t.Parallel()
	k := runCell(t, planOf(t, fmt.Sprintf(limited, "")).Cells[0])
	for _, m := range reports.Metrics() {
		if m.Family == "quota" || m.Family == "faults" {
			require.NotContains(t, k.cols[0].Part().Metrics, m.JSON)
		}
	}
	require.Less(t, k.cols[0].MeasuredTime(), 21*time.Second)
}
