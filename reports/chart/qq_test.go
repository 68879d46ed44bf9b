package chart

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQQTitle(t *testing.T) {
	t.Parallel()
	series := func(errs ...float64) (out []QQSeries) {
		for i, e := range errs {
			out = append(out, QQSeries{Label: sampleNames[i], Error: &e})
		}
		return out
	}
	for want, in := range map[string]QQInput{
		"Simulated against live at 85% load":                                     {Series: []QQSeries{{Label: "a"}}, At: "85% load"},
		"The simulator misses P99 of round-robin by −20.0% at 85% load":          {Series: series(0.1, -0.2, 0.15), At: "85% load"},
		"The simulator is within 10% of P99 of all 2 policies":                   {Series: series(0.1, -0.1)},
		"The simulator is within 10% of P99 of random":                           {Series: append(series(0.05), QQSeries{Label: "unknown"})},
		"The calibrated simulator is within 10% of P99 of all 2 policies at x/s": {Series: append(series(0.1), QQSeries{Error: ptr(0.0), Calibrated: []float64{1}}), At: "x/s"},
	} {
		require.Equal(t, want, in.title())
	}
}

// Quantiles that fewer than 30 requests are behind are not drawn, and the foot says so.
func TestQQCut(t *testing.T) {
	t.Parallel()
	s := QQSeries{Label: "a", P: []float64{0.5, 0.9, 0.99, 0.999}, Live: []float64{1, 2, 3, 4}, Sim: []float64{1, 1, 3.3, 4}, N: 3000}
	f := QQ(QQInput{Series: []QQSeries{s}}, Light())
	require.Contains(t, f.Foot, "cut below 30 requests")
	require.Equal(t, [][]string{
		{"a", "P50", "1.00 ms", "1.00 ms", "0.00%"}, {"a", "P90", "2.00 ms", "1.00 ms", "−50.0%"}, {"a", "P99", "3.00 ms", "3.30 ms", "+10.0%"},
	}, f.Rows)
	s.N, s.Calibrated = 30_000, []float64{2, 2}
	f = QQ(QQInput{Series: []QQSeries{s}}, Light())
	require.NotContains(t, f.Foot, "cut below")
	require.Equal(t, []string{"a", "P90", "2.00 ms", "1.00 ms", "−50.0%", "2.00 ms", "0.00%"}, f.Rows[1])
	require.Equal(t, []string{"a", "P99.9", "4.00 ms", "4.00 ms", "0.00%", Missing, Missing}, f.Rows[3])
}

func TestQQGrid(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 1, 100, 3000, 1e9} {
		g := QQGrid(n)
		require.True(t, slices.IsSorted(g))
		require.True(t, g[0] > 0 && g[len(g)-1] < 1, "%v", g)
		for _, p := range qqShown {
			require.Contains(t, g, p)
		}
	}
}
