package wire

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

const sample = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n" +
	": keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n" +
	"data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"yes\"}}]}\n\n" +
	"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n" +
	"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n" +
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n"

// TestAnswerSplitAnywhere sends one answer in two writes, split at every byte, through
// the whole client: the result is the same.
func TestAnswerSplitAnywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for i := range len(sample) + 1 {
			c := piped(t, Target{Transport: OpenAIChat}, then(answers(closeHead+sample[:i]), answers(sample[i:]), hangUp))
			res := c.Do(t.Context(), &Call{}, nil)
			require.Equal(t, policies.OK, res.Outcome, "split at %d: %s", i, res.Detail)
			require.Equal(t, []int{3, 5, 4}, []int{res.Chunks, res.Tokens, res.Prompt}, "split at %d", i)
		}
	})
}

// TestAnswerCutAnywhere ends the answer at every byte: short_read up to the
// finish_reason, ok from there on. Never anything else.
func TestAnswerCutAnywhere(t *testing.T) {
	t.Parallel()
	finished := strings.Index(sample, `,"usage":null}`) + len(`,"usage":null}`)
	usage := strings.Index(sample, "\n\ndata: [DONE]")
	synctest.Test(t, func(t *testing.T) {
		for i := range len(sample) {
			c := piped(t, Target{Transport: OpenAIChat}, then(answers(closeHead+sample[:i]), hangUp))
			res := c.Do(t.Context(), &Call{}, nil)
			want := policies.OK
			if i < finished {
				want = policies.ShortRead
			}
			require.Equal(t, want, res.Outcome, "cut at %d, %q: %s", i, sample[max(0, i-20):i], res.Detail)
			require.Equal(t, i < usage, res.Estimated, i)
		}
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, kind, answer string
		out                policies.Outcome
		chunks, tokens     int
		estimated          bool
	}{
		{"completions", OpenAICompletions, closeHead + "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"text\":\"b\",\"finish_reason\":\"length\"}]}\n\n", policies.OK, 2, 2, true},
		{"no token at all", OpenAIChat, closeHead + "data: [DONE]\n\n", policies.OK, 0, 0, true},
		{"usage of nothing", OpenAIChat, closeHead + "data: {\"usage\":{}}\n\ndata: [DONE]\n\n", policies.OK, 0, 0, true},
		{"in one piece", OpenAIChat, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" +
			"{\"choices\":[{\"message\":{\"content\":\"a b c\"},\"finish_reason\":\"stop\"}],\"usage\":{\"completion_tokens\":3}}", policies.OK, 1, 3, false},
		{"an error in one piece", OpenAIChat, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n{\"error\":{\"message\":\"x\",\"code\":\"y\"}}", policies.HTTP5xx, 0, 0, true},
		{"kserve", KServe, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"outputs\":[]}", policies.OK, 0, 0, false},
		{"kserve, no JSON", KServe, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", policies.Malformed, 0, 0, false},
		{"text is fine for http-json", HTTPJSON, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", policies.OK, 0, 0, false},
		{"a long answer is only read", HTTPJSON, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + strings.Repeat("?", maxAnswer+1), policies.OK, 0, 0, false},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := piped(t, Target{Transport: x.kind}, then(answers(x.answer), hangUp))
				res := c.Do(t.Context(), &Call{Model: "m"}, nil)
				require.Equal(t, x.out, res.Outcome, res.Detail)
				require.Equal(t, []int{x.chunks, x.tokens}, []int{res.Chunks, res.Tokens})
				require.Equal(t, x.estimated, res.Estimated)
				require.Equal(t, x.chunks > 0, res.FirstToken >= 0)
				require.GreaterOrEqual(t, res.Done, res.LastToken)
			})
		})
	}
}

// TestConnectionsAreKept: answers read whole leave their connection, refusals too.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	n := 0
	c := client(t, Target{Transport: OpenAIChat, URL: server(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n%3 == 0 {
			http.Error(w, "busy", 503)
			return
		}
		_, _ = io.WriteString(w, sample)
	})})
	for range 12 {
		res := c.Do(t.Context(), &Call{}, nil)
		require.Contains(t, []policies.Outcome{policies.OK, policies.HTTP503}, res.Outcome, res.Detail)
	}
	require.Equal(t, uint64(1), c.Stats().Opened)
}

// TestNothingIsRepeated: a kept connection that has died ends the attempt. net/http
// would send a request again whose body it can read again.
func TestNothingIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := piped(t, Target{}, func(conn net.Conn) {
			if n++; n == 1 {
				_, _ = io.WriteString(conn, okHead+"{}")
				return
			}
			_ = conn.Close()
		})
		require.Equal(t, policies.OK, c.Do(t.Context(), &Call{}, nil).Outcome)
		synctest.Wait()
		require.Equal(t, policies.Reset, c.Do(t.Context(), &Call{}, nil).Outcome)
		require.Equal(t, 2, n)
		require.Equal(t, Stats{Opened: 1, ReusedLost: 1}, c.Stats())
		_, ok := c.Probe(t.Context())
		require.False(t, ok)
		require.Equal(t, 3, n)
	})
}

// TestSecondVersion: HTTP/2 without TLS, many streams on a connection.
func TestSecondVersion(t *testing.T) {
	t.Parallel()
	s := http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(505)
			return
		}
		if r.Header.Get(HeaderInput) == "7" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, sample)
	})}
	s.Protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Shutdown(context.Background())
		<-done
	})
	c := client(t, Target{URL: "http://" + l.Addr().String(), Transport: OpenAIChat, HTTP: 2, Timeouts: Timeouts{Total: 20 * time.Second}})
	for range 3 {
		res := c.Do(t.Context(), &Call{}, nil)
		require.Equal(t, policies.OK, res.Outcome, res.Detail)
		require.Equal(t, 5, res.Tokens)
		require.GreaterOrEqual(t, res.FirstByte, res.Sent)
	}
	res := c.Do(t.Context(), &Call{Input: 7, Truth: true}, nil)
	require.Equal(t, policies.Reset, res.Outcome, res.Detail)
	require.Equal(t, uint64(1), c.Stats().Opened)
	c.Close()
}
