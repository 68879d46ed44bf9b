package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/scenarios/scenariotest"
)

// elasticCell loads a scenario whose fleet changes its size: lines replace those of the
// base with the same key.
func elasticCell(t testing.TB, lines ...string) *scenarios.Cell {
	t.Helper()
	base := []string{
		"version: 1", "name: elastic",
		"workload: {arrivals: {poisson: {rate: 20/s}}, demand: {exponential: {mean: 200ms}}}",
		"fleet: {replicas: {start: 8, min: 0, max: 16}, lifecycle: {bind: 1s, image: 2s, model: {bytes: 14GB, read: 7GB/s, init: 3s}, drain_grace: 30s}}",
		"policies: {balance: least-outstanding}",
		"measure: {horizon: 120s, slo: {latency: 2s}, tape: on}",
	}
	return scenariotest.Cell(t, base, lines...)
}

// run simulates one replication of a cell and hands its lab over for a look inside.
func runElastic(t testing.TB, c *scenarios.Cell, seed int) (*lab, *reports.Collector, *keep) {
	t.Helper()
	k := &keep{}
	run := &scenarios.Run{Cell: c, Rep: seed, Seed: chance.RunSeed(1, seed)}
	l, err := newLab(0, run, k, Host{})
	require.NoError(t, err)
	l.run()
	require.NoError(t, l.finish())
	return l, k.cols[0], k
}

func value(t testing.TB, c *reports.Collector, name string) float64 {
	t.Helper()
	v := c.Part().Metrics[name]
	require.NotNil(t, v, name)
	return *v
}

// TestLifeOfAReplica follows the counts: a replica is ready bind + image + load + init
// + warm-up after it was asked for, and those that load share the network.
func TestLifeOfAReplica(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		network string
		ready   []int // at 19.5, 20.5 … s of 2 replicas asked for at 10 s beside 2
	}{
		{"", []int{2, 2, 4, 4, 4, 4, 4}},                 // 1 + 2 + 2 + 3 + 2 = 10 s
		{", network: 7GB/s", []int{2, 2, 2, 2, 4, 4, 4}}, // two at half the speed: 12 s
	} {
		c := elasticCell(t, "fleet: {replicas: {start: 2, min: 1, max: 8}, lifecycle: {bind: 1s, image: 2s, model: {bytes: 14GB, read: 7GB/s, init: 3s"+x.network+"}, warmup: 2s}}",
			"workload: {arrivals: {poisson: {rate: 5/s}}, demand: 1ms}", "measure: {horizon: 60s}")
		_, col, k := runElastic(t, scenariotest.Scripted(c, scenariotest.At(0, 2), scenariotest.At(10*time.Second, 4), scenariotest.At(30*time.Second, 1)), 0)
		var ready []int
		for _, row := range k.rows[17:24] { // rows stand at 1, 2 … s
			ready = append(ready, row.Replicas)
		}
		require.Equal(t, x.ready, ready, "from 18 s on%s", x.network)
		require.Equal(t, []int{2, 4, 4}, []int{k.rows[8].Created, k.rows[10].Created, k.rows[10].Desired})
		require.Equal(t, []int{1, 1}, []int{k.rows[35].Replicas, k.rows[35].Created})
		require.Equal(t, col.Part().Requests, col.Part().Completed)
		require.InDelta(t, 2, value(t, col, "cold_starts"), 0)
	}
}

// TestGPUSeconds is the integral over replicas that hold a GPU: from the bind on.
func TestGPUSeconds(t *testing.T) {
	t.Parallel()
	c := elasticCell(t, "measure: {horizon: 100s, warmup: 0%}", "workload: {arrivals: {constant: {rate: 10/s}}, demand: 1ms}")
	_, col, _ := runElastic(t, scenariotest.Scripted(c, scenariotest.At(0, 8), scenariotest.At(20*time.Second, 12), scenariotest.At(60*time.Second, 3)), 0)
	// 8 until 21 s, 12 until 60 s, then 3; the window lies between the first arrival at
	// 0.1 s and the last, at 99.9 s
	want := 8*(21-0.1) + 12*39.0 + 3*(99.9-60)
	require.InDelta(t, want, *col.Part().GPUSec, 0.5)
	require.InDelta(t, want/3600, value(t, col, "gpu_hours"), 1e-3)
	require.InDelta(t, (8*(20-0.1)+12*40+3*39.9)/99.8, value(t, col, "replicas_desired"), 0.01)
}

