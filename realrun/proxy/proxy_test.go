package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/realrun/await"
	"taillab/realrun/wire"
)

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func TestRequestsGoThroughAsTheyAre(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	var got string
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" { // the ready check
			return
		}
		b, _ := io.ReadAll(r.Body)
		seen, got = r, string(b)
		h := w.Header()
		h.Set("Connection", "x-hop")
		h.Set("X-Hop", "1")
		h.Set("X-Secret", "1")
		h.Set("X-Taillab-Msg", "")
		h.Add("X-Many", "1")
		h.Add("X-Many", "2")
		h.Set("Location", "/there")
		h.Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusSeeOther)
		_, _ = io.WriteString(w, "over there")
		h.Set("X-Sum", "10")
	})
	r := start(t, setup{targets: []string{url + "/base"}, service: "headers: {x-team: search},", proxy: "proxy: {strip: [x-secret]}"})
	req := r.request(t.Context(), http.MethodPut, "/a%2Fb/c?x=1&y=%20", "hello", "X-Forwarded-For", "1.2.3.4", "Connection", "keep-alive, x-mine", "X-Mine", "1",
		"Proxy-Authorization", "no", "X-Secret", "no", wire.HeaderFrontEnd, "f9", "Via", "1.0 old", "X-Team", "forged")
	req.Host = "example.org"
	resp, err := r.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	require.Equal(t, "hello", got)
	require.Equal(t, http.MethodPut, seen.Method)
	require.Equal(t, "/base/a%2Fb/c?x=1&y=%20", seen.RequestURI)
	require.Equal(t, "example.org", seen.Host)
	require.Equal(t, "1.2.3.4, 127.0.0.1", seen.Header.Get("X-Forwarded-For"))
	require.Equal(t, []string{"1.0 old", "1.1 taillab"}, seen.Header["Via"])
	require.Equal(t, "f0", seen.Header.Get(wire.HeaderFrontEnd))
	require.Equal(t, "search", seen.Header.Get("X-Team"))
	for _, gone := range []string{"X-Mine", "Proxy-Authorization", "X-Secret"} {
		require.Empty(t, seen.Header.Get(gone), gone)
	}
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	require.Equal(t, "/there", resp.Header.Get("Location"))
	require.Equal(t, []string{"1", "2"}, resp.Header["X-Many"])
	require.Equal(t, []string{"1.1 taillab"}, resp.Header["Via"])
	require.Empty(t, resp.Header.Get("X-Hop")+resp.Header.Get("X-Secret"))
	require.Equal(t, "over there", string(body))
	require.Equal(t, "10", resp.Trailer.Get("X-Sum"))
	r.end()
	require.EqualValues(t, 1, r.count("ok"))
}

// A stream reaches the client piece by piece, as the backend writes it.
func TestStreamsAreFlushed(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for piece := range next {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
	})
	end := sync.OnceFunc(func() { close(next) })
	r := start(t, setup{targets: []string{url}})
	t.Cleanup(end) // a test that fails must not wait for its own backend
	resp, err := r.client.Do(r.request(t.Context(), http.MethodGet, "/stream", ""))
	require.NoError(t, err, "the header comes before the first event")
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, piece := range []string{"data: 1\n", "data: 2\n"} {
		await.Send(t, "the backend takes a piece", next, piece)
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, piece, line)
	}
	end()
	_, err = lines.ReadString('\n')
	require.Equal(t, io.EOF, err)
}

// closedPort is an address that nobody listens at.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return "http://" + ln.Addr().String()
}

// behaves does what the path says.
func behaves(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/503":
		w.Header().Set("Retry-After", "7")
		http.Error(w, "busy", http.StatusServiceUnavailable)
	case "/404":
		http.Error(w, "not here", http.StatusNotFound)
	case "/reset":
		panic(http.ErrAbortHandler)
	case "/short":
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "abc")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "/hang":
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "/silent":
		<-r.Context().Done()
	default:
		ok(w, r)
	}
}

