package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/policies/flow/flowtest"
)

// decorator wraps a balancer, with budgets that bind rarely so that much happens.
type decorator struct {
	name string
	wrap func(b balance.Balancer) balance.Balancer
}

func decorators() []decorator {
	find := func(name string) any {
		e, _ := balance.Catalog().Find("balance", name)
		return e.New()
	}
	retry := func(b balance.Balancer) balance.Balancer {
		d := find("retry").(*balance.Retry)
		d.Wrap(b)
		d.Budget, d.Max, d.Backoff = 4, 4, time.Millisecond
		return d
	}
	hedge := func(b balance.Balancer) balance.Balancer {
		d := find("hedge").(*balance.Hedge)
		d.Wrap(b)
		d.Budget, d.Max, d.Delay = 4, 3, "2ms"
		return d
	}
	quantile := func(b balance.Balancer) balance.Balancer {
		d := find("hedge").(*balance.Hedge)
		d.Wrap(b)
		d.Budget, d.Delay, d.Window, d.Cancel = 1, "p50", 20*time.Millisecond, "none"
		return d
	}
	outlier := func(b balance.Balancer) balance.Balancer {
		d := find("outlier").(*balance.Outlier)
		d.Wrap(b)
		d.Consecutive, d.MaxEjected, d.Ejection, d.Interval, d.FailVolume = 2, .5, 10*time.Millisecond, 20*time.Millisecond, 2
		return d
	}
	panics := func(b balance.Balancer) balance.Balancer {
		d := find("panic").(*balance.Panic)
		d.Wrap(b)
		return d
	}
	slow := func(b balance.Balancer) balance.Balancer {
		d := find("slow-start").(*balance.SlowStart)
		d.Wrap(b)
		d.Window = 30 * time.Millisecond
		return d
	}
	return []decorator{{"retry", retry}, {"hedge", hedge}, {"hedge-p50", quantile}, {"outlier", outlier}, {"panic", panics},
		{"slow-start", slow}, {"all", func(b balance.Balancer) balance.Balancer { return retry(hedge(outlier(panics(slow(b))))) }}}
}

// decoratedVariants are all decorators around balancers of different kinds.
func decoratedVariants(t testing.TB, n int) []variant {
	t.Helper()
	var out []variant
	plain := variants(t, n)
	for _, d := range decorators() {
		for _, name := range []string{"random", "p2c", "jiq", "p2c/probed", "central-queue", "central-queue/costs", "jsq", "jiq-amnesia", "board/optimistic", "smooth-wrr"} {
			for _, v := range plain {
				if v.name == name {
					out = append(out, variant{d.name + "(" + name + ")", func() balance.Balancer { return d.wrap(v.make()) }})
				}
			}
		}
	}
	return out
}

func TestDecoratedChurn(t *testing.T) {
	t.Parallel()
	for _, v := range decoratedVariants(t, 12) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range [][2]int{{1, 1}, {2, 3}, {12, 1}} {
				settled(t, runHard(v, size[0], size[1], 42, 800))
			}
		})
	}
}

func TestDecoratedFuzz(t *testing.T) {
	t.Parallel()
	all := decoratedVariants(t, 12)
	rapid.Check(t, func(r *rapid.T) {
		v := rapid.SampledFrom(all).Draw(r, "variant")
		settled(r, runHard(v, rapid.IntRange(1, 12).Draw(r, "n"), rapid.IntRange(1, 5).Draw(r, "m"),
			rapid.Uint64().Draw(r, "seed"), rapid.IntRange(1, 300).Draw(r, "requests")))
	})
}

func TestDecoratedRepeatsAndReplays(t *testing.T) {
	t.Parallel()
	for _, v := range decoratedVariants(t, 12) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			one, two := runHard(v, 5, 3, 7, 500), runHard(v, 5, 3, 7, 500)
			require.Equal(t, one.Actions, two.Actions)
			require.Equal(t, one.Records, two.Records)
			replay(t, one)
		})
	}
}

