package balance_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/flow/flowtest"
)

// amnesia is the catalogue's prototype, changed.
func amnesia(change func(p *balance.JIQAmnesia)) *balance.JIQAmnesia {
	e, _ := balance.Catalog().Find("balance", "jiq-amnesia")
	p, _ := e.New().(*balance.JIQAmnesia)
	if change != nil {
		change(p)
	}
	return p
}

// Golden K.
func TestAmnesiaForgets(t *testing.T) {
	t.Parallel()
	t.Run("ttl: all or nothing", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(func(p *balance.JIQAmnesia) {
			p.Retention, p.Forget, p.FallbackProbe = "ttl", 5*time.Second, "none"
		}), table(3), nil)
		h.hear(0, 0, balance.MsgBusy, 1, 2)
		h.now = 4 * time.Second
		h.hear(1, 0, balance.MsgBusy, 1, 3)
		h.now = 4500 * time.Millisecond
		require.Equal(t, 0, h.to())
		h.now = 5500 * time.Millisecond
		require.Equal(t, 1, h.to(), "replica 0 is forgotten")
	})
	for _, c := range []struct {
		at    time.Duration
		known bool
	}{{9 * time.Second, true}, {9*time.Second + 1, false}} {
		t.Run(fmt.Sprintf("exp: known for 9 s exactly, at %d", c.at), func(t *testing.T) {
			t.Parallel()
			h := newBench(t, amnesia(func(p *balance.JIQAmnesia) {
				p.HalfLife, p.Cut, p.FallbackProbe = 3*time.Second, 3, "none"
			}), table(50), nil)
			h.hear(0, 0, balance.MsgBusy, 1, 2)
			h.now = c.at
			h.to()
			require.Equal(t, c.known, paths(h)["fallback"] == 1)
			require.Equal(t, !c.known, paths(h)["random"] == 1)
		})
	}
	t.Run("an older message changes nothing", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(nil), table(9), nil)
		h.hear(4, 0, balance.MsgIdle, 5, 0)
		h.hear(4, 0, balance.MsgBusy, 4, 3)
		require.Equal(t, 4, h.to(), "still listed")
	})
	t.Run("hearing again restores it", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(func(p *balance.JIQAmnesia) { p.FallbackProbe = "none" }), table(50), nil)
		h.hear(4, 0, balance.MsgBusy, 1, 3)
		h.now = time.Minute
		h.to()
		require.EqualValues(t, 1, paths(h)["random"])
		h.hear(4, 0, balance.MsgBusy, 2, 3)
		require.Equal(t, 4, h.to())
	})
	t.Run("an entry that is too old is discarded", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(func(p *balance.JIQAmnesia) { p.EntryAge = time.Second }), table(2), nil)
		h.idle(1)
		h.now = time.Second
		h.idle(0)
		h.now += 1
		require.Equal(t, 0, h.to())
		require.EqualValues(t, 1, paths(h)["idle-queue"])
	})
}

