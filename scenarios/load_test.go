package scenarios

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// firstLook is what a first-time user writes, as the reference shows it.
const firstLook = `version: 1
name: first-look
workload: {input: 512, output: {lognormal: {mean: 180, cv: 1.2}}}    # tokens; arrivals are Poisson
fleet: {replicas: 8, gpu: h100-8b, slots: 8}                         # a preset of ` + "`taillab list gpus`" + `
policies: {balance: [random, p2c, jiq]}                              # each is one line of the result
sweep: {load: [0.6, 0.8, 0.9]}                                       # fractions of what the fleet can do
gates: [ttft_p99(jiq) <= 0.5 * ttft_p99(random) at load 0.8]
`

// everything is the long example of the reference without the parts that this
// version does not have (hold, quota).
const everything = `# yaml-language-server: $schema=scenario.schema.json
version: 1
name: gateway-study
about: Does forgetting silent replicas help JIQ behind ten gateways?
workload:
  arrivals: {gamma: {cv: 2}}
  input:  {quantiles: azure-conv}      # tokens
  output: {lognormal: {mean: 180, cv: 1.5, max: 4096}}
  tenants: [{name: chat, share: 0.8, class: interactive}, {name: batch, share: 0.2}]
  modulate: [{burst: {at: 60s, factor: 1.15, for: 10s}}]
frontends: {count: 10, split: uniform}
services:
  chat:
    fleet: {gpu: h100-8b, slots: 16, queue: fcfs, queue_limit: 200, groups: [{replicas: 12}, {replicas: 4, speed: 0.9}]}
    network: {request: {delay: 250us}, response: {delay: 250us}, report: {delay: 1ms, loss: 0.1%}}
    discovery: {delay: 1s, detect: health, period: 2s, misses: 3}
    policies: {balance: [random, p2c, {name: jiq, fallback: p2c}, {name: jiq-amnesia, as: amnesia, heartbeat: 50ms}], autoscale: none}
faults: [{at: 30s, for: 10s, target: {service: chat, replica: 3}, kind: slow, factor: 4}, {every: 2m, for: [100ms, 1s], target: {service: chat, replica: all}, kind: drop_report}]
sweep: {load: [0.5, 0.7, 0.8, 0.85], seeds: 10, gateways: {path: frontends.count, values: [1, 10, 100]}}
measure: {requests: 30000, warmup: 10%, slo: {ttft: 2s, tpot: 100ms}}
gates:
  - p99(jiq) < 40s at load 0.85, gateways 10
  - ttft_p99(amnesia) <= 0.9 * ttft_p99(random) at load 0.85, gateways 10
  - p99(amnesia, tenant=chat) < 40s at load 0.8, gateways 10
  - p99(jiq)/p50(jiq) < 25
  - p99(jiq) within 5% of baseline
`

func TestFirstLook(t *testing.T) {
	t.Parallel()
	p := plan(t, firstLook)
	require.Equal(t, "first-look", p.Name)
	require.Equal(t, 10, p.Seeds)
	require.Len(t, p.Cells, 9)
	var order []string
	for _, c := range p.Cells {
		order = append(order, fmt.Sprintf("%s %g", c.Policy, *c.Load))
		require.Equal(t, "balance", c.Family)
		require.Nil(t, c.TimeScale)
	}
	require.Equal(t, "random 0.6, random 0.8, random 0.9, p2c 0.6, p2c 0.8, p2c 0.9, jiq 0.6, jiq 0.8, jiq 0.9", strings.Join(order, ", "))
	require.Len(t, p.Gates, 1)
	require.Equal(t, []int{7, 9}, []int{p.Gates[0].Line, p.Gates[0].Column})

	s := p.Cells[0].Setup
	require.Same(t, s, p.Cells[8].Setup)
	require.Equal(t, "main", s.Services[0].Name)
	require.Equal(t, 8, s.Services[0].Replicas())
	require.Equal(t, "h100-8b", s.Services[0].Groups[0].Preset)
	require.Equal(t, 8, s.Services[0].Groups[0].Model.Slots())
	require.Equal(t, 30_000, s.Measure.Requests)
	require.InDelta(t, 0.1, s.Measure.WarmupShare, 0)
	warm, length := s.Measure.Warmup()
	require.Equal(t, 3000, warm)
	require.Zero(t, length)
	require.Equal(t, Network{}, s.Services[0].Network)
	require.Equal(t, Discovery{Detect: DetectReset, Period: 5 * time.Second, Misses: 3}, s.Services[0].Discovery)
}

