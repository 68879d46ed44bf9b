package reports

import "strings"

// familyMetrics lists what policy families, and faults, report beside the fields of every
// summary, one entry each. An entry is all that a new metric needs to be known to
// gates, `list metrics` and `explain`; the host puts its value under the same JSON
// name into End.Metrics.
func familyMetrics() []MetricInfo {
	return []MetricInfo{
		FamilyMetric("quota", "admitted_of_ideal", HigherBetter, "units admitted, over what a limiter without delay would admit: min(offered, rate·time + burst)").titled("of ideal"),
		FamilyMetric("quota", "worst_second_rps", LowerBetter, "most units that a group admitted in one second, the first two seconds left out").titled("worst second"),
		FamilyMetric("quota", "p99_decision_ms", LowerBetter, "99th percentile of the time to a decision").titled("P99 decision"),
		FamilyMetric("quota", "shard_ops_rps", LowerBetter, "asks that the shards of the store served per second, all shards together").titled("shard ops"),
		FamilyMetric("quota", "over_admission", LowerBetter, "admitted beyond the limit, as a share of it"),
		FamilyMetric("quota", "quota_utilization", HigherBetter, "share of the limit that was used"),
		FamilyMetric("quota", "jain", HigherBetter, "Jain index of admitted over min(demand, fair share)").titled("Jain"),
		FamilyMetric("quota", "denied", LowerBetter, "denials per request"),
		FamilyMetric("quota", "asked_again", LowerBetter, "further decisions per request, after a denial"),
		FamilyMetric("quota", "p50_decision_ms", LowerBetter, "median time to a decision"),
		FamilyMetric("quota", "p999_decision_ms", LowerBetter, "99.9th percentile of the time to a decision"),
		FamilyMetric("quota", "p50_reclaim_ms", LowerBetter, "of tenants that want no more than their fair share: median time from a denial to the next unit"),
		FamilyMetric("quota", "p99_reclaim_ms", LowerBetter, "of such tenants: 99th percentile of the time from a denial to the next unit"),
		FamilyMetric("quota", "settled_of_charged", NoBetter, "units used, over units charged"),
		FamilyMetric("quota", "debt", LowerBetter, "units used beyond the charge of their request, over units charged"),
		FamilyMetric("quota", "shard_skew", LowerBetter, "asks of the busiest shard, over the mean"),
		FamilyMetric("quota", "fallback_share", LowerBetter, "share of the decisions that were made without the store, because it did not answer"),
		FamilyMetric("faults", "exposed", LowerBetter, "rolling_update: largest share of the front ends that took requests with a bad build").titled("exposed"),
		FamilyMetric("faults", "exposed_requests", LowerBetter, "rolling_update: share of the requests that met a bad build"),
		FamilyMetric("faults", "update_steps", NoBetter, "rolling_update: batches that were begun"),
		FamilyMetric("faults", "frontends_up", HigherBetter, "rolling_update, lock_stall: least share of the front ends in service"),
		FamilyMetric("faults", "stalled_requests", LowerBetter, "lock_stall: share of the requests that waited for a stall").titled("stalled"),
		FamilyMetric("faults", "evictions", LowerBetter, "lock_stall: front ends taken out of service by their readiness check").titled("evicted"),
		FamilyMetric("autoscale", "detection_s", LowerBetter, "from the first rise of the load until more replicas are wanted; 0 = enough were").titled("detection"),
		FamilyMetric("autoscale", "capacity_s", LowerBetter, "from the first rise of the load until enough replicas for it are ready").titled("capacity"),
		FamilyMetric("autoscale", "slo_miss_s", LowerBetter, "seconds whose P99 missed the SLO, by arrivals; a failed request misses it").titled("SLO missed"),
		FamilyMetric("autoscale", "gpu_hours", LowerBetter, "hours that replicas held a GPU, starting and draining included").titled("GPU hours"),
		FamilyMetric("autoscale", "idle_gpu", LowerBetter, "share of that time in which nothing ran").titled("idle"),
		FamilyMetric("autoscale", "replicas_ready", NoBetter, "replicas that take requests, mean over time").titled("ready"),
		FamilyMetric("autoscale", "held_mean_s", LowerBetter, "how long requests waited in the hold stage that did, on average").titled("held"),
		FamilyMetric("autoscale", "killed_requests", LowerBetter, "requests that ended as reset or refused because their replica was killed or gone").titled("killed"),
		FamilyMetric("autoscale", "killed_by_reclaim", NoBetter, "share of them whose replica was reclaimed"),
		FamilyMetric("autoscale", "overshoot", LowerBetter, "most replicas wanted beyond those that the risen load keeps busy"),
		FamilyMetric("autoscale", "oscillations", LowerBetter, "changes of direction of the wanted count per hour"),
		FamilyMetric("autoscale", "replicas_desired", NoBetter, "replicas wanted, mean over time"),
		FamilyMetric("autoscale", "cold_starts", LowerBetter, "replicas that became ready"),
		FamilyMetric("autoscale", "held_requests", LowerBetter, "requests that waited in the hold stage"),
	}
}

// metricPrefixes are metrics whose names end in a class that the policy chooses.
func metricPrefixes() []MetricInfo {
	return []MetricInfo{
		FamilyMetric("balance", "messages_", LowerBetter, "one-way control messages of this class per request"),
		FamilyMetric("balance", "picks_", NoBetter, "share of the picks that took this path"),
		FamilyMetric("balance", "count_", NoBetter, "how often this happened per pick"),
	}
}

// FamilyMetric describes a metric that a policy family registers under its JSON
// name; the unit is read from the end of the name. Such a metric may be 0, so it is
// compared by differences.
func FamilyMetric(family, json, better, about string) MetricInfo {
	m := MetricInfo{Name: json, JSON: json, Unit: "ratio", Better: better, Family: family, About: about}
	for _, unit := range []string{"ms", "s", "rps"} {
		if base, ok := strings.CutSuffix(json, "_"+unit); ok {
			m.Name, m.Unit = base, unit
			break
		}
	}
	return m
}

// titled shows the metric in a table of its family below the results, under a short
// title.
func (m MetricInfo) titled(title string) MetricInfo {
	m.Title = title
	return m
}

// Spread is the mean of a metric over the parts of a cell and its t interval; nil
// where no part knows it, or too few for an interval.
func (c *Cell) Spread(m MetricInfo, confidence float64) (*float64, *Interval) {
	var xs []float64
	for i := range c.Parts {
		if x := partValue(&c.Parts[i], m); x != nil {
			xs = append(xs, *x)
		}
	}
	if len(xs) == 0 {
		return nil, nil
	}
	e := estimateOf(xs)
	h := e.half(confidence)
	return finite(e.mean), interval(e.mean-h, e.mean+h)
}

// prefixed resolves a name of metricPrefixes.
func prefixed(name string) (MetricInfo, bool) {
	for _, m := range metricPrefixes() {
		if class, ok := strings.CutPrefix(name, m.Name); ok && class != "" {
			m.Name, m.JSON = name, name
			return m, true
		}
	}
	return MetricInfo{}, false
}
