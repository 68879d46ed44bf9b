package realrun

import (
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/flow/flowtest"
	"taillab/policies/quota"
	"taillab/policies/share"
	"taillab/realrun/store"
	"taillab/scenarios"
	"taillab/workloads"
)

// limited is a cell of two front ends behind a limiter: 300 requests/s meet a limit of
// 100 units/s and a burst of 20.
func limited(t *testing.T, requests int, limiter func() quota.Limiter, live scenarios.StoreLive) *scenarios.Cell {
	t.Helper()
	w := workloads.NewSpec()
	w.Demand = workloads.Constant(1e6)
	w.Frontends.Count = 2
	c := cellFrom(t, w, 2, requests, 300, policy("random"))
	c.Setup.Live.Tape = true
	c.Setup.Measure.WarmupShare = 0
	c.Setup.Quota = &scenarios.Quota{Groups: []quota.Group{{Name: "g", Rate: 100, Burst: 20, Tenants: []uint32{0}}},
		Cost: flow.Cost{Units: 1, Classes: 1}, Store: scenarios.Store{Shards: 2, Timeout: 30 * time.Second, Live: live}}
	c.Limiter = scenarios.Limiter{Type: "test", Make: limiter}
	return c
}

func emulate(t *testing.T, c *scenarios.Cell) *keep {
	t.Helper()
	patient(c)
	k := &keep{}
	h := Host{Note: func(string) {}}
	require.NoError(t, h.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: chance.RunSeed(1, 0)}}, k))
	return k
}

// replayed holds the tapes of both front ends to their inputs, and tells what their
// limiters decided.
func replayed(t *testing.T, k *keep, c *scenarios.Cell) (seen []*flowtest.Witness) {
	t.Helper()
	for f, name := range []string{"frontend/0.1", "frontend/1.1"} {
		s := &c.Setup.Services[0]
		svc := flow.Service{Name: s.Name, Table: s.Table(), Balancer: c.Balancers[0].Make(), Period: s.Discovery.Period,
			Dice: chance.NewDice(chance.RunSeed(1, 0), "balance/main/"+string(rune('0'+f)))}
		w := &flowtest.Witness{Limiter: c.Limiter.Make()}
		seen = append(seen, w)
		stage := c.Setup.Quota.Stage(w, chance.NewDice(chance.RunSeed(1, 0), "quota/"+string(rune('0'+f))))
		res, err := flow.Replay(k.tapes[name], flow.Replayed{Watch: w.Watch, FrontEnd: flow.New(flow.Config{Index: f, Count: 2, Services: []flow.Service{svc}, Quota: stage})})
		require.NoError(t, err)
		require.Nil(t, res.First)
		require.Positive(t, res.Decisions)
	}
	return seen
}

// metric is one of a run's family metrics.
func metric(t *testing.T, k *keep, name string) float64 {
	t.Helper()
	x := k.col.Part().Metrics[name]
	require.NotNil(t, x, name)
	return *x
}

// The limiters of the simulator hold a limit live, with their counters in a server: no
// more is admitted than the limit gives, and the tapes replay identically.
func TestLimitersLive(t *testing.T) {
	t.Parallel()
	for name, mk := range map[string]func() quota.Limiter{
		"central": func() quota.Limiter { return &quota.Central{Inner: "token", HoldTTL: time.Second} },
		"lease":   func() quota.Limiter { return &quota.Lease{Size: 5, TTL: time.Second} },
		"static":  func() quota.Limiter { return &quota.Static{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := limited(t, 450, mk, scenarios.StoreLive{})
			began := time.Now()
			k := emulate(t, c)
			errs := conserved(t, k)
			require.Positive(t, errs["rejected"])
			took := time.Since(began).Seconds()
			require.LessOrEqual(t, float64(k.col.Part().Completed), 20+100*took)
			replayed(t, k, c)
			if name == "static" {
				return
			}
			require.Positive(t, metric(t, k, "shard_ops_rps"))
			require.Zero(t, metric(t, k, "fallback_share"))
		})
	}
}

// A server that dies in mid-run and comes back: what it does not answer is decided as
// the scenario says, nothing hangs, and no request is lost.
func TestStoreDies(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip(store.ErrNoServer)
	}
	p, err := store.Spawn(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	c := limited(t, 600, func() quota.Limiter { return &quota.Central{Inner: "token", HoldTTL: time.Second} }, scenarios.StoreLive{Redis: []string{p.Address}})
	c.Setup.Quota.Store.Timeout = 100 * time.Millisecond
	c.Setup.Quota.OnLoss = quota.LossClosed
	var wg sync.WaitGroup
	wg.Go(func() {
		time.Sleep(700 * time.Millisecond)
		_ = p.Kill() // it is stopped again at the end
		time.Sleep(500 * time.Millisecond)
		_ = p.Start()
	})
	k := emulate(t, c)
	wg.Wait()
	errs := conserved(t, k)
	require.Positive(t, errs["rejected"])
	require.Len(t, errs, 1, "no other class")
	require.Positive(t, metric(t, k, "fallback_share"))
	require.Positive(t, k.col.Part().Completed)
	replayed(t, k, c)
}