func TestOutcomesAndStatuses(t *testing.T) {
	t.Parallel()
	url := backend(t, behaves)
	deadline := "proxy: {routes: [{deadline: {header: x-deadline-ms, max: 60s}, tenant: {header: x-tenant, default: a}}]}"
	r := start(t, setup{targets: []string{url}, proxy: deadline, scenario: "discovery: {detect: never}", service: "timeouts: {header: 400ms, stall: 400ms},"})
	for _, c := range []struct {
		path, class string
		status      int
		header      []string
	}{
		{"/", "ok", 200, nil},
		{"/503", "http_503", 503, nil},
		{"/404", "http_4xx", 404, nil},
		{"/reset", "reset", 502, nil},
		{"/silent", "deadline", 504, []string{"x-deadline-ms", "50"}},
		{"/silent", "header_timeout", 504, nil},
		{"/", "malformed", 400, []string{"x-tenant", strings.Repeat("x", 300)}},
	} {
		before := r.count(c.class)
		resp, body := r.ask(http.MethodGet, c.path, "", c.header...)
		require.Equal(t, c.status, resp.StatusCode, c.path)
		await.Until(t, c.path+" is counted", func() bool { return r.count(c.class) == before+1 }) // perhaps just after the answer
		switch c.path {
		case "/503": // the backend's own answer
			require.Equal(t, "busy\n", body)
			require.Equal(t, "7", resp.Header.Get("Retry-After"))
		case "/404":
			require.Equal(t, "not here\n", body)
		}
		if c.status >= 500 && c.class != "http_503" || c.status == 400 {
			require.Equal(t, c.class, class(t, body))
			require.NotContains(t, body, strings.TrimPrefix(url, "http://"))
		}
	}
	for path, want := range map[string]string{"/short": "short_read", "/hang": "stall"} {
		resp, err := r.client.Do(r.request(t.Context(), http.MethodGet, path, ""))
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.Error(t, err, "the stream ends as it ended for us")
		resp.Body.Close()
		await.Until(t, want, func() bool { return r.count(want) == 1 })
	}
}

func TestWhatIsNoRequestOfOurs(t *testing.T) {
	t.Parallel()
	r := start(t, setup{targets: []string{backend(t, ok)}, proxy: "proxy: {routes: [{match: {path: /v1/}}]}"})
	resp, body := r.ask(http.MethodGet, "/v2/", "")
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	require.Equal(t, "no_route", class(t, body))
	resp, body = r.ask(http.MethodGet, "/v1/", "", "Connection", "Upgrade", "Upgrade", "websocket")
	require.Equal(t, http.StatusNotImplemented, resp.StatusCode)
	require.Equal(t, "upgrade", class(t, body))
	resp, _ = r.ask(http.MethodConnect, "/v1/", "")
	require.Equal(t, http.StatusNotImplemented, resp.StatusCode)
	require.Zero(t, r.end().Requests)
	require.EqualValues(t, 3, r.stats.unrouted.Load())
}

func TestRefused(t *testing.T) {
	t.Parallel()
	r := start(t, setup{targets: []string{backend(t, ok), closedPort(t)}, policy: "round-robin", scenario: "discovery: {detect: never}"})
	refused := 0
	for range 4 {
		if resp, body := r.ask(http.MethodPost, "/x", "body"); resp.StatusCode == http.StatusBadGateway {
			refused++
			require.Equal(t, "refused", class(t, body))
		}
	}
	require.Equal(t, 2, refused)
}

