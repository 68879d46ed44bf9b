package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"taillab/reports"
)

// CSV writes one row per cell as RFC 4180, in the order of the JSON fields and
// with full precision; an unknown value is empty. Errors are one total, parameters
// and axes `k=v;k=v` by key, intervals two columns, the tail six. Groups, parts
// and slowest requests are left out: they are lists.
func CSV(w io.Writer, s *reports.Summary) error {
	s, err := clean(s)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	names := metricNames(s)
	if err := out.Write(csvHeader(names)); err != nil {
		return err
	}
	for _, c := range s.Cells {
		if err := out.Write(csvRow(c, names)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// metricNames are the names of all registered metrics in the summary, sorted.
func metricNames(s *reports.Summary) []string {
	all := map[string]bool{}
	for _, c := range s.Cells {
		for name := range c.Metrics {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func csvHeader(metrics []string) []string {
	h := strings.Fields(`policy policy_type family params load axes rate_rps time_scale unit seeds requests completed
		errors_total error_rate mean_ms max_ms p50_ms p90_ms p95_ms p99_ms p999_ms
		p50_ci_ms_lo p50_ci_ms_hi p99_ci_ms_lo p99_ci_ms_hi p999_ci_ms_lo p999_ci_ms_hi
		ttft_p50_ms ttft_p99_ms tpot_p50_ms tpot_p99_ms throughput_rps goodput_rps utilization messages_per_request`)
	for _, m := range metrics {
		h = append(h, "metrics."+m)
	}
	return append(h, strings.Fields(`tail.held_ms tail.quota_ms tail.network_ms tail.queue_ms tail.batch_ms tail.service_ms
		gpu_seconds events wall_s lateness_p99_ms workload_hash result_hash`)...)
}

func csvRow(c reports.Cell, metrics []string) []string {
	var errors int64
	for _, n := range c.Errors {
		errors += n
	}
	row := []string{c.Policy, c.PolicyType, c.Family, pairs(c.Params), opt(c.Load), pairs(c.Axes),
		float(c.RateRPS), opt(c.TimeScale), c.Unit, strconv.Itoa(c.Seeds),
		integer(c.Requests), integer(c.Completed), integer(errors), opt(c.ErrorRate),
		opt(c.MeanMS), opt(c.MaxMS), opt(c.P50MS), opt(c.P90MS), opt(c.P95MS), opt(c.P99MS), opt(c.P999MS)}
	for _, ci := range []*reports.Interval{c.P50CI, c.P99CI, c.P999CI} {
		if ci == nil {
			row = append(row, "", "")
		} else {
			row = append(row, float(ci[0]), float(ci[1]))
		}
	}
	row = append(row, opt(c.TTFTP50MS), opt(c.TTFTP99MS), opt(c.TPOTP50MS), opt(c.TPOTP99MS),
		float(c.ThroughputRPS), opt(c.GoodputRPS), opt(c.Utilization), float(c.MessagesPerRequest))
	for _, m := range metrics {
		row = append(row, opt(c.Metrics[m]))
	}
	t := c.Tail
	if t == nil {
		t = &reports.Tail{}
	}
	row = append(row, opt(t.HeldMS), opt(t.QuotaMS), opt(t.NetworkMS), opt(t.QueueMS), opt(t.BatchMS), opt(t.ServiceMS))
	events := ""
	if c.Events != nil {
		events = integer(*c.Events)
	}
	return append(row, opt(c.GPUSec), events, float(c.WallS), opt(c.LatenessP99MS), c.WorkloadHash, c.ResultHash)
}

func float(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func integer(v int64) string { return strconv.FormatInt(v, 10) }

func opt(v *float64) string {
	if v == nil {
		return ""
	}
	return float(*v)
}

// pairs prints a map by key.
func pairs(m map[string]any) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s=%v", k, m[k]))
	}
	return strings.Join(out, ";")
}
