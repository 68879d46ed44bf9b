package wire

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

func TestTargetRefusals(t *testing.T) {
	t.Parallel()
	ok := "http://127.0.0.1:1"
	for name, x := range map[string]struct {
		target Target
		says   string
	}{
		"no scheme":      {Target{URL: "10.0.0.1:8000"}, `"10.0.0.1:8000" has no scheme: write http://10.0.0.1:8000`},
		"other scheme":   {Target{URL: "ftp://a"}, `"ftp://a" has the scheme ftp`},
		"no host":        {Target{URL: "http:///a"}, "has no host"},
		"a query":        {Target{URL: "http://a/?key=hush"}, "has a query"},
		"a password":     {Target{URL: "http://u:hush@h"}, `"http://h" holds a user or password: use a key`},
		"unreadable":     {Target{URL: "http://u:hush@h:x"}, `"http://h:x" is not a URL`},
		"transport":      {Target{URL: ok, Transport: "openai"}, `unknown transport "openai": one of http-json, openai-chat, openai-completions, kserve`},
		"version":        {Target{URL: ok, HTTP: 3}, "http is 3"},
		"timeout":        {Target{URL: ok, Timeouts: Timeouts{Stall: -time.Second}}, "timeouts.stall is -1s"},
		"body of OpenAI": {Target{URL: ok, Transport: OpenAIChat, Body: "{}"}, "body is only for"},
		"placeholder":    {Target{URL: ok, Body: "{{ids}}"}, "unknown {{ids}}"},
		"open braces":    {Target{URL: ok, Body: "{{id"}, "without }}"},
		"header name":    {Target{URL: ok, Headers: map[string]string{"a b": "c"}}, `header name "a b"`},
		"header value":   {Target{URL: ok, Headers: map[string]string{"a": "hush\n"}}, "header a holds a control character"},
		"key":            {Target{URL: ok, Key: "hush\n"}, "the key holds a control character"},
		"path":           {Target{URL: ok, Path: "/%zz"}, "is not a path"},
		"no CA":          {Target{URL: ok, TLS: TLS{CA: "no-such-file.pem"}}, "tls.ca: open no-such-file.pem"},
		"odd CA":         {Target{URL: ok, TLS: TLS{CA: "doc.go"}}, "tls.ca: doc.go holds no PEM certificate"},
	} {
		_, err := New(x.target, time.Now(), 1)
		require.ErrorContains(t, err, x.says, name)
		require.NotContains(t, err.Error(), "hush", name)
	}
}

// request is what a backend saw.
type request struct {
	method, uri, host string
	header            http.Header
	body              string
}

