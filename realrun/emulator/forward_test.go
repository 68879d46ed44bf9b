package emulator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/await"
	"taillab/realrun/wire"
)

// agent starts an agent of one backend.
func agent(t *testing.T, c Config, f *Forward, backend http.HandlerFunc) *world {
	t.Helper()
	s := httptest.NewServer(backend)
	t.Cleanup(s.Close)
	f.URL = s.URL + "/base/"
	c.Replicas = []Replica{{Forward: f}}
	return start(t, c)
}

// load asks the agent for the backend's load as policies see it.
func (w *world) load() balance.Load {
	w.t.Helper()
	res, _ := w.call("GET", wire.PathProbe, "")
	r, err := wire.ParseORCA(res.Header.Get(wire.HeaderLoad))
	require.NoError(w.t, err)
	l, ok := r.Load()
	require.True(w.t, ok)
	l.LatencyEst = 0
	return l
}

// What passes an agent is the client's request and the backend's answer, bytes of a
// stream as they come; only messages of policies are the agent's own.
func TestAgentsPassOn(t *testing.T) {
	t.Parallel()
	var next atomic.Value
	turn := make(chan struct{})
	next.Store(turn)
	w := agent(t, Config{}, &Forward{Slots: 2}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Saw", fmt.Sprintf("%s %s %s %s %q %q %q", r.Method, r.URL, r.Host, body, r.Header.Get("Authorization"), r.Header.Get(wire.HeaderMsg), r.Header.Get("X-Forwarded-For")))
		w.WriteHeader(http.StatusAccepted)
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			if r.Method == http.MethodPost {
				<-next.Load().(chan struct{})
			}
		}
	})
	t.Cleanup(func() { close(turn) }) // a test that fails must not wait for its own backend
	q, err := http.NewRequestWithContext(t.Context(), "POST", w.url+"/v1/x?a=b", io.NopCloser(&slowly{text: "hello"}))
	require.NoError(t, err)
	q.Host = "model.internal"
	q.Header = http.Header{"Authorization": {"Bearer k"}, wire.HeaderMsg: {"1 0 1 0 0"}, "X-Forwarded-For": {"10.1.1.1"}}
	res, err := w.client.Do(q)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusAccepted, res.StatusCode)
	require.Equal(t, `POST /base/v1/x?a=b model.internal hello "Bearer k" "" "10.1.1.1"`, res.Header.Get("X-Saw"))
	for i := range 3 {
		got := make([]byte, len("data: 0\n\n"))
		_, err := io.ReadFull(res.Body, got)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("data: %d\n\n", i), string(got), "before the next is written")
		require.Equal(t, balance.Load{Running: 1, Slots: 2}, w.load())
		next.Load().(chan struct{}) <- struct{}{}
	}
	until(t, func() bool { return w.load().Running == 0 })
	res, body := w.call("GET", "/metrics", "")
	require.Equal(t, `GET /base/metrics `+w.url[len("http://"):]+`  "" "" ""`, res.Header.Get("X-Saw"))
	require.Equal(t, "data: 0\n\ndata: 1\n\ndata: 2\n\n", body)
	require.Equal(t, int64(1), w.fleet.Truth().Count(), "a look at metrics is no work")
}

// slowly is a body that comes byte by byte.
type slowly struct{ text string }

func (s *slowly) Read(b []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(b[:1], s.text)
	s.text = s.text[n:]
	return n, nil
}