// TestCapacity checks the load against figures of the reference: 29.89 requests/s
// for one h100-8b with all 64 slots, about 145/s for the fleet of the long example.
func TestCapacity(t *testing.T) {
	t.Parallel()
	p := plan(t, with("workload: {input: 512, output: 180}", "fleet: {replicas: 1, gpu: h100-8b}", "sweep: {load: 0.5}"))
	require.InDelta(t, 29.89/2, p.Cells[0].RateRPS, 0.005)
	p = plan(t, everything)
	require.InEpsilon(t, 145, p.Cells[0].RateRPS/0.5, 0.01)
	// Plain demands: 10 replicas of which half are twice as fast, 2 slots, 50 ms.
	p = plan(t, with("workload: {demand: 50ms}", "fleet: {slots: 2, groups: [{replicas: 5}, {replicas: 5, speed: 2}]}", "sweep: {load: 0.5}"))
	require.InDelta(t, 0.5*15*2/0.05, p.Cells[0].RateRPS, 1e-6)
	// Two services: the fullest one counts.
	p = plan(t, `version: 1
name: two
workload: {demand: 100ms, models: [{name: a, weight: 3, service: x}, {name: b, weight: 1, service: y}]}
services: {x: {fleet: {replicas: 6}}, y: {fleet: {replicas: 1}}}
sweep: {load: 0.5}
`)
	require.InDelta(t, 0.5*40, p.Cells[0].RateRPS, 1e-6, "y takes a quarter and does 10/s")
	require.Equal(t, "random", p.Cells[0].Policy)
}

// TestCapacityOfKnees: a prompt's mean time is not the time of the mean prompt.
func TestCapacityOfKnees(t *testing.T) {
	t.Parallel()
	for _, prefill := range []string{
		"{floor: 10ms, per_token: 100us, knee: 1000}",
		"{table: {x: [0, 1000, 2000, 4000], y: [10ms, 10ms, 110ms, 310ms]}}",
	} {
		p := plan(t, with("workload: {input: {bimodal: [{p: 0.5, value: 500}, {p: 0.5, value: 2500}]}, output: 1}",
			"fleet: {replicas: 1, gpu: {kind: tokens, step: {base: 5ms}, prefill: "+prefill+"}}", "sweep: {load: 0.5}"))
		require.InEpsilon(t, 0.5/(0.5*0.010+0.5*0.160+0.005), p.Cells[0].RateRPS, 1e-6, prefill)
	}
}

