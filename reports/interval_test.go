package reports

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestIntervalGoldens(t *testing.T) {
	t.Parallel()
	value, ci := LogInterval([]float64{100, 110, 121}, 0.95)
	require.InDelta(t, 110, *value, 1e-9)
	require.InDelta(t, 86.8, ci[0], 0.05)
	require.InDelta(t, 139.4, ci[1], 0.05)

	ci = SectionInterval(10.5, []float64{9, 10, 11, 10, 10}, 0.95)
	require.NotNil(t, ci)
	require.Nil(t, SectionInterval(10.5, []float64{9, 10, 11, 10}, 0.95), "fewer than 5 sections")
	half := sectionHalf(10.5, []float64{9, 10, 11, 10}, 0.95)
	require.InDelta(t, 8.909, 10.5-half, 0.0005)
	require.InDelta(t, 12.091, 10.5+half, 0.0005)
	e := estimateOf([]float64{9, 10, 11, 10})
	require.InDelta(t, 8.701, e.mean-e.half(0.95), 0.0005) // batch means
	require.InDelta(t, 11.299, e.mean+e.half(0.95), 0.0005)
}

func TestStudentGoldens(t *testing.T) {
	t.Parallel()
	for nu, want := range map[float64]float64{2: 4.30265, 3: 3.18245, 4: 2.77645, 9: 2.26216, 19: 2.09302, 29: 2.04523} {
		require.InDelta(t, want, studentT(0.95, nu), 5e-6, "ν = %v", nu)
	}
}

func TestIntervalsOfOddInput(t *testing.T) {
	t.Parallel()
	for name, xs := range map[string][]float64{
		"none": {}, "zero": {1, 0}, "negative": {1, -1}, "NaN": {1, math.NaN()}, "Inf": {1, math.Inf(1)},
	} {
		value, ci := LogInterval(xs, 0.95)
		require.Nil(t, value, name)
		require.Nil(t, ci, name)
	}
	value, ci := LogInterval([]float64{7}, 0.95)
	require.Equal(t, 7.0, *value)
	require.Nil(t, ci)
	value, ci = LogInterval([]float64{0.1, 0.1, 0.1}, 0.95)
	require.Equal(t, 0.1, *value)
	require.Equal(t, Interval{0.1, 0.1}, *ci)
	require.Nil(t, finite(math.NaN()))
	require.Nil(t, interval(0, math.Inf(1)))
	require.Zero(t, lag1([]float64{3, 3, 3}))
}

func TestIntervalProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Float64Range(0.1, 1e4), 2, 20).Draw(t, "xs")
		value, ci := LogInterval(xs, 0.95)
		require.True(t, ci[0] <= *value && *value <= ci[1])

		c := rapid.Float64Range(0.01, 100).Draw(t, "c")
		scaled := make([]float64, len(xs))
		for i, x := range xs {
			scaled[i] = c * x
		}
		v2, ci2 := LogInterval(scaled, 0.95)
		require.InEpsilon(t, c**value, *v2, 1e-9)
		require.InEpsilon(t, c*ci[0], ci2[0], 1e-6)
		require.InEpsilon(t, c*ci[1], ci2[1], 1e-6)

		_, wide := LogInterval(xs, 0.99)
		require.True(t, wide[0] <= ci[0] && ci[1] <= wide[1])

		shuffled := rapid.Permutation(xs).Draw(t, "shuffled")
		v3, ci3 := LogInterval(shuffled, 0.95)
		require.InEpsilon(t, *value, *v3, 1e-9)
		require.InEpsilon(t, ci[1], ci3[1], 1e-6)

		_, twice := LogInterval(append(append([]float64{}, xs...), xs...), 0.95)
		require.LessOrEqual(t, twice[1]/twice[0], ci[1]/ci[0]*(1+1e-12), "more data never widen")

		e := estimateOf(xs)
		h := sectionHalf(e.mean, xs, 0.95)
		require.InDelta(t, e.half(0.95), h, 1e-9*h+1e-12, "around their own mean sections are batch means")
	})
}

// Welford keeps the digits that the sum of squares loses.
func TestEstimateKeepsDigits(t *testing.T) {
	t.Parallel()
	e := estimateOf([]float64{1e9 + 1, 1e9 + 2, 1e9 + 3})
	require.Equal(t, 1.0, e.s)
	require.Equal(t, 1e9+2, e.mean)
}

func TestOrderStatisticsGoldens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n        int
		p        float64
		l, u     int
		coverage float64
	}{
		{20, .5, 6, 15, .9586}, {10, .5, 2, 9, .9785}, {6, .5, 1, 6, .9688},
		{1000, .99, 983, 997, .9761}, {10_000, .999, 9983, 9997, .9755},
	} {
		l, u, coverage := OrderStatistics(c.n, c.p, 0.95)
		require.Equal(t, [2]int{c.l, c.u}, [2]int{l, u}, "n %d p %v", c.n, c.p)
		require.InDelta(t, c.coverage, coverage, 0.00005)
	}
	l, u, _ := OrderStatistics(5, .5, 0.95)
	require.Equal(t, [2]int{0, 0}, [2]int{l, u})
	l, u, _ = OrderStatistics(100, .99, 0.95)
	require.Equal(t, [2]int{97, 0}, [2]int{l, u})
	l, u, _ = OrderStatistics(0, .5, 0.95)
	require.Zero(t, l+u)
}