func TestDecoratedSmallFleets(t *testing.T) {
	t.Parallel()
	for _, v := range decoratedVariants(t, 12) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			h := flowtest.New(flowtest.Config{Make: v.make, Table: &balance.Table{N: 1}})
			h.Start()
			lone := h.Arrive(h.Now, 0, time.Millisecond)
			require.True(t, h.Drain(time.Second))
			require.Equal(t, policies.OK, h.Records[lone].Outcome)
			h.Announce(balance.ChangeDraining, 0)
			h.Run(2 * time.Second)
			none := h.Arrive(h.Now, 0, time.Millisecond)
			h.Run(h.Now)
			require.Equal(t, policies.NoReplica, h.Records[none].Outcome, "an empty fleet is None, at once")
		})
	}
}

func TestDecoratedUniform(t *testing.T) {
	t.Parallel()
	const n, seeds = 10, 400
	for _, v := range decoratedVariants(t, n) {
		if v.name == "all(jsq)" || v.name == "all(p2c)" || v.name == "all(jiq)" || v.name == "hedge(random)" {
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				picks := make([]int, seeds)
				for seed := range picks {
					picks[seed] = latePick(t, v, n, uint64(seed), true)
				}
				require.Less(t, chi2(count(picks, n)), chi2Limit(n))
			})
		}
	}
}

func TestDecoratedNoAllocations(t *testing.T) { //nolint:paralleltest // allocations are counted for the whole process
	for _, v := range decoratedVariants(t, 20) {
		if balancer := v.make(); isOracle(balancer) {
			continue // its fixed columns are of the whole fleet
		}
		t.Run(v.name, func(t *testing.T) {
			tab := &balance.Table{N: 20}
			b := v.make()
			l := &loop{fe: flow.New(flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Balancer: b, Table: tab, Dice: dice()}}}),
				half: flow.NewReplicas(b, 0, 1, flowtest.New(flowtest.Config{Make: v.make, Table: tab}).ReplicaDice(), nil)}
			l.fe.Start(0, l.reset())
			for id := range uint32(20) {
				l.replica(policies.Ref{ID: id}, balance.ReplicaEvent{Kind: balance.ReplicaStarted}, balance.Load{Slots: 1})
			}
			for range 2000 {
				l.request()
			}
			require.Zero(t, testing.AllocsPerRun(500, l.request))
		})
	}
}

func isOracle(b balance.Balancer) bool {
	_, ok := balance.Inside[balance.Oracle](b)
	return ok
}

func TestInside(t *testing.T) {
	t.Parallel()
	for _, d := range decorators() {
		b := d.wrap(&balance.JSQ{})
		require.True(t, isOracle(b), d.name)
		_, ok := b.(balance.Oracle)
		require.False(t, ok, "%s itself peeks at nothing", d.name)
		_, halved := balance.Inside[balance.Halved](b)
		require.False(t, halved, d.name)
		_, halved = balance.Inside[balance.Halved](d.wrap(&balance.JIQ{}))
		require.True(t, halved, d.name)
		_, shared := balance.Inside[balance.Shared](d.wrap(&balance.CentralQueue{}))
		require.True(t, shared, d.name)
	}
}

// TestWantsOfDecorators: an event that nobody subscribes to is not delivered.
func TestWantsOfDecorators(t *testing.T) {
	t.Parallel()
	want := map[string]balance.Mask{
		"retry":      balance.WantAttempts | balance.WantFirstByte | balance.WantWoke | balance.WantGone | balance.WantRequests,
		"hedge":      balance.WantAttempts | balance.WantWoke | balance.WantGone | balance.WantRequests,
		"outlier":    balance.WantAttempts | balance.WantMembers,
		"panic":      0,
		"slow-start": balance.WantMembers,
	}
	for _, d := range decorators() {
		m, ok := want[d.name]
		if !ok {
			continue
		}
		s := balance.Subscribe(d.wrap(&balance.Random{}))
		require.Equal(t, m|balance.WantLoads, s.Mask(), "%s: a balancer that does not say otherwise may read loads", d.name)
		s = balance.Subscribe(d.wrap(&balance.P2C{Load: "probed"}))
		require.Equal(t, m|balance.WantProbes, s.Mask(), d.name)
	}
}
