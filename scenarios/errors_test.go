package scenarios

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// good is a scenario without a problem; cases change one thing in it.
const good = `version: 1
name: good
workload: {input: 512, output: 180}
fleet: {replicas: 8, gpu: h100-8b}
policies: {balance: [random, p2c, jiq]}
sweep: {load: [0.6, 0.8]}
`

// with appends keys to the good scenario, in place of those it has.
func with(lines ...string) string {
	out := ""
	for _, l := range strings.Split(strings.TrimSuffix(good, "\n"), "\n") {
		key, _, _ := strings.Cut(l, ":")
		replaced := false
		for _, n := range lines {
			replaced = replaced || strings.HasPrefix(n, key+":") || n == "-"+key
		}
		if !replaced {
			out += l + "\n"
		}
	}
	for _, n := range lines {
		if !strings.HasPrefix(n, "-") {
			out += n + "\n"
		}
	}
	return out
}

// load loads one scenario with the shipped catalogue.
func load(t testing.TB, text string, sets ...string) ([]*Plan, []Problem, string) {
	t.Helper()
	src := []Source{{Name: "s.yaml", Data: []byte(text)}}
	plans, problems := Load(src, Options{Catalog: Catalog(), Seed: 1, Set: sets})
	var b bytes.Buffer
	Print(&b, problems, src, 100, false)
	return plans, problems, b.String()
}

// plan loads a scenario that must be sound; the schema must think so, too.
func plan(t testing.TB, text string, sets ...string) *Plan {
	t.Helper()
	plans, _, printed := load(t, text, sets...)
	require.Empty(t, printed)
	require.Len(t, plans, 1)
	require.NoError(t, validate(t, text))
	return plans[0]
}

type errorCase struct {
	name, text string
	sets       []string
}

