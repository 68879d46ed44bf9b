package telemetry

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
)

func page(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return b
}

// same compares readings, in which NaN equals NaN.
func same(t *testing.T, want, got float64, what string) {
	t.Helper()
	if math.IsNaN(want) {
		require.True(t, math.IsNaN(got), "%s is %v, not unknown", what, got)
		return
	}
	require.InDelta(t, want, got, 1e-9, what)
}

func sameGPU(t *testing.T, want, got GPU) {
	t.Helper()
	same(t, want.Utilisation, got.Utilisation, "utilisation")
	same(t, want.SMActive, got.SMActive, "SM active")
	same(t, want.MemoryUsedMiB, got.MemoryUsedMiB, "memory")
	same(t, want.PowerW, got.PowerW, "power")
	same(t, want.EnergyJ, got.EnergyJ, "energy")
	same(t, want.SMClockMHz, got.SMClockMHz, "SM clock")
	same(t, want.TemperatureC, got.TemperatureC, "temperature")
	plain := func(g GPU) GPU {
		return GPU{Index: g.Index, Instance: g.Instance, UUID: g.UUID, Name: g.Name, Reasons: g.Reasons, ReasonsKnown: g.ReasonsKnown, MIG: g.MIG}
	}
	require.Equal(t, plain(want), plain(got))
}

func TestDCGMPage(t *testing.T) {
	t.Parallel()
	gpus, err := ReadDCGM(bytes.NewReader(page(t, "dcgm.txt")))
	require.NoError(t, err)
	require.Len(t, gpus, 2)
	sameGPU(t, GPU{Index: 0, UUID: "GPU-a", Name: "NVIDIA H100 80GB HBM3", Utilisation: 0.97, SMActive: 0.431, MemoryUsedMiB: 72456, PowerW: 689.125,
		EnergyJ: 5204300.512, SMClockMHz: 1980, TemperatureC: 61, Reasons: 4, ReasonsKnown: true}, gpus[0])
	nan := math.NaN() // marks for "no value", NaN and what is not there
	sameGPU(t, GPU{Index: 1, UUID: "GPU-b", Name: "NVIDIA H100 80GB HBM3", Utilisation: 0, SMActive: nan, MemoryUsedMiB: nan, PowerW: nan,
		EnergyJ: nan, SMClockMHz: 345, TemperatureC: nan, Reasons: 1, ReasonsKnown: true}, gpus[1])
}

func TestDCGMInstances(t *testing.T) {
	t.Parallel()
	gpus, err := ReadDCGM(strings.NewReader(`
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"} 12
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",GPU_I_PROFILE="3g.40gb",GPU_I_ID="1"} 34
	DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{gpu="0",UUID="GPU-a",GPU_I_ID="1"} 68
DCGM_FI_DEV_FB_USED{gpu="MIG-x"} 1
`))
	require.NoError(t, err)
	require.Len(t, gpus, 3)
	require.Equal(t, -1, gpus[0].Index, "a number that is none is not told")
	require.Equal(t, []string{"1", "7"}, []string{gpus[1].Instance, gpus[2].Instance})
	require.True(t, gpus[1].MIG)
	require.Equal(t, 34.0, gpus[1].MemoryUsedMiB)
	require.True(t, gpus[1].Throttled(), "under the older name too")
	require.False(t, gpus[2].ReasonsKnown)
}

func TestBackendPage(t *testing.T) {
	t.Parallel()
	b, err := ReadBackend(bytes.NewReader(page(t, "vllm.txt")))
	require.NoError(t, err)
	require.Equal(t, Backend{Running: 46, Waiting: 3, KV: 0.5}, b, "two engines are one backend")
	load, ok := b.Load()
	require.True(t, ok)
	require.Equal(t, balance.Load{Running: 46, Queued: 3, KV: 0.5}, load)
}

