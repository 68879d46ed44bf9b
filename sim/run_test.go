package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// names of the catalogue; static needs a capacity for each replica.
func everyPolicy(n int) map[string]func() balance.Balancer {
	out := map[string]func() balance.Balancer{}
	for _, name := range balance.Catalog().Names("balance") {
		out[name] = policy(name)
	}
	capacity := map[string]float64{}
	for i := range n {
		capacity[fmt.Sprint(i)] = 1 + float64(i%3)
	}
	out["static"] = with("static", func(s *balance.Static) { s.Capacity = capacity })
	out["p2c probed"] = with("p2c", func(p *balance.P2C) { p.Load = "probed" })
	out["jiq sq p2c"] = with("jiq", func(j *balance.JIQ) { j.Reporting, j.Fallback, j.FallbackLoad = "sq", "p2c", "probed" })
	maps.Copy(out, decorated())
	out["board sample"] = with("board", func(b *balance.Board) { b.Mode, b.Optimistic, b.Phase = "sample", true, "random" })
	return out
}

// rough is a network on which everything that can go wrong does.
func rough(c *scenarios.Cell) {
	d := workloads.Dist{Kind: "exponential", Mean: 20e6}
	l := scenarios.Link{Delay: d, Loss: .02, Duplicate: .05, Reorder: .1}
	c.Setup.Services[0].Network = scenarios.Network{Request: scenarios.Link{Delay: d}, Response: scenarios.Link{Delay: d},
		Report: l, Probe: l, Ask: l, Membership: l}
}

// A tape of every policy, replayed through fresh instances, gives the same actions.
func TestTapesReplayIdentically(t *testing.T) {
	t.Parallel()
	const n, m = 12, 3
	for name, mk := range everyPolicy(n) {
		for _, net := range []string{"free", "rough"} {
			t.Run(name+" "+net, func(t *testing.T) {
				t.Parallel()
				s := spec{n: n, m: m, rho: .8, service: expo(), make: mk, requests: 4000, warmup: .1}
				var cell *scenarios.Cell
				s.edit = func(c *scenarios.Cell) {
					cell = c
					c.Setup.Measure.Tape = true
					if net == "rough" {
						rough(c)
						c.Setup.Services[0].Discovery = scenarios.Discovery{Detect: scenarios.DetectHealth, Period: time.Second, Misses: 2}
						c.Setup.Faults = []scenarios.Fault{{Every: 40 * time.Second, ForLo: time.Second, ForHi: 5 * time.Second, Kind: scenarios.FaultCrash}}
					}
				}
				k := s.simulate(t)
				require.NotEmpty(t, k.tapes)
				calls := uint64(0)
				for stream, data := range k.tapes {
					res, err := flow.Replay(data, fresh(stream, cell, chance.RunSeed(1, 0)))
					require.NoError(t, err, stream)
					require.Nil(t, res.First, stream)
					require.False(t, res.Truncated)
					calls += res.Calls
				}
				require.Greater(t, calls, uint64(7000))
			})
		}
	}
}

// fresh builds an instance as the host does, for one stream of a tape.
func fresh(stream string, c *scenarios.Cell, seed uint64) flow.Replayed {
	cfg := &c.Setup.Services[0]
	b := c.Balancers[0].Make()
	m := c.Setup.FrontEnds.Count
	if strings.HasPrefix(stream, "replicas/") {
		dice := replicaDice("main", cfg.Replicas(), seed)
		return flow.Replayed{Replicas: flow.NewReplicas(b, 0, m, dice, nil)}
	}
	var k int
	_, _ = fmt.Sscanf(stream, "frontend/%d", &k)
	if _, shared := balance.Inside[balance.Shared](b); shared {
		k, m = 0, 1
	}
	truth := &flow.TapedTruth{}
	svc := flow.Service{Name: "main", Balancer: b, Table: cfg.Table(), Period: cfg.Discovery.Period,
		Detect: detection(cfg.Discovery.Detect), Dice: chance.NewDice(seed, fmt.Sprintf("balance/main/%d", k))}
	r := flow.Replayed{}
	if _, oracle := balance.Inside[balance.Oracle](b); oracle {
		svc.Truth, r.Truth = truth, truth
	}
	r.FrontEnd = flow.New(flow.Config{Index: k, Count: m, Services: []flow.Service{svc}})
	return r
}

