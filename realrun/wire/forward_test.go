package wire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

// forward passes one request on and reads the answer to its end.
func forward(t *testing.T, target Target, p Passed) (*Answer, Result, string) {
	t.Helper()
	f, err := NewForwarder(target, time.Now(), 8)
	require.NoError(t, err)
	t.Cleanup(f.Client().Close)
	if p.Method == "" {
		p.Method = http.MethodGet
	}
	if p.URL == nil {
		p.URL = &url.URL{Path: "/x"}
	}
	if p.Header == nil {
		p.Header = http.Header{}
	}
	if p.Body == nil {
		p.Body = NoBody()
	}
	a := f.Forward(t.Context(), &p)
	var text []byte
	if !a.Failed() {
		text, _ = io.ReadAll(a) // the error is in the result
	}
	return a, a.End(), string(text)
}

func TestForwardKeepsTheRequest(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	var body string
	u := server(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen, body = r, string(b)
		w.Header().Set(HeaderServer, "1500")
		w.Header().Set(HeaderLoad, "TEXT named_metrics.rif=3")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "done")
	})
	target := Target{URL: u + "/p%2Fq", Headers: map[string]string{"x-team": "search"}, Key: "sk-1234567", Engine: EngineVLLM}
	a, res, text := forward(t, target, Passed{Method: http.MethodPatch, URL: &url.URL{Path: "/a/b c", RawQuery: "q=1"}, Host: "own.host",
		Header: http.Header{"X-One": {"1", "2"}, "Authorization": {"of the client"}}, Body: strings.NewReader("hello"), Length: 5, FrontEnd: 2})
	require.Equal(t, "done", text)
	require.Equal(t, policies.OK, res.Outcome)
	require.Equal(t, 202, res.Status)
	require.Equal(t, 1500*time.Nanosecond, res.ServerTime)
	require.False(t, a.Failed())
	require.Equal(t, "PATCH /p%2Fq/a/b%20c?q=1", seen.Method+" "+seen.RequestURI)
	require.Equal(t, "own.host", seen.Host)
	require.Equal(t, "hello", body)
	require.Equal(t, []string{"1", "2"}, seen.Header["X-One"])
	require.Equal(t, "Bearer sk-1234567", seen.Header.Get("Authorization"), "the target's key wins")
	require.Equal(t, "search", seen.Header.Get("X-Team"))
	require.Equal(t, "f2", seen.Header.Get(HeaderFrontEnd))
	require.Equal(t, "text", seen.Header.Get(HeaderLoadFormat))
	require.Empty(t, seen.Header.Get("User-Agent"), "none is made up")
	require.LessOrEqual(t, res.Sent, res.FirstByte)
	require.LessOrEqual(t, res.FirstByte, res.Done)
}

func TestForwardOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   script
		want policies.Outcome
	}{
		"ok":       {answers(okHead + "ok"), policies.OK},
		"redirect": {answers("HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"), policies.OK},
		"503":      {answers("HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno"), policies.HTTP503},
		"class":    {answers("HTTP/1.1 503 Busy\r\nX-Taillab-Class: queue_full\r\nContent-Length: 0\r\n\r\n"), policies.QueueFull},
		"404":      {answers("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), policies.HTTP4xx},
		"hang up":  {hangUp, policies.Reset},
		"reset":    {reset, policies.Reset},
		"short":    {then(answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), hangUp), policies.ShortRead},
		"garbage":  {answers("no HTTP at all\r\n\r\n"), policies.Malformed},
		"silent":   {silent, policies.HeaderTimeout},
		"stalled":  {then(answers(okHead+"o"), silent), policies.Stall},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, res, _ := forward(t, Target{URL: raw(t, c.do), Timeouts: Timeouts{Header: 200 * time.Millisecond, Stall: 200 * time.Millisecond}}, Passed{})
			require.Equal(t, c.want, res.Outcome, res.Detail)
		})
	}
}

// A request without body is sent once, even on a connection that has died idle.
func TestForwardNeverRepeats(t *testing.T) {
	t.Parallel()
	u := raw(t, then(answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), hangUp))
	f, err := NewForwarder(Target{URL: u}, time.Now(), 8)
	require.NoError(t, err)
	t.Cleanup(f.Client().Close)
	for range 20 {
		a := f.Forward(t.Context(), &Passed{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}, Body: NoBody()})
		if !a.Failed() {
			_, _ = io.ReadAll(a)
		}
		a.End()
	}
	s := f.Client().Stats()
	require.LessOrEqual(t, s.Opened, uint64(20), "no request was sent twice")
}

func TestForwardGivenUp(t *testing.T) {
	t.Parallel()
	u := raw(t, then(answers(streamHead), silent))
	f, err := NewForwarder(Target{URL: u}, time.Now(), 8)
	require.NoError(t, err)
	t.Cleanup(f.Client().Close)
	ctx, cancel := context.WithCancel(t.Context())
	a := f.Forward(ctx, &Passed{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}, Body: NoBody()})
	require.False(t, a.Failed())
	cancel()
	_, err = io.ReadAll(a)
	require.Error(t, err)
	require.Equal(t, policies.Cancelled, a.End().Outcome)

	a = f.Forward(t.Context(), &Passed{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}, Body: NoBody()})
	require.Equal(t, policies.Cancelled, a.End().Outcome, "nobody read the answer")
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	a = f.Forward(ctx, &Passed{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}, Body: NoBody()})
	_, _ = io.ReadAll(a)
	require.Equal(t, policies.DeadlineHit, a.End().Outcome)
}

func TestForwarderHidesItsKey(t *testing.T) {
	t.Parallel()
	f, err := NewForwarder(Target{URL: "http://a:1", Key: "sk-secret-1"}, time.Now(), 8)
	require.NoError(t, err)
	requireHidden(t, f, "sk-secret-1")
}

// requireHidden prints a value in every common way and looks for a secret.
func requireHidden(t *testing.T, v any, secret string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(verb, v), secret, verb)
	}
}
