package balance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
)

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
	t.Run("a report that comes again keeps its place", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, &balance.JIQ{}, table(4), nil)
		for _, id := range []uint32{3, 1, 3} {
			h.idle(id)
		}
		require.Equal(t, []int{3, 1}, h.picks(2))
		require.EqualValues(t, 2, paths(h)["idle-queue"])
	})
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