func detail(k *keep) string {
	var b strings.Builder
	for _, c := range k.cols {
		p := c.Part()
		fmt.Fprintf(&b, "%s %d %d %v;", p.ResultHash, p.Requests, p.Completed, p.Errors)
	}
	return b.String()
}

// The same seed gives the same records; another seed does not.
func TestRunsRepeat(t *testing.T) {
	t.Parallel()
	for name, mk := range everyPolicy(10) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := spec{n: 10, m: 4, rho: .8, service: logn2(), make: mk, requests: 3000, warmup: .1, edit: rough}
			a := detail(s.simulate(t))
			require.Equal(t, a, detail(s.simulate(t)))
			s.from = 5
			require.NotEqual(t, a, detail(s.simulate(t)))
		})
	}
}

// Whatever fails, every measured request ends in exactly one class, and the steps
// of the answered ones sum to their latency.
func TestConservationUnderFaults(t *testing.T) {
	t.Parallel()
	all := everyPolicy(6)
	var names []string
	names = append(names, balance.Catalog().Names("balance")...)
	names = append(names, "p2c probed", "jiq sq p2c", "board sample")
	names = append(names, slices.Sorted(maps.Keys(decorated()))...)
	kinds := []string{scenarios.FaultCrash, scenarios.FaultFreeze, scenarios.FaultSlow, scenarios.FaultDrop,
		scenarios.FaultDelay, scenarios.FaultError, scenarios.FaultRefuse, scenarios.FaultReset}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(names).Draw(rt, "policy")
		s := spec{n: 6, m: rapid.IntRange(1, 3).Draw(rt, "m"), rho: rapid.Float64Range(.3, 1.1).Draw(rt, "rho"), service: expo(),
			make: all[name], requests: 800, warmup: .1, from: rapid.IntRange(0, 99).Draw(rt, "seed")}
		s.spec = gpu.Defaults(gpu.Service)
		s.spec.QueueLimit = rapid.SampledFrom([]int{-1, 0, 3}).Draw(rt, "limit")
		s.spec.Slots = rapid.SampledFrom([]int{1, 2}).Draw(rt, "slots")
		s.edit = func(c *scenarios.Cell) {
			if rapid.Bool().Draw(rt, "rough") {
				rough(c)
				c.Setup.Services[0].Network.Request.Loss = .01
				c.Setup.Services[0].Network.Response.Loss = .01
			}
			c.Setup.Services[0].Discovery = scenarios.Discovery{Period: time.Second, Misses: 2, Delay: time.Second, Jitter: time.Second,
				Detect: rapid.SampledFrom([]string{"reset", "never", "health"}).Draw(rt, "detect")}
			for range rapid.IntRange(0, 4).Draw(rt, "faults") {
				f := scenarios.Fault{Kind: rapid.SampledFrom(kinds).Draw(rt, "kind"), Factor: 3, Share: .5, Code: 503, Delay: time.Second}
				if rapid.Bool().Draw(rt, "again") {
					f.Every = 20 * time.Second
				} else {
					f.At = time.Duration(rapid.IntRange(0, 90).Draw(rt, "at")) * time.Second
				}
				f.ForLo, f.ForHi = time.Second, 9*time.Second
				if rapid.IntRange(0, 4).Draw(rt, "front") == 0 {
					f.Kind, f.Fronts = scenarios.FaultCrash, []int{0}
				} else if rapid.Bool().Draw(rt, "one") {
					f.Replicas = []int{rapid.IntRange(0, 5).Draw(rt, "replica")}
				}
				c.Setup.Faults = append(c.Setup.Faults, f)
			}
		}
		k := s.simulate(t)
		p := k.cols[0].Part()
		sum := p.Completed
		for _, x := range p.Errors {
			sum += x
		}
		require.Equal(t, p.Requests, sum)
		require.Equal(t, int64(720), p.Requests)
	})
}