func TestRetryWithTheWholeBody(t *testing.T) {
	t.Parallel()
	var bad, good atomic.Int64
	answers := func(n *atomic.Int64, code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				return
			}
			b, _ := io.ReadAll(r.Body)
			n.Add(1)
			w.WriteHeader(code)
			_, _ = w.Write(b)
		}
	}
	r := start(t, setup{targets: []string{backend(t, answers(&bad, 503)), backend(t, answers(&good, 200))},
		policy: "{name: retry, inner: round-robin, budget: 10, backoff: 1ms}", proxy: "proxy: {buffer: 1KiB}"})
	for range 4 {
		resp, body := r.ask(http.MethodPost, "/x", "hello")
		require.Equal(t, 200, resp.StatusCode, "the client sees the answer of the second attempt")
		require.Equal(t, "hello", body)
	}
	require.Positive(t, bad.Load())
	large := strings.Repeat("x", 4<<10)
	for range 2 { // a body beyond the buffer: one attempt only, and its answer as it is
		before := bad.Load()
		resp, body := r.ask(http.MethodPost, "/x", large)
		require.Equal(t, bad.Load() > before, resp.StatusCode == 503)
		require.Equal(t, large, body)
	}
	r.end()
	require.EqualValues(t, 6, r.count("ok")+r.count("http_503"))
	require.EqualValues(t, 1, r.count("http_503"))
}

func TestHedgeAndItsLoser(t *testing.T) {
	t.Parallel()
	lost := make(chan struct{}, 8)
	slow := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		lost <- struct{}{}
	})
	r := start(t, setup{targets: []string{slow, backend(t, ok)}, policy: "{name: hedge, inner: round-robin, delay: 5ms, budget: 1}"})
	hedged := 0
	for range 4 {
		resp, body := r.ask(http.MethodPost, "/x", "b")
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "ok", body)
		select {
		case <-lost:
			hedged++
		default:
		}
	}
	await.Until(t, "losers are cancelled", func() bool {
		select {
		case <-lost:
			hedged++
		default:
		}
		return hedged >= 1
	})
}

// blocked is a backend that holds requests until it is told.
func blocked(t *testing.T) (url string, entered chan struct{}, release func()) {
	t.Helper()
	entered, gate := make(chan struct{}, 64), make(chan struct{})
	url = backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		entered <- struct{}{}
		select {
		case <-gate:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "ok")
	})
	var once sync.Once
	release = func() { once.Do(func() { close(gate) }) }
	t.Cleanup(release)
	return url, entered, release
}

// go asks in the background; the status comes over the channel, 0 for an error.
func (r *rig) background(ctx context.Context, path, body string) chan int {
	out := make(chan int, 1)
	req := r.request(ctx, http.MethodPost, path, body)
	go func() {
		resp, err := r.client.Do(req)
		if err != nil {
			out <- 0
			return
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			out <- -1
			return
		}
		out <- resp.StatusCode
	}()
	return out
}

func TestClientGoneInEveryState(t *testing.T) {
	t.Parallel()
	url, entered, release := blocked(t)
	r := start(t, setup{targets: []string{url}, policy: "central-queue"})
	f := r.fronts[0]

	ctx, leave := context.WithCancel(t.Context())
	first := r.background(t.Context(), "/x", "b") // takes the only slot
	await.One(t, "the backend has the request", entered)
	parked := r.background(ctx, "/x", "b")
	await.Until(t, "parked", func() bool { return f.parked.Load() == 1 })
	leave()
	require.Zero(t, await.One(t, "the answer", parked))
	await.Until(t, "a parked request closes as cancelled", func() bool { return r.count("cancelled") == 1 && f.parked.Load() == 0 })
	require.Empty(t, entered, "nothing was sent for it")

	release()
	require.Equal(t, 200, await.One(t, "the answer", first))
	require.EqualValues(t, 1, r.count("ok"))
}

func TestClientGoneInFlight(t *testing.T) {
	t.Parallel()
	url, entered, _ := blocked(t)
	r := start(t, setup{targets: []string{url}, policy: "least-outstanding"})
	ctx, leave := context.WithCancel(t.Context())
	out := r.background(ctx, "/x", "b")
	await.One(t, "the backend has the request", entered)
	require.Equal(t, 1, r.outstanding())
	leave()
	require.Zero(t, await.One(t, "the answer", out))
	await.Until(t, "cancelled", func() bool { return r.count("cancelled") == 1 })
	require.Zero(t, r.outstanding(), "the balancer's count goes down with it")
}