// One of two servers dies for half a second: its group is decided without it, within the
// bound of each mode, the other group is not touched, and the server decides again when
// it is back.
func TestShardDies(t *testing.T) {
	t.Parallel()
	central := func() quota.Limiter { return &quota.Central{Inner: "token", HoldTTL: time.Second} }
	lease := func() quota.Limiter { return &quota.Lease{Size: 5, TTL: time.Second} }
	for _, x := range []struct {
		name    string
		loss    quota.LossMode
		limiter func() quota.Limiter
		spawn   int // 0: servers in this process
	}{
		{"closed", quota.LossClosed, central, 2},
		{"open", quota.LossOpen, central, 2},
		{"static", quota.LossStatic, lease, 2},
		{"inside", quota.LossClosed, lease, 0}, // whose scripts are slow: a lease asks seldom
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath("redis-server"); err != nil && x.spawn > 0 {
				t.Skip(store.ErrNoServer)
			}
			c := twoGroups(t, x.limiter)
			c.Setup.Quota.Store.Live.Spawn = x.spawn
			c.Setup.Quota.OnLoss = x.loss
			crash := scenarios.Fault{At: 600 * time.Millisecond, ForLo: 500 * time.Millisecond, ForHi: 500 * time.Millisecond, Kind: scenarios.FaultCrash, Shards: []int{1}}
			c.Setup.Faults = []scenarios.Fault{crash}
			k := emulate(t, c)
			errs := conserved(t, k)
			require.Positive(t, errs["rejected"])
			require.Len(t, errs, 1, "no other class")
			var alone, admitted, again int
			var first, last time.Duration
			for _, w := range replayed(t, k, c) {
				for _, d := range w.Decisions {
					if !d.Alone {
						continue
					}
					require.Equal(t, "g1", c.Setup.Quota.Groups[d.Group].Name, "the other shard is not touched")
					if alone++; first == 0 {
						first = d.At
					}
					first, last = min(first, d.At), max(last, d.At)
					if d.Outcome == quota.Admitted {
						admitted++
					}
				}
				for _, a := range w.Answers {
					if !a.Lost && a.At > crash.At+crash.ForLo && c.Setup.Quota.Groups[a.Group].Name == "g1" {
						again++
					}
				}
			}
			require.Positive(t, alone)
			require.Positive(t, again, "the server decides again")
			switch x.loss {
			case quota.LossClosed:
				require.Zero(t, admitted)
			case quota.LossOpen:
				require.Equal(t, alone, admitted)
			default:
				g := &c.Setup.Quota.Groups[0]
				require.LessOrEqual(t, float64(admitted), 2*max(g.Burst/2, 1)+g.Rate*(last-first).Seconds(), "two front ends with half the limit each")
			}
		})
	}
}

// twoGroups is limited with two groups on two shards, g1 on the second.
func twoGroups(t *testing.T, limiter func() quota.Limiter) *scenarios.Cell {
	t.Helper()
	w := workloads.NewSpec()
	w.Demand = workloads.Constant(1e6)
	w.Frontends.Count = 2
	w.Tenants.List = []workloads.Tenant{{Name: "a", Share: .5, Group: "g1"}, {Name: "b", Share: .5, Group: "g2"}}
	c := cellFrom(t, w, 2, 1200, 300, policy("random"))
	one := limited(t, 1, limiter, scenarios.StoreLive{})
	c.Setup.Live, c.Setup.Quota, c.Limiter = one.Setup.Live, one.Setup.Quota, one.Limiter
	c.Setup.Measure.WarmupShare = 0
	q := c.Setup.Quota
	q.Groups, q.Store.Timeout = nil, 30*time.Second // a server that is gone refuses at once
	for _, name := range c.Setup.Workload.Groups() {
		q.Groups = append(q.Groups, quota.Group{Name: name, Rate: 100, Burst: 20})
	}
	for tenant, group := range c.Setup.Workload.TenantGroups() {
		q.Groups[group].Tenants = append(q.Groups[group].Tenants, uint32(tenant))
	}
	require.Equal(t, 1, q.Store.Placement.Shard("g1", 2))
	require.Equal(t, 0, q.Store.Placement.Shard("g2", 2))
	return c
}

func TestNoLiveStoreForDivisions(t *testing.T) {
	t.Parallel()
	c := limited(t, 10, func() quota.Limiter {
		l := &quota.Central{Inner: "token", HoldTTL: time.Second}
		l.Share(func() share.Divider { return &share.Hard{} })
		return l
	}, scenarios.StoreLive{})
	c.Setup.Quota.Groups[0].Tenants = []uint32{0, 1}
	err := Host{}.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: 1}}, &keep{})
	require.ErrorIs(t, err, errDivided)
}

// panicking is a limiter with a mistake.
type panicking struct{ quota.Static }

// Admit implements quota.Limiter.
func (panicking) Admit(*quota.Env, *policies.Request, float64) quota.Verdict { panic("broken") }

// A policy that panics ends the run, which must not wait for it.
func TestPolicyPanics(t *testing.T) {
	t.Parallel()
	c := limited(t, 10, func() quota.Limiter { return &panicking{} }, scenarios.StoreLive{})
	require.PanicsWithValue(t, "broken", func() { _ = Host{}.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: 1}}, &keep{}) })
}
