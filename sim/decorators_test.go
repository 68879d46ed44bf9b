package sim

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// retried decorates a policy with a retry that is never short of budget.
func retried(inner func() balance.Balancer) func() balance.Balancer {
	return with("retry", func(r *balance.Retry) { r.Wrap(inner()); r.Budget = 1 })
}

// hedged decorates a policy with a hedge after a fixed delay, never short of budget.
func hedged(delay, cancel string, inner func() balance.Balancer) func() balance.Balancer {
	return with("hedge", func(h *balance.Hedge) { h.Wrap(inner()); h.Delay, h.Cancel, h.Budget = delay, cancel, 1 })
}

func outliers(inner func() balance.Balancer) func() balance.Balancer {
	return with("outlier", func(o *balance.Outlier) { o.Wrap(inner()) })
}

// decorated are decorators around balancers of every kind: with probes, queues of
// their own, replica halves, oracles.
func decorated() map[string]func() balance.Balancer {
	probed := with("p2c", func(p *balance.P2C) { p.Load = "probed" })
	all := func(inner func() balance.Balancer) func() balance.Balancer {
		slow := with("slow-start", func(s *balance.SlowStart) { s.Wrap(inner()) })
		panics := with("panic", func(p *balance.Panic) { p.Wrap(slow()) })
		return retried(hedged("2s", "queued", outliers(panics)))
	}
	return map[string]func() balance.Balancer{
		"retry p2c probed":       retried(probed),
		"hedge p2c probed":       hedged("1s", "running", probed),
		"hedge jiq":              hedged("1s", "none", policy("jiq")),
		"hedge p95":              with("hedge", func(h *balance.Hedge) { h.Wrap(policy("p2c")()); h.Budget, h.Max = .5, 3 }),
		"outlier least":          outliers(policy("least-outstanding")),
		"panic jiq-amnesia":      with("panic", func(p *balance.Panic) { p.Wrap(policy("jiq-amnesia")()) }),
		"slow-start jsq":         with("slow-start", func(s *balance.SlowStart) { s.Wrap(policy("jsq")()) }),
		"all p2c probed":         all(probed),
		"all jiq-amnesia":        all(policy("jiq-amnesia")),
		"all central-queue":      all(policy("central-queue")),
		"all jsq":                all(policy("jsq")),
		"retry hedge p2c probed": retried(hedged("500ms", "queued", probed)),
	}
}

// part is the first run's.
func (s spec) part(t *testing.T) reports.Part {
	t.Helper()
	return s.simulate(t).cols[0].Part()
}

func errorShare(p reports.Part) float64 { return 1 - float64(p.Completed)/float64(p.Requests) }

// Without queueing, a request with a copy after D has P(R > t) = F̄(t)·F̄(t−D), and the
// copies are a share F̄(D) of the requests. That holds for times that the attempts draw
// independently: here exponential delays on the way there. A demand belongs to the
// request, and a copy of it takes as long.
func TestHedgeMeetsItsClosedForm(t *testing.T) {
	t.Parallel()
	for _, cancel := range []string{"none", "queued"} {
		for _, delay := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} {
			t.Run(cancel+" "+delay.String(), func(t *testing.T) {
				t.Parallel()
				d := delay.Seconds()
				p := spec{n: 400, m: 1, rho: .02, service: workloads.Constant(1000), requests: 60_000, warmup: .01,
					make: hedged(delay.String(), cancel, policy("random")),
					edit: func(c *scenarios.Cell) { c.Setup.Services[0].Network.Request.Delay = expo() }}.part(t)
				require.Equal(t, p.Requests, p.Completed)
				for q, got := range map[float64]*float64{.5: p.P50MS, .9: p.P90MS, .99: p.P99MS} {
					want := -math.Log(1 - q) // while t < D
					if want > d {
						want = (want + d) / 2 // e^−(2t−D)
					}
					require.InEpsilon(t, want, *got/1000, .03, "quantile %v: about 3 standard errors", q)
				}
				require.InEpsilon(t, math.Exp(-d), metric(t, p, "count_hedges")/60_000, .03)
			})
		}
	}
}

func metric(t *testing.T, p reports.Part, name string) float64 {
	t.Helper()
	for k, v := range p.Metrics {
		if k == name {
			require.NotNil(t, v)
			return *v
		}
	}
	require.Fail(t, "no metric "+name)
	return 0
}

