package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/policies/share"
)

const quotaText = `
version: 1
name: q
workload: {arrivals: {poisson: {rate: 40/s}}, demand: 5ms}
fleet: {replicas: 4}
frontends: {count: 3}
`

func TestQuota(t *testing.T) {
	t.Parallel()
	plans, _, shown := load(t, quotaText+`
quota:
  group_limit: {rate: 60/min, burst: 7}
  groups: [{name: ads, tenants: [{name: a, weight: 2}, b]}, {name: chat, tenants: {n: 3, zipf: 1}}]
  units: 2
  on_denied: {retry: {max: 5, backoff: 50ms}}
  on_store_loss: closed
  store: {shards: 7, placement: jump, rtt: 2ms, service: 30us, stall: {every: 20s, for: 500ms}, loss: 1%, timeout: 50ms, live: {spawn: 3}}
policies: {quota: [{name: lease, size: 3}, {name: central, as: c}], share: [fcfs, maxmin]}
sweep: {demand: [40/s, 80/s], seeds: 2}`, "policies.quota[0].size=5")
	require.Empty(t, shown)
	p := plans[0]
	require.Len(t, p.Cells, 2*2*2)
	c := p.Cells[0]
	require.Equal(t, "lease/fcfs", c.Policy)
	require.Equal(t, "quota/share", c.Family)
	require.Equal(t, map[string]any{"quota": map[string]any{"size": 5.0, "ttl": "1s", "return_unspent": false}, "share": map[string]any{}}, c.Params)
	require.InDelta(t, 40, c.RateRPS, 0)
	require.InDelta(t, 80, p.Cells[1].RateRPS, 0)
	l, ok := c.Limiter.Make().(*quota.Lease)
	require.True(t, ok)
	require.InDelta(t, 5, l.Size, 0)
	require.NotSame(t, l, c.Limiter.Make(), "an instance per front end")

	q := c.Setup.Quota
	require.Equal(t, []quota.Group{
		{Name: "default", Rate: 1, Burst: 7},
		{Name: "ads", Rate: 1, Burst: 7, Tenants: []uint32{0, 1}, Weights: []float64{2, 1}},
		{Name: "chat", Rate: 1, Burst: 7, Tenants: []uint32{2, 3, 4}, Weights: []float64{1, 1, 1}},
	}, q.Groups)
	require.Equal(t, []string{"a", "b", "chat.t1", "chat.t2", "chat.t3"}, c.Setup.Workload.Tenants())
	require.InDeltaSlice(t, []float64{.25, .25, .5 * 6 / 11, .5 * 3 / 11, .5 * 2 / 11}, c.Setup.Workload.Shares(), 1e-12)
	require.Equal(t, flow.Cost{Units: 2, Classes: 1}, q.Cost)
	require.Equal(t, flow.OnDenied{Kind: flow.DeniedRetry, Max: 5, Backoff: 50 * time.Millisecond, WaitMax: 10 * time.Second}, q.OnDenied)
	require.Equal(t, quota.LossClosed, q.OnLoss)
	require.Equal(t, Store{Shards: 7, Placement: quota.Jump, RTT: 2 * time.Millisecond, Service: 30 * time.Microsecond, StallEvery: 20 * time.Second,
		StallFor: 500 * time.Millisecond, Loss: .01, Timeout: 50 * time.Millisecond, Live: StoreLive{Spawn: 3}}, q.Store)
}

// Groups may also name the tenants that the workload lists.
func TestQuotaOfTheWorkloadsTenants(t *testing.T) {
	t.Parallel()
	plans, _, shown := load(t, quotaText+`
quota: {group_limit: {concurrency: 64 units}, groups: [{name: x, tenants: [b]}, {name: y, tenants: [a]}], on_denied: wait, wait_max: 3s}
policies: {quota: {name: central, inner: concurrency}}`, "workload.tenants=[{name: a, share: 0.9}, {name: b, share: 0.1}]")
	require.Empty(t, shown)
	q := plans[0].Cells[0].Setup.Quota
	require.Equal(t, []quota.Group{{Name: "default", Units: 64}, {Name: "y", Units: 64, Tenants: []uint32{0}, Weights: []float64{1}},
		{Name: "x", Units: 64, Tenants: []uint32{1}, Weights: []float64{1}}}, q.Groups)
	require.Equal(t, flow.OnDenied{Kind: flow.DeniedWait, WaitMax: 3 * time.Second}, q.OnDenied)
}

// The bound on answers comes from the workload, by class.
func TestQuotaInTokens(t *testing.T) {
	t.Parallel()
	plans, _, shown := load(t, quotaText+`
quota: {group_limit: {rate: 9000/s}, cost: estimate}
policies: {quota: token}`, "workload={arrivals: {poisson: {rate: 4/s}}, input: 100, output: {lognormal: {mean: 100, cv: 1, max: 700}}, tenants: [{name: a, share: 0.5}, {name: b, share: 0.5, class: long, output: 2000}]}", "fleet.gpu=h100-8b")
	require.Empty(t, shown)
	require.Equal(t, flow.Cost{Kind: flow.CostEstimate, Units: 1, Classes: 2, MaxTokens: []uint32{700, 2000}}, plans[0].Cells[0].Setup.Quota.Cost)
}

// Without a limiter, and with none alone, there is no quota stage; a tape's limiter is
// made as it was.
func TestLimiters(t *testing.T) {
	t.Parallel()
	for _, none := range []string{"", "policies: {quota: none}", "policies: {share: fcfs}"} {
		plans, _, shown := load(t, quotaText+none)
		require.Empty(t, shown)
		require.Nil(t, plans[0].Cells[0].Limiter.Make, none)
		require.Nil(t, plans[0].Cells[0].Setup.Quota, none)
	}
	x, problems := MakeLimiter(Catalog(), "token", []byte(`{"rate": 5, "burst": null}`), "maxmin", []byte(`{"demand_window": "2s"}`))
	require.Empty(t, problems)
	tok, ok := x.Make().(*quota.Token)
	require.True(t, ok)
	require.InDelta(t, 5, *tok.Rate, 0)
	require.Nil(t, tok.Burst)
	d, ok := x.divider().(*share.MaxMin)
	require.True(t, ok)
	require.Equal(t, 2*time.Second, d.DemandWindow)
	_, problems = MakeLimiter(Catalog(), "token", []byte(`{"rate": -5}`), "fair", nil)
	require.Len(t, problems, 2)
}
