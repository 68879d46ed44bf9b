package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

// fullTargets is the example of the reference, agents at both targets.
const fullTargets = `version: 1
services:
  main:                                     # names as in the scenario
    transport: openai-chat
    path: /v1/chat/completions
    model: llama-3.1-8b
    engine: vllm
    http: 1
    slots: 8
    headers: {x-team: search, X-Stage: prod}
    key_env: SEARCH_KEY
    tls: {ca: ca.pem, server_name: gpu.internal}
    timeouts: {dial: 1s, header: 20s, stall: 10s, total: 60s}
    ready: /health
    profile: h100-8b
    reporter: agent
    source: static
    targets:
      - url: http://10.0.0.1:8000/
        weight: 2
        labels: {gpu: h100, zone: a}
        slots: 16
        agent: http://10.0.0.1:9090
        metrics: http://10.0.0.1:8000/metrics
        dcgm: http://10.0.0.1:9400/metrics
        hooks: {crash: [systemctl, kill, llm], freeze: [./freeze.sh]}
      - {url: "http://10.0.0.2:8000", agent: "http://10.0.0.2:9090"}
frontends: {listen: 10.0.0.9:7070}
proxy:
  routes: [{match: {path: /v1/, header: {x-stage: prod}}, service: main, tenant: a}]
`

// secretKey is what SEARCH_KEY holds in tests.
const secretKey = "sk-very-secret-4711"

func testEnv(name string) (string, bool) {
	switch name {
	case "SEARCH_KEY":
		return secretKey, true
	case "EMPTY":
		return "", true
	case "BROKEN":
		return "a\nb", true
	}
	return "", false
}

// loadTargets loads a targets file, and prints its problems.
func loadTargets(t testing.TB, text string, opt TargetOptions) (*Targets, []Problem, string) {
	t.Helper()
	src := Source{Name: "targets.yaml", Data: []byte(text)}
	opt.Env = testEnv
	out, problems := LoadTargets(src, opt)
	require.Equal(t, out == nil, len(problems) > 0)
	var b bytes.Buffer
	Print(&b, problems, []Source{src}, 100, false)
	return out, problems, b.String()
}

func TestTargets(t *testing.T) {
	t.Parallel()
	out, problems, _ := loadTargets(t, fullTargets, TargetOptions{})
	require.Empty(t, problems)
	require.Equal(t, "targets.yaml", out.File)
	require.Equal(t, "10.0.0.9:7070", out.FrontEndListen)
	require.Len(t, out.Services, 1)
	s := out.Service("main")
	require.Equal(t, secretKey, s.Key.Reveal())
	s.Key = Secret{}
	require.Equal(t, TargetService{
		Name: "main", Transport: TransportChat, Path: "/v1/chat/completions", Model: "llama-3.1-8b", Engine: "vllm", HTTP: 1, Slots: 8,
		Headers: map[string]string{"x-team": "search", "X-Stage": "prod"}, HeaderNames: []string{"x-team", "X-Stage"}, KeyEnv: "SEARCH_KEY",
		TLS:      TLS{CA: "ca.pem", ServerName: "gpu.internal"},
		Timeouts: Timeouts{Dial: time.Second, Header: 20 * time.Second, Stall: 10 * time.Second, Total: time.Minute},
		Ready:    "/health", Profile: "h100-8b", Reporter: ReporterAgent, ownReporter: true, Source: MemberSource{Kind: SourceStatic},
		Targets: []TargetURL{
			{URL: "http://10.0.0.1:8000", Weight: 2, Labels: map[string]string{"gpu": "h100", "zone": "a"}, Slots: 16, Agent: "http://10.0.0.1:9090",
				Metrics: "http://10.0.0.1:8000/metrics", DCGM: "http://10.0.0.1:9400/metrics",
				Hooks: map[string][]string{"crash": {"systemctl", "kill", "llm"}, "freeze": {"./freeze.sh"}}},
			{URL: "http://10.0.0.2:8000", Weight: 1, Slots: 8, Agent: "http://10.0.0.2:9090"},
		},
	}, *s)
	require.Nil(t, out.Service("other"))
}

