package quota_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/quota"
	"taillab/policies/share"
)

// The conformance suite: what every catalogue entry must hold, with every divider.

// variant is a limiter of the catalogue with a limit that it can keep.
type variant struct {
	name string
	make func() quota.Limiter
	held bool // a number of units, not a rate
}

func variants(t require.TestingT) []variant {
	var out []variant
	for _, e := range quota.Catalog() {
		out = append(out, variant{e.Name, named(t, e.Name), false})
	}
	few := 4.0
	i := slices.IndexFunc(out, func(v variant) bool { return v.name == "concurrency" })
	out[i].make, out[i].held = func() quota.Limiter { return &quota.Concurrency{Units: &few, Poll: time.Millisecond} }, true
	return append(out,
		variant{"async timer", func() quota.Limiter { return &quota.Async{Sync: 50 * time.Millisecond, Tell: "timer"} }, false},
		variant{"static units", named(t, "static"), true},
		variant{"central gcra", func() quota.Limiter {
			return &quota.Central{Inner: "gcra", HoldTTL: 30 * time.Second, Poll: time.Millisecond}
		}, false},
		variant{"central units", func() quota.Limiter {
			return &quota.Central{Inner: "concurrency", HoldTTL: 30 * time.Second, Poll: time.Millisecond}
		}, true},
		variant{"lease returned", func() quota.Limiter { return &quota.Lease{Size: 4, TTL: 50 * time.Millisecond, Return: true} }, false})
}

func dividers() map[string]func() share.Divider {
	out := map[string]func() share.Divider{}
	for _, e := range share.Catalog() {
		out[e.Name] = func() share.Divider { d, _ := e.New().(share.Divider); return d }
	}
	return out
}

// traffic sends requests of several tenants and costs through a rig; those that are
// admitted close after a while, having used another number of units.
type traffic struct {
	requests int
	gap      time.Duration // mean
	costs    float64       // 1…costs
	unused   bool          // some use less or more than their charge
	hold     time.Duration
	seed     uint64
}

func (w traffic) send(r *rig) {
	dice := rand.New(rand.NewPCG(w.seed, 7))
	at := time.Duration(0)
	closed := map[uint64]bool{}
	for id := range uint64(w.requests) {
		at += time.Duration(dice.ExpFloat64() * float64(w.gap))
		g := uint32(dice.IntN(len(r.groups)))
		tenants := r.groups[g].Tenants
		req := policies.Request{ID: id, Group: g, Tenant: tenants[dice.IntN(len(tenants))]}
		cost, k := 1+float64(dice.IntN(int(w.costs))), dice.IntN(len(r.fronts))
		use := cost
		if w.unused {
			use = cost * float64(dice.IntN(3))
		}
		r.at(at, func() { r.admit(k, req, cost) })
		r.at(at+w.hold, func() {
			if !closed[id] && r.passed[id] {
				closed[id] = true
				r.settle(k, id, req.Group, req.Tenant, cost, use)
			}
		})
	}
	r.run(at + w.hold + 20*time.Second) // longer than any answer may take
}

func (v variant) config(divider func() share.Divider, fronts int, seed uint64) config {
	c := config{make: v.make, fronts: fronts, rtt: time.Millisecond, divider: divider, seed: seed}
	for i, name := range []string{"ads", "chat"} {
		first := uint32(10 * i)
		g := quota.Group{Name: name, Tenants: []uint32{first, first + 1, first + 2}, Weights: []float64{1, 2, 1}}
		if v.held {
			g.Units = 24
		} else {
			g.Rate, g.Burst = 200, 40
		}
		c.groups = append(c.groups, g)
	}
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, v := range variants(t) {
		for name, d := range dividers() {
			t.Run(v.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				run := func(loss quota.LossMode) *rig {
					c := v.config(d, 5, 3)
					c.loss = loss
					r := newRig(t, c)
					if loss != quota.LossStatic {
						dice := rand.New(rand.NewPCG(1, 1))
						r.lose = func() bool { return dice.IntN(5) == 0 }
					}
					traffic{requests: 1500, gap: time.Millisecond, costs: 3, unused: true, hold: 30 * time.Millisecond, seed: 5}.send(r)
					return r
				}
				for _, loss := range []quota.LossMode{quota.LossStatic, quota.LossOpen, quota.LossClosed} {
					a, b := run(loss), run(loss)
					require.Len(t, a.done, 1500, "every request gets one verdict")
					require.Empty(t, a.open)
					require.Equal(t, a.done, b.done, "the same seed gives the same verdicts")
					require.Positive(t, a.admitted())
					if v.name != "none" && v.name != "leaky" && v.name != "sliding-counter" && v.name != "sliding-log" {
						require.Contains(t, a.outcomes(), quota.Denied, "more was wanted than the limit")
					}
				}
			})
		}
	}
}