func TestEverything(t *testing.T) {
	t.Parallel()
	p := plan(t, everything)
	require.Len(t, p.Cells, 4*3*4)
	require.Equal(t, "random", p.Cells[0].Policy)
	require.Equal(t, map[string]any{"gateways": int64(1)}, p.Cells[3].Axes)
	require.Equal(t, map[string]any{"gateways": int64(10)}, p.Cells[4].Axes)
	require.Equal(t, 10, p.Cells[4].Setup.FrontEnds.Count)
	require.NotSame(t, p.Cells[0].Setup, p.Cells[4].Setup)
	require.Same(t, p.Cells[0].Setup, p.Cells[12].Setup, "policies and loads share what does not depend on them")

	last := p.Cells[47]
	require.Equal(t, []string{"amnesia", "jiq-amnesia"}, []string{last.Policy, last.PolicyType})
	require.Equal(t, "50ms", last.Params["heartbeat"])
	require.Equal(t, 50*time.Millisecond, last.Balancers[0].Make().(*balance.JIQAmnesia).Heartbeat)
	s := last.Setup
	require.Equal(t, 200, s.Services[0].Groups[1].Model.Spec().QueueLimit)
	require.InDelta(t, 0.9, s.Services[0].Groups[1].Speed, 0)
	require.Equal(t, Link{Delay: workloads.Constant(1e6), Loss: 0.001}, s.Services[0].Network.Report)
	require.Equal(t, Discovery{Delay: time.Second, Detect: DetectHealth, Period: 2 * time.Second, Misses: 3}, s.Services[0].Discovery)
	require.Equal(t, []Fault{
		{At: 30 * time.Second, ForLo: 10 * time.Second, ForHi: 10 * time.Second, Kind: FaultSlow, Replicas: []int{3}, Factor: 4, Share: 1},
		{Every: 2 * time.Minute, ForLo: 100 * time.Millisecond, ForHi: time.Second, Kind: FaultDrop, Share: 1},
	}, s.Faults)
	require.Equal(t, 2*time.Second, s.Measure.SLO.TTFT)
	require.Equal(t, []string{"chat", "batch"}, s.Workload.Tenants())
	require.Len(t, p.Gates, 5)
}

// TestFreshInstances: each front end gets its own policy with the same parameters.
func TestFreshInstances(t *testing.T) {
	t.Parallel()
	p := plan(t, with("policies: {balance: {name: p2c, choices: 3, probe_timeout: 1.5ms, load: probed}}"))
	a, b := p.Cells[0].Balancers[0].Make(), p.Cells[0].Balancers[0].Make()
	require.NotSame(t, a, b)
	require.Equal(t, a, b)
	require.Equal(t, 3, a.(*balance.P2C).Choices)
	require.Equal(t, map[string]any{"choices": int64(3), "probe_timeout": "1.5ms", "load": "probed", "sample": "distinct"}, p.Cells[0].Params)
}

// TestEveryPolicy loads what `explain` prints for each policy of the catalogue.
func TestEveryPolicy(t *testing.T) {
	t.Parallel()
	for _, e := range balance.Catalog() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			d := Describe(e)
			require.NotEmpty(t, d.About)
			p := plan(t, with(d.Example, "fleet: {gpu: h100-8b, groups: [{replicas: 2, labels: {kind: a}}, {replicas: 2, labels: {kind: b}}]}"))
			require.Equal(t, e.Name, p.Cells[0].PolicyType)
			require.NotNil(t, p.Cells[0].Balancers[0].Make())
			for _, q := range d.Parameters {
				require.NotEmpty(t, q.About, q.Name)
				require.NotEmpty(t, q.Type, q.Name)
				require.Contains(t, p.Cells[0].Params, q.Name)
			}
		})
	}
}

// TestPresets: every profile that ships with the program is sound.
func TestPresets(t *testing.T) {
	t.Parallel()
	names := PresetNames()
	require.Contains(t, names, "h100-8b")
	for _, name := range names {
		p, err := Preset(name)
		require.NoError(t, err)
		require.Equal(t, name, p.Name)
		require.NotEmpty(t, p.Source)
		_, problems := gpu.New(p.Spec)
		require.Empty(t, problems, name)
	}
	_, err := Preset("h100-8g")
	require.ErrorContains(t, err, "no GPU preset")
	p, err := Preset("h100-8b")
	require.NoError(t, err)
	require.InDelta(t, 19.6e3, float64(p.Prefill.PerToken), 1e-6)
	require.Equal(t, 64, p.Slots)
}