// TestHeldFromZero: requests that find no replica wait in order for the first; the
// autoscaler is called at once, and once.
func TestHeldFromZero(t *testing.T) {
	t.Parallel()
	lines := []string{
		"workload: {arrivals: {constant: {rate: 5/s, phase: 1s}}, demand: 1ms}", "policies: {balance: random, autoscale: {name: kpa, burst_capacity: 0}}",
		"fleet: {replicas: {start: 0, min: 0, max: 2}, lifecycle: {bind: 1s, image: 2s, model: {bytes: 11GB, read: 1GB/s, init: 10s}}}",
		"measure: {requests: 3, warmup: 0%}",
	}
	_, col, k := runElastic(t, elasticCell(t, lines...), 0)
	p := col.Part()
	require.EqualValues(t, 3, p.Completed, "%v", p.Errors)
	first := 25 * time.Second // the first request comes at 1.0 s, the load takes 24 s
	require.InDelta(t, (first-1*time.Second).Seconds()*1e3+1, *p.MaxMS, 1e-6)
	require.InDelta(t, 23.8, value(t, col, "held_mean_s"), 1e-9, "24, 23.8, 23.6 s")
	require.InDelta(t, 3, value(t, col, "held_requests"), 0)
	require.Equal(t, []int{0, 1}, []int{k.rows[0].Desired, k.rows[1].Desired})

	_, col, _ = runElastic(t, elasticCell(t, append(lines, "hold: {timeout: 10s}")...), 0)
	require.Equal(t, map[string]int64{"hold_timeout": 3}, col.Part().Errors)
	_, col, _ = runElastic(t, elasticCell(t, append(lines, "hold: {capacity: 2}")...), 0)
	require.Equal(t, map[string]int64{"shed": 1}, col.Part().Errors)
}

// TestNoReplicaWithAMinimum: the hold stage is for services that may be at zero.
func TestNoReplicaWithAMinimum(t *testing.T) {
	t.Parallel()
	c := elasticCell(t, "fleet: {replicas: {start: 1, min: 1, max: 4}, reclaim: {rate: 1/s, notice: 0s, batch: 1}}", "discovery: {detect: health, period: 1s, misses: 1}",
		"measure: {horizon: 60s, warmup: 0%}")
	_, col, _ := runElastic(t, c, 0)
	require.Positive(t, col.Part().Errors["no_replica"])
}

// TestDrainLosesNothing: replicas that are no longer wanted finish what they have and
// what is on its way, for every balancer, however late front ends learn of it.
func TestDrainLosesNothing(t *testing.T) {
	t.Parallel()
	for _, e := range balance.Catalog() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			policy := e.Name
			switch e.Name {
			case "static":
				policy = "{name: static, capacity: {a: 5}}"
			case "retry", "hedge":
				policy = "{name: " + e.Name + ", budget: 0%}" // nothing may hide a loss
			}
			c := elasticCell(t, "policies: {balance: "+policy+"}", "frontends: {count: 3}", "discovery: {delay: 2s, jitter: 1s}",
				"fleet: {labels: {name: a}, replicas: {start: 8, min: 0, max: 16}, lifecycle: {bind: 1s, image: 2s, model: {bytes: 14GB, read: 7GB/s, init: 3s}, drain_grace: 60s}}",
				"network: {request: {delay: 5ms}, response: {delay: 5ms}, report: {delay: 1ms}, probe: {delay: 1ms}, ask: {delay: 1ms}}")
			l, col, _ := runElastic(t, scenariotest.Scripted(c, scenariotest.At(0, 8), scenariotest.At(20*time.Second, 14), scenariotest.At(50*time.Second, 6), scenariotest.At(70*time.Second, 12), scenariotest.At(90*time.Second, 7)), 0)
			p := col.Part()
			require.Empty(t, p.Errors)
			require.Zero(t, value(t, col, "killed_requests"))
			for r := uint32(8); r < 14; r++ {
				require.Positive(t, l.svcs[0].pool.BusySlotTime(r, l.now()), "replica %d came and was not found", r)
			}
		})
	}
}

