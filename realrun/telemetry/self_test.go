package telemetry

import (
	"errors"
	"math"
	"runtime"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	h, err := parseStat([]byte("cpu  100 2 30 800 50 6 7 5 90 0\ncpu0 1 2 3\nintr 12\n"))
	require.NoError(t, err)
	require.Equal(t, hostTicks{total: 1000, idle: 850, steal: 5}, h, "guests are counted in user already")
	for _, bad := range []string{"", "cpu", "cpu  1 2 3", "intr 1 2 3 4 5 6 7 8", "cpu a b c d e f g h", "cpu -1 0 0 0 0 0 0 0"} {
		_, err := parseStat([]byte(bad))
		require.ErrorContains(t, err, "/proc/stat cannot be read", bad)
	}
}

func TestHostShares(t *testing.T) {
	t.Parallel()
	before := hostTicks{total: 1000, idle: 500, steal: 10}
	for name, x := range map[string]struct {
		after        hostTicks
		own          time.Duration
		known        bool
		steal, other float64
	}{
		"idle":                     {hostTicks{1200, 700, 10}, 0, true, 0, 0},
		"all ours":                 {hostTicks{1200, 600, 10}, time.Second, true, 0, 0},
		"half ours":                {hostTicks{1200, 600, 10}, 500 * time.Millisecond, true, 0, 0.25},
		"stolen":                   {hostTicks{1200, 600, 50}, 500 * time.Millisecond, true, 0.2, 0.05},
		"ours by another clock":    {hostTicks{1200, 600, 10}, 3 * time.Second, true, 0, 0},
		"own CPU unknown":          {hostTicks{1200, 600, 50}, 0, false, 0.2, math.NaN()},
		"nothing passed":           {before, 0, true, math.NaN(), math.NaN()},
		"idle went back":           {hostTicks{1200, 499, 10}, 0, true, math.NaN(), math.NaN()},
		"counters began once more": {hostTicks{100, 50, 0}, 0, true, math.NaN(), math.NaN()},
	} {
		steal, other := x.after.since(before, x.own, x.known)
		same(t, x.steal, steal, name+": steal")
		same(t, x.other, other, name+": other")
	}
}

func TestSelf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSelf(func() time.Duration { return 7 * time.Millisecond })
		var used time.Duration
		stat := "cpu 0 0 0 0 0 0 0 0"
		s.cpu = func() (time.Duration, bool) { return used, true }
		s.host = func() ([]byte, error) { return []byte(stat), nil }
		_, ok := s.read()
		require.False(t, ok, "the first reading starts the span")

		time.Sleep(2 * time.Second) // virtual
		used, stat = 3*time.Second, "cpu 350 0 0 400 0 0 0 50"
		runtime.GC()
		got, ok := s.read()
		require.True(t, ok)
		require.Equal(t, 2*time.Second, got.Span)
		require.Equal(t, 1.5, got.CPUCores)
		require.InDelta(t, 50.0/800, got.Steal, 1e-12)
		require.InDelta(t, 50.0/800, got.Other, 1e-12, "350 ticks busy, 300 of them ours")
		require.GreaterOrEqual(t, got.GCs, 1)
		require.Positive(t, got.GCPause)
		require.Positive(t, got.Goroutines)
		require.Positive(t, got.HeapMiB)
		require.True(t, got.LagKnown)
		require.Equal(t, 7*time.Millisecond, got.Lag)

		s.cpu = func() (time.Duration, bool) { return 0, false }
		s.host = func() ([]byte, error) { return nil, errors.New("no such file") }
		s.lag = nil
		for range 2 { // unknown now, and in the span after it
			time.Sleep(time.Second)
			got, ok = s.read()
			require.True(t, ok)
			require.True(t, math.IsNaN(got.CPUCores) && math.IsNaN(got.Steal) && math.IsNaN(got.Other))
			require.False(t, got.LagKnown)
			s.cpu, s.host = processCPU, func() ([]byte, error) { return []byte(stat), nil }
		}
	})
}

func TestLongestPause(t *testing.T) {
	t.Parallel()
	h := &metrics.Float64Histogram{Counts: []uint64{5, 3, 0, 2}, Buckets: []float64{0, 1e-5, 1e-4, 1e-3, math.Inf(1)}}
	require.Equal(t, time.Millisecond, longest(h, nil), "beyond the last bound: at least it")
	require.Equal(t, 100*time.Microsecond, longest(h, []uint64{5, 2, 0, 2}))
	require.Equal(t, 10*time.Microsecond, longest(h, []uint64{4, 3, 0, 2}))
	require.Zero(t, longest(h, h.Counts))
}

// The real sources of this system, whichever it is.
func TestSelfHere(t *testing.T) {
	t.Parallel()
	_, ok := processCPU()
	require.Equal(t, runtime.GOOS != "windows" && runtime.GOOS != "plan9", ok)
	if runtime.GOOS != "linux" {
		_, err := procStat()
		require.Error(t, err)
		return
	}
	text, err := procStat()
	require.NoError(t, err)
	h, err := parseStat(text)
	require.NoError(t, err)
	require.Positive(t, h.total)
}