func TestNoiseDefaults(t *testing.T) {
	t.Parallel()
	sigma := func(fleet, workload string) float64 {
		return plan(t, with("fleet: "+fleet, "workload: "+workload)).Cells[0].Setup.Services[0].Groups[0].Model.Spec().Noise.Sigma
	}
	require.Zero(t, sigma("{replicas: 1}", "{demand: 1ms}"), "a plain demand is exact")
	require.InDelta(t, 0.03, sigma("{replicas: 1, gpu: h100-8b}", "{input: 1}"), 0)
	require.InDelta(t, 0.2, sigma("{replicas: 1, gpu: h100-8b, noise: {sigma: 0.2}}", "{input: 1}"), 0)
	require.InDelta(t, 0.015, sigma("{replicas: 1, gpu: {kind: affine, a: 1ms, b: 1ms}}", "{input: 1}"), 0)
	require.InDelta(t, 0.5, sigma("{gpu: h100-8b, noise: {sigma: 0.2}, groups: [{replicas: 1, noise: {sigma: 0.5}}]}", "{input: 1}"), 0)
}

func TestGroupWins(t *testing.T) {
	t.Parallel()
	p := plan(t, with("fleet: {gpu: h100-8b, slots: 4, speed: 2, labels: {a: x}, groups: [{replicas: 1}, {replicas: 2, slots: 8, speed: 1, weight: 3, labels: {b: y}, gpu: h100-tp2-32b}]}"))
	g := p.Cells[0].Setup.Services[0].Groups
	require.Equal(t, []any{4, 2.0, 1.0, "h100-8b"}, []any{g[0].Model.Slots(), g[0].Speed, g[0].Weight, g[0].Preset})
	require.Equal(t, []any{8, 1.0, 3.0, "h100-tp2-32b"}, []any{g[1].Model.Slots(), g[1].Speed, g[1].Weight, g[1].Preset})
	require.Equal(t, map[string]string{"a": "x", "b": "y"}, g[1].Labels)
	table := p.Cells[0].Setup.Services[0].Table()
	require.Equal(t, &balance.Table{N: 3, Weights: []float64{1, 3, 3}, Slots: []int32{4, 8, 8},
		Labels: []map[string]string{{"a": "x"}, {"a": "x", "b": "y"}, {"a": "x", "b": "y"}}}, table)
}

