package balance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

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
