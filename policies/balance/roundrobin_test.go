package balance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
)

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