func TestWorkloadForms(t *testing.T) {
	t.Parallel()
	spec := func(w string) workloads.Spec {
		p := plan(t, with("workload: "+w, "allow_overload: true"))
		return p.Cells[0].Setup.spec
	}
	two, five := 2.0, 5.0
	require.Equal(t, workloads.Dist{Kind: "bimodal", Parts: []workloads.Part{{P: 0.9, Value: 3}, {P: 0.1, Dist: &workloads.Dist{Kind: "exponential", Mean: 9}}}},
		spec("{input: {bimodal: [{p: 90%, value: 3}, {p: 0.1, exponential: {mean: 9}}]}}").Input)
	require.Equal(t, workloads.Dist{Kind: "quantiles", Points: []workloads.Point{{Percent: 50, Value: 2}, {Percent: 99.9, Value: 7}}, Max: &five, Min: &two},
		spec("{input: {quantiles: {50: 2, 99.9: 7, min: 2, max: 5}}}").Input)
	require.Equal(t, workloads.Dist{Kind: "empirical", Histogram: []workloads.Bar{{Value: 2, Weight: 1}, {Value: 5, Weight: 3}}},
		spec("{input: {empirical: {histogram: {2: 1, 5: 3}}}}").Input)
	require.Equal(t, workloads.Dist{Kind: "pareto", Mean: 3, Alpha: 2.5, Cap: 10}, spec("{input: {pareto: {mean: 3, alpha: 2.5, cap: 10}}}").Input)
	require.Equal(t, workloads.Dist{Kind: "lognormal", Mean: 2e9, CV: 1}, spec("{input: 1, deadline: {lognormal: {mean: 2s, cv: 1}}}").Deadline)
	require.Equal(t, workloads.Constant(7), spec("{input: {constant: {value: 7}}}").Input)
	require.Equal(t, workloads.Constant(7), spec("{input: {constant: 7}}").Input)

	a := spec("{input: 1, arrivals: {weibull: {cv: 3}}}").Arrivals
	require.Equal(t, []any{"weibull", 3.0}, []any{a.Kind, a.CV})
	a = spec("{input: 1, arrivals: {diurnal: {amplitude: 0.5, period: 1h, phase: 0.25}}}").Arrivals
	require.Equal(t, []any{0.5, time.Hour, 0.25}, []any{a.Amplitude, a.Period, a.Turn})
	require.Equal(t, "bursty", spec("{input: 1, arrivals: bursty}").Arrivals.Kind)

	rated := func(w string) *Plan { return plan(t, with("workload: "+w, "-sweep")) }
	p := rated("{input: 1, arrivals: {mmpp: {states: [{rate: 0/s, mean_sojourn: 1s}, {rate: 600/min, mean_sojourn: 3s}], transition: [[0, 1], [1, 0]]}}}")
	require.InDelta(t, 7.5, p.Cells[0].RateRPS, 1e-9)
	require.Nil(t, p.Cells[0].Load)
	require.InDelta(t, 20.0/3, rated("{input: 1, arrivals: {onoff: {on_rate: 20/s, on_mean: 10s, off_mean: 20s}}}").Cells[0].RateRPS, 1e-9)
	require.InDelta(t, 40, rated("{input: 1, arrivals: {poisson: {rate: 40/s}}}").Cells[0].RateRPS, 0)

	tenants := spec("{input: 1, tenants: {n: 20, zipf: 1.1}}").Tenants
	require.Equal(t, []any{20, 1.1}, []any{tenants.N, tenants.Zipf})
	low := int8(-3)
	require.Equal(t, []workloads.Tenant{{Name: "a", Share: 0.25, Priority: &low, Group: "g", Output: workloads.Constant(9)}, {Name: "b", Share: 0.75}},
		spec("{input: 1, tenants: [{name: a, share: 25%, priority: -3, group: g, output: 9}, {name: b, share: 0.75}]}").Tenants.List)
	require.Equal(t, []workloads.Modulation{{Step: []workloads.Level{{At: 0, Rate: 3}, {At: time.Minute, Rate: 0.5}}}, {Burst: &workloads.Burst{At: time.Second, Factor: 5, For: time.Hour}}},
		spec("{input: 1, arrivals: gamma, modulate: [{step: [{at: 0s, rate: 3/s}, {at: 1m, rate: 30/m}]}, {burst: {at: 1s, factor: 5, for: 1h}}]}").Modulate)
}

