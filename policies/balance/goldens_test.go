package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

func table(n int) *balance.Table { return &balance.Table{N: n} }

func TestSmoothWRR(t *testing.T) {
	t.Parallel()
	t.Run("interleaves and repeats", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.SmoothWRR{Start: "zero", MaxFails: 1},
			&balance.Table{N: 3, Weights: []float64{5, 1, 1}}, nil)
		require.Equal(t, []int{0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0}, h.picks(14))
	})
	t.Run("random start is a rotation", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.SmoothWRR{Start: "random", MaxFails: 1},
			&balance.Table{N: 3, Weights: []float64{5, 1, 1}}, nil)
		require.Equal(t, []int{50, 10, 10}, count(h.picks(70), 3))
	})
	t.Run("failure takes the weight away and it comes back", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.SmoothWRR{Start: "zero", MaxFails: 1},
			&balance.Table{N: 2, Weights: []float64{3, 1}}, nil)
		require.Equal(t, 0, h.to())
		h.end(0, policies.HTTP503)
		// effective weights of replica 0: 0, 1, 2, then 3 again; its current one is −1
		require.Equal(t, []int{1, 1, 0}, h.picks(3))
	})
	t.Run("survivors keep their place", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.SmoothWRR{Start: "zero", MaxFails: 1}, table(3), nil)
		require.Equal(t, []int{0}, h.picks(1))
		h.member(balance.ChangeRemoved, 0, 0)
		require.Equal(t, []int{1, 2, 1, 2}, h.picks(4))
	})
}

func TestRoundRobin(t *testing.T) {
	t.Parallel()
	h := newBench(t, &balance.RoundRobin{Start: "zero"}, table(4), nil)
	got := h.picks(2)
	h.member(balance.ChangeRemoved, 2, 0)
	require.Equal(t, []int{0, 1, 3, 0}, append(got, h.picks(2)...))
	h.member(balance.ChangeAdded, 2, 1)
	require.Equal(t, []int{1, 2, 3, 0}, h.picks(4), "a replica that is back has its turn again")
}

func TestRoundRobinStartsAnywhere(t *testing.T) {
	t.Parallel()
	dice := newBench(t, &balance.Random{}, table(8), nil)
	require.Less(t, chi2(count(dice.picks(8000), 8)), chi2Limit(8))
	first := newBench(t, &balance.RoundRobin{Start: "random"}, table(8), nil).to()
	require.Equal(t, dice0(t, 8), first, "the first pick is the first draw")
}

// dice0 is what the first draw of a bench's stream gives.
func dice0(t *testing.T, n int) int {
	t.Helper()
	return newBench(t, &balance.Random{}, table(n), nil).to()
}

// loaded gives a bench whose replicas have these numbers of own requests out.
func loaded(t *testing.T, b balance.Balancer, out ...int) *bench {
	t.Helper()
	h := newBench(t, &scripted{Balancer: b}, table(len(out)), nil)
	s, _ := h.fe.Balancer(0).(*scripted)
	for id, n := range out {
		s.force = id + 1
		for range n {
			require.Equal(t, id, h.to())
		}
	}
	s.force = 0
	return h
}

// scripted sends where it is told, else asks the balancer it holds.
type scripted struct {
	balance.Balancer
	force int // ID + 1
}

func (s *scripted) Pick(env *balance.Env, r *policies.Request) balance.Choice {
	if s.force > 0 {
		return balance.To(policies.Ref{ID: uint32(s.force - 1)})
	}
	return s.Balancer.Pick(env, r)
}

