package workloads

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestExportReadsBack(t *testing.T) {
	t.Parallel()
	c := compile(t, busy(), busyOptions())
	const n = 3000
	want := draw(t, c, 1, 0, n, n)
	for _, format := range ExportFormats() {
		var b strings.Builder
		require.NoError(t, c.Export(&b, format, 1, 0, n), format)
		s := NewSpec()
		s.Arrivals = NewArrivals("trace")
		s.Arrivals.Trace = traceOf(func(s *TraceSpec) { s.Rotate, s.KeepOffset, s.Jitter = false, true, "none" })
		if format == "csv" {
			s.Arrivals.Trace.Columns = ColumnMap{Time: "at_ns", Unit: "ns", Input: "input", Output: "output", Duration: "demand_ns", Tenant: "tenant", Model: "model"}
		}
		back := compile(t, s, stdin(b.String()))
		got := draw(t, back, 9, 0, n+1, 100)
		require.Len(t, got, n, format)
		for i, r := range got {
			w := want[i]
			require.Equal(t, []uint32{w.Input, w.Output}, []uint32{r.Input, r.Output})
			if format == "mooncake" {
				require.InDelta(t, float64(w.At), float64(r.At), float64(time.Millisecond)/2)
				continue
			}
			require.Equal(t, []time.Duration{w.At, w.Demand}, []time.Duration{r.At, r.Demand})
			require.Equal(t, c.Tenants()[w.Tenant], back.Tenants()[r.Tenant])
			require.Equal(t, c.Models()[w.Model], back.Models()[r.Model])
		}
	}
	require.EqualError(t, c.Export(&strings.Builder{}, "xml", 1, 0, 1), `no export format called "xml": it must be one of csv, mooncake, jsonl`)
}