func TestAmnesiaDispatcher(t *testing.T) {
	t.Parallel()
	unprobed := func(p *balance.JIQAmnesia) { p.FallbackProbe = "none" }
	t.Run("FIFO is by insertion, not by refresh", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(4), nil)
		for _, id := range []uint32{2, 3, 2} {
			h.idle(id)
		}
		require.Equal(t, []int{2, 3}, h.picks(2))
	})
	t.Run("a heartbeat that crossed a request does not list", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(4), nil)
		h.idle(2)
		require.Equal(t, 2, h.to())
		h.idle(2)
		h.to()
		require.EqualValues(t, 1, paths(h)["idle-queue"])
		h.end(0, policies.OK)
	})
	t.Run("with slots only a full one is engaged", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), &balance.Table{N: 2, Slots: []int32{2, 2}}, nil)
		for range 2 {
			h.idle(1)
			require.Equal(t, 1, h.to())
		}
		h.idle(1)
		h.to()
		require.EqualValues(t, 2, paths(h)["idle-queue"])
	})
	t.Run("busy and withdraw remove", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(4), nil)
		h.idle(1)
		h.idle(2)
		h.hear(1, 0, balance.MsgBusy, 9, 1)
		h.hear(2, 0, balance.MsgWithdraw, 9, 1)
		h.to()
		require.Zero(t, paths(h)["idle-queue"])
	})
	t.Run("own sends count until the next heartbeat", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(2), nil)
		h.hear(0, 0, balance.MsgBusy, 1, 1)
		h.hear(1, 0, balance.MsgBusy, 1, 3)
		h.now = time.Millisecond
		require.Equal(t, 0, h.to()) // 1 + 1
		require.Equal(t, 0, h.to()) // 1 + 2
		h.end(0, policies.OK)
		require.Equal(t, 0, h.to(), "1 + 1 after one has ended")
		h.hear(0, 0, balance.MsgBusy, 2, 9)
		require.Equal(t, 1, h.to(), "9 against 3")
	})
	t.Run("ties are uniform", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(2), nil)
		h.hear(0, 0, balance.MsgBusy, 1, 1)
		h.now = time.Second // replica 0 has less weight by now: a tie must not favour the first sampled
		h.hear(1, 0, balance.MsgBusy, 1, 1)
		require.Less(t, chi2(count(h.picks(4000), 2)), chi2Limit(2))
	})
	t.Run("the only known one gets it", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(nil), table(50), nil)
		h.hear(7, 0, balance.MsgBusy, 1, 100)
		require.Equal(t, []int{7, 7, 7}, h.picks(3), "without a probe")
	})
	t.Run("nobody known: anyone of discovery", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(nil), table(10), nil)
		require.Less(t, chi2(count(h.picks(5000), 10)), chi2Limit(10))
	})
}

// The weighted sample without replacement has a known law; loads that rise with the
// ID make the lower ID of each pair win.
func TestAmnesiaSamplesByRetention(t *testing.T) {
	t.Parallel()
	h := newBench(t, amnesia(func(p *balance.JIQAmnesia) { p.FallbackProbe, p.HalfLife = "none", time.Second }), table(3), nil)
	for id := range uint32(3) { // heard 2, 1 and 0 s ago: weights 1/4, 1/2, 1
		h.now = time.Duration(id) * time.Second
		h.hear(id, 0, balance.MsgBusy, 1, int64(10*id))
	}
	w := []float64{0.25, 0.5, 1}
	pair := func(i, j int) float64 { return w[i] / 1.75 * w[j] / (1.75 - w[i]) }
	const k = 40_000
	c := count(h.picks(k), 3)
	require.InDelta(t, pair(0, 1)+pair(1, 0)+pair(0, 2)+pair(2, 0), float64(c[0])/k, 0.01)
	require.InDelta(t, pair(1, 2)+pair(2, 1), float64(c[1])/k, 0.01)
	require.Zero(t, c[2], "it loses every pair")
}

// When rejection fails (all but two of many heard replicas are ineligible) a sweep
// draws by the same law.
func TestAmnesiaSweeps(t *testing.T) {
	t.Parallel()
	const n = 2000
	h := newBench(t, amnesia(func(p *balance.JIQAmnesia) { p.FallbackProbe, p.HalfLife = "none", time.Second }), table(n), nil)
	for id := range uint32(n) {
		if id == 1999 {
			h.now = time.Second // twice the weight of the others
		}
		h.hear(id, 0, balance.MsgBusy, 1, 5)
		if id > 1 && id < 1999 {
			h.member(balance.ChangeDraining, id, 0)
		}
	}
	h.hear(0, 0, balance.MsgBusy, 2, 0) // weight 1, wins every pair
	const k = 4000
	c := count(h.picks(k), n)
	// 0 is in the pair unless 1 (weight ½) and 1999 (weight 1) are drawn
	miss := 0.5/2.5*1/2 + 1/2.5*0.5/1.5
	require.InDelta(t, 1-miss, float64(c[0])/k, 0.03)
	require.Equal(t, k, c[0]+c[1]+c[1999])
}