func TestTrace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "t.csv")
	rows := "TIMESTAMP,ContextTokens,GeneratedTokens\n"
	for i := range 4 {
		rows += fmt.Sprintf("2023-11-16 18:17:0%d.0000000,100,10\n", i)
	}
	require.NoError(t, os.WriteFile(file, []byte(rows), 0o600))
	src := func(more string) string {
		return with("workload: {arrivals: {trace: {file: "+file+more+"}}}", "sweep: {load: 0.5}")
	}
	p := plan(t, src(""))
	c := p.Cells[0]
	require.Equal(t, 4, c.Setup.Measure.Requests, "a trace measures its rows")
	require.NotNil(t, c.TimeScale)
	require.InDelta(t, c.RateRPS, *c.TimeScale, 1e-9, "the file has one request per second")

	_, problems, _ := load(t, strings.Replace(src(""), "sweep:", "measure: {requests: 9}\nsweep:", 1))
	require.Len(t, problems, 1)
	require.Equal(t, "measure.requests is 9: the trace has 4 rows", problems[0].Message)
	p = plan(t, strings.Replace(src(", loop: true"), "sweep:", "measure: {requests: 9}\nsweep:", 1))
	require.Equal(t, 9, p.Cells[0].Setup.Measure.Requests)
	for text, want := range map[string]workloads.Loop{
		"loop: 3": {Times: 3}, "loop: until 1h": {Until: time.Hour}, "loop: {until: 90s}": {Until: 90 * time.Second}, "loop: true": {Forever: true}, "loop: false": {},
	} {
		require.Equal(t, want, plan(t, src(", "+text)).Cells[0].Setup.spec.Arrivals.Trace.Loop, text)
	}
	tr := plan(t, src(", window: [0s, 3s], time_scale: 2, rotate: false, jitter: none, format: azure-llm")).Cells[0].Setup.spec.Arrivals.Trace
	require.Equal(t, &workloads.Window{To: 3 * time.Second}, tr.Window)
	require.Equal(t, []any{2.0, false, "none", "azure-llm"}, []any{tr.TimeScale, tr.Rotate, tr.Jitter, tr.Format})

	// Without a load the trace runs at its own pace.
	p = plan(t, with("workload: {arrivals: {trace: {file: "+file+", time_scale: 3}}}", "-sweep"))
	require.InDelta(t, 3, *p.Cells[0].TimeScale, 1e-12)

	// Relative names count from Options.Dir.
	plans, problems := Load([]Source{{Name: "s", Data: []byte(strings.ReplaceAll(src(""), file, "t.csv"))}}, Options{Catalog: Catalog(), Dir: filepath.Dir(file)})
	require.Empty(t, problems)
	require.Len(t, plans, 1)
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	m := func(text string) Measure { return plan(t, with("measure: "+text)).Cells[0].Setup.Measure }
	require.Equal(t, Measure{Horizon: time.Minute, WarmupTime: 5 * time.Second, Drain: time.Second, Tape: true, Transient: true},
		m("{horizon: 1m, warmup: 5s, drain: 1s, tape: on, transient: true}"))
	require.Equal(t, Measure{Requests: 1_000_000, WarmupShare: 0.25}, m("{requests: 1e6, warmup: 0.25}"))
	require.Equal(t, Measure{Requests: 30_000, WarmupAuto: true, Precision: .02, MaxSeeds: 200}, m("{warmup: auto, precision: 2%}"))
	require.Equal(t, Measure{Requests: 30_000, WarmupShare: .1, Precision: .001, MaxSeeds: 20}, m("{precision: 0.1%, max_seeds: 20}"))
	hash := func(text string) string { return plan(t, with("measure: "+text)).Hash }
	require.NotEqual(t, hash("{}"), hash("{precision: 2%}"), "a precision may ask for longer runs")
	require.Equal(t, hash("{precision: 2%}"), hash("{precision: 2%, max_seeds: 20}"), "a number of seeds is no part of the plan")
	auto := Measure{Requests: 1000, WarmupAuto: true}
	n, d := auto.Warmup()
	require.Zero(t, n)
	require.Zero(t, d)
	h := Measure{Horizon: time.Minute, WarmupShare: 0.1}
	_, d = h.Warmup()
	require.Equal(t, 6*time.Second, d)
	h.WarmupTime = time.Second
	_, d = h.Warmup()
	require.Equal(t, time.Second, d)
}

func TestFaultForms(t *testing.T) {
	t.Parallel()
	p := plan(t, with("frontends: {count: 3}", "faults: [{at: 1s, kind: crash, target: {frontend: all}}, {at: 0s, kind: error, share: 10%, target: {replica: [1, 2]}}, {every: 1m, for: 5s, kind: delay_report, delay: 3ms, target: {replica: 0}}]"))
	require.Equal(t, []Fault{
		{At: time.Second, Kind: FaultCrash, Fronts: []int{0, 1, 2}, Share: 1},
		{Kind: FaultError, Replicas: []int{1, 2}, Code: 503, Share: 0.1},
		{Every: time.Minute, ForLo: 5 * time.Second, ForHi: 5 * time.Second, Kind: FaultDelay, Replicas: []int{0}, Delay: 3 * time.Millisecond, Share: 1},
	}, p.Cells[0].Setup.Faults)
}

func TestNetworkPresets(t *testing.T) {
	t.Parallel()
	n := plan(t, with("network: datacentre")).Cells[0].Setup.Services[0].Network
	require.Equal(t, "lognormal", n.Request.Delay.Kind)
	require.InDelta(t, 250e3, n.Request.Delay.Mean, 0)
	require.InDelta(t, 0.3, math.Sqrt(math.Log1p(n.Request.Delay.CV*n.Request.Delay.CV)), 1e-12)
	require.Equal(t, n.Request, n.Ask)
	require.Equal(t, Network{}, plan(t, with("network: none")).Cells[0].Setup.Services[0].Network)
}