// What a page does not tell is unknown: never idle, never nothing.
func TestBackendUnknown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		running, waiting, kv float64
		known                bool
	}{
		"vllm:num_requests_running 4":                                                  {4, math.NaN(), math.NaN(), false},
		"vllm:num_requests_waiting 4":                                                  {math.NaN(), 4, math.NaN(), false},
		"vllm:kv_cache_usage_perc 0.5":                                                 {math.NaN(), math.NaN(), 0.5, false},
		"vllm:num_requests_running 4\nvllm:num_requests_waiting 0":                     {4, 0, math.NaN(), true},
		"vllm:num_requests_running 4\nvllm:num_requests_waiting NaN":                   {4, math.NaN(), math.NaN(), false},
		"vllm:num_requests_running -1\nvllm:num_requests_waiting 0":                    {math.NaN(), 0, math.NaN(), false},
		"vllm:num_requests_running +Inf\nvllm:num_requests_waiting 2e6":                {math.NaN(), math.NaN(), math.NaN(), false},
		"vllm:num_requests_running{a=\"0\"} 4\nvllm:num_requests_running{a=\"1\"} NaN": {math.NaN(), math.NaN(), math.NaN(), false},
		"vllm:num_requests_running{a=\"0\"} 9e5\nvllm:num_requests_running 9e5":        {math.NaN(), math.NaN(), math.NaN(), false},
		"vllm:gpu_cache_usage_perc 0.25":                                               {math.NaN(), math.NaN(), 0.25, false},
		"vllm:kv_cache_usage_perc 40\nvllm:num_requests_running 1":                     {1, math.NaN(), math.NaN(), false},
	} {
		b, err := ReadBackend(strings.NewReader(text + "\n"))
		require.NoError(t, err, text)
		same(t, want.running, b.Running, text)
		same(t, want.waiting, b.Waiting, text)
		same(t, want.kv, b.KV, text)
		_, known := b.Load()
		require.Equal(t, want.known, known, text)
	}
}

func TestUnreadablePages(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":         "",
		"HTML":          "<html><body>It works!</body></html>",
		"other metrics": "up 1\nvllm:num_requests_running_total 3\n",
		"no number":     "vllm:num_requests_running many\n",
		"cut short":     "vllm:num_requests_running{engine=\"0",
		"no value":      "vllm:num_requests_running\n",
		"bytes":         "vllm:num_requests_running{a=\"\xff\"} 1\n",
		"too large":     strings.Repeat("# nothing of interest\n", maxPage/20),
		"one long line": strings.Repeat("x", maxPage+10),
	} {
		_, err := ReadBackend(strings.NewReader(text))
		require.ErrorIs(t, err, errUnreadable, name)
	}
}

// visit reads the answers of a handler once.
func visit(t *testing.T, ctx context.Context, h http.HandlerFunc) ([]GPU, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	u, err := address(srv.URL + "/metrics")
	require.NoError(t, err)
	d := newDCGM(u)
	defer d.close()
	return d.Sample(ctx)
}

func TestScrape(t *testing.T) {
	t.Parallel()
	text := page(t, "dcgm.txt")
	gpus, err := visit(t, t.Context(), func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/metrics" || !strings.Contains(q.Header.Get("Accept"), "text/plain") {
			http.NotFound(w, q)
			return
		}
		_, _ = w.Write(text)
	})
	require.NoError(t, err)
	require.Len(t, gpus, 2)
}

func TestScrapeRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []int{204, 302, 404, 500} {
		_, err := visit(t, t.Context(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		})
		require.ErrorContains(t, err, http.StatusText(code))
	}
	u, err := address("http://user:secret@127.0.0.1:1/metrics")
	require.NoError(t, err)
	d := newDCGM(u)
	defer d.close()
	_, err = d.Sample(t.Context())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

// An exporter that accepts and says nothing, and one that stops half way, cost the
// patience of one reading.
func TestScrapeSlow(t *testing.T) {
	t.Parallel()
	for _, begins := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err := visit(t, ctx, func(w http.ResponseWriter, q *http.Request) {
			if begins {
				_, _ = w.Write([]byte("DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"} 1\n"))
				_ = http.NewResponseController(w).Flush()
			}
			<-q.Context().Done()
		})
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, "begins: %v", begins)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "gpu-host:9400", "ftp://x/metrics", "http:///metrics", "/metrics", "http://a b/"} {
		_, err := address(bad)
		require.ErrorContains(t, err, "such as http://host:9400/metrics", bad)
	}
	_, err := address("http://x:pass@[bad")
	require.NotContains(t, err.Error(), "pass")
	u, err := address("https://h:1/m?x=1")
	require.NoError(t, err)
	require.Equal(t, &url.URL{Scheme: "https", Host: "h:1", Path: "/m", RawQuery: "x=1"}, u)
}

func FuzzPages(f *testing.F) {
	for _, name := range []string{"dcgm.txt", "vllm.txt"} {
		b, err := os.ReadFile("testdata/" + name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte("vllm:num_requests_running{a=\"\\n\"} 1e308 12\nDCGM_FI_DEV_GPU_UTIL{gpu=\"-1\"} 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if b, err := ReadBackend(bytes.NewReader(text)); err == nil {
			if l, ok := b.Load(); ok {
				require.GreaterOrEqual(t, l.Running, int32(0))
				require.GreaterOrEqual(t, l.Queued, int32(0))
				require.True(t, l.KV >= 0 && l.KV <= 1)
			}
		}
		gpus, err := ReadDCGM(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, g := range gpus {
			require.False(t, g.Utilisation < 0 || g.Utilisation > 1 || g.PowerW < 0 || g.MemoryUsedMiB < 0)
			require.GreaterOrEqual(t, g.Index, -1)
		}
	})
}