func TestP2C(t *testing.T) {
	t.Parallel()
	t.Run("distinct always finds the less loaded of two", func(t *testing.T) {
		t.Parallel()
		h := loaded(t, &balance.P2C{Choices: 2, Sample: "distinct"}, 3, 1)
		require.Equal(t, []int{0, 1000}, count(h.picks(1000), 2))
	})
	t.Run("replacement is half random", func(t *testing.T) {
		t.Parallel()
		h := loaded(t, &balance.P2C{Choices: 2, Sample: "replacement"}, 3, 1)
		require.InDelta(t, 250, count(h.picks(1000), 2)[0], 40)
	})
	t.Run("more choices than replicas is a full scan", func(t *testing.T) {
		t.Parallel()
		h := loaded(t, &balance.P2C{Choices: 9, Sample: "distinct"}, 3, 2, 1, 2)
		require.Equal(t, []int{0, 0, 100, 0}, count(h.picks(100), 4))
	})
	t.Run("one choice is random", func(t *testing.T) {
		t.Parallel()
		h := loaded(t, &balance.P2C{Choices: 1, Sample: "distinct"}, 30, 0)
		require.Less(t, chi2(count(h.picks(2000), 2)), chi2Limit(2))
	})
}

func TestP2CProbed(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*bench, []flow.Action) {
		t.Helper()
		h := newBench(t, &balance.P2C{Choices: 2, Sample: "distinct", Load: "probed", ProbeTimeout: 50 * time.Millisecond}, table(2), nil)
		require.Equal(t, -1, h.to(), "the request waits")
		var probes []flow.Action
		for _, a := range h.out.List {
			if a.Kind == flow.ActProbe {
				probes = append(probes, a)
			}
		}
		require.Len(t, probes, 2)
		require.NotEqual(t, probes[0].Ref, probes[1].Ref)
		return h, probes
	}
	reply := func(h *bench, p flow.Action, queued int32) int {
		h.out.Reset()
		h.fe.Replied(h.now, 0, balance.ProbeID(p.Arg), p.Ref, balance.Load{Queued: queued}, &h.out)
		return h.sent()
	}
	giveUp := func(h *bench, p flow.Action) int {
		h.now = 50 * time.Millisecond
		h.out.Reset()
		h.fe.Woke(h.now, 0, 255<<56|p.Arg, &h.out)
		return h.sent()
	}
	t.Run("the smaller load wins whoever answers first", func(t *testing.T) {
		t.Parallel()
		h, p := start(t)
		require.Equal(t, -1, reply(h, p[1], 4))
		require.Equal(t, int(p[0].Ref.ID), reply(h, p[0], 3))
	})
	t.Run("the first sampled wins ties, not the first to answer", func(t *testing.T) {
		t.Parallel()
		h, p := start(t)
		require.Equal(t, -1, reply(h, p[1], 3))
		require.Equal(t, int(p[0].Ref.ID), reply(h, p[0], 3))
	})
	t.Run("after the time-out those that answered decide", func(t *testing.T) {
		t.Parallel()
		h, p := start(t)
		require.Equal(t, -1, reply(h, p[1], 9))
		require.Equal(t, int(p[1].Ref.ID), giveUp(h, p[0]))
		require.Equal(t, -1, reply(h, p[0], 0), "a late answer changes nothing")
	})
	t.Run("no answer at all: the first sampled", func(t *testing.T) {
		t.Parallel()
		h, p := start(t)
		require.Equal(t, -1, giveUp(h, p[1]))
		require.Equal(t, int(p[0].Ref.ID), giveUp(h, p[0]))
	})
	t.Run("a candidate that is gone is not taken", func(t *testing.T) {
		t.Parallel()
		h, p := start(t)
		h.member(balance.ChangeRemoved, p[0].Ref.ID, 0)
		require.Equal(t, -1, reply(h, p[0], 0))
		require.Equal(t, int(p[1].Ref.ID), reply(h, p[1], 9))
	})
	t.Run("nobody is left", func(t *testing.T) {
		t.Parallel()
		h, p := start(t)
		h.member(balance.ChangeRemoved, 0, 0)
		h.member(balance.ChangeRemoved, 1, 0)
		require.Equal(t, -1, reply(h, p[0], 0))
		require.Equal(t, -1, reply(h, p[1], 0))
		require.Equal(t, []policies.Outcome{policies.NoReplica}, h.closed())
	})
	t.Run("the client leaves while the probes are out", func(t *testing.T) {
		t.Parallel()
		h, p := start(t)
		h.out.Reset()
		h.fe.Gone(h.now, 0, policies.Cancelled, &h.out)
		require.Equal(t, []policies.Outcome{policies.Cancelled}, h.closed())
		require.Equal(t, -1, reply(h, p[0], 0))
		require.Equal(t, -1, reply(h, p[1], 0))
		require.Zero(t, h.fe.Open())
	})
}