func TestSweeps(t *testing.T) {
	t.Parallel()
	p := plan(t, with("sweep: {load: [0.5, 0.6], seeds: 3, n: {path: fleet.replicas, values: [2, 4]}, d: {path: 'policies.balance[1].choices', values: [2, 3]}}"))
	require.Len(t, p.Cells, 3*4*2)
	var axes []string
	for _, c := range p.Cells[8:16] { // p2c
		axes = append(axes, fmt.Sprintf("%v/%v/%v=%v", c.Axes["n"], c.Axes["d"], *c.Load, c.Params["choices"]))
		require.Equal(t, int(c.Axes["n"].(int64)), c.Setup.Services[0].Replicas())
	}
	require.Equal(t, "2/2/0.5=2 2/2/0.6=2 2/3/0.5=3 2/3/0.6=3 4/2/0.5=2 4/2/0.6=2 4/3/0.5=3 4/3/0.6=3", strings.Join(axes, " "))
	require.InDelta(t, 2*p.Cells[0].RateRPS, p.Cells[4].RateRPS, 1e-9, "twice the replicas, twice the rate")

	p = plan(t, with("sweep: {rate: [10/s, 20/s]}"))
	require.Equal(t, []float64{10, 20}, []float64{p.Cells[0].RateRPS, p.Cells[1].RateRPS})
	p = plan(t, with("workload: {arrivals: gamma, input: 1}", "sweep: {rate: [10/s]}"))
	require.Equal(t, "gamma", p.Cells[0].Setup.spec.Arrivals.Kind)
	p = plan(t, with("workload: {input: 1}", "fleet: {replicas: 2}", "sweep: {load: 0.5, demand: [10ms, 20ms]}"))
	require.InDelta(t, 100, p.Cells[0].RateRPS, 1e-9)
	require.Equal(t, "10ms", p.Cells[0].Axes["demand"])
	p = plan(t, with("sweep: {load: 0.5, delay: {path: network.request.delay, values: [0s, 1ms]}}", "gates: [p99(jiq) < 3s at delay 1ms]"))
	require.InDelta(t, 1e6, p.Cells[1].Setup.Services[0].Network.Request.Delay.Value, 0)
}

func TestSeveralSwept(t *testing.T) {
	t.Parallel()
	p := plan(t, `version: 1
name: two
workload: {demand: 100ms, models: [{name: a, service: x}, {name: b, service: y}]}
services:
  x: {fleet: {replicas: 6}, policies: {balance: [random, p2c]}}
  y: {fleet: {replicas: 6}, policies: {balance: [{name: random, as: r2}, {name: jiq, as: j2}]}}
sweep: {load: 0.5}
gates: [p99(p2c) < 3s, "p99(j2, service=y) < 3s"]
`)
	var labels []string
	for _, c := range p.Cells {
		labels = append(labels, c.Policy+" "+c.PolicyType)
		require.Len(t, c.Balancers, 2)
	}
	require.Equal(t, []string{"random/r2 random/random", "random/j2 random/jiq", "p2c/r2 p2c/random", "p2c/j2 p2c/jiq"}, labels)
	require.Contains(t, p.Cells[0].Params, "x")
}

func TestSet(t *testing.T) {
	t.Parallel()
	p := plan(t, good, "fleet.replicas=32", "sweep.load=[0.5]", "policies.balance=[{name: p2c, choices: 5}]", "network.request.delay=1ms", "about=a b")
	require.Len(t, p.Cells, 1)
	require.Equal(t, 32, p.Cells[0].Setup.Services[0].Replicas())
	require.Equal(t, int64(5), p.Cells[0].Params["choices"])
	require.InDelta(t, 1e6, p.Cells[0].Setup.Services[0].Network.Request.Delay.Value, 0)
	p = plan(t, good, "policies.balance[1].choices=4", "workload.arrivals.gamma.cv=2")
	require.Equal(t, int64(4), p.Cells[2].Params["choices"])
	require.InDelta(t, 2, p.Cells[0].Setup.spec.Arrivals.CV, 0)
	p = plan(t, with("-sweep"), "workload.arrivals=poisson", "workload.arrivals.poisson.rate=7/s")
	require.InDelta(t, 7, p.Cells[0].RateRPS, 0)
}