func TestClientGoneInTheStream(t *testing.T) {
	t.Parallel()
	url := backend(t, behaves)
	r := start(t, setup{targets: []string{url}})
	ctx, leave := context.WithCancel(t.Context())
	resp, err := r.client.Do(r.request(ctx, http.MethodGet, "/hang", ""))
	require.NoError(t, err)
	leave()
	resp.Body.Close()
	await.Until(t, "cancelled", func() bool { return r.count("cancelled") == 1 })
}

func TestClientGoneInItsBody(t *testing.T) {
	t.Parallel()
	for name, routes := range map[string]string{"before arrive": "proxy: {routes: [{input: {json: messages}}]}", "after arrive": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, setup{targets: []string{backend(t, ok)}, proxy: routes})
			conn, err := net.Dial("tcp", r.Addr())
			require.NoError(t, err)
			_, err = io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
			require.NoError(t, err)
			await.Until(t, "inside", func() bool { return r.fronts[0].inside.Load() == 1 })
			require.NoError(t, conn.Close())
			await.Until(t, "cancelled", func() bool { return r.count("cancelled") == 1 })
		})
	}
}

// A body that does not come in time ends its request, mapped or not.
func TestDeadlineInTheBody(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]string{"before arrive": "{json: messages}", "after arrive": "3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, setup{targets: []string{backend(t, ok)}, proxy: "proxy: {routes: [{deadline: 30ms, input: " + input + "}]}"})
			conn, err := net.Dial("tcp", r.Addr())
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
			await.Until(t, "counted", func() bool { return r.count("deadline") == 1 })
		})
	}
}

// A client that takes nothing is let go at its deadline.
func TestDeadlineOfAClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	r := start(t, setup{proxy: "proxy: {routes: [{deadline: 100ms}]}", targets: []string{backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		piece := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})}})
	conn, err := net.Dial("tcp", r.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	await.Until(t, "over", func() bool { return r.count("deadline")+r.count("cancelled") == 1 && r.fronts[0].inside.Load() == 0 })
}

// outstanding is what front end 0 has under way, in the policy's eyes.
func (r *rig) outstanding() int {
	f := r.fronts[0]
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.life.fe.Fleet(0).OutstandingSum()
}

func TestParkingTimesOut(t *testing.T) {
	t.Parallel()
	url, entered, release := blocked(t)
	r := start(t, setup{targets: []string{url}, policy: "central-queue",
		proxy: "proxy: {park: {timeout: 30ms}, routes: [{match: {path: /d}, deadline: 10ms}, {}]}"})
	first := r.background(t.Context(), "/x", "b")
	await.One(t, "the backend has the request", entered)
	resp, body := r.ask(http.MethodPost, "/x", "b")
	require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
	require.Equal(t, "hold_timeout", class(t, body))
	resp, body = r.ask(http.MethodPost, "/d", "b")
	require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
	require.Equal(t, "deadline", class(t, body))
	release()
	require.Equal(t, 200, await.One(t, "the answer", first))
}

func TestOverloadIsShed(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{"in flight": "max_in_flight: 2", "parked": "park: {max: 1}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, entered, release := blocked(t)
			r := start(t, setup{targets: []string{url}, policy: "central-queue", proxy: "proxy: {" + limit + "}"})
			first := r.background(t.Context(), "/x", "b")
			await.One(t, "the backend has the request", entered)
			second := r.background(t.Context(), "/x", "b")
			await.Until(t, "parked", func() bool { return r.fronts[0].parked.Load() == 1 })
			resp, body := r.ask(http.MethodPost, "/x", "b")
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			require.Equal(t, "1", resp.Header.Get("Retry-After"))
			require.Equal(t, "shed", class(t, body))
			release()
			require.Equal(t, []int{200, 200}, []int{await.One(t, "the first answer", first), await.One(t, "the second answer", second)})
		})
	}
}