func TestTargetDefaults(t *testing.T) {
	t.Parallel()
	out, problems, _ := loadTargets(t, "version: 1\nservices: {main: {targets: ['http://a:1', 'HTTPS://B/x/']}}", TargetOptions{})
	require.Empty(t, problems)
	require.Equal(t, "127.0.0.1:0", out.FrontEndListen)
	require.Equal(t, TargetService{
		Name: "main", Transport: TransportHTTP, Path: "/", HTTP: 1, Slots: 1, Ready: "/", Source: MemberSource{Kind: SourceStatic},
		Timeouts: Timeouts{Dial: 2 * time.Second, Header: 30 * time.Second, Stall: 30 * time.Second, Total: 2 * time.Minute},
		Targets:  []TargetURL{{URL: "http://a:1", Weight: 1, Slots: 1}, {URL: "https://B/x", Weight: 1, Slots: 1}},
	}, out.Services[0])
	for transport, paths := range map[string][2]string{
		TransportHTTP: {"/", "/"}, TransportChat: {"/v1/chat/completions", "/"}, TransportCompletions: {"/v1/completions", "/"},
		TransportKServe: {"/v2/models/{model}/infer", "/v2/health/ready"},
	} {
		out, problems, _ := loadTargets(t, "version: 1\nservices: {main: {transport: "+transport+", targets: ['http://a:1']}}", TargetOptions{})
		require.Empty(t, problems)
		require.Equal(t, paths, [2]string{out.Services[0].Path, out.Services[0].Ready}, transport)
	}
}

func TestTargetSources(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]MemberSource{
		"source: {dns: gpu.internal:8000}":                     {Kind: SourceDNS, Scheme: "http", Host: "gpu.internal", Port: 8000, Every: 5 * time.Second},
		"source: {dns: '[::1]:80', every: 1m}, tls: {ca: x.p}": {Kind: SourceDNS, Scheme: "https", Host: "::1", Port: 80, Every: time.Minute},
		"source: {file: members.txt}":                          {Kind: SourceFile, File: "members.txt", Every: time.Second},
		"source: {file: m, every: 250ms}":                      {Kind: SourceFile, File: "m", Every: 250 * time.Millisecond},
		"source: static, targets: ['http://a']":                {Kind: SourceStatic},
	} {
		out, problems, _ := loadTargets(t, "version: 1\nservices: {main: {"+text+"}}", TargetOptions{})
		require.Empty(t, problems, text)
		require.Equal(t, want, out.Services[0].Source, text)
	}
}

// targetRow is a mistake and what is said about it: path, message, hint.
type targetRow struct{ name, text, scenario, path, message, hint string }

// services writes a targets file with the keys of the service main.
func services(keys ...string) string {
	out := "version: 1\nservices:\n  main:\n"
	for _, k := range keys {
		out += "    " + strings.ReplaceAll(k, "\n", "\n    ") + "\n"
	}
	return out
}

const twoTargets = "targets: ['http://10.0.0.1:8000', 'http://10.0.0.2:8000']"

// rated is a scenario with plain rates, which live runs need no profile for.
func rated(lines ...string) string {
	base := []string{"workload: {arrivals: {poisson: {rate: 40/s}}, input: 512, output: 180}", "policies: {balance: [random]}", "-sweep"}
	for _, l := range lines {
		key, _, _ := strings.Cut(l, ":")
		for i, b := range base {
			if strings.HasPrefix(b, key+":") {
				base[i] = "-" + key
			}
		}
	}
	return with(append(base, lines...)...)
}