// twin drives the replica half of one replica by hand.
type twin struct {
	t    *testing.T
	half *flow.Replicas
	out  flow.Actions
	self policies.Ref
	load balance.Load
}

func newTwin(t *testing.T, p balance.Balancer, m int, seed uint64) *twin {
	t.Helper()
	w := &twin{t: t, half: flow.NewReplicas(p, 0, m, []rand.PCG{chance.Stream(seed, "reporter/main/0")}, nil), load: balance.Load{Slots: 1}}
	return w
}

func (w *twin) event(at time.Duration, ev balance.ReplicaEvent) {
	w.out.Reset()
	w.half.Event(at, w.self, ev, w.load, &w.out)
}

// told lists what the last event told: front end and kind.
func (w *twin) told() (out []string) {
	for _, a := range w.out.List {
		if a.Kind == flow.ActReport {
			name := map[balance.MsgKind]string{balance.MsgIdle: "idle", balance.MsgBusy: "busy", balance.MsgWithdraw: "withdraw", balance.MsgAsk: "ask"}
			out = append(out, fmt.Sprintf("%s %d", name[w.out.Msgs[a.Arg].Kind], a.Slot))
		}
	}
	return out
}

// asks returns who was asked and the numbers of the asks.
func (w *twin) asks() (fronts []uint32, seqs []uint32) {
	for _, a := range w.out.List {
		if a.Kind == flow.ActReport && w.out.Msgs[a.Arg].Kind == balance.MsgAsk {
			fronts, seqs = append(fronts, a.Slot), append(seqs, w.out.Msgs[a.Arg].Seq)
		}
	}
	return fronts, seqs
}

func (w *twin) wake() (token uint64, at time.Duration) {
	for _, a := range w.out.List {
		if a.Kind == flow.ActWake && a.Arg < 1<<40 {
			return a.Arg, a.At
		}
	}
	w.t.Fatal("no time-out was asked for")
	return 0, 0
}

func (w *twin) answer(at time.Duration, from, seq uint32, length int64) []string {
	w.event(at, balance.ReplicaEvent{Kind: balance.ReplicaHeard, From: from,
		Msg: &balance.Msg{Kind: balance.MsgAnswer, Inc: w.self.Inc, Seq: seq, A: length}})
	return w.told()
}

