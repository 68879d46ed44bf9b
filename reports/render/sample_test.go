package render

import (
	"fmt"
	"math"

	"taillab/reports"
	"taillab/reports/chart"
)

// The figures below are made up by formula: they look like a run and are exactly
// the same every time.

func ptr[T any](v T) *T { return &v }

var samplePolicies = []string{"random", "round-robin", "p2c", "jiq", "jiq-amnesia", "peak-ewma", "bounded-hash", "prequal", "central-queue", "weighted", "sita-e"}

// sample is a complete summary of the first n policies at the given loads.
func sample(n int, loads ...float64) *reports.Summary {
	s := &reports.Summary{
		Schema: reports.SummarySchema, ToolVersion: "devel", Scenario: "wechat-jiq", ScenarioHash: "sha256:5f3c",
		RunID: "2026-11-20T23-50-07Z", Host: "sim", Seed: 42, Git: &reports.Git{Commit: "4f2a9c1d77aa"},
		Machine:   reports.Machine{OS: "linux", Arch: "amd64", CPU: "Example CPU", Cores: 8},
		StartedAt: "2026-11-20T23:50:07Z", WallS: 1.5, Complete: true, Confidence: 0.95, Verdict: reports.VerdictNone,
	}
	factor := []float64{3.3, 2.6, 1.12, 1.0, 1.05, 1.2, 1.8, 1.1, 0.98, 1.4, 2.2}
	for i := range n {
		for _, load := range loads {
			s.Cells = append(s.Cells, sampleCell(samplePolicies[i%len(samplePolicies)], factor[i%len(factor)], i, load))
		}
	}
	return s
}

func sampleCell(policy string, factor float64, i int, load float64) reports.Cell {
	if policy == "jiq" && load > 0.92 {
		factor = 1.6
	}
	p99 := 90 + 55*factor*factor/(1-load)
	w := 0.02 + 0.05*load*factor
	p50 := 60 + p99*0.12
	c := reports.Cell{
		Policy: policy, PolicyType: policy, Family: "balance", Params: map[string]any{"choices": 2, "as": policy}, Load: ptr(load),
		Axes: map[string]any{}, RateRPS: 800 * load, Unit: "seed", Seeds: 10, Requests: 270_000, Completed: 270_000,
		Errors: map[string]int64{}, ErrorRate: ptr(0.0), MeanMS: ptr(p50 * 1.2), MaxMS: ptr(p99 * 6),
		P50MS: ptr(p50), P90MS: ptr(p99 * 0.6), P95MS: ptr(p99 * 0.75), P99MS: ptr(p99), P999MS: ptr(p99 * 1.9),
		P50CI: &reports.Interval{p50 * 0.99, p50 * 1.01}, P99CI: &reports.Interval{p99 * (1 - w), p99 * (1 + w)},
		ThroughputRPS: 800 * load, GoodputRPS: ptr(780 * load), Utilization: ptr(load), MessagesPerRequest: 1.5,
		Metrics: map[string]*float64{"jain": ptr(0.98), "slo_miss_s": nil},
		Tail: &reports.Tail{HeldMS: ptr(0.0), QuotaMS: ptr(0.0), NetworkMS: ptr(p99 * .01), QueueMS: ptr(p99 * (.3 + .2*factor/3)),
			BatchMS: ptr(p99 * .1), ServiceMS: ptr(p99 * .5)},
		GPUSec: ptr(5400.0), Events: ptr(int64(4_000_000)), WallS: 0.2, WorkloadHash: "xxh64:1111", ResultHash: fmt.Sprintf("xxh64:%d-%g", i, load),
	}
	for k := range 10 {
		c.Slowest = append(c.Slowest, reports.Slow{Request: uint64(1000*k + i), Seed: k, LatencyMS: p99 * (6 - float64(k)/4), Steps: []reports.SlowStep{
			{Step: "queue", MS: p99 * (5 - float64(k)/4), Service: "main", Replica: ptr(k), Attempt: 1}, {Step: "service", MS: p99, Service: "main", Replica: ptr(k), Attempt: 1}}})
		c.Parts = append(c.Parts, reports.Part{Seed: k, Requests: 27_000, Completed: 27_000, P50MS: ptr(p50), P99MS: ptr(p99 * (0.95 + float64(k)/100))})
	}
	return c
}