func goldenRows() []targetRow {
	two := `version: 1
name: two
workload: {arrivals: {poisson: {rate: 4/s}}, demand: 100ms, models: [{name: a, weight: 3, service: main}, {name: b, weight: 1, service: rerank}]}
services: {main: {fleet: {replicas: 6}}, rerank: {fleet: {replicas: 1}}}
`
	many := "targets: ['http://a:1', 'http://b:1', 'http://c:1', 'http://b:1/']"
	agents := "targets:\n  - {url: 'http://a:1', agent: 'http://a:2'}\n  - http://b:1"
	return []targetRow{
		{"transport", services("transport: openai", twoTargets), "", "services.main.transport", `unknown transport "openai"`, `did you mean "openai-chat" or "openai-completions"?`},
		{"transport-grpc", services("transport: kserve-grpc", twoTargets), "", "services.main.transport", `unknown transport "kserve-grpc"`, "one of http-json, openai-chat, openai-completions, kserve"},
		{"empty", services("targets: []"), "", "services.main.targets", "is empty", "list at least one url, or set source: {dns: …}"},
		{"no-scheme", services("targets:\n  - 10.0.0.1:8000"), "", "services.main.targets[0]", `"10.0.0.1:8000" has no scheme`, "write http://10.0.0.1:8000"},
		{"password", services("targets:\n  - url: http://u:p@h"), "", "services.main.targets[0].url", "holds a password", "use key_env"},
		{"twice", services(many), "", "services.main.targets[3].url", "repeats targets[1]", "remove one, or use weight"},
		{"weight", services("targets:\n  - {url: 'http://a:1', weight: 0}"), "", "services.main.targets[0].weight", "is 0: it must be greater than 0", "to stop sending, remove the target"},
		{"authorization", services("headers: {authorization: Bearer "+secretKey+"}", twoTargets), "", "services.main.headers.authorization", "secrets do not belong in files", "use key_env"},
		{"key-unset", services("key_env: OTHER_KEY", twoTargets), "", "services.main.key_env", "environment variable OTHER_KEY is not set", "export it"},
		{"service-missing", services(twoTargets), two, "services.rerank", `the scenario calls service "rerank", the file has main`, "add it"},
		{"service-unknown", "version: 1\nservices: {mian: {targets: ['http://a:1']}}", rated(), "services.mian", `the scenario has no service "mian"`, `did you mean "main"?`},
		{"agent", services("reporter: agent", agents), "", "services.main.targets[1].agent", "is missing, and reporter is agent", "add it, or reporter: replica"},
		{"agent-of-scenario", services(agents), rated("reporter: agent"), "services.main.targets[1].agent", "is missing, and reporter is agent", "add it, or reporter: replica"},
		{"half", services(twoTargets), rated("policies: {balance: [random, jiq]}"), "services.main.reporter", "jiq needs a replica half", "agent, replica, or inferred with one front end"},
		{"fault", services(twoTargets), rated("faults: [{at: 10s, for: 5s, target: {replica: 1}, kind: freeze}]"), "services.main.targets[1].hooks.freeze", "the scenario freezes this replica at 10s", "add the hook, or run --live emulator"},
		{"timeout", services("timeouts: {total: 0s}", twoTargets), "", "services.main.timeouts.total", "is 0s: it must be greater than 0", ""},
		{"both", services("source: dns", twoTargets), "", "services.main.source", "both a source and a list", "keep one"},
		{"both-map", services("source: {dns: 'a:1'}", twoTargets), "", "services.main.source", "both a source and a list", "keep one"},
		{"unit", services("source: {dns: 'a:1', every: 10}"), "", "services.main.source.every", "10 has no unit", "add a unit, e.g. 10s"},
	}
}

// TestTargetGoldens holds every row of the reference's table of mistakes: each is
// the only problem of its file, and none shows a secret.
func TestTargetGoldens(t *testing.T) {
	t.Parallel()
	for _, c := range goldenRows() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			opt := TargetOptions{Live: true}
			if c.scenario != "" {
				opt.Plan = plan(t, c.scenario)
			}
			_, problems, printed := loadTargets(t, c.text, opt)
			require.Len(t, problems, 1, "%v", problems)
			p := problems[0]
			require.Equal(t, []string{c.path, c.message, c.hint}, []string{p.Path, p.Message, p.Hint})
			require.Equal(t, "targets.yaml", p.File)
			require.Positive(t, p.Line)
			require.Greater(t, p.EndColumn, p.Column)
			require.Contains(t, printed, c.message)
			require.NotContains(t, printed, secretKey)
			require.NotContains(t, printed, "u:p")
		})
	}
}

// golden compares with a file of testdata/errors, or rewrites it.
func golden(t testing.TB, name, printed string) {
	t.Helper()
	file := filepath.Join("testdata", "errors", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(printed), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), printed)
}

