package telemetry

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
)

// fake is a sampler made of one function.
type fake func(ctx context.Context) ([]GPU, error)

func (f fake) Sample(ctx context.Context) ([]GPU, error) { return f(ctx) }

// steady is a GPU of 100 W whose counter started at 5 J.
func steady(now func() time.Duration) GPU {
	g := unread(0)
	g.Utilisation, g.EnergyJ, g.ReasonsKnown = 0.5, 5+100*now().Seconds(), true
	return g
}

// since is a clock of virtual time.
func since(t *testing.T) func() time.Duration {
	t.Helper()
	base := time.Now()
	return func() time.Duration { return time.Since(base) }
}

// times lists when a source was read.
func times(rows []Row, source string) []time.Duration {
	var out []time.Duration
	for _, r := range rows {
		if r.Source == source {
			out = append(out, r.At)
		}
	}
	return out
}

const s = time.Second

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := since(t)
		n := 0
		gpus := fake(func(context.Context) ([]GPU, error) {
			g := steady(clock)
			if n++; n == 3 {
				g.Reasons = ReasonPowerCap | 1
			}
			return []GPU{g}, nil
		})
		r := Start(t.Context(), Config{Samplers: []Named{{"rig", gpus}}}, clock)
		time.Sleep(3*s + s/2)
		res := r.Stop()
		require.Equal(t, []time.Duration{0, s, 2 * s, 3 * s, 3*s + s/2}, times(res.Rows, "rig"), "at once, every second, and at the end")
		require.Equal(t, []time.Duration{s, 2 * s, 3 * s, 3*s + s/2}, times(res.Rows, "client"))
		require.True(t, res.Throttled)
		require.Equal(t, ReasonPowerCap, res.Reasons)
		require.InDelta(t, 350, res.EnergyJ, 1e-9)
		require.Empty(t, res.Notes)
		require.Equal(t, res.Rows, r.Stop().Rows, "stopping twice is stopping once")
		for i := 1; i < len(res.Rows); i++ {
			require.LessOrEqual(t, res.Rows[i-1].At, res.Rows[i].At)
		}
	})
}

// A source that fails, one that does not answer and one that cannot be: notes, and the
// others are read as if nothing were.
func TestRunAbsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := since(t)
		n := 0
		flaky := fake(func(context.Context) ([]GPU, error) {
			if n++; n%2 == 0 {
				return nil, errors.New("the bus is gone")
			}
			return []GPU{unread(0)}, nil
		})
		silent := fake(func(ctx context.Context) ([]GPU, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		well := fake(func(context.Context) ([]GPU, error) { return []GPU{steady(clock)}, nil })
		r := Start(t.Context(), Config{Period: time.Millisecond, DCGM: []string{"gpu-host:9400"}, Backends: []Target{{Name: "r0", URL: "none"}},
			Samplers: []Named{{"flaky", flaky}, {"silent", silent}, {"well", well}}}, clock)
		time.Sleep(250 * time.Millisecond)
		res := r.Stop()
		require.Len(t, times(res.Rows, "well"), 4)
		require.False(t, res.Throttled)
		require.Len(t, res.Notes, 6)
		for i, want := range []string{
			`backend r0: "none" is not an address`,
			`dcgm: "gpu-host:9400" is not an address`,
			"flaky: 2 of 4 readings failed, the last: the bus is gone",
			"flaky: does not tell why clocks are slow",
			"silent: 3 of 3 readings failed, the last: no answer within 100ms",
			"telemetry is read every 100ms, not every 1ms",
		} {
			require.Contains(t, res.Notes[i], want)
		}
	})
}

// A driver that hangs cannot be broken off; the run ends all the same.
func TestRunHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock, wake := since(t), make(chan struct{})
		let := sync.OnceFunc(func() { close(wake) })
		defer let() // also when the test fails
		stuck := fake(func(context.Context) ([]GPU, error) {
			<-wake
			return []GPU{unread(0)}, nil
		})
		r := Start(t.Context(), Config{Samplers: []Named{{"stuck", stuck}}}, clock)
		time.Sleep(2 * s)
		res := r.Stop()
		require.Equal(t, 4*s, clock(), "one patience and the grace")
		require.Len(t, res.Notes, 1)
		require.Contains(t, res.Notes[0], "stuck: did not end")
		require.Equal(t, []time.Duration{s, 2 * s}, times(res.Rows, "client"))
		let()
		<-r.done
		require.Equal(t, res.Rows, r.Stop().Rows, "what came too late is left out")
	})
}