// A running copy that lost gives its slot back only with cancel: running; and a copy
// that waits in a queue leaves it with cancel: queued.
func TestHedgeCancels(t *testing.T) {
	t.Parallel()
	run := func(cancel string, rho float64) reports.Part {
		return spec{n: 20, m: 1, rho: rho, service: expo(), requests: 20_000, warmup: .1,
			make: hedged("1s", cancel, policy("random"))}.part(t)
	}
	none, queued, running := run("none", .3), run("queued", .3), run("running", .3)
	require.Less(t, *queued.Utilization, *none.Utilization)
	require.Less(t, *running.Utilization, *queued.Utilization)
	require.Greater(t, *none.Utilization, .4, "copies are work")
	require.Less(t, *running.P99MS, *none.P99MS)
}

// Two sick replicas of four answer half of their requests with an error: without a
// retry a quarter of all requests fails; with one, only those whose second replica
// fails, too.
func TestRetryCuresFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{scenarios.FaultRefuse, scenarios.FaultReset, scenarios.FaultError} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := spec{n: 4, m: 1, rho: .3, service: expo(), requests: 8000, warmup: .05, make: policy("random"), edit: func(c *scenarios.Cell) {
				c.Setup.Services[0].Discovery.Detect = scenarios.DetectNever
				c.Setup.Faults = []scenarios.Fault{{Kind: kind, Share: .5, Code: 503, Replicas: []int{0, 1}, ForLo: time.Hour * 10, ForHi: time.Hour * 10}}
			}}
			require.InDelta(t, .25, errorShare(s.part(t)), .02)
			s.make = retried(policy("random"))
			p := s.part(t)
			// first to a sick one (1/2), fails (1/2), the second to the other sick one (1/3), fails (1/2)
			require.InDelta(t, 1./24, errorShare(p), .01)
			require.InDelta(t, .25, metric(t, p, "count_retries")/8000, .02)
			s.make = with("retry", func(r *balance.Retry) { r.Budget = .1 })
			p = s.part(t)
			require.LessOrEqual(t, metric(t, p, "count_retries"), 800., "the budget is a tenth")
			require.Positive(t, metric(t, p, "count_retries_over_budget"))
		})
	}
}

// A lone replica is tried again, since nothing is left outside the excluded.
func TestRetryOfALoneReplica(t *testing.T) {
	t.Parallel()
	s := spec{n: 1, m: 1, rho: .3, service: expo(), requests: 4000, make: retried(policy("p2c")), edit: func(c *scenarios.Cell) {
		c.Setup.Services[0].Discovery.Detect = scenarios.DetectNever
		c.Setup.Faults = []scenarios.Fault{{Kind: scenarios.FaultRefuse, Share: .5, Replicas: []int{0}, ForLo: time.Hour * 10, ForHi: time.Hour * 10}}
	}}
	p := s.part(t)
	require.InDelta(t, .25, errorShare(p), .03)
	require.Zero(t, p.Errors["no_replica"])
}

// A replica that fails at once looks idle: whoever looks at loads sends it more than
// its share, until it is ejected.
func TestOutlierEjectsAFastFailingReplica(t *testing.T) {
	t.Parallel()
	const n = 10
	for _, inner := range []string{"least-outstanding", "jiq"} {
		s := spec{n: n, m: 1, rho: .7, service: expo(), requests: 20_000, warmup: .05, make: policy(inner), edit: func(c *scenarios.Cell) {
			c.Setup.Faults = []scenarios.Fault{{Kind: scenarios.FaultError, Share: 1, Code: 500, Replicas: []int{3}, ForLo: time.Hour * 10, ForHi: time.Hour * 10}}
		}}
		require.Greater(t, errorShare(s.part(t)), 2./n, inner)
		s.make = outliers(policy(inner))
		require.Less(t, errorShare(s.part(t)), .3/n, inner)
	}
}

// When most replicas look sick, panic tries them all rather than none.
func TestPanicBringsRequestsThrough(t *testing.T) {
	t.Parallel()
	s := spec{n: 10, m: 1, rho: .5, service: expo(), requests: 4000, warmup: .05, make: policy("random"), edit: func(c *scenarios.Cell) {
		// what was refused is down for ten minutes here, though it came back long before
		c.Setup.Services[0].Discovery = scenarios.Discovery{Detect: scenarios.DetectReset, Period: 10 * time.Minute}
		c.Setup.Faults = []scenarios.Fault{{Kind: scenarios.FaultRefuse, Share: 1, At: 100 * time.Second, ForLo: 60 * time.Second, ForHi: 60 * time.Second}}
	}}
	s.spec = gpu.Defaults(gpu.Service)
	none := s.part(t)
	require.Greater(t, errorShare(none), .5, "nobody is left for ten minutes")
	s.make = with("panic", func(p *balance.Panic) { p.Wrap(policy("random")()) })
	p := s.part(t)
	require.Less(t, errorShare(p), .15, "a minute of eight hundred seconds")
	require.Positive(t, metric(t, p, "count_picks_in_panic"))
}