// targetCases are the mistakes beside those of the reference's table.
func targetCases() []struct{ name, text, scenario string } {
	return []struct{ name, text, scenario string }{
		{"secrets", services("headers: {Authorization: Bearer "+secretKey+", x: [1]}", "timeouts: {total: 0s, dial: 2}", "targets:",
			"  - http://user:"+secretKey+"@10.0.0.1:8000", "  - {url: 'http://a:1', wieght: 3, agent: 'b:1'}", "  - 'http://h/?key="+secretKey+"'", "  - "+secretKey+"@h:1"), ""},
		{"key", services("key_env: "+secretKey, twoTargets) + "  b:\n    key_env: EMPTY\n    targets: ['http://a:1']\n  c:\n    key_env: BROKEN\n    targets: ['http://a:1']\n", ""},
		{"key-in-file", services("api_key: "+secretKey, "headers: 'Authorization: Bearer "+secretKey+"'", twoTargets), ""},
		{"empty", "", ""},
		{"no-map", "[1]", ""},
		{"two-documents", services(twoTargets) + "---\n" + services(twoTargets), ""},
		{"head", "version: 2\nfrontends: {listen: 7070, base: 3, lisen: 1}\nproxy: {}\n", ""},
		{"services", "services: []", ""},
		{"services-key", "version: 1\nservice: {main: 3}", ""},
		{"service-kinds", "version: 1\nservices: {a: 3, b: {targets: {}}, c: , d: {targts: []}}", ""},
		{"values", services("path: v1", "ready: 'a b'", "engine: vlm", "http: 3", "slots: 0", "profile: h100-8g", "reporter: agnt", "body: '{\"n\": {{inptu}}}'",
			"tls: {insecure: true, ca: x, cert: y}", "timeouts: [1]", "headers: {'a b': c, x-taillab-msg: 1, A: 1, a: 2, n: \"a\\nb\"}", twoTargets), ""},
		{"body", services("transport: kserve", "body: '{}'", twoTargets), ""},
		{"urls", services("targets:", "  - 'ftp://a:1'", "  - 'http://'", "  - 'http://a:99999'", "  - 'http://a:'", "  - 'http://[::1'", "  - 'http://a b'", "  - {}", "  - [1]", "  - {url: , weight: x, slots: 5000}", "  -", "  - 'http://%zz'"), ""},
		{"hooks", services("targets:", "  - {url: 'http://a:1', hooks: {frezee: [x], crash: [], freeze: ./x, slow: ['']}, labels: [1]}"), ""},
		{"sources", "version: 1\nservices:\n  a: {source: dns}\n  b: {source: {dns: gpu, every: 0s}}\n  c: {source: {file: '', every: soon}}\n  d: {source: {every: 1s}}\n  e: {source: {dns: 'a:0', file: b}}\n  f: {source: {dns: 'http://a:1', evry: 1s}}\n", ""},
		{"agents-of-dns", services("reporter: agent", "source: {dns: 'a:1'}"), ""},
		{"inferred", services("reporter: inferred", twoTargets), rated("frontends: {count: 4}", "policies: {balance: jiq}")},
		{"load", services(twoTargets), with("policies: {balance: random}")},
		{"faults", services("targets:", "  - {url: 'http://a:1', hooks: {slow: [x]}}", "  - http://b:1"), rated("faults: [" + strings.Join([]string{
			"{at: 1s, kind: slow, factor: 2, target: {replica: all}}", "{every: 30s, for: 1s, kind: crash, target: {replica: [0, 5]}}", "{at: 2s, kind: crash, target: {replica: 0}}",
			"{at: 2s, kind: error, target: {replica: 0}}", "{at: 2s, kind: refuse, target: {replica: 0}}", "{at: 2s, kind: reset, target: {replica: 0}}",
			"{at: 2s, kind: drop_report, target: {replica: 0}}", "{at: 2s, kind: delay_report, delay: 1s, target: {replica: 0}}", "{at: 3s, kind: crash, target: {frontend: 0}}",
		}, ", ") + "]")},
		{"faults-of-dns", services("source: {file: m.txt}"), rated("faults: [{at: 1s, kind: freeze, target: {replica: all}}]")},
	}
}

