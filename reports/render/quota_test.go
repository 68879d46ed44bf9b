package render

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/reports"
	"taillab/reports/chart"
)

func TestAccuracy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ratio, lo, hi, want, from, to float64 }{
		{.8, .7, .9, .8, .7, .9},
		{1.2, 1.1, 1.3, .8, .7, .9}, // as far on the other side
		{1, .95, 1.1, 1, .9, 1},     // the interval holds the ideal
	} {
		got := accuracy(chart.Value{V: &c.ratio, CI: &[2]float64{c.lo, c.hi}})
		require.InDelta(t, c.want, *got.V, 1e-12)
		require.InDeltaSlice(t, []float64{c.from, c.to}, got.CI[:], 1e-12)
	}
	require.Nil(t, accuracy(chart.Value{}).V)
}

// limiters is a summary of two limiters, and of two dividers where they are compared.
func limiters(family string) *reports.Summary {
	s := sample(2, .5)
	s.Cells = s.Cells[:2]
	for i := range s.Cells {
		c := &s.Cells[i]
		c.Family = family
		for k := range c.Parts {
			p := &c.Parts[k]
			x := float64(i+1) / 4
			p.Metrics = map[string]*float64{"admitted_of_ideal": &x, "p99_decision_ms": &x, "quota_utilization": &x, "jain": &x}
		}
	}
	return s
}

func TestQuotaFrontier(t *testing.T) {
	t.Parallel()
	for family, want := range map[string]string{"quota": "P99 of a decision", "quota/share": "Jain index"} {
		in, ok := quotaFrontier(newView(limiters(family), Options{}))
		require.True(t, ok, family)
		require.Equal(t, want, in.Y.Name)
		require.Len(t, in.Points, 2)
	}
	_, ok := quotaFrontier(newView(sample(1, .5), Options{}))
	require.False(t, ok, "no quota, no frontier")
}