// TestNothingIsSentToOneThatDrains: once a front end has been told, it picks others.
func TestNothingIsSentToOneThatDrains(t *testing.T) {
	t.Parallel()
	for _, e := range balance.Catalog() {
		if e.Name == "static" { // shares by label: covered above
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			c := scenariotest.Scripted(elasticCell(t, "policies: {balance: "+e.Name+"}", "discovery: {delay: 1s}",
				"workload: {arrivals: {poisson: {rate: 20/s}}, demand: 10ms}"), scenariotest.At(0, 8), scenariotest.At(40*time.Second, 3))
			k := &keep{}
			l, err := newLab(0, &scenarios.Run{Cell: c, Seed: chance.RunSeed(1, 0)}, k, Host{})
			require.NoError(t, err)
			var before []time.Duration
			l.eng.Schedule(At(42*time.Second), l.eng.Register(call(func(uint64) {
				for r := range uint32(8) {
					before = append(before, l.svcs[0].pool.BusySlotTime(r, l.now()))
				}
			}), Timing), 0)
			l.run()
			require.NoError(t, l.finish())
			idle := 0
			for r := range uint32(8) {
				if l.svcs[0].pool.BusySlotTime(r, l.now()) == before[r] {
					idle++
				}
			}
			require.Equal(t, 5, idle, "the five that drained")
		})
	}
}

// TestKilledAreCounted: capacity that is taken away without notice loses what is inside
// and on the way; with enough notice nothing is lost. Requests are conserved (the host
// refuses to finish otherwise).
func TestKilledAreCounted(t *testing.T) {
	t.Parallel()
	lost := map[string]float64{}
	for _, law := range []string{"exp", "weibull"} {
		for _, notice := range []string{"0s", "500ms", "10s"} {
			c := elasticCell(t, "fleet: {replicas: {start: 8, min: 1, max: 16}, reclaim: {rate: 60/h, batch: 0.3, notice: "+notice+", law: "+law+", factor: 0.8}, "+
				"lifecycle: {bind: 1s, image: 0s, model: {init: 2s}}}", "discovery: {delay: 1s}", "network: {request: {delay: 2ms}}", "measure: {horizon: 600s}")
			_, col, _ := runElastic(t, c, 0)
			p := col.Part()
			require.EqualValues(t, p.Errors["reset"]+p.Errors["refused"], value(t, col, "killed_requests"))
			require.Equal(t, p.Requests, p.Completed+p.Errors["reset"]+p.Errors["refused"]+p.Errors["no_replica"]+p.Errors["unfinished"], "%v", p.Errors)
			lost[law+notice] = float64(p.Errors["reset"]+p.Errors["refused"]) / float64(p.Requests)
			if lost[law+notice] > 0 {
				require.InDelta(t, 1, value(t, col, "killed_by_reclaim"), 0)
			}
		}
		require.Positive(t, lost[law+"0s"])
		require.Less(t, lost[law+"500ms"], lost[law+"0s"])
		require.Less(t, lost[law+"10s"], 1e-3)
	}
}

// TestReclaimRate: each node is taken at the scenario's rate, whatever the batch.
func TestReclaimRate(t *testing.T) {
	t.Parallel()
	for _, x := range []string{"batch: 0.01, law: exp", "batch: 0.5, law: exp", "batch: 0.01, law: weibull"} {
		c := elasticCell(t, "fleet: {replicas: {start: 16, min: 1, max: 16}, reclaim: {rate: 120/h, notice: 0s, "+x+"}, lifecycle: {bind: 0s, image: 0s, model: {init: 0s}}}",
			"workload: {arrivals: {poisson: {rate: 1/s}}, demand: 1ms}", "measure: {horizon: 5000s, warmup: 0%}", "discovery: {detect: never}")
		starts := 0.0
		for seed := range 4 {
			_, col, _ := runElastic(t, c, seed)
			starts += value(t, col, "cold_starts")
		}
		want := 4 * 16 * 5000 * 120.0 / 3600 // 10,667 lives, exponential; of Weibull ones less spread
		sigma := 0.03                        // of batches of 8, 1,333 events: 2.7 %
		require.InDelta(t, want, starts, 3*sigma*want, x)
	}
}