func TestTargetErrors(t *testing.T) {
	t.Parallel()
	for _, c := range targetCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			opt := TargetOptions{Live: true}
			if c.scenario != "" {
				opt.Plan = plan(t, c.scenario)
			}
			_, problems, printed := loadTargets(t, c.text, opt)
			require.NotEmpty(t, problems)
			for _, p := range problems {
				require.NotContains(t, p.Message, "%!", "a verb without its argument")
				require.True(t, p.Column >= 1 && p.EndColumn > p.Column, "%+v", p)
				require.NotContains(t, p.Error(), secretKey)
			}
			require.NotContains(t, printed, secretKey)
			golden(t, "targets-"+c.name, printed)
		})
	}
}

// TestTargetsOfPlan: what the scenario says fills what the file leaves out.
func TestTargetsOfPlan(t *testing.T) {
	t.Parallel()
	p := plan(t, rated("policies: {balance: jiq}", "reporter: replica", "faults: [{at: 1s, kind: freeze, target: {replica: 0}}]"))
	out, problems, _ := loadTargets(t, services(twoTargets), TargetOptions{Plan: p})
	require.Empty(t, problems, "without Live neither faults nor loads are judged")
	require.Equal(t, ReporterReplica, out.Services[0].Reporter)
	require.Equal(t, []string{"main has 2 targets, the scenario simulates 8 replicas"}, out.Notes)

	hooked := services("reporter: inferred", "targets:\n  - {url: 'http://a:1', hooks: {freeze: [x]}}")
	out, problems, _ = loadTargets(t, hooked, TargetOptions{Plan: p, Live: true})
	require.Empty(t, problems)
	require.Equal(t, ReporterInferred, out.Services[0].Reporter, "the file wins")

	p = plan(t, rated("policies: {balance: [p2c, random, jiq]}", "measure: {live: {arms: [p2c, random]}}"))
	_, problems, _ = loadTargets(t, services(twoTargets), TargetOptions{Plan: p, Live: true})
	require.Empty(t, problems, "jiq stays out of the live run")

	p = plan(t, with("policies: {balance: random}"))
	_, problems, _ = loadTargets(t, services("profile: mine.yaml", twoTargets), TargetOptions{Plan: p, Live: true})
	require.Empty(t, problems, "a profile says what a load means")
}

func TestCheckLive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"fine", rated("policies: {balance: [random, p2c, {name: p2c, load: probed, as: probed}, jiq]}"), nil},
		{"oracle", rated("policies: {balance: [random, jsq, {name: jsq, in_transit: true, as: b}]}"), []string{
			`s.yaml:5:30 policies.balance[1] balancer "jsq" reads true queue lengths, which no live dispatcher can see; use least-outstanding or p2c`,
			`s.yaml:5:35 policies.balance[2] balancer "jsq" reads true queue lengths, which no live dispatcher can see; use least-outstanding or p2c`,
		}},
		{"oracle beside arms", rated("policies: {balance: [p2c, jsq, jiq]}", "measure: {live: {arms: [p2c, jiq]}}"), nil},
		{"oracle as an arm", rated("policies: {balance: [p2c, jsq]}", "measure: {live: {arms: [p2c, jsq]}}"), []string{
			`s.yaml:5:27 policies.balance[1] balancer "jsq" reads true queue lengths, which no live dispatcher can see; use least-outstanding or p2c`,
		}},
		{"shared", rated("policies: {balance: central-queue}"), nil},
		{"shared by many", rated("frontends: {count: 4}", "policies: {balance: central-queue}"), []string{
			`s.yaml:6:21 policies.balance balancer "central-queue" is one instance behind all front ends, which 4 live dispatchers cannot share; use jiq, or one front end`,
		}},
		{"inferred", rated("reporter: inferred", "policies: {balance: jiq}"), nil},
		{"inferred by many", rated("reporter: inferred", "frontends: {count: 4}", "policies: {balance: [jiq, p2c]}"), []string{
			`s.yaml:5:11 reporter reporter inferred needs one front end, the scenario has 4: use agent or replica`,
		}},
		{"shards", rated("policies: {balance: p2c, quota: central}", "quota: {group_limit: {rate: 1/s}, store: {shards: 3, live: {spawn: 3}}}", "faults: [{at: 1s, target: {shard: 2}, kind: crash}]"), nil},
		{"shards of others", rated("policies: {balance: p2c, quota: central}", "quota: {group_limit: {rate: 1/s}, store: {shards: 2, live: {redis: ['h:1', 'h:2']}}}", "faults: [{at: 1s, target: {shard: 1}, kind: crash}]"), []string{
			`s.yaml:7:35 faults[0].target.shard the servers of quota.store.live.redis are not ours to crash; use {spawn: 2}`,
		}},
		{"shards that are not started", rated("policies: {balance: p2c, quota: central}", "quota: {group_limit: {rate: 1/s}, store: {shards: 3, live: {spawn: 2}}}", "faults: [{at: 1s, target: {shard: all}, kind: crash}]"), []string{
			`s.yaml:7:35 faults[0].target.shard there is no shard 2: quota.store.live starts 2; use {spawn: 3}`,
		}},
		{"operations", rated("faults: [{at: 1s, target: {frontend: 0}, kind: crash}, {at: 1s, target: {frontend: all}, kind: rolling_update}]"), []string{
			`s.yaml:6:56 faults[1] a rolling_update is simulated only: a live run has one process for all front ends; leave it out`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range CheckLive(plan(t, c.text), nil) {
				require.Empty(t, p.Hint)
				got = append(got, fmt.Sprintf("%s:%d:%d %s %s", p.File, p.Line, p.Column, p.Path, p.Message))
			}
			require.Equal(t, c.want, got)
		})
	}
}

