package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// clients has requests given up after 3 s on average.
func clients(c *scenarios.Cell) {
	w := workloads.NewSpec()
	w.Demand, w.Deadline = expo(), workloads.Dist{Kind: "exponential", Mean: 3 * second}
	c.Setup.Workload, _ = workloads.Compile(w, workloads.Options{Services: []string{"main"}})
}

// uneven has a fast and a slow half of the fleet, of unequal weights.
func uneven(c *scenarios.Cell) {
	s := &c.Setup.Services[0]
	g := s.Groups[0]
	g.Replicas /= 2
	fast := g
	fast.Speed, fast.Weight = 1.5, 3
	s.Groups = []scenarios.Group{g, fast}
}

// wakeful asks for a wake beside its choice, which nobody expects of it.
type wakeful struct{ balance.Random }

// Pick implements balance.Balancer.
func (w *wakeful) Pick(env *balance.Env, req *policies.Request) balance.Choice {
	env.Wake(env.Now+time.Second, 7)
	return w.Random.Pick(env, req)
}

// Both ways of a request give the same results to the bit, whatever meets at the same
// instant and whichever requests take which way.
func TestDirectWayAgrees(t *testing.T) {
	t.Parallel()
	cases := map[string]spec{
		"usual":         {n: 20, m: 3, rho: .9, service: expo()},
		"one replica":   {n: 1, rho: .8, service: logn2()},
		"equal demands": {n: 8, rho: 1, service: det(), edit: func(c *scenarios.Cell) { regular(c, det()) }},
		// arrivals, ends of service and empty demands at the same nanoseconds
		"grain of the clock": {n: 4, m: 2, service: workloads.Dist{Kind: "exponential", Mean: 3}, edit: func(c *scenarios.Cell) { c.RateRPS = 1e9 }},
		"deadlines":          {n: 10, m: 2, rho: 1.2, service: expo(), edit: clients},
		"more than lanes":    {n: MaxLanes + 1, rho: .9, service: expo()},
		"uneven":             {n: 10, rho: .9, service: expo(), edit: uneven},
		"horizon":            {n: 10, rho: .7, service: expo(), edit: func(c *scenarios.Cell) { c.Setup.Measure.Horizon = 300 * time.Second }},
	}
	for name, s := range cases {
		for p, mk := range map[string]func() balance.Balancer{"p2c": policy("p2c"), "random": policy("random"), "round-robin": policy("round-robin"),
			"least-outstanding": policy("least-outstanding"), "wakeful": func() balance.Balancer { return &wakeful{} }} {
			if s.n > MaxLanes && p != "p2c" { // a large fleet takes long
				continue
			}
			t.Run(name+" "+p, func(t *testing.T) {
				t.Parallel()
				s := s
				s.make, s.requests, s.warmup = mk, 8000, .1
				require.True(t, takesDirect(t, s), "the direct way is not taken")
				a := s.simulate(t)
				s.general = true
				b := s.simulate(t)
				require.Equal(t, b.cols[0].Part(), a.cols[0].Part())
				require.Equal(t, b.rows, a.rows)
			})
		}
	}
}

// regular is arrivals at equal gaps.
func regular(c *scenarios.Cell, demand workloads.Dist) {
	w := workloads.NewSpec()
	w.Arrivals, w.Demand = workloads.NewArrivals("constant"), demand
	c.Setup.Workload, _ = workloads.Compile(w, workloads.Options{Services: []string{"main"}})
}

func takesDirect(t *testing.T, s spec) bool {
	t.Helper()
	l, err := newLab(0, &scenarios.Run{Cell: s.cell(t), Seed: chance.RunSeed(1, 0)}, &keep{bits: 11}, Host{})
	require.NoError(t, err)
	return l.svcs[0].direct
}

// Whatever stands in between, or must be told, leads to the general way.
func TestDirectWayIsNotForEverything(t *testing.T) {
	t.Parallel()
	plain := spec{n: 4, rho: .5, service: expo(), make: policy("p2c"), requests: 100}
	require.True(t, takesDirect(t, plain))
	cases := map[string]func(s *spec){
		"delay":       func(s *spec) { s.edit = rough },
		"tape":        func(s *spec) { s.edit = func(c *scenarios.Cell) { c.Setup.Measure.Tape = true } },
		"halves":      func(s *spec) { s.make = policy("jiq") },
		"oracle":      func(s *spec) { s.make = policy("jsq") },
		"shared":      func(s *spec) { s.make = policy("central-queue") },
		"probes":      func(s *spec) { s.make = with("p2c", func(p *balance.P2C) { p.Load = "probed" }) },
		"told":        func(s *spec) { s.make = policy("retry") },
		"queue limit": func(s *spec) { s.spec = gpu.Defaults(gpu.Service); s.spec.QueueLimit = 3 },
		"slots":       func(s *spec) { s.spec = gpu.Defaults(gpu.Service); s.spec.Slots = 2 },
		"faults": func(s *spec) {
			s.edit = func(c *scenarios.Cell) { c.Setup.Faults = []scenarios.Fault{{}} }
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := plain
			change(&s)
			require.False(t, takesDirect(t, s))
		})
	}
}
