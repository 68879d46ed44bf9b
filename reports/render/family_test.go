package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFamilyTables: a family's titled metrics get a table of their own, with half of
// the interval over the parts; metrics that say nothing get no column.
func TestFamilyTables(t *testing.T) {
	t.Parallel()
	s := sample(2, 0.8)
	require.Empty(t, newView(s, Options{}).families(), "nothing is known")
	for i := range s.Cells {
		c := &s.Cells[i]
		c.Metrics["slo_miss_s"], c.Metrics["gpu_hours"], c.Metrics["killed_requests"] = ptr(90.0+4.5), ptr(3.0), ptr(0.0)
		for k := range c.Parts {
			c.Parts[k].Metrics = map[string]*float64{"slo_miss_s": ptr(90.0 + float64(k)), "gpu_hours": ptr(3.0)}
		}
	}
	var b bytes.Buffer
	require.NoError(t, Table(&b, s, Options{Width: 80}))
	_, table, found := strings.Cut(b.String(), " autoscale ")
	require.True(t, found, b.String())
	lines := strings.Split(table, "\n")
	require.Equal(t, []string{"SLO", "missed", "GPU", "hours"}, strings.Fields(lines[0]))
	require.Equal(t, []string{"round-robin", "94.5", "s", "±2.3%", "3.00"}, strings.Fields(lines[2]))
	b.Reset()
	require.NoError(t, Markdown(&b, s, Options{}))
	require.Contains(t, b.String(), "### Family autoscale\n\n| policy | SLO missed | GPU hours |\n")
	b.Reset()
	require.NoError(t, HTML(&b, s, Options{}))
	require.Contains(t, b.String(), "The family autoscale, with half of the 95% CI of the mean")
}
