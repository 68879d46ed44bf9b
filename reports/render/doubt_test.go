package render

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/reports"
)

// Where the sign-flip test and the interval disagree, the cells are marked and one
// footnote says it for all of them.
func TestComparisonMarksDoubt(t *testing.T) {
	t.Parallel()
	x, ci := 100.0, reports.Interval{-.1, .2}
	cell := func(policy, doubt string) reports.CellChange {
		return reports.CellChange{CellName: reports.CellName{Policy: policy},
			Change: reports.Change{Base: &x, New: &x, CI: &ci, N: 6, Word: reports.Same, Doubt: doubt}}
	}
	c := &reports.Comparison{Metrics: []reports.MetricChange{{Metric: "p99", Unit: "ms",
		Cells: []reports.CellChange{cell("calm", ""), cell("odd", "the two disagree"), cell("odder", "the two disagree")}}}}
	var b strings.Builder
	require.NoError(t, ComparisonTable(&b, c, Options{Width: 100}))
	require.Equal(t, 1, strings.Count(b.String(), "the two disagree"))
	for _, line := range strings.Split(b.String(), "\n") {
		if strings.Contains(line, "odd") {
			require.Contains(t, line, "[1]")
		}
		if strings.Contains(line, "calm") {
			require.NotContains(t, line, "[")
		}
	}
}