// TestCheckLiveTargets: a targets file that names a reporter wins over the scenario.
func TestCheckLiveTargets(t *testing.T) {
	t.Parallel()
	p := plan(t, rated("reporter: inferred", "frontends: {count: 4}", "policies: {balance: jiq}"))
	require.Len(t, CheckLive(p, nil), 1)
	own, problems, _ := loadTargets(t, services("reporter: replica", twoTargets), TargetOptions{Plan: p})
	require.Empty(t, problems)
	require.Empty(t, CheckLive(p, own))
	silent, problems, _ := loadTargets(t, services(twoTargets), TargetOptions{Plan: p})
	require.Empty(t, problems)
	require.Len(t, CheckLive(p, silent), 1)
}

// cover decorates a balancer and adds nothing.
type cover struct{ balance.Inner }

func (c *cover) Pick(env *balance.Env, req *policies.Request) balance.Choice {
	return c.Bal.Pick(env, req)
}

// TestDecorated: what a decorator hides is found, under its own name.
func TestDecorated(t *testing.T) {
	t.Parallel()
	around := func(name string) Policy {
		p, problems := MakeBalancer(balance.Catalog(), name, nil)
		require.Empty(t, problems)
		return Policy{
			Type:   "cover",
			Params: map[string]any{"inner": map[string]any{"name": "cover", "inner": map[string]any{"name": name}}},
			Make: func() balance.Balancer {
				var inner, outer cover
				inner.Wrap(p.Make())
				outer.Wrap(&inner)
				return &outer
			},
		}
	}
	setup := &Setup{Live: DefaultLive()}
	half := func(name string) []string {
		return halved(&Plan{Cells: []*Cell{{Setup: setup, Balancers: []Policy{around(name)}}}}, 0)
	}
	require.Equal(t, `balancer "jsq" reads true queue lengths, which no live dispatcher can see; use least-outstanding or p2c`, refusedLive(around("jsq"), 1))
	require.Contains(t, refusedLive(around("central-queue"), 2), `balancer "central-queue" is one instance behind all front ends`)
	require.Empty(t, refusedLive(around("central-queue"), 1))
	require.Empty(t, refusedLive(around("p2c"), 9))
	require.Equal(t, []string{"jiq"}, half("jiq"))
	require.Empty(t, half("random"))
}