func TestLeastOutstanding(t *testing.T) {
	t.Parallel()
	h := newBench(t, &balance.LeastOutstanding{}, table(5), nil)
	require.Less(t, chi2(count(h.picks(100_000), 5)), chi2Limit(5))
	h = loaded(t, &balance.LeastOutstanding{}, 2, 1, 3, 1)
	c := count(h.picks(2000), 4)
	require.Zero(t, c[0]+c[2])
	require.Less(t, chi2([]int{c[1], c[3]}), chi2Limit(2))
	w := newBench(t, &balance.LeastOutstanding{}, &balance.Table{N: 2, Weights: []float64{3, 1}}, nil)
	for range 8 {
		w.to()
	}
	f := w.fe.Fleet(0)
	require.Equal(t, 6, f.Outstanding(f.Index(policies.Ref{ID: 0})), "in proportion to the weights")
}

// fixedTruth is an oracle with fixed columns.
type fixedTruth struct {
	lens, wire []uint16
	shortest   int
}

func (f fixedTruth) Lens() []uint16            { return f.lens }
func (f fixedTruth) InTransit() []uint16       { return f.wire }
func (f fixedTruth) WorkLeft() []time.Duration { return make([]time.Duration, len(f.lens)) }
func (f fixedTruth) Shortest(balance.Dice) int { return f.shortest }

func TestJSQ(t *testing.T) {
	t.Parallel()
	truth := fixedTruth{lens: []uint16{2, 1, 0, 1}, wire: []uint16{0, 0, 5, 0}, shortest: 2}
	h := newBench(t, &balance.JSQ{}, table(4), truth)
	require.Equal(t, []int{0, 0, 10, 0}, count(h.picks(10), 4), "it believes Shortest")
	h = newBench(t, &balance.JSQ{InTransit: true}, table(4), truth)
	c := count(h.picks(2000), 4)
	require.Zero(t, c[0]+c[2])
	require.Less(t, chi2([]int{c[1], c[3]}), chi2Limit(2), "uniform among the shortest")
	w := newBench(t, &balance.JSQ{InTransit: true}, &balance.Table{N: 2, Weights: []float64{4, 1}},
		fixedTruth{lens: []uint16{3, 1}, wire: []uint16{0, 0}})
	require.Equal(t, []int{10, 0}, count(w.picks(10), 2), "length over weight")
	require.PanicsWithValue(t, "flow: service main: the balancer *balance.JSQ reads true queue lengths, which this host does not give",
		func() { newBench(t, &balance.JSQ{}, table(4), nil) })
}