// A crash ends what is inside as reset and refuses the rest; once discovery has
// told, nothing is lost any more.
func TestCrashIsSeenAndForgotten(t *testing.T) {
	t.Parallel()
	s := spec{n: 4, m: 1, rho: .5, service: expo(), make: policy("random"), requests: 4000, edit: func(c *scenarios.Cell) {
		c.Setup.Services[0].Discovery = scenarios.Discovery{Detect: scenarios.DetectHealth, Period: 10 * time.Second, Misses: 3}
		c.Setup.Faults = []scenarios.Fault{{At: 500 * time.Second, ForLo: 500 * time.Second, ForHi: 500 * time.Second, Kind: scenarios.FaultCrash, Replicas: []int{2}}}
	}}
	never := s
	edit := s.edit
	never.edit = func(c *scenarios.Cell) { edit(c); c.Setup.Services[0].Discovery.Detect = scenarios.DetectNever }
	p, q := s.simulate(t).cols[0].Part(), never.simulate(t).cols[0].Part()
	require.Positive(t, p.Errors["refused"])
	require.Less(t, p.Errors["refused"], int64(30), "20 to 30 s of a quarter of 2 requests/s")
	require.Greater(t, q.Errors["refused"], int64(180), "a quarter of 1,000 arrivals")
}

// A frozen replica answers late, not wrongly; a slow one takes its factor longer.
func TestFreezeAndSlow(t *testing.T) {
	t.Parallel()
	run := func(kind string, factor float64) reports.Part {
		s := spec{n: 1, m: 1, rho: .01, service: det(), make: policy("random"), requests: 200, edit: func(c *scenarios.Cell) {
			c.Setup.Faults = []scenarios.Fault{{At: 0, Kind: kind, Factor: factor, ForLo: 15000 * time.Second, ForHi: 15000 * time.Second}}
		}}
		return s.simulate(t).cols[0].Part()
	}
	slow := run(scenarios.FaultSlow, 3)
	require.InDelta(t, 3000, *slow.P50MS, 100)
	require.Equal(t, slow.Requests, slow.Completed)
	frozen := run(scenarios.FaultFreeze, 1)
	require.Equal(t, frozen.Requests, frozen.Completed)
	require.Greater(t, *frozen.MaxMS, 4_000_000.0)
}

// A policy that breaks its contract stops the run with its name, not the program.
func TestAPolicyBugIsNamed(t *testing.T) {
	t.Parallel()
	s := spec{n: 2, m: 1, rho: .5, service: expo(), requests: 10, make: func() balance.Balancer { return rogue{} }}
	c := s.cell(t)
	err := Host{}.Run(context.Background(), []scenarios.Run{{Cell: c, Seed: 7}}, &keep{})
	require.ErrorContains(t, err, "chose replica 99.0, which is not a member")
	require.ErrorContains(t, err, `policy "p", seed 1`)
}

type rogue struct{}

func (rogue) Pick(*balance.Env, *policies.Request) balance.Choice {
	return balance.To(policies.Ref{ID: 99})
}

func TestInterruptedRunGivesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	s := spec{n: 2, m: 1, rho: .5, service: expo(), requests: 1_000_000_000, make: policy("random")}
	k := &keep{}
	time.AfterFunc(20*time.Millisecond, cancel)
	err := Host{}.Run(ctx, []scenarios.Run{{Cell: s.cell(t), Seed: 7}}, k)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, k.done)
}
