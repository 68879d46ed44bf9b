package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

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
