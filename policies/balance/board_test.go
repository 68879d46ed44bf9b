package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
	"taillab/policies/flow"
)

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
