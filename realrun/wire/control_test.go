package wire

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		web  http.HandlerFunc
		load balance.Load
		ok   bool
		bad  uint64
	}{
		"header":   {status(200, HeaderLoad, "TEXT named_metrics.rif=2, named_metrics.idle_slots=1"), balance.Load{Running: 2, Slots: 3}, true, 0},
		"body":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"named_metrics":{"rif":4}}`) }, balance.Load{Running: 4}, true, 0},
		"garbled":  {status(200, HeaderLoad, "TEXT named_metrics.rif=NaN"), balance.Load{}, false, 1},
		"no count": {status(200, HeaderLoad, "TEXT named_metrics.kv_cache_usage_perc=0.5"), balance.Load{}, false, 0},
		"absent":   {status(404), balance.Load{}, false, 0},
		"nothing":  {func(http.ResponseWriter, *http.Request) {}, balance.Load{}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, Target{URL: server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "GET" || r.URL.Path != "/probe" {
					w.WriteHeader(500)
					return
				}
				x.web(w, r)
			})})
			load, ok := c.Probe(t.Context())
			require.Equal(t, x.ok, ok)
			require.Equal(t, x.load, load)
			require.Equal(t, x.bad, c.Stats().LoadBad)
		})
	}
}

// TestAskingIsShort: a silent backend costs a second of a probe or a message, and five
// of a ready check.
func TestAskingIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, Target{}, silent)
		_, ok := c.Probe(t.Context())
		require.False(t, ok)
		require.Equal(t, time.Second, c.now())
		require.Error(t, c.Tell(t.Context(), Envelope{From: "f0", To: "r0"}))
		require.Equal(t, 2*time.Second, c.now())
		require.False(t, c.Ready(t.Context(), "/health"))
		require.Equal(t, 7*time.Second, c.now())
		c.Warm(t.Context(), 3)
		require.Equal(t, 12*time.Second, c.now())
	})
}

func TestPost(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []Envelope
	var start Start
	c := client(t, Target{URL: server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch r.Method + r.URL.Path {
		case "PUT/taillab/run":
			if json.NewDecoder(r.Body).Decode(&start) != nil {
				w.WriteHeader(400)
				return
			}
			w.WriteHeader(204)
		case "POST/taillab/msg":
			if e, err := Receive(w, r, "x"); err == nil {
				got = append(got, e)
			}
		}
	})})
	e := Envelope{Run: "x", Service: "main", From: "f0", To: "r1", Msgs: []balance.Msg{{Kind: balance.MsgAsk, Seq: 3}}}
	require.NoError(t, c.Post(t.Context(), e))
	require.NoError(t, c.Tell(t.Context(), e))
	require.Equal(t, []Envelope{e, e}, got)
	other := e
	other.Run = "y"
	require.ErrorIs(t, c.Post(t.Context(), other), ErrRun)
	require.ErrorContains(t, c.Post(t.Context(), Envelope{From: "me"}), "no peer")
	require.Len(t, got, 2)
	begin := Start{Run: "x", Service: "main", Replica: 3, Incarnation: 1, Policy: "jiq", Params: map[string]any{"idle_when": "empty"},
		FrontEnds: []string{"http://a", "http://b"}, Seed: 1 << 63}
	require.NoError(t, c.Begin(t.Context(), begin))
	require.Equal(t, begin, start)
}

func TestReady(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]bool{200: true, 204: true, 404: true, 499: true, 302: true, 500: false, 503: false} {
		require.Equal(t, want, client(t, Target{URL: server(t, status(code))}).Ready(t.Context(), "/health"), code)
	}
	require.False(t, nobody(t).Ready(t.Context(), "/"))
	require.False(t, nobody(t).Ready(t.Context(), "/%zz"))
}

// TestWarm: so many connections stand ready afterwards, and the first attempts use
// them.
func TestWarm(t *testing.T) {
	t.Parallel()
	const n = 100
	var mu sync.Mutex
	var asked []string
	gate := make(chan struct{})
	c := client(t, Target{URL: server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+r.URL.Path)
		all := len(asked) == 2*n
		mu.Unlock()
		if r.Method == "POST" {
			if all {
				close(gate)
			}
			select {
			case <-gate: // all attempts are here at once
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(204)
	}), Ready: "/warm"})
	c.rt.MaxIdleConnsPerHost = n
	c.Warm(t.Context(), n)
	require.Equal(t, uint64(n), c.Stats().Opened)
	require.Len(t, asked, n)
	require.Equal(t, "GET/warm", asked[0])
	var wg sync.WaitGroup
	out := make([]policies.Outcome, n)
	for i := range n {
		wg.Go(func() { out[i] = c.Do(t.Context(), &Call{}, nil).Outcome })
	}
	wg.Wait()
	require.Equal(t, make([]policies.Outcome, n), out)
	require.Equal(t, uint64(n), c.Stats().Opened, "no connection was opened while it counted")
	c.Warm(t.Context(), 0)
	nobody(t).Warm(t.Context(), 4)
}

// TestRiders: what an answer tells beside itself, in its header or its trailer.
func TestRiders(t *testing.T) {
	t.Parallel()
	web := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(HeaderMsg) != "4 0 9 0 0" {
			w.WriteHeader(400)
			return
		}
		h := w.Header()
		h.Set("Trailer", HeaderServer+", "+HeaderLoad+", "+HeaderSteps)
		h.Set(HeaderMsg, "1 0 1 2 0, 2 0 2 3 0")
		_, _ = io.WriteString(w, sample)
		h.Set(HeaderServer, "1500")
		h.Set(HeaderSteps, "100 200 1200")
		h.Set(HeaderLoad, "TEXT named_metrics.rif=2")
	}
	c := client(t, Target{URL: server(t, web), Transport: OpenAIChat})
	res := c.Do(t.Context(), &Call{Messages: []balance.Msg{{Kind: balance.MsgAsk, Seq: 9}}}, nil)
	require.Equal(t, policies.OK, res.Outcome, res.Detail)
	require.Equal(t, []balance.Msg{{Kind: balance.MsgIdle, Seq: 1, A: 2}, {Kind: balance.MsgBusy, Seq: 2, A: 3}}, res.Messages)
	require.Equal(t, 1500*time.Nanosecond, res.ServerTime)
	require.Equal(t, Steps{Queue: 100, Batch: 200, Service: 1200, Told: true}, res.Steps)
	require.True(t, res.Told)
	require.Equal(t, balance.Load{Running: 2}, res.Load)
}

// TestGarbledRiders: what cannot be read is counted and unknown; the answer counts.
func TestGarbledRiders(t *testing.T) {
	t.Parallel()
	c := client(t, Target{URL: server(t, status(200, HeaderLoad, "TEXT x", HeaderMsg, "1 2", HeaderServer, "-1", HeaderSteps, "1 2"))})
	res := c.Do(t.Context(), &Call{}, nil)
	require.Equal(t, policies.OK, res.Outcome)
	require.False(t, res.Told)
	require.True(t, res.Report.Empty())
	require.Empty(t, res.Messages)
	require.Zero(t, res.ServerTime)
	require.Equal(t, Steps{}, res.Steps)
	require.Equal(t, []uint64{1, 1}, []uint64{c.Stats().LoadBad, c.Stats().MsgBad})
}