func TestBoard(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, b *balance.Board) *bench {
		t.Helper()
		h := &bench{t: t, seq: map[uint32]uint32{}, slot: map[uint64]flow.Action{}}
		h.fe = flow.New(flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Balancer: b, Table: table(3), Dice: dice()}}})
		h.fe.Start(0, &h.out)
		h.wake()
		require.Equal(t, time.Second, h.now, "the first refresh is at T")
		probes := append([]flow.Action(nil), h.out.List...)
		for _, a := range probes {
			if a.Kind == flow.ActProbe {
				load := []int32{0, 1, 5}[a.Ref.ID]
				h.fe.Replied(h.now, 0, balance.ProbeID(a.Arg), a.Ref, balance.Load{Running: load}, &h.out)
			}
		}
		return h
	}
	t.Run("herds to the least until the next refresh", func(t *testing.T) {
		t.Parallel()
		h := run(t, &balance.Board{Every: time.Second, Mode: "full"})
		require.Equal(t, []int{0, 0, 0}, h.picks(3))
	})
	t.Run("optimistic counts what it has sent", func(t *testing.T) {
		t.Parallel()
		h := run(t, &balance.Board{Every: time.Second, Mode: "full", Optimistic: true})
		got := h.picks(3)
		require.Equal(t, 0, got[0])
		require.ElementsMatch(t, []int{0, 1}, got[1:], "then either, then the other")
	})
	t.Run("sample compares a few", func(t *testing.T) {
		t.Parallel()
		h := run(t, &balance.Board{Every: time.Second, Mode: "sample", Choices: 2})
		c := count(h.picks(3000), 3)
		require.Zero(t, c[2], "the most loaded loses every pair")
		require.InDelta(t, 2000, c[0], 100)
	})
	t.Run("a restarted replica leaves the copy", func(t *testing.T) {
		t.Parallel()
		h := run(t, &balance.Board{Every: time.Second, Mode: "full"})
		h.member(balance.ChangeAdded, 2, 1)
		c := count(h.picks(1000), 3)
		require.Zero(t, c[1])
		require.Less(t, chi2([]int{c[0], c[2]}), chi2Limit(2))
	})
	t.Run("before the first refresh all are 0", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.Board{Every: time.Second, Mode: "full"}, table(5), nil)
		require.Less(t, chi2(count(h.picks(5000), 5)), chi2Limit(5))
	})
}

func TestBoardKeepsWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := &bench{t: t, seq: map[uint32]uint32{}, slot: map[uint64]flow.Action{}}
	h.fe = flow.New(flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Table: table(2), Dice: dice(),
		Balancer: &balance.Board{Every: time.Second, Mode: "full"}}}})
	h.fe.Start(0, &h.out)
	h.wake()
	answer := func(load map[uint32]int32) (round uint64) {
		for _, a := range append([]flow.Action(nil), h.out.List...) {
			switch a.Kind {
			case flow.ActProbe:
				if l, ok := load[a.Ref.ID]; ok {
					h.fe.Replied(h.now, 0, balance.ProbeID(a.Arg), a.Ref, balance.Load{Running: l}, &h.out)
				}
			case flow.ActWake:
				if a.Arg>>56 == 255 {
					round = a.Arg
				}
			}
		}
		return round
	}
	next := func() {
		for _, a := range append([]flow.Action(nil), h.out.List...) {
			if a.Kind == flow.ActWake && a.Arg>>56 == 0 {
				h.now = a.At
				h.out.Reset()
				h.fe.Woke(h.now, 0, a.Arg, &h.out)
			}
		}
	}
	answer(map[uint32]int32{0: 7, 1: 3})
	next()
	require.Equal(t, 2*time.Second, h.now)
	round := answer(map[uint32]int32{1: 5}) // replica 0 is silent
	h.fe.Woke(h.now+time.Second, 0, round, &h.out)
	require.Equal(t, []int{1, 1}, h.picks(2), "5 against the old 7")
}

