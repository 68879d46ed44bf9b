package reports

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSignFlipGoldens(t *testing.T) {
	t.Parallel()
	require.Equal(t, 2.0/64, *SignFlip([]float64{1, 2, 3, 4, 5, 6}))
	require.Equal(t, .0625, *SignFlip([]float64{1, 1, 2, 3, 5}))
	require.Equal(t, 6.0/64, *SignFlip([]float64{1, 2, 3, 4, 5, -1}))
	require.Equal(t, 1.0, *SignFlip([]float64{0, 0, 0}))
	require.Equal(t, math.Ldexp(2, -20), *SignFlip([]float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}))
	require.Nil(t, SignFlip(nil))
	require.Nil(t, SignFlip(make([]float64, 21)))
}

func TestSignFlipProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SliceOfN(rapid.Float64Range(-100, 100), 1, 10).Draw(t, "d")
		p := *SignFlip(d)
		require.True(t, p >= math.Ldexp(2, -len(d)) && p <= 1)
		mirrored, scaled := make([]float64, len(d)), make([]float64, len(d))
		for i, x := range d {
			mirrored[i], scaled[i] = -x, 8*x
		}
		require.Equal(t, p, *SignFlip(mirrored))
		require.Equal(t, p, *SignFlip(scaled))
		require.Equal(t, p, *SignFlip(rapid.Permutation(d).Draw(t, "order")))
	})
}

func TestFlipCheck(t *testing.T) {
	t.Parallel()
	apart, holds := &Interval{.1, .2}, &Interval{-.1, .2}
	up := []float64{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		d     []float64
		ci    *Interval
		level float64
		p     bool
		doubt string
	}{
		{up, apart, .95, true, ""},
		{up, holds, .95, true, "the interval holds no change"},
		{[]float64{1, 2, 3, 4, 5, -1}, apart, .95, true, "the interval excludes no change"},
		{[]float64{1, 2, 3, 4, 5, -1}, holds, .95, true, ""},
		{up[:5], holds, .95, false, ""}, // 2/2⁵ is not below .05: it could never reject
		{up, holds, .99, false, ""},
		{up, nil, .95, false, ""},
	} {
		p, doubt := flipCheck(c.d, c.ci, c.level)
		require.Equal(t, c.p, p != nil, "%+v", c)
		require.Contains(t, doubt, c.doubt)
		require.Equal(t, c.doubt == "", doubt == "")
	}
}

// Five seeds are 1% slower and one 2.7 times: all agree on the direction, which the t
// interval cannot see.
func TestCompareNamesItsDoubt(t *testing.T) {
	t.Parallel()
	a, b := logSeeded("a", 100, 0, 0, 0, 0, 0, 0), logSeeded("b", 100, .01, .01, .01, .01, .01, 1)
	c := Compare(&a, &b, "p99", 0)
	require.Equal(t, Same, c.Word)
	require.Equal(t, 2.0/64, *c.SignFlip)
	require.Contains(t, c.Doubt, "a few seeds differ far more")
	b = logSeeded("b", 100, .01, .01, .01, .01, .01, .012)
	c = Compare(&a, &b, "p99", 0)
	require.Equal(t, Worse, c.Word)
	require.Empty(t, c.Doubt)
}
