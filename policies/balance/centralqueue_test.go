package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

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
	t.Run("a restart makes an end of pulls", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.CentralQueue{PullRTT: 2 * time.Millisecond}, table(1), nil)
		require.Equal(t, 0, h.to())
		h.end(0, policies.OK)
		arg := h.out.List[0].Arg
		h.member(balance.ChangeAdded, 0, 1)
		require.Equal(t, 0, h.to(), "the new life's slot is free")
		h.out.Reset()
		h.fe.Woke(2*time.Millisecond, 0, arg, &h.out)
		require.Equal(t, -1, h.to(), "the old pull brings no second slot")
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