// Steady decisions allocate nothing: what a limiter needs it keeps.
func TestDecisionsAllocateNothing(t *testing.T) {
	for _, name := range []string{"token", "gcra", "static", "async"} {
		c := variant{name, named(t, name), false}.config(dividers()["maxmin"], 3, 1)
		r := newRig(t, c)
		f := r.fronts[0]
		f.lim.Admit(f.env, &policies.Request{}, 1)
		req := policies.Request{Tenant: 1}
		require.Zero(t, testing.AllocsPerRun(200, func() {
			f.env.Now += time.Millisecond
			f.lim.Admit(f.env, &req, 1)
		}), name)
	}
}

// A rate limit holds over any interval: what is admitted in it is at most the burst and
// what the rate gives, and one unit for rounding.
func TestAdmittedInAnyInterval(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gcra", "token", "central", "central gcra"} {
		for share, d := range dividers() {
			t.Run(name+"/"+share, func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(p *rapid.T) {
					perSecond := rapid.Float64Range(1, 500).Draw(p, "rate")
					burst := rapid.Float64Range(1, 50).Draw(p, "burst")
					r := newRig(p, config{groups: rate(perSecond, burst, 0, 1, 2), divider: d, make: func() quota.Limiter {
						if name == "central gcra" {
							return &quota.Central{Inner: "gcra"}
						}
						return named(p, name)()
					}})
					traffic{requests: rapid.IntRange(1, 150).Draw(p, "requests"), gap: time.Duration(rapid.Int64Range(1e4, 1e8).Draw(p, "gap")),
						costs: 3, seed: rapid.Uint64().Draw(p, "seed")}.send(r)
					for i, from := range r.done {
						sum := 0.0
						for _, d := range r.done[i:] {
							if d.outcome == quota.Admitted {
								sum += d.cost
							}
							if most := burst + (d.at-from.at).Seconds()*perSecond + 1; sum > most {
								require.LessOrEqual(p, sum, most, "from %v to %v", from.at, d.at)
							}
						}
					}
				})
			})
		}
	}
}

// Shares of one limit: what all front ends admit together, over any prefix.
func TestAllFrontEndsTogether(t *testing.T) {
	t.Parallel()
	for _, v := range variants(t) {
		var most func(burst, limit float64, fronts int) float64
		switch v.name {
		case "central", "central gcra", "lease", "lease returned":
			most = func(burst, _ float64, _ int) float64 { return burst }
		case "static":
			most = func(burst, _ float64, n int) float64 { return max(burst, float64(n)) } // each part is at least 1
		case "async", "async timer":
			most = func(burst, limit float64, n int) float64 { return float64(n) * (burst + limit*.1) }
		default:
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(p *rapid.T) {
				limit, burst := rapid.Float64Range(10, 500).Draw(p, "rate"), rapid.Float64Range(10, 60).Draw(p, "burst")
				fronts := rapid.IntRange(1, 8).Draw(p, "front ends")
				c := config{make: v.make, groups: rate(limit, burst, 0, 1, 2), fronts: fronts, rtt: time.Millisecond, seed: 1}
				if rapid.Bool().Draw(p, "divided") {
					c.divider = dividers()["maxmin"]
				}
				r := newRig(p, c)
				traffic{requests: 200, gap: 2 * time.Millisecond, costs: 2, seed: rapid.Uint64().Draw(p, "seed")}.send(r)
				sum := 0.0
				for _, d := range r.done {
					if d.outcome == quota.Admitted {
						sum += d.cost
					}
					if most := most(burst, limit, fronts) + d.at.Seconds()*limit + 1; sum > most {
						require.LessOrEqual(p, sum, most, "until %v", d.at)
					}
				}
			})
		})
	}
}