func errorCases() []errorCase {
	return []errorCase{
		{name: "documented-label", text: "version: 1\nname: jiq\nworkload: {input: 512, output: 180}\nfleet: {replicas: 8, gpu: h100-8b}\n\npolicies:\n  balance:\n  - name: jik\nsweep: {load: 0.5}\n"},
		{name: "documented-load", text: "version: 1\nname: jiq\nworkload: {input: 512, output: 180}\nfleet: {replicas: 8, gpu: h100-8b}\nsweep: {load: [0.5, 0.8, 1.3]}\n"},

		// What newcomers write.
		{name: "first-hour", text: "version: \"1\"\nname: mine\nworkload: {input: 512 tokens, output: 180}\nflet: {replicas: 8, gpu: H100}\npolicies: p2c\nsweep: {load: 60%}\n"},
		{name: "first-hour-names", text: with("fleet: {replicas: 8, gpu: H100}", "policies: {balance: [random, hpa]}", "gates: [ttft_p99(random) < 1s]")},

		// The reader.
		{name: "tab", text: "version: 1\nname: x\nfleet:\n\treplicas: 8\n"},
		{name: "tab-before-caret", text: with("about: a", "policies: {balance:\t\tjik}")},
		{name: "crlf", text: strings.ReplaceAll(with("fleet: {replicas: 0, gpu: h100-8b}"), "\n", "\r\n")},
		{name: "bom", text: "\ufeff" + with("name: Bad Name")},
		{name: "empty", text: ""},
		{name: "only-comment", text: "# nothing yet\n"},
		{name: "second-document", text: good + "---\nversion: 1\n"},
		{name: "cjk", text: with("about: 你好", `policies: {balance: [{name: p2c, as: "双选 一"}, jik]}`)},
		{name: "flow", text: with("fleet: {replicas: 8, gpu: h100-8b, slot: 3}")},
		{name: "block", text: with("fleet:", "  replicas: 8", "  gpu: h100-8b", "  slot: 3")},
		{name: "quoted-key", text: with("fleet: {\"replicas\": 8, 'gpu': h100-8b, \"slot\": 3}")},
		{name: "anchor", text: with("fleet: {replicas: &n 8, gpu: h100-8b, slots: *n, max_batch: &big 99999}", "frontends: {count: *big}")},
		{name: "anchor-block", text: with("workload: {input: 512, output: &bad {lognorm: {mean: 3}}, tenants: [{name: a, share: 1, output: *bad}]}")},
		{name: "alias-unknown", text: with("fleet: {replicas: *n, gpu: h100-8b}")},
		{name: "alias-loop", text: with("fleet: &f {replicas: 8, gpu: *f}")},
		{name: "alias-bomb", text: bomb()},
		{name: "merge-key", text: with("fleet: {<<: {replicas: 8}, gpu: h100-8b}")},
		{name: "unclosed", text: "version: 1\nfleet: {replicas: 8\nname: x\n"},
		{name: "bad-indent", text: "version: 1\nname: x\n fleet: 3\n"},
		{name: "control-character", text: "version: 1\nname: a\x01b\n"},
		{name: "not-utf8", text: "version: 1\nname: a\xffb\n"},
		{name: "duplicate-key", text: with("fleet: {replicas: 8, gpu: h100-8b, replicas: 9}")},
		{name: "tag", text: with("fleet: {replicas: !!binary 8, gpu: h100-8b}")},
		{name: "not-a-map", text: "- version: 1\n"},
		{name: "key-no-word", text: with("? [a, b]\n: 3")},
		{name: "too-deep", text: good + "about: " + strings.Repeat("[", 80) + strings.Repeat("]", 80) + "\n"},
		{name: "too-large", text: good + "# " + strings.Repeat("x", 1<<20) + "\n"},
		{name: "long-line", text: with("fleet: {replicas: 8, gpu: h100-8b, labels: {a: " + strings.Repeat("y", 120) + "}, slot: 3, labelz: " + strings.Repeat("z", 120) + "}")},
		{name: "many", text: with(manyKeys(17))},

		// Head.
		{name: "head-missing", text: "workload: {input: 1}\nfleet: {replicas: 1, gpu: h100-8b}\nsweep: {load: 0.5}\n"},
		{name: "head-wrong", text: with("version: 2", "name: Big_Name")},
		{name: "version-text", text: with("version: one")},
		{name: "unknown-key", text: with("sweeps: 3", "zzzz: 1")},
		{name: "no-value", text: with("frontends:", "about:")},

		// Values.
		{name: "wrong-types", text: with("allow_overload: maybe", "fleet: [1]", "frontends: {count: many, split: unifrm, skew: x}", "measure: {tape: {}, slo: 3}")},
		{name: "units", text: with("measure: {slo: {ttft: 2}, drain: soon, warmup: 10}", "workload: {arrivals: {gamma: {rate: 40, cv: 2}}, input: 1, output: {lognormal: {mean: 5ms, cv: 1}}}", "-sweep")},
		{name: "ranges", text: with("frontends: {count: 0, skew: 9}", "measure: {requests: 0, warmup: 100%, horizon: 0s}", "fleet: {replicas: 9000000, gpu: h100-8b, speed: 0, weight: -1, max_delay: 11s}")},

		// Workload.
		{name: "arrivals", text: with("workload: {arrivals: poison, input: 1}")},
		{name: "arrivals-closed", text: with("workload: {arrivals: {closed: {clients: 3}}, input: 1}")},
		{name: "arrivals-key", text: with("workload: {arrivals: {gamma: {cw: 2}}, input: 1}")},
		{name: "arrivals-two", text: with("workload: {arrivals: {gamma: {cv: 2}, poisson: {rate: 3/s}}, input: 1}")},
		{name: "arrivals-range", text: with("workload: {arrivals: {gamma: {cv: 60}}, input: 1}")},
		{name: "dist", text: with("workload: {input: {lognormal: {mean: 3, cw: 1}}, output: {lognormall: {mean: 3}}}")},
		{name: "dist-parts", text: with("workload: {input: {bimodal: [{p: 0.5, value: 3}, {p: 0.4, pareto: {mean: 3, alpha: 1}}]}, output: {quantiles: azure-con}}")},
		{name: "trace-no-file", text: with("workload: {arrivals: {trace: {file: ''}}}")},
		{name: "trace-missing-file", text: with("workload: {arrivals: {trace: {file: no-such-trace.csv, formt: x}}}")},
		{name: "tenants", text: with("workload: {input: 1, tenants: [{name: a, share: 0.5}, {name: a, share: 0.4}]}")},
		{name: "load-and-rate", text: with("workload: {arrivals: {poisson: {rate: 40/s}}, input: 1, load: 0.3}")},
		{name: "rate-beside-load", text: with("workload: {arrivals: {poisson: {rate: 40/s}}, input: 1}")},
		{name: "no-rate", text: with("-sweep")},
		{name: "loads", text: with("sweep: {load: [0, 0.5, 0.5, 80%, x, 1]}")},
		{name: "load-overload", text: with("allow_overload: true", "sweep: {load: [1.3, 200]}")},

		// Fleet and services.
		{name: "gpu-unknown", text: with("fleet: {replicas: 8, gpu: h100-8g}")},
		{name: "gpu-far", text: with("fleet: {replicas: 8, gpu: abacus}")},
		{name: "gpu-inline", text: with("fleet: {replicas: 8, gpu: {kind: affine, a: 3, b: -1ms, slotz: 3}}")},
		{name: "gpu-inline-kind", text: with("fleet: {replicas: 8, gpu: {kind: affin, a: 3ms}}")},
		{name: "gpu-rules", text: with("fleet: {replicas: 8, gpu: h100-resnet50, slots: 100, queue: sjf}")},
		{name: "gpu-group-rules", text: with("fleet: {gpu: h100-8b, groups: [{replicas: 3, queue: ps}, {replicas: 2, max_batch: 4}]}")},
		{name: "no-model", text: with("fleet: {replicas: 8}")},
		{name: "demand-beside-gpu", text: with("workload: {demand: 10ms}")},
		{name: "replicas-and-groups", text: with("fleet: {replicas: 8, gpu: h100-8b, groups: [{replicas: 3}]}")},
		{name: "replicas-neither", text: with("fleet: {gpu: h100-8b}")},
		{name: "group-keys", text: with("fleet: {gpu: h100-8b, groups: [{speed: 2}, {replicas: 2, extrapolate: warn}]}")},
		{name: "sugar-and-services", text: with("services: {chat: {fleet: {replicas: 3, gpu: h100-8b}}}")},
		{name: "service-keys", text: with("-fleet", "-policies", "services: {chat: {flet: {replicas: 3, gpu: h100-8b}}}")},
		{name: "services-models", text: with("-fleet", "-policies", "services: {a: {fleet: {replicas: 3, gpu: h100-8b}}, b: {fleet: {replicas: 3, gpu: h100-8b}}}")},
		{name: "services-model-names", text: with("-fleet", "-policies", "services: {a: {fleet: {replicas: 3, gpu: h100-8b}}, b: {fleet: {replicas: 3, gpu: h100-8b}}}", "workload: {input: 1, models: [{name: m}, {name: n, service: c}]}")},
		{name: "network", text: with("network: {request: {delay: 250, loss: 100%}, respons: {delay: 1ms}}", "discovery: {detect: sometimes, misses: 0}")},
		{name: "network-name", text: with("network: datacenter")},

		// Measuring.
		{name: "precision", text: with("measure: {precision: 60%, max_seeds: 1, transient: true, warmup: soon}")},
		{name: "max-seeds-alone", text: with("measure: {max_seeds: 20}")},
		{name: "warmup-outlasts", text: with("measure: {horizon: 1m, warmup: 60s}")},
		{name: "warmup-outlasts-requests", text: with("measure: {requests: 1000, warmup: 60s}")},

		// Policies.
		{name: "policy-ranges", text: with("policies: {balance: [{name: p2c, choices: 0, sample: some, probe_timeout: 50, lod: 1}]}")},
		{name: "policy-labels", text: with("policies: {balance: [p2c, {name: p2c, choices: 3}, {name: random, as: baseline}, {name: jiq, as: 'a b'}]}")},
		{name: "policy-required", text: with("policies: {balance: [static, {name: static, as: b}, {choices: 3}, [p2c]]}")},
		{name: "policy-fleet", text: with("policies: {balance: {name: static, capacity: {fast: 3}}}")},
		{name: "policy-far", text: with("policies: {balance: [weather]}")},

		// What this version does not have.
		{name: "later", text: with("cluster: {}", "live: {actuator: pool, emulator: {}}",
			"policies: {balance: p2c}", "fleet: {replicas: 8, gpu: h100-8b, engine: {}}")},

		// Quota.
		{name: "quota-ranges", text: with("quota: {group_limit: {rate: 0/s, burst: 0.5}, groups: {n: 0, zipf: 9}, cost: free, on_denied: {retry: {max: 0, backoff: -1s}}, wait_max: 0s, on_store_loss: shut, store: {shards: 0, placement: ring, rtt: -1ms, stall: {every: 0s}, loss: 1, timeout: 1ms, live: {spawn: 65, redis: x}}}", "policies: {quota: central}")},
		{name: "quota-limit", text: with("quota: {group_limit: {rate: 10/s, concurrency: 3}, units: 40}", "policies: {quota: token}")},
		{name: "quota-units", text: with("quota: {group_limit: {rate: 10/s}, units: 40}", "policies: {quota: [token, {name: central, inner: concurrency}, {name: concurrency, units: 3}]}")},
		{name: "quota-none", text: with("quota: {group_limit: {rate: 10/s}}", "policies: {share: maxmin}")},
		{name: "quota-fit", text: with("quota: {group_limit: {rate: 600/s, burst: 30}, store: {rtt: 5ms}}", "policies: {quota: [{name: lease, size: 40, ttl: 5ms}, {name: async, sync: 2ms}, {name: central, as: c, renew: 40s, inner: tokn}, leese]}")},
		{name: "quota-held", text: with("quota: {group_limit: {concurrency: 64 units}}", "policies: {quota: [lease, async, gcra, central, static, concurrency]}")},
		{name: "quota-groups", text: with("quota: {group_limit: {rate: 600/s}, groups: [{name: a, tenants: [x, {name: y, weight: 0}, z]}, {name: a, tenants: [x]}, {tenants: []}]}",
			"policies: {quota: central}", "workload: {input: 512, output: 100, tenants: [{name: x, share: 0.5, group: b}, {name: w, share: 0.5}]}")},
		{name: "quota-groups-counted", text: with("quota: {group_limit: {rate: 600/s}, groups: {n: 5}}", "policies: {quota: central}", "workload: {input: 512, output: 100, tenants: {n: 3}}")},
		{name: "quota-tokens", text: with("quota: {group_limit: {rate: 600/s}, cost: input}", "policies: {quota: token}", "workload: {output: 100}")},
		{name: "quota-unbounded", text: with("quota: {group_limit: {rate: 600/s}, cost: input+max_tokens}", "policies: {quota: token}", "workload: {input: 512, output: {lognormal: {mean: 100, cv: 1}}}")},
		{name: "quota-behind", text: with("quota: {group_limit: {rate: 600/s}}", "policies: {quota: central, balance: [p2c, central-queue]}")},
		{name: "faults-operations", text: with("faults: [{at: 1s, target: {frontend: all}, kind: rolling_update, batch: 3, detect: 2, gap: 1s, build: ugly, above: 0.5}, {at: 1s, for: 2s, target: {replica: 0}, kind: lock_stall}, {every: 1m, target: {frontend: 0}, kind: lock_stall, above: 0, hold: 2s, cure: hope}, {at: 0s, target: {replica: 0}, kind: crash, batch: 1}]")},
		{name: "quota-stall", text: with("quota: {group_limit: {rate: 600/s}, on_denied: hop, store: {loss: 1%, stall: {for: 1s}, live: valkey}}", "policies: {quota: central}")},

		// Fleets that change their size.
		{name: "elastic-fixed", text: with("fleet: {replicas: 8, gpu: h100-8b, lifecycle: {bind: 1s}, reclaim: {rate: 1/h}}", "policies: {autoscale: hpa}")},
		{name: "elastic-groups", text: with("fleet: {groups: [{replicas: 8}], gpu: h100-8b}", "policies: {autoscale: [kpa]}", "sweep: {load: 0.5}")},
		{name: "elastic-load", text: with("fleet: {replicas: {start: 4, max: 8}, gpu: h100-8b}", "policies: {autoscale: hpa}")},
		{name: "elastic-scale", text: with("fleet: {replicas: {start: 9, min: 5, max: 4}, gpu: h100-8b}", "-sweep", "workload: {arrivals: {poisson: {rate: 1/s}}}")},
		{name: "elastic-keys", text: with("fleet: {replicas: {start: 4, most: 8}, gpu: h100-8b, lifecycle: {bind: -1s, model: {bytes: 14, read: 1GB, network: 0B/s}}, reclaim: {notice: -1s, batch: 0, law: pareto, factor: 2}}",
			"hold: {timeout: 0s, capacity: -1}", "-sweep", "workload: {arrivals: {poisson: {rate: 1/s}}}")},
		{name: "faults-shards", text: with("policies: {balance: random, quota: central}", "quota: {group_limit: {rate: 10/s}, store: {shards: 2}}", "faults: [{at: 1s, target: {shard: 2}, kind: crash}, {at: 1s, target: {shard: 0}, kind: freeze}, {at: 1s, target: {shard: all, replica: 1}, kind: crash}, {at: 1s, target: {shard: [0, 1], service: main}, kind: crash}]")},
		{name: "faults-no-shards", text: with("faults: [{at: 1s, target: {shard: 0}, kind: crash}]")},
		{name: "elastic-faults", text: with("fleet: {replicas: {start: 4, max: 8}, gpu: h100-8b}", "-sweep", "workload: {arrivals: {poisson: {rate: 1/s}}}",
			"faults: [{at: 1s, target: {replica: 1}, kind: crash}, {at: 1s, target: {replica: 16}, kind: slow, factor: 2}]")},
		{name: "elastic-zero", text: with("fleet: {replicas: {start: 1, min: 0, max: 8}, gpu: h100-8b}", "policies: {autoscale: [hpa, kpa, fixed, backlog]}", "-sweep", "workload: {arrivals: {poisson: {rate: 1/s}}}")},
		{name: "autoscale-ranges", text: with("fleet: {replicas: {start: 1, max: 8}, gpu: h100-8b}", "-sweep", "workload: {arrivals: {poisson: {rate: 1/s}}}",
			"policies: {autoscale: [{name: hpa, target: 80, period: 0s, tolerance_up: 1, up: {policies: [{type: pods, value: 4, period: 31m}]}}, {name: kpa, as: k1, target: 0, panic_window: 101%, max_up: 1}, {name: backlog, drain: 0s, rho: 2}, {name: hpa, as: h2, metrics: [{metric: queue}]}, hpq]}")},

		// Live.
		{name: "live", text: with("live: {pacing: fast, warm: 3, max_in_flight: 0, stale_after: 0s, validity: {sent: 0, lag: 0, cpu: 101%, not_sent: x, steal: -1}}", "reporter: agnet")},
		{name: "live-telemetry", text: with("live: {telemetry: {dcgm: maybe, nvml: 1, period: 50ms, gpu: on}}")},
		{name: "live-arms", text: with("measure: {tape: maybe, live: {arms: [p2c, jik, [a]], blocks: 5, block: 4s, repeats: 0, blok: 1}}")},
		{name: "live-arms-few", text: with("measure: {live: {arms: [p2c]}}", "live: {validity: {lag: soon}, warm: some}")},

		// Faults.
		{name: "faults", text: with("faults: [{at: 1s, every: 2s, target: {replica: 9}, kind: slow}, {target: {frontend: 0}, kind: freeze}, {at: 1s, kind: crsh, target: {link: a}}, {at: 1s, for: [2s, 1s], kind: crash, target: {replica: [1, 1]}, factor: 3}, {at: 1s, kind: drain, target: {replica: all}}, {at: 1s}]")},

		// Sweeps and gates.
		{name: "axes", text: with("sweep: {load: 0.5, fronts: {path: frontends.count, values: [1, 0]}, other: [1, 2], odd: {path: version, values: [1]}, none: {values: [1]}, way: {path: fleet.gpu.kind.x, values: [1]}}")},
		{name: "too-many-runs", text: with("sweep: {load: [0.5, 0.6], seeds: 10000, count: {path: frontends.count, values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]}}")},
		{name: "gates", text: with("gates:",
			"  - p98(jiq) < 600ms",
			"  - p99(jik) < 600ms",
			"  - p99(jiq) < 600ms at load 0.9",
			"  - p99(jiq) < 600",
			"  - p99(jiq) < 3rps",
			"  - p99(jiq)/p99(p2c) < 2",
			"  - p99(jiq)/goodput(jiq) < 2",
			"  - p99(jiq)/p50(jiq) < 2ms",
			"  - p99(jiq) within 5%",
			"  - p99(jiq) within 5% of p99(p2c)",
			"  - p99(jiq) < goodput(p2c)",
		)},
		{name: "gates-names", text: with(
			"gates: [p99(jiq) < 600ms at lod 0.8, \"p99(jiq, tenant=chat) < 600ms\", 'utilization(jiq) within 5% of baseline', p99(jiq) <= 2 * p99(p3c), 7, [a]]")},
		{name: "gates-family", text: with("gates: [jain(jiq) > 0.9, slo_miss(jiq) < 5s, picks_idle(jiq) > 0.5]")},
		{name: "gates-cjk", text: with("gates: ['p99(双) < 600ms']")},
		{name: "gates-transient", text: with("measure: {transient: true}", "gates: [p99(jiq) < 600ms]")},
		{name: "gates-streams", text: with("workload: {demand: 10ms}", "fleet: {replicas: 8}", "gates: [ttft_p99(jiq) < 600ms]")},

		// Flags.
		{name: "set", text: good, sets: []string{"fleet.replicas=0", "fleat.slots=3", "nothing", "sweep.load=[0.5, 1.3]", "policies.balance=jik", "name.x=1", "about={"}},
	}
}

