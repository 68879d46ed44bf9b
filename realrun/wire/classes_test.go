package wire

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(`{"error": {"message": "no room"}}`))
	}
}

// TestEveryClass lets a scripted backend produce each outcome class that this package
// can set. Those that a timer ends are in TestTimeouts, exact to the nanosecond; here
// they pass over real sockets.
func TestEveryClass(t *testing.T) {
	t.Parallel()
	chat := Target{Transport: OpenAIChat}
	short := func(f func(x *Timeouts)) Target {
		x := Target{}
		f(&x.Timeouts)
		return x
	}
	cases := []struct {
		name   string
		want   policies.Outcome
		target Target
		script script           // or
		web    http.HandlerFunc // or
		make   func(t *testing.T) *Client
		ctx    func(t *testing.T) context.Context
		status int
	}{
		{name: "ok", want: policies.OK, web: status(200), status: 200},
		{name: "ok without a body", want: policies.OK, web: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, status: 204},
		{name: "refused", want: policies.Refused, make: nobody},
		{name: "reset before the header", want: policies.Reset, script: reset},
		{name: "hang up before the header", want: policies.Reset, script: hangUp},
		{name: "429", want: policies.HTTP429, web: status(429, "Retry-After", "3"), status: 429},
		{name: "503", want: policies.HTTP503, web: status(503), status: 503},
		{name: "500", want: policies.HTTP5xx, web: status(500), status: 500},
		{name: "404", want: policies.HTTP4xx, web: status(404), status: 404},
		{name: "a redirect", want: policies.Malformed, web: status(302, "Location", "/elsewhere"), status: 302},
		{name: "queue_full", want: policies.QueueFull, web: status(503, "x-taillab-class", "queue_full"), status: 503},
		{name: "too_long", want: policies.TooLong, web: status(400, "x-taillab-class", "too_long"), status: 400},
		{name: "queue timeout", want: policies.DeadlineHit, web: status(504, "x-taillab-class", "deadline"), status: 504},
		{name: "killed after the drain", want: policies.Lost, web: status(503, "x-taillab-class", "lost"), status: 503},
		{name: "a class that no backend may set", want: policies.HTTP5xx, web: status(500, "x-taillab-class", "ok"), status: 500},
		{name: "dial_timeout", want: policies.DialTimeout, target: short(func(x *Timeouts) { x.Dial = 1 }), web: status(200)},
		{name: "dns", want: policies.DNS, make: nameless},
		{name: "tls, not trusted", want: policies.TLS, make: distrusting},
		{name: "tls, none there", want: policies.TLS, make: plain},
		{name: "header_timeout", want: policies.HeaderTimeout, target: short(func(x *Timeouts) { x.Header = 20 * time.Millisecond }), script: silent},
		{name: "stall", want: policies.Stall, target: short(func(x *Timeouts) { x.Stall = 20 * time.Millisecond }), script: then(answers(okHead+"{"), silent), status: 200},
		{name: "total timeout", want: policies.DeadlineHit, target: short(func(x *Timeouts) { x.Total = 20 * time.Millisecond }), script: silent},
		{name: "deadline of the caller", want: policies.DeadlineHit, script: silent, ctx: expired},
		{name: "cancelled", want: policies.Cancelled, script: silent, ctx: gone},
		{name: "short_read, length", want: policies.ShortRead, script: then(answers(okHead+"{"), hangUp), status: 200},
		{name: "short_read, chunks", want: policies.ShortRead, target: chat, script: then(answers(streamHead+"5\r\nda"), hangUp), status: 200},
		{name: "short_read, no finish", want: policies.ShortRead, target: chat,
			script: then(answers(closeHead+"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"), hangUp), status: 200},
		{name: "short_read, inside an event", want: policies.ShortRead, target: chat,
			script: then(answers(closeHead+"data: {\"choices\":[{\"del"), hangUp), status: 200},
		{name: "short_read, nothing at all", want: policies.ShortRead, target: chat, script: then(answers(closeHead), hangUp), status: 200},
		{name: "malformed status line", want: policies.Malformed, script: then(answers("SSH-2.0-OpenSSH_9.2\r\n\r\n"), hangUp)},
		{name: "malformed header", want: policies.Malformed, script: then(answers("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), hangUp)},
		{name: "endless header", want: policies.Malformed, script: answers("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 1<<20))},
		{name: "malformed chunks", want: policies.Malformed, target: chat, script: then(answers(streamHead+"zz\r\n"), hangUp), status: 200},
		{name: "malformed JSON", want: policies.Malformed, script: answers(okHead + "{]"), status: 200},
		{name: "malformed event", want: policies.Malformed, target: chat, script: then(answers(closeHead+"data: {]\n\n"), hangUp), status: 200},
		{name: "no events", want: policies.Malformed, target: chat, script: then(answers(closeHead+"<html>\n"), hangUp), status: 200},
		{name: "an answer without choices", want: policies.Malformed, target: chat, script: answers(okHead + "{}"), status: 200},
		{name: "an endless event", want: policies.Malformed, target: chat,
			script: then(answers(closeHead+"data: "+strings.Repeat("a", maxEvent+maxEvent/8)), hangUp), status: 200},
		{name: "an error in the stream", want: policies.HTTP5xx, target: chat,
			script: then(answers(closeHead+"data: {\"error\": {\"message\": \"out of memory\"}}\n\n"), hangUp), status: 200},
		{name: "an error in the stream, with its code", want: policies.HTTP429, target: chat,
			script: then(answers(closeHead+"data: {\"error\": {\"code\": 429}}\n\n"), hangUp), status: 200},
		{name: "too long to write", want: policies.TooLong, target: chat, web: status(200),
			make: func(t *testing.T) *Client { return client(t, Target{URL: "http://127.0.0.1:1"}) }},
		{name: "no model", want: policies.NotSent, make: func(t *testing.T) *Client {
			return client(t, Target{URL: "http://127.0.0.1:1", Transport: KServe})
		}},
		{name: "no file descriptor left", want: policies.NotSent, make: exhausted},
	}
	seen := map[policies.Outcome]bool{}
	for _, x := range cases {
		seen[x.want] = true
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var c *Client
			switch {
			case x.make != nil:
				c = x.make(t)
			case x.script != nil:
				x.target.URL = raw(t, x.script)
				c = client(t, x.target)
			default:
				x.target.URL = server(t, x.web)
				c = client(t, x.target)
			}
			ctx := t.Context()
			if x.ctx != nil {
				ctx = x.ctx(t)
			}
			call := &Call{ID: 1, Input: 3, Output: 2}
			if x.name == "too long to write" {
				call.Input = maxPrompt + 1
			}
			calls := 0
			res := c.Do(ctx, call, func(time.Duration) { calls++ })
			require.Equal(t, x.want, res.Outcome, res.Detail)
			require.Equal(t, x.status, res.Status)
			require.Equal(t, x.want == policies.OK, res.Detail == "", res.Detail)
			require.GreaterOrEqual(t, res.Done, res.FirstByte)
			require.GreaterOrEqual(t, res.Done, time.Duration(0))
			require.Equal(t, res.Status >= 200 && res.Status < 300, calls == 1)
			if res.Status != 0 {
				require.GreaterOrEqual(t, res.Sent, time.Duration(0))
				require.GreaterOrEqual(t, res.FirstByte, res.Sent)
			}
			if x.want == policies.HTTP429 && x.web != nil {
				require.Equal(t, 3*time.Second, res.RetryAfter)
			}
		})
	}
	for _, o := range []policies.Outcome{policies.OK, policies.QueueFull, policies.TooLong, policies.Refused, policies.Reset, policies.Lost,
		policies.DeadlineHit, policies.Cancelled, policies.HTTP429, policies.HTTP503, policies.HTTP5xx, policies.HTTP4xx, policies.DialTimeout,
		policies.DNS, policies.TLS, policies.HeaderTimeout, policies.Stall, policies.ShortRead, policies.Malformed, policies.NotSent} {
		require.True(t, seen[o], "no case for %s", o)
	}
}

// TestResetInTheBody resets when the client has read the header: an earlier RST would
// throw away what it has not read.
func TestResetInTheBody(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	c := client(t, Target{URL: raw(t, then(answers(okHead+"{"), func(c net.Conn) {
		select {
		case <-read:
		case <-t.Context().Done():
		}
		reset(c)
	}))})
	res := c.Do(t.Context(), &Call{}, func(time.Duration) { close(read) })
	require.Equal(t, policies.Reset, res.Outcome, res.Detail)
	require.Equal(t, 200, res.Status)
	require.Zero(t, c.Stats().ReusedLost)
}

func nobody(t *testing.T) *Client {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return client(t, Target{URL: "http://" + l.Addr().String()})
}

// nameless has a resolver that reaches no name server.
func nameless(t *testing.T) *Client {
	r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	c, err := newClient(Target{URL: "http://backend.invalid"}, time.Now(), 1, (&net.Dialer{Resolver: r}).DialContext)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func exhausted(t *testing.T) *Client {
	c, err := newClient(Target{URL: "http://127.0.0.1:1"}, time.Now(), 1, func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	})
	require.NoError(t, err)
	return c
}

func distrusting(t *testing.T) *Client {
	s := httptest.NewUnstartedServer(status(200))
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	return client(t, Target{URL: s.URL})
}

func plain(t *testing.T) *Client {
	return client(t, Target{URL: "https" + strings.TrimPrefix(server(t, status(200)), "http")})
}

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func gone(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(20*time.Millisecond, cancel)
	t.Cleanup(func() { stop.Stop(); cancel() })
	return ctx
}