// A client that dawdles over its header costs no policy call.
func TestSlowHeaderIsNoArrival(t *testing.T) {
	t.Parallel()
	r := start(t, setup{targets: []string{backend(t, ok)}})
	conn, err := net.Dial("tcp", r.Addr())
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET /x HTTP/1.1\r\nHos")
	require.NoError(t, err)
	r.ask(http.MethodGet, "/y", "")
	require.NoError(t, conn.Close())
	require.EqualValues(t, 1, r.end().Requests)
}

// Many clients through several front ends: conserved, spread, and replayed (see end).
func TestManyClients(t *testing.T) {
	t.Parallel()
	for _, split := range []string{"uniform", "sticky", "skewed"} {
		t.Run(split, func(t *testing.T) {
			t.Parallel()
			r := start(t, setup{targets: []string{backend(t, behaves), backend(t, behaves), backend(t, behaves)}, policy: "{name: retry, inner: p2c}",
				scenario: "frontends: {count: 3, split: " + split + "}\ndiscovery: {period: 20ms}",
				proxy:    "proxy: {routes: [{tenant: {header: x-tenant}, class: {header: x-class}, deadline: {header: x-deadline-ms}, input: {json: n}}]}"})
			var wg sync.WaitGroup
			paths := []string{"/", "/503", "/404", "/reset", "/x", "/y"}
			for c := range 8 {
				wg.Go(func() {
					for i := range 30 {
						_, _ = r.send(paths[(c+i)%len(paths)], `{"n": [1,2,3]}`, "x-tenant", string(rune('a'+c)), "x-class", "c", "x-deadline-ms", "5000")
					}
				})
			}
			wg.Wait()
			e := r.end()
			require.EqualValues(t, 240, e.Requests)
			require.Positive(t, r.count("ok"))
			met := 0
			for _, data := range r.shelf.chains[0].streams {
				if len(data) > 1000 {
					met++
				}
			}
			require.Greater(t, met, 1)
		})
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	url, entered, release := blocked(t)
	r := start(t, setup{targets: []string{url}})
	out := r.background(t.Context(), "/x", "b")
	await.One(t, "the backend has the request", entered)
	done := make(chan End, 1)
	go func() { done <- r.close() }()
	await.Until(t, "draining", func() bool { code, _ := r.adminPage("/healthz"); return code == http.StatusServiceUnavailable })
	release()
	require.Equal(t, 200, await.One(t, "the answer", out), "what is under way may end")
	e := await.One(t, "the end", done)
	r.check(e)
	require.EqualValues(t, 1, e.Requests)
	require.EqualValues(t, 1, r.count("ok"))
}

func TestDrainEndsAtItsCap(t *testing.T) {
	t.Parallel()
	url, entered, _ := blocked(t)
	r := start(t, setup{targets: []string{url}, policy: "central-queue"})
	first, second := r.background(t.Context(), "/x", "b"), r.background(t.Context(), "/x", "b")
	await.One(t, "the backend has the request", entered)
	await.Until(t, "parked", func() bool { return r.fronts[0].parked.Load() == 1 })
	r.ended = true
	e := r.Close(t.Context(), time.Millisecond)
	require.EqualValues(t, 2, e.Requests)
	require.EqualValues(t, 2, r.count("unfinished"))
	for _, got := range []int{await.One(t, "the first answer", first), await.One(t, "the second answer", second)} {
		require.Contains(t, []int{0, 503}, got)
	}
}

func TestNoTarget(t *testing.T) {
	t.Parallel()
	s := setup{targets: []string{closedPort(t)}}
	plan := planOf(t, s)
	_, err := Start(t.Context(), Config{Run: planRun(plan), Targets: targetsOf(t, s, plan), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0"})
	require.ErrorIs(t, err, ErrNoTarget)
}
