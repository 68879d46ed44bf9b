package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTargetsProxy(t *testing.T) {
	t.Parallel()
	text := services(twoTargets) + `proxy:
  routes:
    - match: {path: /v1/, header: {x-stage: prod}}
      service: main
      tenant:   {header: x-tenant, default: anonymous}
      class:    {header: x-class, default: interactive}
      deadline: {header: x-deadline-ms, default: 30s, max: 120s}
      model:    {json: model}
      input:    {json: messages, per_token: 4}
      max_output: {json: max_tokens, default: 256}
    - {tenant: {path: 2}, class: batch, session: {header: sid}, deadline: 2s, input: {body: 3}, max_output: 9}
  buffer: 64KiB
  park: {max: 10, timeout: 2s}
  max_in_flight: 100
  strip: [x-secret]
  tape: {segment: 64KiB, limit: 2MiB, when_full: fresh}
`
	out, problems, printed := loadTargets(t, text, TargetOptions{})
	require.Empty(t, problems, printed)
	require.Equal(t, Proxy{
		Routes: []Route{
			{Path: "/v1/", Headers: []Pair{{"x-stage", "prod"}}, Service: "main",
				Tenant: Field{From: FieldHeader, Name: "x-tenant", Text: "anonymous"}, Class: Field{From: FieldHeader, Name: "x-class", Text: "interactive"},
				Session: Field{From: FieldConstant}, Model: Field{From: FieldJSON, Name: "model"},
				Input: Field{From: FieldJSON, Name: "messages", PerToken: 4}, MaxOutput: Field{From: FieldJSON, Name: "max_tokens", Number: 256},
				Deadline: Field{From: FieldHeader, Name: "x-deadline-ms", Time: 30 * time.Second, Most: 2 * time.Minute}},
			{Service: "main", Tenant: Field{From: FieldPath, Element: 2, Text: "anonymous"}, Class: Field{From: FieldConstant, Text: "batch"},
				Session: Field{From: FieldHeader, Name: "sid"}, Model: Field{From: FieldConstant}, Input: Field{From: FieldBody, PerToken: 3},
				MaxOutput: Field{From: FieldConstant, Number: 9}, Deadline: Field{From: FieldConstant, Time: 2 * time.Second}},
		},
		Buffer: 64 << 10, Park: Park{Max: 10, Timeout: 2 * time.Second}, MaxInFlight: 100, Strip: []string{"x-secret"}, Tape: ProxyTape{Segment: 64 << 10, Limit: 2 << 20, WhenFull: TapeFresh},
	}, out.Proxy)
}

// A file without routes sends everything to its only service; several need routes.
func TestTargetsProxyDefaults(t *testing.T) {
	t.Parallel()
	out, problems, _ := loadTargets(t, services(twoTargets), TargetOptions{})
	require.Empty(t, problems)
	want := DefaultProxy()
	want.Routes = []Route{{Service: "main", Tenant: Field{From: FieldConstant, Text: "anonymous"}}}
	require.Equal(t, want, out.Proxy)
	out, problems, _ = loadTargets(t, services(twoTargets)+"  b: {targets: ['http://a:1']}\n", TargetOptions{})
	require.Empty(t, problems)
	require.Empty(t, out.Proxy.Routes)
}

func TestTargetsProxyErrors(t *testing.T) {
	t.Parallel()
	_, problems, printed := loadTargets(t, services(twoTargets)+`proxy:
  routes:
    - {match: {path: v1}, service: mian}
    - {match: {header: [x]}, tenant: {header: 'a b', path: 2}}
    - {tenant: {json: x}, class: {default: a}, session: {path: 0}}
    - {input: {header: n, per_token: 4}, max_output: -1, deadline: {header: d, default: 3m, max: 2m}}
    - {input: {body: many}, deadline: 10, model: [1]}
    - 7
  buffer: 1
  park: {max: 0, timeout: 0s}
  max_in_flight: 1e9
  strip: ['a b']
  tape: {segment: 1MiB, limit: 64KiB, when_full: start}
`, TargetOptions{})
	require.NotEmpty(t, problems)
	golden(t, "targets-proxy", printed)
	_, problems, printed = loadTargets(t, services(twoTargets)+"  b: {targets: ['http://a:1']}\nproxy: {routes: [{match: {path: /x}}]}\n", TargetOptions{})
	require.Len(t, problems, 1)
	require.Contains(t, printed, "proxy.routes[0].service is missing: there are several services")
}

// What a tape may be long is held together, and a short limit is one segment.
func TestTargetsProxyTape(t *testing.T) {
	t.Parallel()
	load := func(tape string) (ProxyTape, string) {
		out, problems, printed := loadTargets(t, services(twoTargets)+"proxy: {tape: {"+tape+"}}\n", TargetOptions{})
		if len(problems) > 0 {
			return ProxyTape{}, printed
		}
		return out.Proxy.Tape, ""
	}
	got, printed := load("limit: 1MiB")
	require.Empty(t, printed)
	require.Equal(t, ProxyTape{Segment: 1 << 20, Limit: 1 << 20, WhenFull: TapeStop}, got)
	for tape, want := range map[string]string{
		"segment: 1MiB, limit: 64KiB": "proxy.tape.segment is longer than limit, which is 64KiB",
		"segment: 1KiB":               "proxy.tape.segment is 1KiB: it must lie in 16KiB…64GiB",
		"limit: 1KiB":                 "proxy.tape.limit is 1KiB: it must lie in 64KiB…1024GiB",
		"when_full: start":            `"start"`,
	} {
		_, printed := load(tape)
		require.Contains(t, printed, want)
	}
}

func TestReadSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"1KiB": 1024, "1.5MiB": 3 << 19, "2GB": 2e9, "7 B": 7, "1_000kB": 1e6} {
		v, wrong := readSize(text)
		require.Nil(t, wrong, text)
		require.Equal(t, want, v, text)
	}
	for _, text := range []string{"", "5", "5X", "KiB", "-1B", "1e3B", "9999999999999999999GiB", "1.2.3B"} {
		_, wrong := readSize(text)
		require.NotNil(t, wrong, text)
	}
}
