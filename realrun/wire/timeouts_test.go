package wire

import (
	"context"
	"io"
	"log"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// drip sends a text one byte at a time, each after a gap.
func drip(text string, gap time.Duration) script {
	return func(c net.Conn) {
		for i := range len(text) {
			time.Sleep(gap) // of the bubble's clock
			if _, err := c.Write([]byte{text[i]}); err != nil {
				return
			}
		}
	}
}

// TestTimeouts plays slow backends over pipes in virtual time: each attempt ends at
// exactly the instant that its timeout says, and as that class.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	const token = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
	cases := []struct {
		name   string
		kind   string
		script script
		want   policies.Outcome
		at     time.Duration
	}{
		{"no answer", HTTPJSON, silent, policies.HeaderTimeout, 30 * time.Second},
		{"a header that drips", HTTPJSON, drip("HTTP/1.1 200 OK\r\nA: "+strings.Repeat("a", 1000), time.Second), policies.HeaderTimeout, 30 * time.Second},
		{"silent after the header", HTTPJSON, then(answers(okHead), silent), policies.Stall, 10 * time.Second},
		{"silent in the stream", OpenAIChat, then(answers(closeHead+token), drip(token[:20], 9*time.Second), silent), policies.Stall, 190 * time.Second},
		{"a body that drips for ever", HTTPJSON, then(answers("HTTP/1.1 200 OK\r\n\r\n"), drip(strings.Repeat("a", 1000), 9*time.Second)), policies.DeadlineHit, 200 * time.Second},
		{"comments for ever", OpenAIChat, then(answers(closeHead), drip(strings.Repeat(":\n", 1000), 9*time.Second)), policies.DeadlineHit, 200 * time.Second},
		{"garbage for ever", OpenAIChat, then(answers(closeHead), drip(strings.Repeat("?", 1000), 9*time.Second)), policies.DeadlineHit, 200 * time.Second},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := piped(t, Target{Transport: x.kind, Timeouts: Timeouts{Header: 30 * time.Second, Stall: 10 * time.Second, Total: 200 * time.Second}}, x.script)
				res := c.Do(t.Context(), &Call{Input: 1, Output: 1}, nil)
				require.Equal(t, x.want, res.Outcome, res.Detail)
				require.Equal(t, x.at, res.Done)
			})
		})
	}
}

// TestCallerEnds: what the caller wants comes before what the connection says of it.
func TestCallerEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, Target{}, silent)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		res := c.Do(ctx, &Call{}, nil)
		require.Equal(t, policies.DeadlineHit, res.Outcome)
		require.Equal(t, 3*time.Second, res.Done)
		require.Equal(t, time.Duration(0), res.Sent, "the request was written at once")
		require.Less(t, res.FirstByte, time.Duration(0))

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, cancel)
		res = c.Do(ctx, &Call{}, nil)
		require.Equal(t, policies.Cancelled, res.Outcome)
		require.Equal(t, 5*time.Second, res.Done)
	})
}

// TestClocks: the stamps of a stream are those of its bytes, and what comes after
// [DONE] is not waited for beyond the linger.
func TestClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		say := func(text string, after time.Duration) script {
			return func(c net.Conn) {
				time.Sleep(after)
				_, _ = io.WriteString(c, text)
			}
		}
		c := piped(t, Target{Transport: OpenAIChat}, then(
			say(closeHead, time.Second),
			say("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n", time.Second),
			say("data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n", time.Second),
			say("data: {\"choices\":[{\"delta\":{\"content\":\" two three\"},\"finish_reason\":\"stop\"}]}\n\n", time.Second),
			say("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n", time.Second),
			say("data: [DONE]\n\n", time.Second), silent))
		var first time.Duration
		res := c.Do(t.Context(), &Call{}, func(at time.Duration) { first = at })
		require.Equal(t, policies.OK, res.Outcome, res.Detail)
		require.Equal(t, time.Second, res.FirstByte)
		require.Equal(t, time.Second, first)
		require.Equal(t, 3*time.Second, res.FirstToken, "a role-only event is no token")
		require.Equal(t, 4*time.Second, res.LastToken)
		require.Equal(t, 6*time.Second, res.Done)
		require.Equal(t, 6*time.Second+lingerTime, time.Since(c.base))
		require.Equal(t, []int{2, 3, 9}, []int{res.Chunks, res.Tokens, res.Prompt})
		require.False(t, res.Estimated)
	})
}

// TestSlowRefusal: the text behind a failing status is not worth waiting for.
func TestSlowRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, Target{}, then(answers("HTTP/1.1 500 Oh\r\nContent-Length: 1000\r\n\r\nno"), drip(strings.Repeat("o", 1000), lingerTime*2/3)))
		res := c.Do(t.Context(), &Call{}, nil)
		require.Equal(t, policies.HTTP5xx, res.Outcome)
		require.Equal(t, time.Duration(0), res.Done)
		require.Equal(t, "status 500: noo", res.Detail)
		require.Equal(t, lingerTime, time.Since(c.base))
	})
}
