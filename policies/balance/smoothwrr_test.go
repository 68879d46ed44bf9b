package balance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

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