// TestSecret: no way of printing shows the text, not even from inside a struct
// whose field is not exported.
func TestSecret(t *testing.T) {
	t.Parallel()
	s := NewSecret(secretKey)
	require.Equal(t, secretKey, s.Reveal())
	require.True(t, s.Set())
	hidden := struct{ inner struct{ key Secret } }{}
	hidden.inner.key = s
	service := TargetService{Name: "main", Key: s}
	for _, verb := range strings.Fields("%v %+v %#v %s %q %x %d") {
		for _, v := range []any{s, &s, hidden, service, []Secret{s}, map[string]Secret{"a": s}, Targets{Services: []TargetService{service}}} {
			require.NotContains(t, fmt.Sprintf(verb, v), secretKey, verb)
			require.NotContains(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", secretKey), verb)
		}
	}
	data, err := json.Marshal(service)
	require.NoError(t, err)
	require.Contains(t, string(data), `"Key":"[hidden]"`)
	require.NotContains(t, string(data), secretKey)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "service", service, "key", s)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "service", service, "key", s)
	require.NotContains(t, log.String(), secretKey)
	require.Contains(t, log.String(), "[hidden]")
	require.Empty(t, Secret{}.Reveal())
	require.Empty(t, Secret{}.String())
	require.False(t, Secret{}.Set())
}

func TestLoadMembers(t *testing.T) {
	t.Parallel()
	urls, problems := LoadMembers(Source{Name: "m.txt", Data: []byte("# ours\r\n\n  http://a:1/ # first\nhttps://b/x\n")})
	require.Empty(t, problems)
	require.Equal(t, []string{"http://a:1", "https://b/x"}, urls)

	urls, problems = LoadMembers(Source{Name: "m.txt"})
	require.Empty(t, problems)
	require.Empty(t, urls)

	src := Source{Name: "m.txt", Data: []byte("http://a:1\nb:1\nhttp://u:" + secretKey + "@c\n\thttp://A:1/\n")}
	urls, problems = LoadMembers(src)
	require.Empty(t, urls)
	var b bytes.Buffer
	Print(&b, problems, []Source{src}, 100, false)
	require.NotContains(t, b.String(), secretKey)
	golden(t, "targets-members", b.String())
}

// TestTargetKeysAreRead sets a wrong value under every row: a key that the
// decoder forgot would pass in silence.
func TestTargetKeysAreRead(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range TargetKeys() {
		require.False(t, seen[k.Path], k.Path)
		seen[k.Path] = true
		require.NotEmpty(t, k.About, k.Path)
		path := strings.NewReplacer("NAME", "main", "[]", ".0").Replace(k.Path)
		var ps problemList
		root := parse(newText(Source{Name: "t", Data: []byte(fullTargets)}), []byte(fullTargets), &ps)
		wrong := &node{kind: seqNode, flow: true, src: &text{name: "t"}, line: 1, col: 1, end: 2, items: []*node{{kind: mapNode, src: &text{name: "t"}, line: 1, col: 1, end: 2}}}
		root, why := set(root, splitPath(path), wrong)
		require.Empty(t, why)
		l := targetLoader{opt: TargetOptions{Env: testEnv}}
		l.decoder = decoder{ps: &l.list}
		l.tree(root, "t")
		require.NotEmpty(t, l.list.list, k.Path)
		if k.Later {
			require.Equal(t, k.Path+" is not available in this version", l.list.list[0].Message)
		}
	}
}

// FuzzTargets: whatever a file holds, the result is targets or problems, never
// both, never neither, and the problems can be printed.
func FuzzTargets(f *testing.F) {
	f.Add(fullTargets, true)
	for _, c := range goldenRows() {
		f.Add(c.text, false)
	}
	for _, c := range targetCases() {
		f.Add(c.text, true)
	}
	live := plan(f, rated("frontends: {count: 4}", "policies: {balance: [jsq, jiq]}", "faults: [{at: 1s, kind: freeze, target: {replica: all}}]"))
	f.Fuzz(func(t *testing.T, text string, with bool) {
		opt := TargetOptions{Env: testEnv, Live: true}
		if with {
			opt.Plan = live
		}
		src := Source{Name: "t.yaml", Data: []byte(text)}
		out, problems := LoadTargets(src, opt)
		if (out == nil) == (len(problems) == 0) {
			t.Fatalf("%v and %d problems", out, len(problems))
		}
		var b bytes.Buffer
		Print(&b, problems, []Source{src}, 40, true)
		if out != nil && with {
			CheckLive(live, out)
		}
		if urls, problems := LoadMembers(src); len(urls) > 0 && len(problems) > 0 {
			t.Fatal("a bad file of members changes something")
		}
	})
}
