package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/scenarios"
)

// goldenRoutes are the routes of the documents.
const goldenRoutes = `proxy:
  routes:
    - match: {path: /v1/, header: {x-stage: prod}}
      service: main
      tenant:   {header: x-tenant, default: anonymous}
      class:    {header: x-class, default: interactive}
      deadline: {header: x-deadline-ms, default: 30s, max: 120s}
      model:    {json: model}
      input:    {json: messages, per_token: 4}
      max_output: {json: max_tokens, default: 256}
    - match: {path: /t/}
      tenant: {path: 2}
      class: batch
      deadline: 5s
      input: {body: 2}
      max_output: 7
      session: {header: x-session}
    - match: {path: /h/}
      input: {header: x-input, default: 9}
      max_output: {header: x-max}
`

// routes compiles a block proxy.
func routes(t testing.TB, text string) *rules {
	t.Helper()
	out, problems := scenarios.LoadTargets(scenarios.Source{Name: "t", Data: []byte("version: 1\nservices: {main: {targets: ['http://a:1']}}\n" + text)}, scenarios.TargetOptions{})
	require.Empty(t, problems)
	return compile(out.Proxy, nil, func(string) int { return 0 })
}

// mapped maps a request; nil without a route.
func mapped(t testing.TB, r *rules, path, body string, header ...string) (*fields, error) {
	t.Helper()
	in, err := http.NewRequest(http.MethodPost, path, strings.NewReader(body)) //nolint:noctx // it is never sent
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		in.Header.Set(header[i], header[i+1])
	}
	route := r.match(in)
	if route == nil {
		return nil, nil
	}
	m, err := route.head(in)
	if err != nil {
		return nil, err
	}
	if route.body {
		m.read(route, []byte(body), int64(len(body)))
	}
	return &m, nil
}

func TestGoldenMapping(t *testing.T) {
	t.Parallel()
	r := routes(t, goldenRoutes)
	messages := `[{"content":"` + strings.Repeat("x", 400-16) + `"}]`
	require.Len(t, messages, 400)
	body := fmt.Sprintf(`{"model":"llama","messages":%s,"max_tokens":64,"stream":true}`, messages)
	m, err := mapped(t, r, "/v1/chat/completions", body, "x-stage", "prod", "x-tenant", "a", "x-deadline-ms", "500")
	require.NoError(t, err)
	require.Equal(t, &fields{tenant: "a", class: "interactive", model: "llama", input: 100, maxOutput: 64, deadline: 500 * time.Millisecond}, m)

	for value, want := range map[string]time.Duration{"0": 30 * time.Second, "abc": 30 * time.Second, "-3": 30 * time.Second, "": 30 * time.Second,
		"999999": 120 * time.Second, "99999999999999999999999": 120 * time.Second} {
		m, err := mapped(t, r, "/v1/x", body, "x-stage", "prod", "x-deadline-ms", value)
		require.NoError(t, err)
		require.Equal(t, want, m.deadline, value)
		require.Equal(t, value != "" && want == 30*time.Second, len(m.defaulted) == 1, value)
	}
}

func TestMappingOfOtherFields(t *testing.T) {
	t.Parallel()
	r := routes(t, goldenRoutes)
	m, err := mapped(t, r, "/v1/x", "", "x-stage", "test")
	require.NoError(t, err)
	require.Nil(t, m, "no route matches")
	m, err = mapped(t, r, "/t/acme/x", "12345678", "x-session", "s1")
	require.NoError(t, err)
	require.Equal(t, &fields{tenant: "acme", class: "batch", session: "s1", input: 4, maxOutput: 7, deadline: 5 * time.Second}, m)
	m, err = mapped(t, r, "/t", "")
	require.NoError(t, err)
	require.Nil(t, m)
	for header, want := range map[string]fields{
		"17":           {input: 17},
		"x":            {input: 9, defaulted: []string{"input"}},
		"999999999999": {input: 9, defaulted: []string{"input"}},
		"":             {input: 9},
	} {
		m, err := mapped(t, r, "/h/", "", "x-input", header)
		require.NoError(t, err)
		want.tenant = "anonymous"
		require.Equal(t, &want, m, header)
	}
	for body, want := range map[string]fields{
		`{"max_tokens": 1e2, "messages": 5}`:          {input: 5, maxOutput: 100, defaulted: []string{"model"}},
		`{"max_tokens": -1, "messages": null}`:        {maxOutput: 256, defaulted: []string{"model", "input", "max_output"}},
		`{"max_tokens": "9", "model": 7}`:             {maxOutput: 256, defaulted: []string{"model", "input", "max_output"}},
		`[1]`:                                         {maxOutput: 256, defaulted: []string{"model", "input", "max_output"}},
		`{"max_tokens": 3, "messages": "abcd`:         {maxOutput: 3, defaulted: []string{"model", "input"}},
		`{"model":"m","max_tokens":1,"max_tokens":2}`: {model: "m", maxOutput: 1, defaulted: []string{"input"}},
	} {
		m, err := mapped(t, r, "/v1/x", body, "x-stage", "prod")
		require.NoError(t, err)
		want.tenant, want.class, want.deadline = "anonymous", "interactive", 30*time.Second
		require.Equal(t, &want, m, body)
	}
}

func TestBadHeadersAreRefused(t *testing.T) {
	t.Parallel()
	r := routes(t, goldenRoutes)
	for _, v := range []string{strings.Repeat("a", 257), "a\x01", "\xff"} {
		_, err := mapped(t, r, "/v1/x", "", "x-stage", "prod", "x-tenant", v)
		require.ErrorIs(t, err, errField)
		_, err = mapped(t, r, "/v1/x", "", "x-stage", "prod", "x-deadline-ms", v)
		require.ErrorIs(t, err, errField)
	}
	_, err := mapped(t, r, "/v1/x", "", "x-stage", "prod", "x-tenant", strings.Repeat("ü", 128))
	require.NoError(t, err)
}

func TestNamesShareOther(t *testing.T) {
	t.Parallel()
	n := newNames(2)
	require.Equal(t, []uint32{0, 1, 0, 2, 2}, []uint32{n.id("a"), n.id("b"), n.id("a"), n.id("c"), n.id("d")})
	require.Equal(t, []string{"a", "b", other}, []string{n.name(0), n.name(1), n.name(2)})
}

// FuzzTopLevel: whatever a client sends, what is found is JSON, and no more than was
// asked for.
func FuzzTopLevel(f *testing.F) {
	for _, s := range []string{"", "{}", `{"a":1,"b":[{}],"a":2}`, `{"a":`, `{"a" 1}`, `[[[[`, `{"a":"\ud800"}`, "\x00{", `{"b":{"a":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		found := topLevel(text, []string{"a", "b"})
		for k, v := range found {
			if k != "a" && k != "b" || !json.Valid(v) {
				t.Fatalf("%q: %s", k, v)
			}
		}
	})
}
