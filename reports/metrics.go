package reports

import (
	"slices"
	"strings"
)

// The better sides of a metric.
const (
	LowerBetter  = "lower"
	HigherBetter = "higher"
	NoBetter     = "none"
)

// MetricInfo describes a metric that gates and tables may name.
type MetricInfo struct {
	Name   string // as in gates: p99
	JSON   string // as in the summary, with its unit: p99_ms
	Unit   string // ms, s, rps or ratio (a fraction or a plain number)
	Better string // lower, higher or none
	Log    bool   // compared by ln ratios; false: may be 0, compared by differences
	Group  bool   // exists per tenant, class and service
	Family string // the policy family that reports it; empty: part of every summary
	Title  string // heads its column in the table of its family; empty: not shown there
	About  string // one sentence
}

// Metrics lists the metrics of every summary and those that the policy families
// of this program register, in the order `list metrics` prints.
func Metrics() []MetricInfo {
	ms := func(name, about string, group bool) MetricInfo {
		return MetricInfo{Name: name, JSON: name + "_ms", Unit: "ms", Better: LowerBetter, Log: true, Group: group, About: about}
	}
	plain := func(name, json, unit, better, about string, group bool) MetricInfo {
		return MetricInfo{Name: name, JSON: json, Unit: unit, Better: better, Group: group, About: about}
	}
	out := []MetricInfo{
		ms("p50", "median latency of completed requests, from the intended arrival", true),
		ms("p90", "90th percentile of the latency", false),
		ms("p95", "95th percentile of the latency", false),
		ms("p99", "99th percentile of the latency", true),
		ms("p999", "99.9th percentile of the latency; needs 30,000 completed requests per seed", false),
		ms("mean", "mean latency of completed requests", true),
		ms("max", "largest latency; in a gate the geometric mean of the seeds' maxima", false),
		ms("ttft_p50", "median time to the first token", false),
		ms("ttft_p99", "99th percentile of the time to the first token", false),
		ms("tpot_p50", "median time per output token", false),
		ms("tpot_p99", "99th percentile of the time per output token", false),
		plain("throughput", "throughput_rps", "rps", HigherBetter, "completed requests per second", false),
		plain("goodput", "goodput_rps", "rps", HigherBetter, "requests completed within the SLO per second", true),
		plain("utilization", "utilization", "ratio", NoBetter, "busy share of the provisioned slot time", false),
		plain("error_rate", "error_rate", "ratio", LowerBetter, "share of the requests that did not complete", true),
		plain("messages", "messages_per_request", "ratio", LowerBetter, "one-way control messages per request", false),
		plain("gpu_seconds", "gpu_seconds", "s", LowerBetter, "provisioned GPU seconds in the measured window", false),
		plain("requests", "requests", "ratio", NoBetter, "measured requests", true),
	}
	return append(out, familyMetrics()...)
}

// FindMetric resolves a name as gates write it; extra are metrics registered outside
// this program's catalogue.
func FindMetric(name string, extra ...MetricInfo) (MetricInfo, bool) { return findMetric(name, extra) }

// findMetric resolves a gate name, a full JSON name or p99.9; later entries of
// extra do not hide built-in ones.
func findMetric(name string, extra []MetricInfo) (MetricInfo, bool) {
	if name == "p99.9" {
		name = "p999"
	}
	for _, list := range [][]MetricInfo{Metrics(), extra} {
		for _, m := range list {
			if m.Name == name || m.JSON == name {
				return m, true
			}
		}
	}
	return prefixed(name)
}

// metricNames lists what a gate may name, for hints.
func metricNames(extra []MetricInfo) []string {
	var out []string
	for _, m := range slices.Concat(Metrics(), extra) {
		if !slices.Contains(out, m.Name) {
			out = append(out, m.Name)
		}
	}
	return out
}

// permille is k of a percentile metric, 0 for others.
func permille(name string) int {
	i := strings.LastIndexByte(name, '_')
	switch name[i+1:] {
	case "p50":
		return 500
	case "p90":
		return 900
	case "p95":
		return 950
	case "p99":
		return 990
	case "p999":
		return 999
	}
	return 0
}

// latencyMetric says whether a metric describes completed requests' times.
func latencyMetric(m MetricInfo) bool { return m.Log && m.Unit == "ms" }

// partValue is a metric of a part, nil if unknown.
func partValue(p *Part, m MetricInfo) *float64 {
	switch m.Name {
	case "p50":
		return p.P50MS
	case "p90":
		return p.P90MS
	case "p95":
		return p.P95MS
	case "p99":
		return p.P99MS
	case "p999":
		return p.P999MS
	case "mean":
		return p.MeanMS
	case "max":
		return p.MaxMS
	case "ttft_p50":
		return p.TTFTP50MS
	case "ttft_p99":
		return p.TTFTP99MS
	case "tpot_p50":
		return p.TPOTP50MS
	case "tpot_p99":
		return p.TPOTP99MS
	case "throughput":
		return finite(p.ThroughputRPS)
	case "goodput":
		return p.GoodputRPS
	case "utilization":
		return p.Utilization
	case "error_rate":
		return p.ErrorRate
	case "messages":
		return finite(p.MessagesPerRequest)
	case "gpu_seconds":
		return p.GPUSec
	case "requests":
		return finite(float64(p.Requests))
	}
	return finitePtr(p.Metrics[m.JSON])
}

// cellValue is a metric of a cell, nil if unknown.
func cellValue(c *Cell, m MetricInfo) *float64 {
	p := Part{
		P50MS: c.P50MS, P90MS: c.P90MS, P95MS: c.P95MS, P99MS: c.P99MS, P999MS: c.P999MS,
		MeanMS: c.MeanMS, MaxMS: c.MaxMS,
		TTFTP50MS: c.TTFTP50MS, TTFTP99MS: c.TTFTP99MS, TPOTP50MS: c.TPOTP50MS, TPOTP99MS: c.TPOTP99MS,
		ThroughputRPS: c.ThroughputRPS, GoodputRPS: c.GoodputRPS, Utilization: c.Utilization,
		ErrorRate: c.ErrorRate, MessagesPerRequest: c.MessagesPerRequest, GPUSec: c.GPUSec,
		Requests: c.Requests, Metrics: c.Metrics,
	}
	return partValue(&p, m)
}

// groupValue is a metric of a group, nil if unknown.
func groupValue(g *Group, m MetricInfo) *float64 {
	switch m.Name {
	case "mean":
		return g.MeanMS
	case "p50":
		return g.P50MS
	case "p99":
		return g.P99MS
	case "error_rate":
		return g.ErrorRate
	case "goodput":
		return g.GoodputRPS
	case "requests":
		return finite(float64(g.Requests))
	}
	return nil
}

// Value returns a metric of a cell by its gate name or JSON name, nil if the
// cell does not have it.
func (c *Cell) Value(metric string) *float64 {
	m, ok := findMetric(metric, nil)
	if !ok {
		return finitePtr(c.Metrics[metric])
	}
	return cellValue(c, m)
}