func bomb() string {
	s := "version: 1\nname: x\na: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
	for c := 'b'; c <= 'i'; c++ {
		s += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), c-1)
	}
	return s
}

func manyKeys(n int) string {
	s := ""
	for i := range n {
		s += fmt.Sprintf("zz%02d: %d\n", i, i)
	}
	return s
}

// TestErrors compares what users see for every kind of mistake.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range errorCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plans, problems, printed := load(t, c.text, c.sets...)
			require.Empty(t, plans)
			require.NotEmpty(t, problems)
			for _, p := range problems {
				require.NotContains(t, p.Message, "%!", "a verb without its argument")
				require.True(t, p.Line == 0 || p.Column >= 1 && p.EndColumn > p.Column, "%+v", p)
			}
			file := filepath.Join("testdata", "errors", c.name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(printed), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), printed)
		})
	}
}

// TestPrintManyFiles: problems come file after file; a bad file does not hide a good one.
func TestPrintManyFiles(t *testing.T) {
	t.Parallel()
	src := []Source{{Name: "a.yaml", Data: []byte("version: [")}, {Name: "b.yaml", Data: []byte(good)}, {Name: "c.yaml", Data: []byte(with("zzz: 1"))}}
	plans, problems := Load(src, Options{Catalog: Catalog()})
	require.Len(t, plans, 1)
	require.Equal(t, "b.yaml", plans[0].File)
	require.Len(t, problems, 2)
	require.Equal(t, []string{"a.yaml", "c.yaml"}, []string{problems[0].File, problems[1].File})
	require.Equal(t, "zzz", problems[1].Path)
	require.Equal(t, `c.yaml:7:1: unknown key "zzz" at the top level`, strings.SplitN(problems[1].Error(), " (", 2)[0])
	require.Equal(t, 4, problems[1].EndColumn)
}