func TestCentralQueue(t *testing.T) {
	t.Parallel()
	t.Run("accepts K in order and sheds the rest", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{Capacity: 3}, table(1), nil)
		require.Equal(t, 0, h.to())
		for range 2 {
			require.Equal(t, -1, h.to())
			require.Empty(t, h.closed(), "it waits")
		}
		for range 2 {
			require.Equal(t, -1, h.to())
			require.Equal(t, []policies.Outcome{policies.Shed}, h.closed())
		}
		for req := range uint64(3) {
			h.end(req, policies.OK)
			if req < 2 {
				require.Equal(t, 0, h.sent())
				require.Contains(t, h.slot, req+1, "first in, first out")
			}
		}
		require.Zero(t, h.fe.Open())
	})
	t.Run("a free slot is uniform", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{}, table(5), nil)
		require.Less(t, chi2(count(h.picks(5000), 5)), chi2Limit(5))
	})
	t.Run("never more than the slots", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{}, &balance.Table{N: 2, Slots: []int32{3, 1}}, nil)
		got := make([]int, 5)
		for i := range got {
			got[i] = h.to()
		}
		require.Equal(t, []int{3, 1}, count(got[:4], 2))
		require.Equal(t, -1, got[4])
	})
	t.Run("a freed slot idles for the pull", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{PullRTT: 2 * time.Millisecond}, table(1), nil)
		require.Equal(t, 0, h.to())
		h.now = time.Second
		h.end(0, policies.OK)
		pull := h.out.List
		require.Equal(t, flow.ActWake, pull[0].Kind)
		require.Equal(t, time.Second+2*time.Millisecond, pull[0].At)
		arg := pull[0].Arg
		require.Equal(t, -1, h.to(), "no slot has pulled yet")
		h.out.Reset()
		h.fe.Woke(h.now+2*time.Millisecond, 0, arg, &h.out)
		require.Equal(t, 0, h.sent())
	})
	t.Run("each dequeue holds the queue", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{QueueCost: time.Millisecond}, table(4), nil)
		require.Equal(t, -1, h.to())
		first := append([]flow.Action(nil), h.out.List...)
		require.Equal(t, -1, h.to())
		require.Empty(t, h.out.List, "the queue is held")
		h.out.List = first
		h.wake()
		require.Equal(t, time.Millisecond, h.now)
		require.NotEqual(t, -1, h.sent())
		require.Contains(t, h.slot, uint64(0))
		h.out.List = onlyWakes(h.out.List)
		h.wake()
		require.Equal(t, 2*time.Millisecond, h.now)
		require.NotEqual(t, -1, h.sent())
		require.Contains(t, h.slot, uint64(1))
	})
	t.Run("a new replica serves those that wait", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{}, table(2), nil)
		h.member(balance.ChangeRemoved, 1, 0)
		require.Equal(t, 0, h.to())
		require.Equal(t, -1, h.to())
		h.member(balance.ChangeAdded, 1, 0)
		require.Equal(t, 1, h.sent())
	})
	t.Run("nobody waits for an empty fleet", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{}, table(1), nil)
		require.Equal(t, 0, h.to())
		require.Equal(t, -1, h.to())
		h.member(balance.ChangeDraining, 0, 0)
		require.Equal(t, []policies.Outcome{policies.NoReplica}, h.closed())
	})
	t.Run("who leaves gives the place up", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{Capacity: 3}, table(1), nil)
		for range 3 {
			h.to()
		}
		h.out.Reset()
		h.fe.Gone(h.now, 1, policies.DeadlineHit, &h.out)
		require.Equal(t, []policies.Outcome{policies.DeadlineHit}, h.closed())
		h.to()
		require.Empty(t, h.closed(), "there is room for another")
		h.end(0, policies.OK)
		require.Equal(t, 0, h.sent())
		require.Contains(t, h.slot, uint64(2), "the one behind is next")
	})
}

func onlyWakes(list []flow.Action) []flow.Action {
	var out []flow.Action
	for _, a := range list {
		if a.Kind == flow.ActWake {
			out = append(out, a)
		}
	}
	return out
}

func TestJIQDispatcher(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pop  string
		want []int
	}{{"fifo", []int{3, 1, 2}}, {"lifo", []int{2, 1, 3}}} {
		t.Run(c.pop, func(t *testing.T) {
			t.Parallel()
			h := newBench(t, &balance.JIQ{Pop: c.pop, Withdraw: true}, table(4), nil)
			for _, id := range []uint32{3, 1, 2} {
				h.idle(id)
			}
			got := h.picks(4)
			require.Equal(t, c.want, got[:3])
			require.Equal(t, map[string]uint64{"idle-queue": 3, "random": 1, "fallback": 0, "fallback-probed": 0, "none": 0}, paths(h))
		})
	}
	t.Run("a withdrawn entry is not used", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.JIQ{Withdraw: true}, table(100), nil)
		h.idle(1)
		h.hear(1, 0, balance.MsgWithdraw, 2, 1)
		h.to()
		require.EqualValues(t, 0, paths(h)["idle-queue"])
	})
	t.Run("entries of gone and earlier replicas are dropped", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.JIQ{}, table(3), nil)
		h.idle(0)
		h.idle(1)
		h.member(balance.ChangeAdded, 0, 1)
		h.member(balance.ChangeDraining, 1, 0)
		h.to()
		require.EqualValues(t, 0, paths(h)["idle-queue"])
	})
	t.Run("answers an ask with the length and its number", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.JIQ{}, table(9), nil)
		h.idle(5)
		h.idle(6)
		h.hear(7, 0, balance.MsgAsk, 12, 0)
		require.Len(t, h.out.Msgs, 1)
		require.Equal(t, balance.Msg{Kind: balance.MsgAnswer, Seq: 12, A: 2}, h.out.Msgs[0])
	})
}