// RetryIn is tight: nobody else asks, and the retry succeeds.
func TestRetryIn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gcra", "token", "central", "sliding-log", "sliding-counter", "fixed-window"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(p *rapid.T) {
				perSecond := rapid.Float64Range(1, 1000).Draw(p, "rate")
				r := newRig(p, config{groups: rate(perSecond, rapid.Float64Range(3, 50).Draw(p, "burst")), make: func() quota.Limiter {
					switch name {
					case "sliding-log":
						return &quota.SlidingLog{Window: 100 * time.Millisecond}
					case "sliding-counter":
						return &quota.SlidingCounter{Window: 100 * time.Millisecond}
					}
					return named(p, name)()
				}})
				var id uint64
				ask := func(cost float64) decision {
					id++
					r.ask(id, cost)
					r.run(r.now)
					return r.done[len(r.done)-1]
				}
				r.run(time.Duration(rapid.Int64Range(0, 3e9).Draw(p, "start")))
				cost := rapid.Float64Range(1, 3).Draw(p, "cost")
				d := ask(cost)
				for d.outcome == quota.Admitted {
					d = ask(cost)
				}
				if d.outcome == quota.Never { // more than a window holds
					return
				}
				r.run(r.now + d.retry)
				require.Equal(p, quota.Admitted, ask(cost).outcome)
			})
		})
	}
}

// Σ held ≤ U at every event, and a holder that vanishes gives its units back within the
// term of its last renewal.
func TestHolds(t *testing.T) {
	t.Parallel()
	for share, d := range dividers() {
		t.Run(share, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(p *rapid.T) {
				c := &quota.Central{Inner: "concurrency", HoldTTL: 10 * time.Second}
				c.Share(d)
				const all = 10
				s := c.Store(units(all, 0, 1, 2))
				env := policies.NewEnv(nil, nil, 0)
				held := map[uint64]float64{}
				until := map[uint64]time.Duration{}
				for range rapid.IntRange(1, 60).Draw(p, "asks") {
					env.Now += time.Duration(rapid.Int64Range(0, 4e9).Draw(p, "pause"))
					for id, end := range until {
						if end <= env.Now {
							delete(held, id)
							delete(until, id)
						}
					}
					a := quota.Ask{Kind: rapid.SampledFrom([]quota.AskKind{quota.AskHold, quota.AskHold, quota.AskRenew, quota.AskRelease}).Draw(p, "kind"),
						Req: rapid.Uint64Range(0, 20).Draw(p, "request"), Units: 1, Window: 10 * time.Second}
					if _, again := held[a.Req]; again && a.Kind == quota.AskHold {
						continue
					}
					a.Tenant = uint32(a.Req % 3)
					if a.Kind == quota.AskHold {
						a.Units = float64(rapid.IntRange(1, 4).Draw(p, "units"))
					}
					g := s.Take(&env, 0, a)
					switch {
					case a.Kind == quota.AskRelease:
						delete(held, a.Req)
						delete(until, a.Req)
					case g.Units > 0:
						if a.Kind == quota.AskHold {
							held[a.Req] = a.Units
						}
						require.Contains(p, held, a.Req, "a renewal brought a hold back")
						until[a.Req] = env.Now + a.Window
					}
					sum := 0.0
					for _, u := range held {
						sum += u
					}
					require.LessOrEqual(p, sum, float64(all))
					require.InDelta(p, all-sum, g.Left, 1e-9)
				}
			})
		})
	}
}

// The books balance: what is booked is what closed requests used and what open ones
// were charged. The limit hardly refills here, so what is left tells.
func TestBooksBalance(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{
		{"token", named(t, "token"), false}, {"gcra", named(t, "gcra"), false}, {"static", named(t, "static"), false}, {"central", named(t, "central"), false},
		{"lease", func() quota.Limiter { return &quota.Lease{Size: 5, TTL: time.Hour} }, false},
		{"async", func() quota.Limiter { return &quota.Async{Sync: 10 * time.Millisecond, Tell: "timer"} }, false},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(p *rapid.T) {
				const burst = 1000
				r := newRig(p, config{make: v.make, groups: rate(1e-6, burst), rtt: time.Millisecond})
				left := float64(burst)
				for id := range rapid.Uint64Range(1, 40).Draw(p, "requests") {
					cost, used := rapid.Float64Range(0.1, 8).Draw(p, "cost"), rapid.Float64Range(0, 16).Draw(p, "used")
					r.ask(id, cost)
					r.run(r.now + 5*time.Millisecond)
					require.True(p, r.passed[id])
					if rapid.Bool().Draw(p, "still open") {
						left -= cost
						continue
					}
					r.settle(0, id, 0, 0, cost, used)
					left -= used
				}
				r.run(r.now + 100*time.Millisecond)
				r.ask(1000, left+.01)
				r.run(r.now + 100*time.Millisecond)
				require.False(p, r.passed[1000], "more than is left")
				if v.name == "lease" { // it remembers for a while that the store is empty
					return
				}
				r.ask(1001, left-.01)
				r.run(r.now + 100*time.Millisecond)
				require.True(p, r.passed[1001], "what is left")
			})
		})
	}
}