// TestScalingStorm: counts that jump at random, replicas that start, drain and are
// taken away all the time: requests are conserved, and in the end the fleet is what was
// asked for last.
func TestScalingStorm(t *testing.T) {
	t.Parallel()
	for seed := range 12 {
		dice := rand.New(rand.NewPCG(uint64(seed), 1))
		var steps []scenariotest.Step
		for at := time.Duration(0); at < 100*time.Second; at += time.Duration(dice.IntN(4000)) * time.Millisecond {
			steps = append(steps, scenariotest.At(at, 1+dice.IntN(16)))
		}
		c := elasticCell(t, fmt.Sprintf("policies: {balance: %s}", []string{"p2c", "jiq-amnesia", "least-outstanding"}[seed%3]), "frontends: {count: 2}",
			"discovery: {delay: 500ms, jitter: 500ms, detect: health, period: 1s}", "network: {request: {delay: 1ms}}",
			"fleet: {replicas: {start: 8, min: 1, max: 16}, reclaim: {rate: 200/h, notice: 1s, batch: 0.3}, "+
				"lifecycle: {bind: 300ms, image: 200ms, model: {bytes: 7GB, read: 7GB/s, network: 14GB/s, init: 1s}, drain_grace: 5s}}")
		l, col, _ := runElastic(t, scenariotest.Scripted(c, steps...), seed)
		p := col.Part()
		sum := p.Completed
		for _, n := range p.Errors {
			sum += n
		}
		require.Equal(t, p.Requests, sum)
		e := l.svcs[0].elastic
		wanted := 0
		for r := range e.pods {
			if e.pods[r].counts() {
				wanted++
			}
		}
		require.Equal(t, steps[len(steps)-1].Count, wanted)
		for _, p := range e.loading.pods {
			require.Equal(t, autoscale.Loading, e.pods[p.r].phase, "nobody loads who is gone")
		}
	}
}

// TestElasticRepeats: the same seed gives the same run, whatever the autoscaler.
func TestElasticRepeats(t *testing.T) {
	t.Parallel()
	for _, e := range autoscale.Catalog() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			c := elasticCell(t, fmt.Sprintf("policies: {balance: p2c, autoscale: %s}", e.Name), "frontends: {count: 4}",
				"fleet: {replicas: {start: 4, min: 1, max: 16}, reclaim: {rate: 20/h, notice: 1s}, lifecycle: {bind: 1s, image: 1s, model: {init: 3s}}}",
				"workload: {arrivals: {poisson: {rate: 10/s}}, modulate: [{step: [{at: 30s, rate: 60/s}, {at: 80s, rate: 10/s}]}], demand: {exponential: {mean: 200ms}}}")
			var hashes []string
			for range 2 {
				_, col, _ := runElastic(t, c, 3)
				hashes = append(hashes, col.Part().ResultHash)
			}
			require.Equal(t, hashes[0], hashes[1])
		})
	}
}

// TestCrashOfAFrontEnd: a fresh front end learns which replicas there are now.
func TestCrashOfAFrontEnd(t *testing.T) {
	t.Parallel()
	c := elasticCell(t, "frontends: {count: 2}", "faults: [{at: 60s, for: 1s, target: {frontend: 0}, kind: crash}]")
	l, col, _ := runElastic(t, scenariotest.Scripted(c, scenariotest.At(0, 8), scenariotest.At(20*time.Second, 12), scenariotest.At(40*time.Second, 6)), 0)
	p := col.Part()
	require.Zero(t, p.Errors["refused"]+p.Errors["reset"]+p.Errors["no_replica"], "%v", p.Errors)
	require.Positive(t, p.Errors["lost"])
	require.Equal(t, 6, l.fronts[0].fe.Fleet(0).Len())
}

// TestNextMustBeAboveZero: a policy that asks for nothing later is a bug, which stops
// the run with a name.
func TestNextMustBeAboveZero(t *testing.T) {
	t.Parallel()
	c := elasticCell(t)
	c.Autoscalers = []scenarios.Autoscaler{{Make: func() autoscale.Autoscaler { return stuck{} }}}
	err := Host{}.Run(context.Background(), []scenarios.Run{{Cell: c}}, &keep{})
	require.ErrorContains(t, err, "asked to be called again after 0s")
}

type stuck struct{}

func (stuck) Desire(*policies.Env, *autoscale.Metrics) autoscale.Decision {
	return autoscale.Decision{Count: 1}
}

// TestReadingsComeBeforeDecisions: where both are due at one instant, the autoscaler
// decides on the new reading. A panic window of one second would never hold any else.
func TestReadingsComeBeforeDecisions(t *testing.T) {
	t.Parallel()
	c := elasticCell(t, "policies: {balance: random, autoscale: {name: kpa, target: 1.5, stable: 10s}}",
		"workload: {arrivals: {constant: {rate: 20/s}}, demand: 200ms}", "fleet: {replicas: {start: 2, min: 1, max: 16}}", "measure: {horizon: 20s}")
	_, _, k := runElastic(t, c, 0)
	require.Greater(t, k.rows[4].Desired, 2, "20 requests per second at two replicas of 5")
}
