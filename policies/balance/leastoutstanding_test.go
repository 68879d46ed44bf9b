package balance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

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