// withGates adds one gate of each verdict and a few warnings.
func withGates(s *reports.Summary) *reports.Summary {
	s.Verdict = reports.Fail
	s.Gates = []reports.Gate{
		{Expr: "p99(jiq) < 600ms at load 0.85", Metric: "p99", Policy: "jiq", Load: ptr(0.85), Verdict: reports.Pass, Value: ptr(457.0), Limit: ptr(600.0), Unit: "ms",
			Reference: reports.Reference{Kind: "constant"}, Change: ptr(457.0/600 - 1), ChangeCI: &reports.Interval{-0.27, -0.21}, N: 10},
		{Expr: "p99(jiq) < p99(p2c) at load 0.85", Metric: "p99", Policy: "jiq", Load: ptr(0.85), Verdict: reports.Fail, Value: ptr(1190.0), Unit: "ms",
			Reference: reports.Reference{Kind: "policy", Policy: "p2c"}, Change: ptr(0.467), ChangeCI: &reports.Interval{0.19, 0.78}, N: 10},
		{Expr: "p99(jiq) within 5% of baseline", Metric: "p99", Policy: "jiq", Load: ptr(0.7), Verdict: reports.Inconclusive, Value: ptr(300.0), Unit: "ms",
			Reference: reports.Reference{Kind: "baseline", Path: "baselines/wechat-jiq.json"}, Change: ptr(0.039), ChangeCI: &reports.Interval{0.001, 0.079}, N: 10, More: ptr(89)},
		{Expr: "goodput(jiq) > 700/s at load 0.85", Metric: "goodput", Policy: "jiq", Load: ptr(0.85), Verdict: reports.Invalid, Unit: "rps",
			Reference: reports.Reference{Kind: "constant"}, Reason: ptr("the client was saturated")},
	}
	s.Warnings = []reports.Warning{
		{Code: "few-samples", Message: "P99.9 needs 30,000 completed requests", Policy: "jiq", Load: ptr(0.5)},
		{Code: "few-samples", Message: "P99.9 needs 30,000 completed requests", Policy: "p2c", Load: ptr(0.5)},
		{Code: "near-critical", Message: "the load is close to what the fleet can do", Load: ptr(0.95)},
		{Code: "unstable", Message: "queues grow without bound", Policy: "random", Load: ptr(0.95)},
	}
	return s
}

// nasty is a label that means something in every format.
const nasty = "a|b<script>%0A"

// withNasty renames the first policy.
func withNasty(s *reports.Summary) *reports.Summary {
	old := s.Cells[0].Policy
	for i := range s.Cells {
		if s.Cells[i].Policy == old {
			s.Cells[i].Policy = nasty
		}
	}
	s.Scenario = "x</script><img src=http://example.invalid onerror=alert(1)>\n\x1b[31m"
	s.Warnings = append(s.Warnings, reports.Warning{Code: "clamped-sizes", Message: "`a` | <b> & \"c\"\nnew line @someone", Policy: nasty})
	if len(s.Gates) > 0 {
		s.Gates[0].Expr = "p99(" + nasty + ") < 1s at load 0.85"
	}
	return s
}

// sampleCCDF and sampleTimeline are the charts that a caller brings.
func sampleCCDF(n int) chart.Figure {
	in := chart.CCDFInput{At: "85% load"}
	for _, c := range sample(n, 0.85).Cells {
		s := chart.CCDFSeries{Label: c.Policy, N: c.Completed, P99: chart.Value{V: c.P99MS, CI: &[2]float64{c.P99CI[0], c.P99CI[1]}}}
		for k := range 300 {
			y := math.Pow(10, -5*float64(k)/299)
			s.X, s.Y = append(s.X, *c.P99MS*math.Pow((0.3-math.Log(y))/4.9, 1.3)), append(s.Y, y)
		}
		in.Series = append(in.Series, s)
	}
	return chart.CCDF(in, chart.Light())
}

func sampleTimeline(n int) chart.Figure {
	in := chart.TimelineInput{At: "85% load, seed 1"}
	for k, name := range []string{"queue depth", "in flight", "replicas"} {
		p := chart.Panel{Name: name}
		for i := range n {
			s := chart.Series{Label: samplePolicies[i]}
			for t := range 200 {
				s.X = append(s.X, float64(t))
				s.Y = append(s.Y, math.Round(float64(3-k)*(30+20*math.Sin(float64(t)/20+float64(i)))))
			}
			p.Series = append(p.Series, s)
		}
		in.Panels = append(in.Panels, p)
	}
	return chart.Timeline(in, chart.Light())
}
