package wire

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies/balance"
)

func TestORCA(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		value string
		load  balance.Load
		whole bool
	}{
		"probe, text":       {"TEXT named_metrics.rif=3, named_metrics.idle_slots=0, named_metrics.latency=0.25", balance.Load{Running: 3, Slots: 3, LatencyEst: 250 * time.Millisecond}, true},
		"probe, JSON":       {`JSON {"named_metrics": {"rif": 1, "idle_slots": 3}}`, balance.Load{Running: 1, Slots: 4}, true},
		"proto3 names":      {`JSON {"cpuUtilization": 0.5, "namedMetrics": {"rif": 1}}`, balance.Load{Running: 1}, true},
		"beyond the slots":  {"TEXT named_metrics.rif=5,named_metrics.slots=2", balance.Load{Running: 2, Queued: 3, Slots: 2}, true},
		"with its queue":    {"TEXT named_metrics.rif=5, named_metrics.num_requests_waiting=1, named_metrics.idle_slots=0", balance.Load{Running: 4, Queued: 1, Slots: 4}, true},
		"running + waiting": {"text named_metrics.num_requests_running=4, named_metrics.num_requests_waiting=2", balance.Load{Running: 4, Queued: 2}, true},
		"vLLM":              {`JSON {"named_metrics": {"kv_cache_usage_perc": 0.4, "num_requests_waiting": 0}}`, balance.Load{}, false},
		"only utilization":  {"TEXT cpu_utilization=0.1, rps_fractional=12", balance.Load{}, false},
		"nothing inside":    {"JSON {}", balance.Load{}, false},
		"foreign metrics":   {"TEXT named_metrics.balance=-3, named_metrics.rif=2", balance.Load{Running: 2}, true},
	} {
		r, err := ParseORCA(x.value)
		require.NoError(t, err, name)
		load, whole := r.Load()
		require.Equal(t, x.load, load, name)
		require.Equal(t, x.whole, whole, name)
	}
}

// TestORCAOverOwn: one's own counts stand where nothing is told, and where something
// is told the requests that are known of do not vanish.
func TestORCAOverOwn(t *testing.T) {
	t.Parallel()
	own := balance.Load{Running: 2, Queued: 3, Slots: 2}
	for value, want := range map[string]balance.Load{
		"TEXT cpu_utilization=0": own,
		"TEXT named_metrics.num_requests_waiting=1, named_metrics.kv_cache_usage_perc=0.5": {Running: 4, Queued: 1, Slots: 2, KV: 0.5},
		"TEXT named_metrics.num_requests_waiting=9":                                        {Queued: 9, Slots: 2},
		"TEXT named_metrics.num_requests_running=1":                                        {Running: 1, Queued: 4, Slots: 2},
		"TEXT named_metrics.rif=7":                                                         {Running: 2, Queued: 5, Slots: 2},
		"TEXT named_metrics.rif=7, named_metrics.idle_slots=1":                             {Running: 7, Slots: 8},
	} {
		r, err := ParseORCA(value)
		require.NoError(t, err)
		require.Equal(t, want, r.Over(own), value)
	}
	require.True(t, Report{}.Empty())
	require.Equal(t, own, Report{}.Over(own))
}

// TestORCAGarbled: what cannot be read is unknown, all of it.
func TestORCAGarbled(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "TEXT", "TEXT ", "rif=3", "BIN", "TEXT named_metrics.rif", "TEXT =3", "TEXT named_metrics.rif=", "TEXT named_metrics.rif=x",
		"TEXT named_metrics.rif=NaN", "TEXT named_metrics.rif=-1", "TEXT named_metrics.rif=+Inf", "TEXT named_metrics.other=NaN", "TEXT cpu_utilization=-0.1",
		"TEXT named_metrics.rif=1, named_metrics.rif=1", "TEXT named_metrics.rif=1,,", "TEXT named_metrics.rif=1e300", "TEXT named_metrics.kv_cache_usage_perc=1.5",
		"JSON", "JSON null", "JSON []", "JSON {", `JSON {"named_metrics": {"rif": "3"}}`, `JSON {"named_metrics": {"rif": null}}`, `JSON {"eps": null}`,
		`JSON {"named_metrics": []}`, `JSON {"named_metrics": {"rif": -1}}`, `JSON {"rif": NaN}`, "TEXT named_metrics." + strings.Repeat("a", 9000) + "=1"} {
		r, err := ParseORCA(bad)
		require.Error(t, err, bad)
		require.True(t, r.Empty(), bad)
		_, ok := r.Load()
		require.False(t, ok)
	}
}

func TestORCARoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := balance.Load{Slots: int32(rapid.IntRange(1, 4096).Draw(t, "slots"))}
		l.Running = int32(rapid.IntRange(0, int(l.Slots)).Draw(t, "running"))
		l.Queued = int32(rapid.IntRange(0, 1000).Draw(t, "queued"))
		l.KV = float32(rapid.Float32Range(0, 1).Draw(t, "kv"))
		l.LatencyEst = time.Duration(rapid.IntRange(0, 1000).Draw(t, "ms")) * time.Millisecond
		for _, form := range []string{"TEXT", "JSON"} {
			r, err := ParseORCA(FormatORCA(l, form))
			require.NoError(t, err)
			got, ok := r.Load()
			require.True(t, ok)
			require.Equal(t, l, got)
		}
	})
}

// FuzzORCA: never a panic, never a load below zero or of more than was told.
func FuzzORCA(f *testing.F) {
	f.Add("BIN Qg4KA3JpZhEAAAAAAAAIQA==")
	f.Add("TEXT named_metrics.rif=3, named_metrics.idle_slots=0")
	f.Add(`JSON {"named_metrics": {"rif": 1, "idle_slots": 3, "num_requests_waiting": 7}}`)
	f.Add("TEXT named_metrics.num_requests_running=1e6, named_metrics.slots=0.4")
	f.Fuzz(func(t *testing.T, value string) {
		r, err := ParseORCA(value)
		if err != nil {
			require.True(t, r.Empty())
			return
		}
		for _, l := range []balance.Load{first(r.Load()), r.Over(balance.Load{Running: 3, Queued: 1, Slots: 4})} {
			require.GreaterOrEqual(t, min(l.Running, l.Queued, l.Slots, l.Free()), int32(0), "%+v", l)
			require.GreaterOrEqual(t, l.LatencyEst, zero)
			require.LessOrEqual(t, l.KV, float32(1))
		}
	})
}

func first(l balance.Load, _ bool) balance.Load { return l }
