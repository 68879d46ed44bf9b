package realrun

import (
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
	"taillab/policies/flow"
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
		Cost: flow.Cost{Units: 1, Classes: 1}, Store: scenarios.Store{Shards: 2, Timeout: 5 * time.Second, Live: live}}
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

// replayed holds the tapes of both front ends to their inputs.
func replayed(t *testing.T, k *keep, c *scenarios.Cell) {
	t.Helper()
	for f, name := range []string{"frontend/0.1", "frontend/1.1"} {
		s := &c.Setup.Services[0]
		svc := flow.Service{Name: s.Name, Table: s.Table(), Balancer: c.Balancers[0].Make(), Period: s.Discovery.Period,
			Dice: chance.NewDice(chance.RunSeed(1, 0), "balance/main/"+string(rune('0'+f)))}
		stage := c.Setup.Quota.Stage(c.Limiter.Make(), chance.NewDice(chance.RunSeed(1, 0), "quota/"+string(rune('0'+f))))
		res, err := flow.Replay(k.tapes[name], flow.Replayed{FrontEnd: flow.New(flow.Config{Index: f, Count: 2, Services: []flow.Service{svc}, Quota: stage})})
		require.NoError(t, err)
		require.Nil(t, res.First)
		require.Positive(t, res.Decisions)
	}
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