func TestPrintColor(t *testing.T) {
	t.Parallel()
	src := []Source{{Name: "s.yaml", Data: []byte(with("zzz: 1"))}}
	_, problems := Load(src, Options{Catalog: Catalog()})
	var plain, color bytes.Buffer
	Print(&plain, problems, src, 100, false)
	Print(&color, problems, src, 100, true)
	require.NotContains(t, plain.String(), "\x1b")
	require.Contains(t, color.String(), "\x1b[31m^^^\x1b[0m")
}

func TestWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line  string
		col, end, w int
		shown       string
		caret       string
	}{
		{"plain", "a: jik", 4, 7, 80, "a: jik", "   ^^^"},
		{"wide before", "你好: jik", 5, 8, 80, "你好: jik", "      ^^^"},
		{"wide below", "a: 你好", 4, 6, 80, "a: 你好", "   ^^^^"},
		{"tab before", "\ta: jik", 5, 8, 80, "\ta: jik", "\t   ^^^"},
		{"behind the end", "a:", 3, 4, 80, "a:", "  ^"},
		{"cut both sides", strings.Repeat("x", 40) + "BAD" + strings.Repeat("y", 40), 41, 44, 21, "…xxxxxxxxBADyyyyyyyy…", "         ^^^"},
		{"cut left", strings.Repeat("x", 40) + "BAD", 41, 44, 21, "…" + strings.Repeat("x", 16) + "BAD", strings.Repeat(" ", 17) + "^^^"},
		{"escape", "a: \x1b[31m", 4, 5, 80, "a: �[31m", "   ^"},
		{"combining", "e\u0301: jik", 5, 8, 80, "e\u0301: jik", "   ^^^"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			shown, caret := window(c.line, c.col, c.end, c.w)
			require.Equal(t, c.shown, shown)
			require.Equal(t, c.caret, caret)
		})
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	valid := []string{"jiq", "jsq", "p2c", "random"}
	require.Equal(t, `did you mean "jiq"?`, Suggest("jik", valid, ""))
	require.Equal(t, `did you mean "jiq" or "jsq"?`, Suggest("jxq", valid, ""))
	require.Equal(t, `did you mean "random"? see: taillab list policies`, Suggest("rnadom", valid, "taillab list policies"))
	require.Equal(t, "one of: jiq jsq p2c random", Suggest("weather", valid, "taillab list policies"))
	require.Equal(t, `did you mean "aa", "ab" or "ac"?`, Suggest("a", []string{"aa", "ab", "ac", "ad"}, ""))
	require.Equal(t, "see: L", Suggest("zzzzzz", strings.Split("a b c d e f g h i j k l m", " "), "L"))
	require.Empty(t, Suggest("x", nil, ""))
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		d    int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"你好", "好你", 1}} {
		require.Equal(t, c.d, distance(c.a, c.b, 9), "%s %s", c.a, c.b)
		require.Equal(t, c.d, distance(c.b, c.a, 9), "%s %s", c.b, c.a)
	}
	require.Equal(t, 2, distance("abcdef", "ghijkl", 1))
}