// Golden L.
func TestAmnesiaAsks(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := func(t *testing.T, seed uint64) (w *twin, d, s []uint32, token uint64) {
		t.Helper()
		w = newTwin(t, amnesia(nil), 5, seed)
		w.event(0, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
		d, s = w.asks()
		require.Len(t, d, 2)
		require.NotEqual(t, d[0], d[1])
		token, at := w.wake()
		require.Equal(t, 10*ms, at)
		return w, d, s, token
	}
	idle := func(d uint32) []string { return []string{fmt.Sprintf("idle %d", d)} }
	t.Run("the shortest of all answers, at once", func(t *testing.T) {
		t.Parallel()
		w, d, s, token := start(t, 1)
		require.Empty(t, w.answer(1*ms, d[0], s[0], 3))
		require.Empty(t, w.answer(1*ms, d[0], s[0], 0), "a doubled answer counts once")
		require.Equal(t, idle(d[1]), w.answer(2*ms, d[1], s[1], 1))
		w.event(10*ms, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: token})
		require.Empty(t, w.told(), "the time-out finds it listed")
	})
	t.Run("the only answer, at the time-out", func(t *testing.T) {
		t.Parallel()
		w, d, s, token := start(t, 2)
		require.Empty(t, w.answer(1*ms, d[0], s[0], 3))
		w.event(10*ms, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: token})
		require.Equal(t, idle(d[0]), w.told())
		require.Empty(t, w.answer(11*ms, d[1], s[1], 0), "a late answer is ignored")
	})
	for _, answers := range []bool{false, true} {
		t.Run(fmt.Sprintf("either half the time, equal answers: %v", answers), func(t *testing.T) {
			t.Parallel()
			first := 0
			for seed := range uint64(1000) {
				w, d, s, token := start(t, seed)
				if answers {
					w.answer(1*ms, d[0], s[0], 4)
					w.answer(2*ms, d[1], s[1], 4)
				} else {
					w.event(10*ms, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: token})
				}
				require.Subset(t, [][]string{idle(d[0]), idle(d[1])}, [][]string{w.told()})
				if w.told()[0] == idle(d[0])[0] {
					first++
				}
			}
			require.InDelta(t, 500, first, 40)
		})
	}
	t.Run("work voids the round", func(t *testing.T) {
		t.Parallel()
		w, d, s, token := start(t, 3)
		w.load.Running = 1
		w.event(1500*time.Microsecond, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: 4})
		require.Empty(t, w.told())
		require.Empty(t, w.answer(2*ms, d[1], s[1], 0))
		w.load.Running = 0
		w.event(5*ms, balance.ReplicaEvent{Kind: balance.ReplicaFinished, From: 4})
		d2, s2 := w.asks()
		require.Len(t, d2, 2, "a new round")
		require.Empty(t, w.answer(6*ms, d[0], s[0], 0), "old answers are still ignored")
		w.event(10*ms, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: token})
		require.Empty(t, w.told(), "and so is the old time-out")
		require.Empty(t, w.answer(11*ms, d2[0], s2[0], 7))
		require.Equal(t, idle(d2[0]), w.answer(12*ms, d2[1], s2[1], 8))
	})
	t.Run("an answer of an earlier life", func(t *testing.T) {
		t.Parallel()
		w, d, s, _ := start(t, 4)
		w.self.Inc = 1
		w.event(ms, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
		w.event(2*ms, balance.ReplicaEvent{Kind: balance.ReplicaHeard, From: d[0], Msg: &balance.Msg{Kind: balance.MsgAnswer, Inc: 0, Seq: s[0]}})
		w.event(2*ms, balance.ReplicaEvent{Kind: balance.ReplicaHeard, From: d[1], Msg: &balance.Msg{Kind: balance.MsgAnswer, Inc: 0, Seq: s[1]}})
		require.Empty(t, w.told())
	})
}

