package balance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestRequestsIsAMap compares the table with a map, over few keys that collide.
func TestRequestsIsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var table requests[int]
		want := map[uint64]int{}
		for range rapid.IntRange(0, 200).Draw(r, "steps") {
			k := rapid.Uint64Range(0, 40).Draw(r, "key")
			if rapid.Bool().Draw(r, "put") {
				v := rapid.Int().Draw(r, "value")
				*table.put(k) = v
				want[k] = v
			} else {
				table.del(k)
				delete(want, k)
			}
			require.Equal(r, len(want), table.n)
			for k := range uint64(41) {
				v, ok := want[k]
				got := table.get(k)
				require.Equal(r, ok, got != nil)
				if ok {
					require.Equal(r, v, *got)
				}
			}
		}
	})
}

// TestBudgetCountsWhole: ten times a tenth is one token.
func TestBudgetCountsWhole(t *testing.T) {
	t.Parallel()
	var b budget
	for k := range 10 {
		require.False(t, b.has(), "after %d", k)
		b.earn(.1)
	}
	require.True(t, b.spend())
	require.False(t, b.spend())
	for range 1000 {
		b.earn(.5)
	}
	for range 10 {
		require.True(t, b.spend())
	}
	require.False(t, b.spend(), "at most ten are saved up")
}

// TestBinsHoldTheirLatencies: each latency lies in its bin, at most 1/32 below its end.
func TestBinsHoldTheirLatencies(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{1024, 1025, 1055, 1056, 2047, 2048, time.Millisecond, 123456789, time.Second, time.Hour} {
		end := binEnd(bin(d))
		require.Greater(t, end, d)
		require.LessOrEqual(t, float64(end-d), float64(d)/binsPerOctave+1, "%v in a bin that ends at %v", d, end)
	}
	require.Equal(t, bin(1), bin(1024), "the least bin takes all below")
	require.Equal(t, octaves*binsPerOctave-1, bin(1<<62), "and the last one all above")
}

func TestSharesOfSlowStart(t *testing.T) {
	t.Parallel()
	p := newSlowStart()
	p.MinWeight = 0
	require.InDelta(t, 1./60_000, p.share(0), 1e-12, "an age counts as at least 1 ms")
}