// An agent counts what is inside; what the backend reports beats its counts, as long
// as it is fresh and can be read.
func TestAgentsKnowTheLoad(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var inside atomic.Int32
	var report atomic.Value
	report.Store("")
	var page atomic.Pointer[balance.Load]
	w := agent(t, Config{}, &Forward{Slots: 2, Load: func() (balance.Load, bool) {
		if l := page.Load(); l != nil {
			return *l, true
		}
		return balance.Load{}, false
	}}, func(w http.ResponseWriter, r *http.Request) {
		if text := report.Load().(string); text != "" {
			w.Header().Set(wire.HeaderLoad, text)
			return
		}
		inside.Add(1)
		<-release
	})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free) // a test that fails must not wait for its own backend
	var answers []<-chan reply
	for range 5 {
		answers = append(answers, w.background("/"))
	}
	until(t, func() bool { return inside.Load() == 5 }) // the agent counts them before the backend sees them
	require.Equal(t, balance.Load{Running: 2, Queued: 3, Slots: 2}, w.load())
	page.Store(&balance.Load{Running: 7, Queued: 1, KV: 0.5})
	require.Equal(t, balance.Load{Running: 7, Queued: 1, Slots: 2, KV: 0.5}, w.load())
	report.Store("TEXT named_metrics.num_requests_running=4, named_metrics.num_requests_waiting=2")
	w.call("POST", "/", "{}")
	require.Equal(t, balance.Load{Running: 4, Queued: 2, Slots: 2, KV: 0.5}, w.load())
	report.Store("TEXT garbage")
	w.call("POST", "/", "{}")
	require.Equal(t, uint64(1), w.fleet.Counters().Bad)
	require.Equal(t, int32(4), w.load().Running, "the last that could be read")
	r := w.fleet.replicas[0]
	r.mu.Lock()
	r.core.pass.at -= told + time.Second
	r.mu.Unlock()
	page.Store(nil)
	require.Equal(t, balance.Load{Running: 2, Queued: 3, Slots: 2}, w.load(), "an old report is unknown")
	free()
	for _, a := range answers {
		require.NoError(t, await.One(t, "an answer", a).err)
	}
	require.Equal(t, balance.Load{Slots: 2}, w.load())
}

// A backend that breaks a connection breaks the client's; a client that leaves is no
// longer inside.
func TestAgentsBreakAsTheBackendDoes(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{}, 1)
	w := agent(t, Config{}, &Forward{}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/base/break":
			panic(http.ErrAbortHandler)
		case "/base/half":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "12345")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/base/error":
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = io.Copy(io.Discard, r.Body) // net/http notices that a client left only after its body
			inside <- struct{}{}
			<-r.Context().Done()
		}
	})
	_, err := w.do(t.Context(), "POST", "/break", "{}")
	require.Error(t, err)
	res, err := w.do(t.Context(), "POST", "/half", "{}")
	require.NoError(t, err)
	_, err = io.ReadAll(res.Body)
	require.Error(t, err)
	require.NoError(t, res.Body.Close())
	res, _ = w.call("POST", "/error", "{}")
	require.Equal(t, http.StatusBadGateway, res.StatusCode)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := w.do(ctx, "POST", "/wait", "{}")
		left <- err
	}()
	await.One(t, "the backend has the request", inside)
	leave()
	require.ErrorIs(t, await.One(t, "the request ends", left), context.Canceled)
	until(t, func() bool { return w.load().Running == 0 })
	until(t, func() bool {
		n := w.fleet.Counters().Outcomes
		return n[policies.Reset] == 1 && n[policies.ShortRead] == 1 && n[policies.HTTP5xx] == 1 && n[policies.Cancelled] == 1
	})
}

// The half of an agent tells of the backend's idleness as a backend's own would.
func TestAgentsTell(t *testing.T) {
	t.Parallel()
	url, heard := ears(t, "x")
	release := make(chan struct{})
	w := agent(t, Config{Run: "x", Count: 1, FrontEnds: []string{url}, Half: func() balance.Balancer { return policy(t, "jiq") }}, &Forward{},
		func(http.ResponseWriter, *http.Request) { <-release })
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	kinds := func() (out []balance.MsgKind) {
		for _, e := range heard() {
			for _, m := range e.Msgs {
				out = append(out, m.Kind)
			}
		}
		return out
	}
	until(t, func() bool { return slices.Equal(kinds(), []balance.MsgKind{balance.MsgIdle}) })
	done := w.background("/", wire.HeaderFrontEnd, "f0")
	until(t, func() bool { return w.load().Running == 1 })
	free()
	require.NoError(t, await.One(t, "the answer", done).err)
	until(t, func() bool { k := kinds(); return len(k) >= 2 && k[len(k)-1] == balance.MsgIdle })
}

func TestAgentsWithoutBackend(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{"": "is no address", "10.0.0.1:80": "is no address", "ftp://h": "is no address", "http://u:p@h": "holds a password"} {
		_, err := Start(context.Background(), Config{Replicas: []Replica{{Forward: &Forward{URL: url}}}})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "u:p")
	}
	_, err := Start(context.Background(), Config{Replicas: []Replica{{Forward: &Forward{URL: "http://h", Slots: -1}}}})
	require.ErrorContains(t, err, "slots is -1")
}