// paths are the pick counters of the bench's balancer.
func paths(h *bench) map[string]uint64 {
	var s balance.Stats
	c, ok := h.fe.Balancer(0).(balance.Counted)
	require.True(h.t, ok)
	c.Stats(&s)
	out := map[string]uint64{}
	for _, p := range s.Paths {
		out[p.Name] = p.N
	}
	return out
}

func TestStatic(t *testing.T) {
	t.Parallel()
	tab := &balance.Table{N: 4, Labels: []map[string]string{{"gpu": "h100"}, {"gpu": "a100", "name": "left"}, {"gpu": "a100"}, {"zone": "b"}}}
	s := &balance.Static{Capacity: map[string]float64{"h100": 40, "left": 10, "gpu=a100": 20, "3": 30}, Chooser: "smooth-wrr"}
	require.Empty(t, s.Check())
	require.Empty(t, s.CheckTable(tab))
	h := newBench(t, s, tab, nil)
	require.Equal(t, []int{40, 10, 20, 30}, count(h.picks(100), 4))
	d := newBench(t, &balance.Static{Capacity: s.Capacity, Chooser: "random"}, tab, nil)
	c := count(d.picks(50_000), 4)
	for id, share := range []float64{.4, .1, .2, .3} {
		require.InDelta(t, share, float64(c[id])/50_000, 0.02*share+0.003)
	}
	bad := &balance.Static{Capacity: map[string]float64{"h100": 40, "zone=b": 0}}
	require.Equal(t, []policies.Problem{{Path: "capacity.zone=b", Msg: "0: must be a number above 0"}}, bad.Check())
	require.Equal(t, []policies.Problem{
		{Path: "capacity", Msg: "replica 1 has no entry", Hint: "name its ID or one of its labels"},
		{Path: "capacity", Msg: "replica 2 has no entry", Hint: "name its ID or one of its labels"},
	}, bad.CheckTable(tab))
	require.Len(t, (&balance.Static{}).Check(), 1)
}

func TestStaticGivesTheMeanToNewcomers(t *testing.T) {
	t.Parallel()
	s := &balance.Static{Capacity: map[string]float64{"0": 10, "1": 30}, Chooser: "smooth-wrr"}
	h := newBench(t, s, table(3), nil)
	require.Equal(t, []int{10, 30, 20}, count(h.picks(60), 3))
	var st balance.Stats
	s.Stats(&st)
	require.Equal(t, []balance.PathCount{{Name: "unlisted", N: 1}}, st.Counts)
}

func TestRestartForgetsCounts(t *testing.T) {
	t.Parallel()
	for _, v := range variants(t, 4) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			h := newBench(t, v.make(), &balance.Table{N: 1, Slots: []int32{8}}, fixedTruth{lens: []uint16{0}, wire: []uint16{0}})
			for h.fe.Fleet(0).OutstandingSum() < 4 {
				h.to()
				h.answerAll()
			}
			h.member(balance.ChangeAdded, 0, 1)
			f := h.fe.Fleet(0)
			at := f.Index(policies.Ref{ID: 0, Inc: 1})
			require.Equal(t, 0, at)
			require.Zero(t, f.Outstanding(at))
			for req := range uint64(4) {
				h.end(req, policies.Lost)
				require.Contains(t, h.closed(), policies.Lost, "the flow core still closes it")
				require.Zero(t, f.Outstanding(at))
				require.Zero(t, f.OutstandingSum())
			}
		})
	}
}