func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := since(t)
		ctx, cancel := context.WithCancel(t.Context())
		well := fake(func(context.Context) ([]GPU, error) { return []GPU{steady(clock)}, nil })
		r := Start(ctx, Config{Samplers: []Named{{"well", well}}}, clock)
		time.Sleep(s + s/2)
		cancel()
		<-r.done // without Stop
		res := r.Stop()
		require.Equal(t, []time.Duration{0, s}, times(res.Rows, "well"), "no last reading")
		require.Empty(t, res.Notes)
	})
}

func TestRunFull(t *testing.T) {
	t.Parallel()
	r := &Run{limit: 3, loads: make(map[string]heard)}
	for i := range 5 {
		g := steady(func() time.Duration { return 0 })
		g.Reasons = uint64(i) // 4, the power cap, comes last
		r.add(Row{At: time.Duration(i), GPU: &g}, &state{})
	}
	r.finish()
	require.Len(t, r.result.Rows, 3)
	require.True(t, r.result.Throttled, "throttling is seen still")
	require.Len(t, r.result.Notes, 1)
	require.Contains(t, r.result.Notes[0], "keeps 3 readings")
}

func TestNothingToWatch(t *testing.T) {
	t.Parallel()
	var r *Run
	res := r.Stop()
	require.True(t, math.IsNaN(res.EnergyJ) && math.IsNaN(res.Steal) && math.IsNaN(res.Other))
	require.Empty(t, res.Rows)
	_, _, ok := r.Load("main/r0")
	require.False(t, ok)
}

// The load that a backend told ages, and is unknown from StaleAfter on, or once the
// backend talks nonsense.
func TestRunLoad(t *testing.T) {
	t.Parallel()
	var text atomic.Value
	text.Store(string(page(t, "vllm.txt")))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if text.Load() == "down" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(text.Load().(string)))
	}))
	defer srv.Close()
	u, err := address(srv.URL)
	require.NoError(t, err)
	src := backendReader(newBackend(u))
	defer src.close()

	now := 10 * s
	cfg, _ := Config{Timeout: 10 * s}.settled()
	r := &Run{cfg: cfg, clock: func() time.Duration { return now }, limit: maxRows, loads: make(map[string]heard)}
	st := &state{name: "main/r0"}
	take := func() { r.take(t.Context(), source{name: "main/r0"}, st, src) }
	unknown := func(why string) {
		t.Helper()
		_, _, ok := r.Load("main/r0")
		require.False(t, ok, why)
	}
	unknown("never read")
	take()
	now += 2 * s
	load, age, ok := r.Load("main/r0")
	require.True(t, ok)
	require.Equal(t, 2*s, age)
	require.Equal(t, balance.Load{Running: 46, Queued: 3, KV: 0.5}, load)
	_, _, ok = r.Load("main/r1")
	require.False(t, ok, "another backend")

	text.Store("down")
	take()
	_, _, ok = r.Load("main/r0")
	require.True(t, ok, "one that is away for a moment keeps its age")
	now += 3*s + 1
	unknown("older than 5 periods")

	text.Store("vllm:num_requests_running 1\n")
	take()
	unknown("half a load")
	text.Store("vllm:num_requests_running 1\nvllm:num_requests_waiting 0\n")
	take()
	_, age, ok = r.Load("main/r0")
	require.True(t, ok)
	require.Zero(t, age)
	text.Store("<html>")
	take()
	unknown("nonsense")
	require.Equal(t, []int{3, 2}, []int{st.good, st.bad})
}

// The whole way over sockets: nothing is left running.
func TestRunScrapes(t *testing.T) {
	t.Parallel()
	dcgmPage, vllmPage := page(t, "dcgm.txt"), page(t, "vllm.txt")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/dcgm" {
			_, _ = w.Write(dcgmPage)
			return
		}
		_, _ = w.Write(vllmPage)
	}))
	defer srv.Close()
	cfg := Config{Timeout: 10 * s, DCGM: []string{srv.URL + "/dcgm"}, Backends: []Target{{"main/r0", srv.URL + "/vllm"}}}
	require.NoError(t, cfg.Check())
	res := Start(t.Context(), cfg, func() time.Duration { return 7 * s }).Stop()
	require.Empty(t, res.Notes)
	require.True(t, res.Throttled)
	require.NotEmpty(t, times(res.Rows, "dcgm "+srv.URL+"/dcgm"))
	require.NotEmpty(t, times(res.Rows, "main/r0"))
	require.Zero(t, res.EnergyJ, "the counter stood still")
}