// Rules 1 to 3 of the replica half, with one choice so that nobody is asked.
func TestAmnesiaReplica(t *testing.T) {
	t.Parallel()
	listed := func(t *testing.T, change func(p *balance.JIQAmnesia)) (*twin, uint32) {
		t.Helper()
		w := newTwin(t, amnesia(func(p *balance.JIQAmnesia) {
			p.InsertChoices = 1
			if change != nil {
				change(p)
			}
		}), 6, 9)
		w.event(0, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
		require.Len(t, w.told(), 1)
		var d uint32
		_, err := fmt.Sscanf(w.told()[0], "idle %d", &d)
		require.NoError(t, err)
		return w, d
	}
	accept := func(w *twin, from uint32) []string {
		w.load.Running = 1
		w.event(time.Second, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: from})
		return w.told()
	}
	finish := func(w *twin) []string {
		w.load.Running = 0
		w.event(2*time.Second, balance.ReplicaEvent{Kind: balance.ReplicaFinished})
		return w.told()
	}
	heartbeat := func(w *twin) []string {
		w.event(3*time.Second, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: 1 << 40})
		return w.told()
	}
	t.Run("hit by the one that lists it", func(t *testing.T) {
		t.Parallel()
		w, d := listed(t, nil)
		require.Empty(t, accept(w, d))
		require.Len(t, finish(w), 1, "it joins again")
	})
	t.Run("hit elsewhere it withdraws", func(t *testing.T) {
		t.Parallel()
		w, d := listed(t, nil)
		require.Equal(t, []string{fmt.Sprintf("withdraw %d", d)}, accept(w, (d+1)%6))
		require.Len(t, finish(w), 1)
	})
	t.Run("hit elsewhere without withdraw it stays", func(t *testing.T) {
		t.Parallel()
		w, d := listed(t, func(p *balance.JIQAmnesia) { p.Withdraw = false })
		require.Empty(t, accept(w, (d+1)%6))
		require.Empty(t, finish(w), "it still counts as listed")
		require.Equal(t, []string{fmt.Sprintf("idle %d", d)}, heartbeat(w))
	})
	t.Run("a busy heartbeat takes the stale entry back", func(t *testing.T) {
		t.Parallel()
		w, d := listed(t, func(p *balance.JIQAmnesia) { p.Withdraw = false })
		accept(w, (d+1)%6)
		require.Equal(t, []string{fmt.Sprintf("busy %d", d)}, heartbeat(w))
		require.Len(t, finish(w), 1, "it is out and joins")
	})
	t.Run("periodic: idle is told by the heartbeat only", func(t *testing.T) {
		t.Parallel()
		w := newTwin(t, amnesia(func(p *balance.JIQAmnesia) { p.InsertChoices, p.Report = 1, "periodic" }), 6, 9)
		w.event(0, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
		require.Empty(t, w.told())
		require.Contains(t, heartbeat(w)[0], "idle")
		accept(w, 0)
		require.Empty(t, finish(w))
	})
	t.Run("edge: a heartbeat feeds the table and lists nobody", func(t *testing.T) {
		t.Parallel()
		w, d := listed(t, func(p *balance.JIQAmnesia) { p.Report = "edge" })
		require.Equal(t, []string{fmt.Sprintf("idle %d", d)}, heartbeat(w))
		accept(w, d)
		require.Contains(t, heartbeat(w)[0], "busy")
	})
	t.Run("multi: every idle heartbeat joins anew", func(t *testing.T) {
		t.Parallel()
		w, _ := listed(t, func(p *balance.JIQAmnesia) { p.Membership = "multi" })
		seen := map[string]bool{}
		for range 60 {
			require.Len(t, heartbeat(w), 1)
			seen[w.told()[0]] = true
		}
		require.Len(t, seen, 6)
	})
	t.Run("a slot that is left after a hit is offered again", func(t *testing.T) {
		t.Parallel()
		w := newTwin(t, amnesia(func(p *balance.JIQAmnesia) { p.InsertChoices = 1 }), 6, 9)
		w.load = balance.Load{Slots: 2}
		w.event(0, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
		require.Len(t, w.told(), 1)
		var d uint32
		_, err := fmt.Sscanf(w.told()[0], "idle %d", &d)
		require.NoError(t, err)
		w.load = balance.Load{Slots: 2, Queued: 1} // accepted, not begun
		w.event(time.Second, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: d})
		require.Empty(t, w.told())
		w.load = balance.Load{Slots: 2, Running: 1}
		w.event(time.Second, balance.ReplicaEvent{Kind: balance.ReplicaBegan, From: d})
		require.Len(t, w.told(), 1)
		w.load = balance.Load{Slots: 2, Running: 2}
		_, err = fmt.Sscanf(w.told()[0], "idle %d", &d)
		require.NoError(t, err)
		w.event(time.Second, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: d})
		require.Empty(t, w.told(), "it is full")
	})
	t.Run("several told per heartbeat are distinct", func(t *testing.T) {
		t.Parallel()
		w, d := listed(t, func(p *balance.JIQAmnesia) { p.HeartbeatTo = 4 })
		require.Len(t, heartbeat(w), 4)
		seen := map[uint32]bool{}
		for _, a := range w.out.List {
			if a.Kind == flow.ActReport {
				seen[a.Slot] = true
			}
		}
		require.Len(t, seen, 4)
		require.True(t, seen[d])
	})
}

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
				require.Greater(t, popped, 2000)
			})
		}
	}
}
