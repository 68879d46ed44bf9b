package balance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/policies/flow/flowtest"
)

// world runs jiq-amnesia in flowtest and follows what its replicas have said.
func world(change func(p *balance.JIQAmnesia), n, m int, seed uint64, more func(c *flowtest.Config)) *flowtest.Host {
	c := flowtest.Config{Make: func() balance.Balancer { return amnesia(change) }, Table: table(n), Fronts: m, Seed: seed}
	if more != nil {
		more(&c)
	}
	h := flowtest.New(c)
	h.Start()
	return h
}

// Invariants A and H at the boundary: with zero delay and no loss a replica never
// says Idle to a dispatcher while it is listed at another.
func TestAmnesiaInvariantA(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n, m := rapid.IntRange(1, 10).Draw(r, "n"), rapid.IntRange(1, 6).Draw(r, "m")
		at := make([]int, n) // where each replica is listed; −1 = nowhere
		for i := range at {
			at[i] = -1
		}
		change := func(p *balance.JIQAmnesia) {
			p.FallbackProbe = rapid.SampledFrom([]string{"live", "none"}).Draw(r, "probe")
		}
		h := world(change, n, m, rapid.Uint64().Draw(r, "seed"), func(c *flowtest.Config) {
			c.OnReport = func(front int, from policies.Ref, msg balance.Msg) {
				switch msg.Kind {
				case balance.MsgIdle:
					require.Contains(r, []int{-1, front}, at[from.ID], "in one idle-queue at most")
					at[from.ID] = front
				case balance.MsgBusy, balance.MsgWithdraw:
					if at[from.ID] == front {
						at[from.ID] = -1
					}
				}
			}
			c.OnSend = func(front int, _ uint64, ref policies.Ref) {
				if at[ref.ID] == front {
					at[ref.ID] = -1
				}
			}
		})
		h.Poisson(400, rapid.Float64Range(100, 2000).Draw(r, "rate")*float64(n), time.Millisecond)
		require.True(r, h.Drain(time.Hour))
		settled(r, h)
	})
}

// Invariants B and C: no send to a replica silent for longer than F while another is
// known; so a crashed one gets nothing after F.
func TestAmnesiaInvariantsBC(t *testing.T) {
	t.Parallel()
	for _, retention := range []string{"exp", "ttl"} {
		t.Run(retention, func(t *testing.T) {
			t.Parallel()
			const n, m = 8, 2
			heard := [m][n]time.Duration{}
			var h *flowtest.Host
			late, crashed := 0, time.Duration(0)
			h = world(func(p *balance.JIQAmnesia) {
				p.Heartbeat, p.Retention, p.Forget, p.HalfLife = 10*time.Millisecond, retention, 100*time.Millisecond, 40*time.Millisecond
				p.Cut = 2.5
			}, n, m, 11, func(c *flowtest.Config) {
				c.Detect = flow.DetectNever
				c.OnReport = func(front int, from policies.Ref, m balance.Msg) {
					if m.Kind != balance.MsgAsk {
						heard[front][from.ID] = h.Now
					}
				}
				c.OnSend = func(front int, _ uint64, ref policies.Ref) {
					if h.Now > time.Second && h.Now-heard[front][ref.ID] > 100*time.Millisecond+50*time.Millisecond { // F and a probe's patience
						late++
					}
					if crashed > 0 && ref.ID == 3 && h.Now > crashed+150*time.Millisecond {
						late++
					}
				}
			})
			h.Poisson(20_000, 4000, time.Millisecond)
			h.At(2*time.Second, func() { h.Crash(3); crashed = h.Now })
			require.True(t, h.Drain(time.Hour))
			require.Zero(t, late)
			bad := 0
			for _, r := range h.Records {
				if r.Outcome != policies.OK {
					bad++
				}
			}
			require.Positive(t, bad, "the dead replica did get traffic until it was forgotten")
		})
	}
}

