package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/stretchr/testify/require"

	"taillab/reports"
)

// sampleTheory has a check of every kind: agreement, a second look, disagreement,
// a value that does not vary.
func sampleTheory() *reports.Theory {
	check := func(label, metric, unit string, theory, simulated, half, t, p float64, v reports.Verdict) *reports.TheoryCheck {
		c := &reports.TheoryCheck{Case: strings.Fields(label)[0], Params: map[string]any{"rho": .7, "n": 1}, Label: label, Metric: metric, Unit: unit,
			Theory: theory, Simulated: simulated, T: t, P: p / 2, Adjusted: p, Verdict: v, Seeds: 20, Requests: 120_000, Slack: .002 * theory}
		if half > 0 {
			c.CI = &reports.Interval{simulated - half, simulated + half}
		}
		return c
	}
	list := []*reports.TheoryCheck{
		check("mm1 rho=0.7", "mean", "service", 10.0/3, 3.329, .02, 0, 1, reports.Pass),
		check("mm1 rho=0.7", "p99", "service", 15.35, 16.9, .1, 15.5, 3e-9, reports.Fail),
		check("mmck n=4 K=10 rho=0.9", "blocked", "ratio", .0672, .0669, .0005, .4, 1, reports.Pass),
		check("stale_periodic n=1000 d=2 T=0.5 rho=0.9", "p50", "service", 2.351, 2.36, .01, 2.9, .034, reports.Pass),
		check("batching K=32 1.19ms+0.95ms rho=0.6", "p90", "ms", 9.57, 9.57, 0, 0, 1, reports.Pass),
	}
	list[3].Repeated = true
	return reports.NewTheory(list, 0.99, reports.CorrectionHolm)
}

func TestTheoryTable(t *testing.T) {
	t.Parallel()
	show := func(o Options) []byte {
		var b bytes.Buffer
		require.NoError(t, TheoryTable(&b, sampleTheory(), o))
		return b.Bytes()
	}
	golden(t, "theory", show(Options{Width: 110}))
	golden(t, "theory-ascii", show(Options{Width: 110, ASCII: true}))
	golden(t, "theory-colour", show(Options{Width: 110, Color: true}))
	golden(t, "theory-narrow", show(Options{Width: 60}))
	for _, w := range []int{60, 80, 100} {
		for _, l := range strings.Split(string(show(Options{Width: w})), "\n") {
			require.LessOrEqual(t, twwidth.Width(l), w, l)
		}
	}
}

func TestTheoryMarkdown(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, TheoryMarkdown(&b, sampleTheory(), Options{AgainCommand: "taillab verify"}))
	golden(t, "theory-md", b.Bytes())
}

func TestTheoryCSVAndJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, TheoryCSV(&b, sampleTheory()))
	rows, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 6)
	require.Equal(t, []string{"mm1", "n=1;rho=0.7", "p99", "service"}, rows[2][:4])
	require.Empty(t, rows[5][6], "no interval")
	data, err := sampleTheory().JSON()
	require.NoError(t, err)
	var back reports.Theory
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, reports.TheorySchema, back.Schema)
	require.Equal(t, reports.Fail, back.Verdict)
	require.Equal(t, sampleTheory().Checks[1].Adjusted, back.Checks[1].Adjusted)
}
