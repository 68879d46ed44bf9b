package balance_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

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