func TestEnergy(t *testing.T) {
	t.Parallel()
	row := func(source, uuid, instance string, index int, joules float64) Row {
		g := unread(index)
		g.UUID, g.Instance, g.EnergyJ = uuid, instance, joules
		return Row{Source: source, GPU: &g}
	}
	for name, x := range map[string]struct {
		rows []Row
		want float64
	}{
		"none":           {[]Row{row("a", "", "", 0, math.NaN()), {Self: &Self{}}}, math.NaN()},
		"two GPUs":       {[]Row{row("a", "", "", 0, 1), row("a", "", "", 1, 10), row("a", "", "", 0, 3), row("a", "", "", 1, 14)}, 6},
		"two hosts":      {[]Row{row("a", "", "", 0, 1), row("b", "", "", 0, 10), row("a", "", "", 0, 3), row("b", "", "", 0, 14)}, 6},
		"instances":      {[]Row{row("a", "u", "1", 0, 1), row("a", "u", "2", 0, 1), row("a", "u", "1", 0, 3), row("a", "u", "2", 0, 3)}, 2},
		"seen twice":     {[]Row{row("a", "u", "", 0, 1), row("b", "u", "", 4, 0.5), row("a", "u", "", 0, 3), row("b", "u", "", 4, 1)}, 2},
		"driver renewed": {[]Row{row("a", "u", "", 0, 100), row("a", "u", "", 0, 1)}, math.NaN()},
	} {
		same(t, x.want, energy(x.rows), name)
	}
}

func TestOverSpans(t *testing.T) {
	t.Parallel()
	rows := []Row{{Self: &Self{Span: s, Steal: 0.4}}, {Self: &Self{Span: 5 * s, Steal: math.NaN()}}, {Self: &Self{Span: 3 * s, Steal: 0}}, {GPU: &GPU{}}}
	same(t, 0.1, overSpans(rows, func(s *Self) float64 { return s.Steal }), "weighted")
	same(t, math.NaN(), overSpans(rows[3:], func(s *Self) float64 { return s.Steal }), "unknown")
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	gpus, err := ReadDCGM(bytes.NewReader(page(t, "dcgm.txt")))
	require.NoError(t, err)
	mig := unread(2)
	mig.Instance, mig.MIG = "5", true
	rows := []Row{
		{At: -s / 4, Source: "dcgm http://h:9400/metrics", GPU: &gpus[0]},
		{At: 0, Source: "dcgm http://h:9400/metrics", GPU: &gpus[1]},
		{At: s, Source: `a "name", with all`, GPU: &mig},
		{At: 1500 * time.Millisecond, Source: "client", Self: &Self{Span: s, CPUCores: 0.75, Goroutines: 41, GCs: 2, GCPause: 81 * time.Microsecond,
			HeapMiB: 12.5, LagKnown: true, Lag: 230 * time.Microsecond, Steal: 0, Other: 0.05}},
		{At: 2 * s, Source: "client", Self: &Self{Span: s, CPUCores: math.NaN(), Goroutines: 4, HeapMiB: 1, Steal: math.NaN(), Other: math.NaN()}},
		{At: 2 * s, Source: "main/r0", Backend: &Backend{Running: 3, Waiting: math.NaN(), KV: 1.0 / 3}},
	}
	var out bytes.Buffer
	require.NoError(t, WriteCSV(&out, rows))
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile("testdata/rows.csv", out.Bytes(), 0o644))
	}
	require.Equal(t, string(page(t, "rows.csv")), out.String())
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if !strings.Contains(line, `"`) {
			require.Equal(t, len(columns)-1, strings.Count(line, ","), line)
		}
	}
	require.Error(t, WriteCSV(broken{}, rows))
}

// broken is a full disk.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, Config{}.Check())
	require.NoError(t, Config{Period: MinPeriod, DCGM: []string{"http://h:9400/metrics"}, Backends: []Target{{"a", "http://h/metrics"}, {"b", "https://h/metrics"}}}.Check())
	err := Config{Period: 99 * time.Millisecond, Timeout: -1, StaleAfter: -1, DCGM: []string{"http://h", "h"},
		Backends: []Target{{"a", "http://h"}, {"a", "x"}}}.Check()
	for _, want := range []string{"telemetry.period is 99ms: it must be at least 100ms", "telemetry.timeout is -1ns", "telemetry.stale_after is -1ns",
		`telemetry.dcgm[1]: "h" is not an address`, `telemetry.backends[1].name is "a"`, `telemetry.backends[1] (a): "x" is not an address`} {
		require.ErrorContains(t, err, want)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), 6)
}
