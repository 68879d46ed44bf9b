package wire

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/balance"
)

const golden = `{"run":"x","service":"main","from":"r17","to":"f2","msgs":[[1,3,41,2,0],[1,3,41,2,0],[1,2,99,0,0]]}`

func TestEnvelopeGolden(t *testing.T) {
	t.Parallel()
	e, err := DecodeEnvelope([]byte(golden))
	require.NoError(t, err)
	news := balance.Msg{Kind: balance.MsgIdle, Inc: 3, Seq: 41, A: 2}
	old := balance.Msg{Kind: balance.MsgIdle, Inc: 2, Seq: 99}
	require.Equal(t, Envelope{Run: "x", Service: "main", From: "r17", To: "f2", Msgs: []balance.Msg{news, news, old}}, e)
	b, err := e.Encode()
	require.NoError(t, err)
	require.Equal(t, golden, string(b))
	require.Equal(t, "1 3 41 2 0, 1 3 41 2 0, 1 2 99 0 0", FormatMsgs(e.Msgs))

	from, err := ParsePeer(e.From)
	require.NoError(t, err)
	require.Equal(t, Peer{Replica: true, N: 17}, from)
	heard := heardOf(t, from, 3, e.Msgs)
	require.Equal(t, []balance.Msg{news}, heard, "one is heard: the double and the older incarnation are dropped")
}

func TestEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	row := "[1,0,1,0,0]"
	with := func(msgs string) string {
		return `{"run":"x","service":"main","from":"r1","to":"f0","msgs":[` + msgs + `]}`
	}
	for name, x := range map[string]struct{ text, says string }{
		"no JSON":            {"{", "cannot be read"},
		"more behind it":     {with(row) + "1", "cannot be read"},
		"no sender":          {`{"run":"x","to":"f0","msgs":[]}`, `"" is no peer`},
		"odd sender":         {strings.Replace(with(row), "r1", "r-1", 1), `"r-1" is no peer`},
		"no replica of ours": {strings.Replace(with(row), "r1", "r4294967296", 1), "is no peer"},
		"unknown kind":       {with("[6,0,1,0,0]"), "msgs[0]: unknown kind 6"},
		"kind 0":             {with("[0,0,1,0,0]"), "unknown kind 0"},
		"kind 256":           {with(row + ",[256,0,1,0,0]"), "msgs[1]: unknown kind 256"},
		"a fraction":         {with("[1,0,1.5,0,0]"), "cannot be read"},
		"an exponent":        {with("[1,0,1e3,0,0]"), "cannot be read"},
		"a string":           {with(`[1,0,"1",0,0]`), "cannot be read"},
		"null":               {with("[1,0,null,0,0]"), "null is not an integer"},
		"four":               {with("[1,0,1,0]"), "4 numbers"},
		"six":                {with("[1,0,1,0,0,0]"), "6 numbers"},
		"negative seq":       {with("[1,0,-1,0,0]"), "outside"},
		"inc too large":      {with("[1,4294967296,1,0,0]"), "outside"},
		"a too large":        {with("[1,0,1,9223372036854775808,0]"), "cannot be read"},
		"65 messages":        {with(strings.Repeat(row+",", 64) + row), "65 messages: at most 64"},
		"8193 bytes":         {with(row) + strings.Repeat(" ", 8193-len(with(row))), "more than 8192 bytes"},
	} {
		_, err := DecodeEnvelope([]byte(x.text))
		require.ErrorContains(t, err, x.says, name)
	}
	_, err := DecodeEnvelope([]byte(with(strings.Repeat(row+",", 63)+row) + strings.Repeat(" ", 10)))
	require.NoError(t, err, "64 messages are allowed")
	_, err = (&Envelope{From: "r1", To: "f0", Msgs: make([]balance.Msg, 1)}).Encode()
	require.ErrorContains(t, err, "unknown kind 0", "nothing is sent that the other side must refuse")
}

