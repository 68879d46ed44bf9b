package reports

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every metric that is a field of the summary resolves to that very field, in a
// part as in a cell, so that a gate and a table read the same number.
func TestMetricsReadTheirJSONField(t *testing.T) {
	t.Parallel()
	fields := map[string]bool{}
	for _, m := range Metrics() {
		require.NotEmpty(t, m.About, m.Name)
		require.Contains(t, []string{"ms", "s", "rps", "ratio"}, m.Unit)
		require.Contains(t, []string{LowerBetter, HigherBetter, NoBetter}, m.Better)
		require.False(t, fields[m.Name], "%s twice", m.Name)
		fields[m.Name] = true

		for _, name := range []string{m.Name, m.JSON} {
			found, ok := findMetric(name, nil)
			require.True(t, ok, name)
			require.Equal(t, m, found)
		}
		var c Cell
		var p Part
		doc := []byte(`{"` + m.JSON + `": 7}`)
		if m.Family != "" {
			doc = []byte(`{"metrics": {"` + m.JSON + `": 7}}`)
		}
		require.NoError(t, json.Unmarshal(doc, &c))
		require.NoError(t, json.Unmarshal(doc, &p))
		require.Equal(t, 7.0, *cellValue(&c, m), m.Name)
		require.Equal(t, 7.0, *partValue(&p, m), m.Name)
		require.Equal(t, 7.0, *c.Value(m.JSON))
		if m.Group {
			var g Group
			require.NoError(t, json.Unmarshal(doc, &g))
			require.Equal(t, 7.0, *groupValue(&g, m), m.Name)
		}
	}
	require.Equal(t, 990, permille("ttft_p99"))
	require.Equal(t, 999, permille("p999"))
	require.Zero(t, permille("p99_decision"))
	require.Equal(t, MetricInfo{Name: "drain", JSON: "drain_s", Unit: "s", Better: LowerBetter, Family: "autoscale", About: "x"}, FamilyMetric("autoscale", "drain_s", LowerBetter, "x"))
}

// Names that end in a class are metrics too, but not the bare prefix.
func TestMetricsByPrefix(t *testing.T) {
	t.Parallel()
	for _, m := range metricPrefixes() {
		found, ok := findMetric(m.Name+"probe", nil)
		require.True(t, ok)
		require.Equal(t, m.Name+"probe", found.JSON)
		c := Cell{Metrics: map[string]*float64{m.Name + "probe": finite(2)}}
		require.Equal(t, 2.0, *c.Value(m.Name + "probe"))
		_, ok = findMetric(m.Name, nil)
		require.False(t, ok)
	}
}

// The codes of the summary schema are all there, and each code is one warning.
func TestWarningCodesAreTheSchema(t *testing.T) {
	t.Parallel()
	want := strings.Fields(`few-samples few-seeds quota-setting shard-skew survivor-bias unfinished unpaired-seeds unpaired policy-chance-only histogram-overflow
		tolerance-below-resolution nondeterminism interrupted transient client-late client-saturated host-load throttled rate-missed short-run
		warmup-short autocorrelated unstable not-monotone near-critical extrapolated closed-loop infinite-variance clamped-sizes unsorted-trace
		quantised-stamps skipped-rows tokens-estimated`)
	var got []string
	for _, w := range WarningCodes() {
		got = append(got, w.Code)
		require.NotEmpty(t, w.About)
	}
	require.Subset(t, got, want)
	slices.Sort(got)
	require.Equal(t, slices.Compact(slices.Clone(got)), got, "each once")
}