// seen sends one call and returns what arrived.
func seen(t *testing.T, target Target, call Call) request {
	t.Helper()
	var got request
	prefix := target.URL
	target.URL = server(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = request{r.Method, r.RequestURI, r.Host, r.Header, string(b)}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"text":"a"}]}`)
	}) + prefix
	res := client(t, target).Do(t.Context(), &call, nil)
	require.Equal(t, policies.OK, res.Outcome, res.Detail)
	require.True(t, json.Valid([]byte(got.body)), got.body)
	return got
}

func TestRequests(t *testing.T) {
	t.Parallel()
	call := Call{ID: 42, FrontEnd: 2, Input: 3, Output: 5, Tenant: "a \"b\"", Model: "m/1"}
	for name, x := range map[string]struct {
		target    Target
		uri, body string
	}{
		"http-json":       {Target{}, "/", `{"id": 42, "input": 3, "output": 5}`},
		"template":        {Target{Path: "gen?x=1", Body: `{"n": {{input}}, "o": {{ output }}, "t": "{{tenant}}", "i": "{{id}}"}`}, "/gen?x=1", `{"n": 3, "o": 5, "t": "a \"b\"", "i": "42"}`},
		"prefix":          {Target{URL: "/a%2Fb/", Path: "/c"}, "/a%2Fb/c", `{"id": 42, "input": 3, "output": 5}`},
		"chat":            {Target{Transport: OpenAIChat}, "/v1/chat/completions", `{"model":"m/1","messages":[{"role":"user","content":"PROMPT"}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":5}`},
		"chat, vLLM":      {Target{Transport: OpenAIChat, Engine: "vllm", Model: "own"}, "/v1/chat/completions", `{"model":"own","messages":[{"role":"user","content":"PROMPT"}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"ignore_eos":true}`},
		"completions":     {Target{Transport: OpenAICompletions}, "/v1/completions", `{"model":"m/1","prompt":"PROMPT","stream":true,"stream_options":{"include_usage":true},"max_tokens":5}`},
		"kserve":          {Target{Transport: KServe}, "/v2/models/m%2F1/infer", `{"id":"42","inputs":[{"name":"text_input","shape":[1],"datatype":"BYTES","data":["PROMPT"]},{"name":"max_tokens","shape":[1],"datatype":"INT32","data":[5]}]}`},
		"kserve template": {Target{Transport: KServe, Body: `{"inputs":[{{id}}]}`, Path: "/infer"}, "/infer", `{"inputs":[42]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := seen(t, x.target, call)
			prompt := string(appendPrompt(nil, 42, 3))
			require.Len(t, strings.Fields(prompt), 3)
			require.Equal(t, strings.Replace(x.body, "PROMPT", prompt, 1), got.body)
			require.Equal(t, x.uri, got.uri)
			require.Equal(t, "POST", got.method)
			require.Equal(t, "f2", got.header.Get("x-taillab-frontend"))
			require.Equal(t, x.target.Engine == "vllm", got.header.Get("endpoint-load-metrics-format") == "text")
			for _, secret := range []string{HeaderDemand, HeaderInput, HeaderOutput, HeaderNoise, HeaderMsg, HeaderPriority, HeaderDeadline, "Accept-Encoding", "Authorization"} {
				require.Empty(t, got.header.Values(secret), secret)
			}
		})
	}
}

// TestTruth: the truth goes to a backend only where it is asked for.
func TestTruth(t *testing.T) {
	t.Parallel()
	got := seen(t, Target{Headers: map[string]string{"x-team": "search", "host": "other"}, Key: "k-1234567"},
		Call{Input: 7, Output: 9, Demand: 5 * time.Millisecond, Noise: 1.25, Priority: -3, Deadline: time.Hour, Truth: true})
	for name, want := range map[string]string{"x-taillab-demand-ns": "5000000", "x-taillab-input": "7", "x-taillab-output": "9", "x-taillab-noise": "1.25",
		"x-taillab-priority": "-3", "x-team": "search", "authorization": "Bearer k-1234567"} {
		require.Equal(t, want, got.header.Get(name), name)
	}
	require.NotEmpty(t, got.header.Get("x-taillab-deadline-ns"))
	require.Equal(t, "other", got.host)
}

func TestPrompts(t *testing.T) {
	t.Parallel()
	starts := map[string]int{}
	for id := range uint64(4096) {
		words := strings.Fields(string(appendPrompt(nil, id, 20)))
		require.Len(t, words, 20)
		starts[words[0]+" "+words[1]]++
		require.Equal(t, words, strings.Fields(string(appendPrompt(nil, id, 20))))
	}
	require.Greater(t, len(starts), 2000, "of 4096 pairs of first words, a cache may share few")
	require.Empty(t, appendPrompt(nil, 1, 0))
}

// TestKeyIsNeverShown prints everything in every way, and lets a backend quote the
// key, whole and in part.
func TestKeyIsNeverShown(t *testing.T) {
	t.Parallel()
	const key = "sk-5ecre7-5ecre7"
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		k := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if r.URL.Path == "/part" {
			k = k[:8] + "*****"
		}
		w.WriteHeader(401)
		_, _ = fmt.Fprintf(w, `{"error":{"message":"Incorrect API key: %s"}}`, k)
	})
	var out bytes.Buffer
	for _, path := range []string{"/whole", "/part"} {
		target := Target{URL: s, Path: path, Key: key, Headers: map[string]string{"a": "b"}}
		c := client(t, target)
		res := c.Do(t.Context(), &Call{}, nil)
		require.Equal(t, policies.HTTP4xx, res.Outcome)
		require.Equal(t, "(withheld: the text repeats part of the key)", res.Detail)
		wrapped := struct {
			t Target
			c *Client
			r Result
		}{target, c, res}
		for _, v := range []any{target, &target, []Target{target}, map[string]Target{"a": target}, c, *c.url, wrapped.c, wrapped.r} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				_, _ = fmt.Fprintf(&out, verb+"\n", v)
			}
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("target", "t", target, "p", &target, "c", c, "r", res)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("target", "t", target, "c", c, "r", res)
		require.NoError(t, json.NewEncoder(&out).Encode(map[string]any{"t": target, "r": res}))
		require.Contains(t, target.String(), "(with a key)")
		require.ErrorContains(t, c.Begin(t.Context(), Start{}), "status 401")
		_, _ = fmt.Fprintln(&out, c.Begin(t.Context(), Start{}), c.Post(t.Context(), Envelope{From: "f0", To: "r0"}))
	}
	require.NotContains(t, out.String(), "5ecre7")
	require.NotContains(t, out.String(), fmt.Sprintf("%x", key))
	for _, url := range []string{"http://127.0.0.1:1", "http://backend.invalid:99999"} {
		c, err := New(Target{URL: url, Key: key}, time.Now(), 1)
		if err == nil {
			require.NotContains(t, c.Do(t.Context(), &Call{}, nil).Detail, "5ecre7")
			continue
		}
		require.NotContains(t, err.Error(), "5ecre7")
	}
}

func TestDetail(t *testing.T) {
	t.Parallel()
	c := client(t, Target{URL: "http://127.0.0.1:1"})
	require.Equal(t, "a b c", c.detail(" a\r\n\tb\x1b\x00 c\xff "))
	require.LessOrEqual(t, len(c.detail(strings.Repeat("ä", 500))), 163)
	require.NotEmpty(t, c.detail("no key, nothing to hide"))
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	at := now0.Add(90 * time.Second).Format(http.TimeFormat)
	for _, x := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0}, {"3", "", 3 * time.Second}, {" 0 ", "", 0}, {"-3", "", 0}, {"1.5", "", 0}, {"soon", "", 0},
		{"99999999", "", 24 * time.Hour}, {at, "", 90 * time.Second},
		{at, now0.Add(60 * time.Second).Format(http.TimeFormat), 30 * time.Second}, {at, now0.Add(time.Hour).Format(http.TimeFormat), 0},
	} {
		require.Equal(t, x.want, retryAfter(http.Header{"Retry-After": {x.value}, "Date": {x.date}}, now0), "%q, %q", x.value, x.date)
	}
}

// TestTrusted: a server is trusted by its file of certificates, or by no check at all.
func TestTrusted(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(status(200))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, block, 0o600))
	for _, trust := range []TLS{{CA: ca}, {CA: ca, ServerName: "example.com"}, {Insecure: true}} {
		for _, version := range []int{1, 2} {
			c := client(t, Target{URL: s.URL, TLS: trust, HTTP: version})
			res := c.Do(t.Context(), &Call{}, nil)
			require.Equal(t, policies.OK, res.Outcome, res.Detail)
		}
	}
}