func TestSeedsOption(t *testing.T) {
	t.Parallel()
	plans, problems := Load([]Source{{Name: "s", Data: []byte(good)}}, Options{Catalog: Catalog(), Seed: 42, Seeds: 2})
	require.Empty(t, problems)
	runs := RunsOf(plans[0])
	require.Len(t, runs, 2*6)
	require.Equal(t, Run{Cell: plans[0].Cells[0], Index: 0, Rep: 1, Seed: chance.RunSeed(42, 1)}, runs[1])
	require.Equal(t, runs[0].Seed, runs[2].Seed, "cells are paired by seed")
}

// TestHash: the hash follows what decides results, and nothing else.
func TestHash(t *testing.T) {
	t.Parallel()
	base := plan(t, good).Hash
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, base)
	for _, same := range []string{
		"# a comment\n" + good, with("about: other words"), with("gates: [p99(jiq) < 3s]"), with("sweep: {load: [0.6, 0.8], seeds: 3}"),
		with("frontends: {count: 1}", "measure: {requests: 30000}", "network: none"),
	} {
		require.Equal(t, base, plan(t, same).Hash, same)
	}
	seen := map[string]bool{base: true}
	for _, other := range []string{
		with("sweep: {load: [0.6, 0.85]}"), with("fleet: {replicas: 9, gpu: h100-8b}"), with("network: datacentre"), with("workload: {input: 512, output: 181}"),
		with("policies: {balance: [random, {name: p2c, choices: 3}, jiq]}"), with("measure: {requests: 30001}"), with("discovery: {misses: 4}"),
		with("faults: [{at: 1s, kind: crash, target: {replica: 1}}]"), with("frontends: {count: 2}"), with("measure: {slo: {latency: 1s}}"),
		with("fleet: {replicas: 8, gpu: h100-8b, labels: {a: b}}"), with("policies: {balance: [random, {name: p2c, as: two}, jiq]}"),
	} {
		h := plan(t, other).Hash
		require.False(t, seen[h], other)
		seen[h] = true
	}
}

func TestPlanJSON(t *testing.T) {
	t.Parallel()
	p := plan(t, everything)
	data, err := PlanJSON(p)
	require.NoError(t, err)
	require.NotContains(t, string(data), `\u003c`)
	var got struct {
		Schema string `json:"schema"`
		Hash   string `json:"scenario_hash"`
		Gates  []struct{ Expr string }
		Plan   struct {
			Cells  []map[string]any
			Setups []struct {
				Workload map[string]any
				Services []struct{ Groups []map[string]any }
			}
		}
		Runs []struct {
			Cell, Rep int
			Seed      uint64
		}
	}
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, PlanSchema, got.Schema)
	require.Equal(t, p.Hash, got.Hash)
	require.Len(t, got.Gates, 5)
	require.Len(t, got.Plan.Cells, 48)
	require.Len(t, got.Plan.Setups, 3)
	require.Len(t, got.Runs, 480)
	require.Equal(t, map[string]any{"gamma": map[string]any{"cv": 2.0}}, got.Plan.Setups[0].Workload["arrivals"])
	require.Equal(t, map[string]any{"lognormal": map[string]any{"mean": 180.0, "cv": 1.5, "max": 4096.0}}, got.Plan.Setups[0].Workload["output"])
	require.Equal(t, "h100-8b", got.Plan.Setups[0].Services[0].Groups[0]["gpu"])
	require.JSONEq(t, string(NormalJSON(p)), string(NormalJSON(plan(t, everything))))
}
