package balance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
)

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