func TestMsgHeader(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", ",", "1 2 3 4", "1 2 3 4 5 6", "1 2 3 4 x", "1 2 3 4 5,", "9 1 1 1 1", "1 -1 1 1 1",
		strings.Repeat("1 0 1 0 0,", 64) + "1 0 1 0 0", strings.Repeat(" ", MaxEnvelope+1)} {
		got, err := ParseMsgs(bad)
		require.Error(t, err, bad)
		require.Nil(t, got, bad)
	}
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SampledFrom([]balance.MsgKind{balance.MsgIdle, balance.MsgAnswer, balance.MsgOwn, 255})
		msgs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) balance.Msg {
			return balance.Msg{Kind: kinds.Draw(t, "kind"), Inc: rapid.Uint32().Draw(t, "inc"), Seq: rapid.Uint32().Draw(t, "seq"),
				A: rapid.Int64().Draw(t, "a"), B: rapid.Int64().Draw(t, "b")}
		}), 1, MaxMsgs).Draw(t, "msgs")
		got, err := ParseMsgs(FormatMsgs(msgs))
		require.NoError(t, err)
		require.Equal(t, msgs, got)
		e := Envelope{Run: rapid.String().Draw(t, "run"), Service: "main", From: "f0", To: "r1", Msgs: msgs}
		if b, err := e.Encode(); err == nil { // else longer than an envelope may be
			back, err := DecodeEnvelope(b)
			require.NoError(t, err)
			require.Equal(t, msgs, back.Msgs)
		}
	})
}

func TestReceive(t *testing.T) {
	t.Parallel()
	post := func(method, body, run string) (int, Envelope, error) {
		w := httptest.NewRecorder()
		e, err := Receive(w, httptest.NewRequest(method, PathMsg, strings.NewReader(body)), run)
		return w.Code, e, err
	}
	code, e, err := post("POST", golden, "x")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, code)
	require.Len(t, e.Msgs, 3)
	code, e, err = post("POST", golden, "y")
	require.ErrorIs(t, err, ErrRun)
	require.Equal(t, http.StatusConflict, code)
	require.Empty(t, e)
	for _, bad := range []string{"", "{}", golden[1:], strings.Repeat(" ", MaxEnvelope) + golden} {
		code, e, err = post("POST", bad, "x")
		require.Error(t, err)
		require.Equal(t, http.StatusBadRequest, code)
		require.Empty(t, e)
	}
	code, _, err = post("PUT", golden, "x")
	require.Error(t, err)
	require.Equal(t, http.StatusBadRequest, code)
	require.False(t, errors.Is(err, ErrRun))
}

// FuzzEnvelope: what is read can be written, and reads the same.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"msgs":[[null]]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEnvelope(b)
		if err != nil {
			require.Empty(t, e)
			return
		}
		require.LessOrEqual(t, len(e.Msgs), MaxMsgs)
		out, err := e.Encode()
		if err != nil {
			require.ErrorContains(t, err, "bytes", "only escapes can make it longer")
			return
		}
		back, err := DecodeEnvelope(out)
		require.NoError(t, err)
		require.Equal(t, e.Msgs, back.Msgs)
	})
}

// FuzzHeaders: no header of a backend panics, and what is taken is in bounds.
func FuzzHeaders(f *testing.F) {
	f.Add("1 3 41 2 0, 16 0 1 -1 -2")
	f.Add("Wed, 21 Oct 2015 07:28:00 GMT")
	f.Add("120")
	f.Add("1 2 3")
	f.Fuzz(func(t *testing.T, s string) {
		if msgs, err := ParseMsgs(s); err == nil {
			back, err := ParseMsgs(FormatMsgs(msgs))
			require.NoError(t, err)
			require.Equal(t, msgs, back)
		}
		h := http.Header{"Retry-After": {s}, "Date": {s}, HeaderServer: {s}, HeaderSteps: {s}, HeaderClass: {s}}
		require.GreaterOrEqual(t, retryAfter(h, now0), zero)
		require.GreaterOrEqual(t, serverTime(h), zero)
		x := steps(h)
		require.GreaterOrEqual(t, min(x.Queue, x.Batch, x.Service), zero)
		require.NotEqual(t, policies.OK, ofStatus(500, h))
		if p, err := ParsePeer(s); err == nil {
			again, err := ParsePeer(p.String())
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
	})
}