// Invariant D bounds the messages per request.
func TestAmnesiaInvariantD(t *testing.T) {
	t.Parallel()
	for _, rho := range []float64{0.3, 0.9} {
		const n, m, H = 20, 4, 0.5 // H in mean service times
		h := world(func(p *balance.JIQAmnesia) { p.Heartbeat, p.Jitter = 500*time.Microsecond, 0 }, n, m, 3, nil)
		h.Poisson(8000, rho*n*1000, time.Millisecond)
		require.True(t, h.Drain(time.Hour))
		sum := h.Half.Counters()
		for _, f := range h.Fronts {
			sum = sum.Add(f.Counters())
		}
		bound := 1/(rho*H) + 1 + 2*2 + 1 + 4
		require.LessOrEqual(t, float64(sum.Sum())/8000, 1.02*bound)
		require.Positive(t, sum.Heartbeat)
		require.Positive(t, sum.Ask)
	}
}

// Invariant E: replicas that are still idle and listed at a dispatcher are listed
// there again, within H(1 + jitter), after it has restarted with nothing.
func TestAmnesiaInvariantE(t *testing.T) {
	t.Parallel()
	const n = 12
	h := world(func(p *balance.JIQAmnesia) { p.Heartbeat, p.Jitter = 100*time.Millisecond, 0.5 }, n, 1, 5, nil)
	h.Run(time.Second)
	h.Fronts[0] = flow.New(h.Front(0, nil)) // all are idle and listed here
	var out flow.Actions
	h.Fronts[0].Start(h.Now, &out)
	h.Run(h.Now + 150*time.Millisecond)
	seen := map[uint32]bool{}
	for range n {
		id := h.Arrive(h.Now, 0, time.Hour)
		h.Run(h.Now)
		seen[h.Records[id].Ref.ID] = true
	}
	require.Len(t, seen, n)
	require.EqualValues(t, n, pathsOf(t, h)["idle-queue"])
}

func pathsOf(t require.TestingT, h *flowtest.Host) map[string]uint64 {
	out := map[string]uint64{}
	for _, f := range h.Fronts {
		var s balance.Stats
		c, ok := f.Balancer(0).(balance.Counted)
		require.True(t, ok)
		c.Stats(&s)
		for _, p := range s.Paths {
			out[p.Name] += p.N
		}
	}
	return out
}

// Invariant F: a doubled or late message changes nothing: a run in which every
// report comes twice is the run in which it comes once.
func TestAmnesiaInvariantF(t *testing.T) {
	t.Parallel()
	run := func(double float64, seed uint64) *flowtest.Host {
		h := world(nil, 6, 3, seed, func(c *flowtest.Config) { c.Report.Double, c.Tell.Double = double, double })
		h.Poisson(1500, 4500, time.Millisecond)
		h.Drain(time.Hour)
		return h
	}
	for seed := range uint64(5) {
		once, twice := run(0, seed), run(1, seed)
		require.Equal(t, once.Records, twice.Records)
		require.Equal(t, once.Actions, twice.Actions)
	}
}

// Invariants I and J: with zero delay, edge reports and withdraw, a popped replica
// is truly idle; with one dispatcher a request waits only if no replica is.
func TestAmnesiaInvariantsIJ(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"jiq-amnesia", "jiq"} {
		for _, m := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s/m=%d", policy, m), func(t *testing.T) {
				t.Parallel()
				const n = 9
				e, _ := balance.Catalog().Find("balance", policy)
				var h *flowtest.Host
				popped, before := 0, make([]uint64, m)
				h = flowtest.New(flowtest.Config{Table: table(n), Fronts: m, Seed: 17,
					Make: func() balance.Balancer { b, _ := e.New().(balance.Balancer); return b },
					OnSend: func(front int, _ uint64, ref policies.Ref) {
						idle := 0
						for id := range uint32(n) {
							if l := h.Load(id); l.Running+l.Queued == 0 {
								idle++
							}
						}
						l := h.Load(ref.ID)
						var s balance.Stats
						c, ok := h.Fronts[front].Balancer(0).(balance.Counted)
						require.True(t, ok)
						c.Stats(&s)
						if s.Paths[0].N > before[front] { // by the idle-queue
							require.Zero(t, l.Running+l.Queued, "a popped replica is idle")
							popped++
						}
						before[front] = s.Paths[0].N
						if m == 1 && l.Running+l.Queued > 0 {
							require.Zero(t, idle, "it waits only if nobody is idle")
						}
					}})
				h.Start()
				h.Poisson(5000, 7000, time.Millisecond)
				require.True(t, h.Drain(time.Hour))
				require.Greater(t, popped, 1500)
			})
		}
	}
}
