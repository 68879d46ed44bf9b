package reports

import (
	"fmt"
	"slices"
	"strings"
)

// WarningCode is one entry of the closed list of warnings.
type WarningCode struct{ Code, About string }

// WarningCodes lists every warning a summary may hold, for `explain CODE`.
func WarningCodes() []WarningCode {
	return []WarningCode{
		{"few-samples", "A percentile needs n·(1−p) ≥ 30 completed requests per part (3,000 for P99, 30,000 for P99.9). With fewer its value is null; use more requests per seed."},
		{"few-seeds", "Fewer than 5 seeds: intervals are wide and say little. Use `sweep.seeds: 10` or more."},
		{"quota-setting", "A limiter works with its parameters, but hardly as meant: leases alone can drain a group, or every front end may admit the whole limit between two syncs."},
		{"slow-load", "An autoscaler may shrink the fleet sooner than a replica takes to start, so capacity may come and go in turns."},
		{"saturating-metric", "An autoscaler goes by a share that ends at 100% on a server that batches: it cannot tell a little too much load from ten times too much, and grows by a fixed share per period."},
		{"shard-skew", "The busiest shard of the quota store has more than twice the mean load: few groups, or few large ones, do not spread evenly."},
		{"survivor-bias", "More requests failed than the percentile leaves out, so it describes the survivors. A gate on it may fail but cannot pass."},
		{"unfinished", "More requests were still under way at the drain cap than the percentile leaves out. A gate on it may fail but cannot pass."},
		{"unpaired-seeds", "Some seeds exist on one side of a comparison only; they were dropped from it."},
		{"unpaired", "The two sides saw different arrivals or demands: they are compared by Welch's t interval, which needs far more seeds than pairs do."},
		{"policy-chance-only", "All seeds share the arrivals and sizes of one trace: the interval holds the policy's dice only. Only paired comparisons are judged."},
		{"histogram-overflow", "Latencies above 1 h were counted in the last bin of the histogram; mean and maximum stay exact."},
		{"tolerance-below-resolution", "A tolerance below 0.2% is near the step of the histogram (0.1%)."},
		{"nondeterminism", "Same commit and plan, different result: a determinism rule is broken, or the CPU type differs."},
		{"interrupted", "The run was interrupted; only finished (cell, seed) pairs are shown."},
		{"transient", "`measure.transient` is set: values describe this run only, there is no interval and no latency gate."},
		{"client-late", "Live: requests left later than intended (P99 above max(1 ms, 5% of P50))."},
		{"client-saturated", "Live: the client used more than 80% of its CPU."},
		{"host-load", "Live: other work ran on this machine during the measurement."},
		{"throttled", "Live: a CPU or GPU was throttled."},
		{"tape-cut", "Live: the tape ends before the run does, so that a replay does not prove all of it: what was taped came faster than it could be written, or the disk was full, or the tape of a proxy reached its limit."},
		{"rate-missed", "Live: less than 99.5% of the intended rate was sent."},
		{"short-run", "The percentile of all requests differs from the mean of the seeds by more than half the interval: each seed is too short. More requests per seed help, more seeds do not. Gates on it cannot pass."},
		{"warmup-short", "The discarded start is shorter than a system needs to settle: 50 mean service times where a policy chooses among replicas, 3/(1−√ρ)² where each has a queue of its own. With `measure.warmup: auto`: no steady state was found in the first half of the run, and no latency gate is judged."},
		{"autocorrelated", "Neighbouring sections of a single run resemble each other, so its interval is too narrow. Gates on it cannot pass."},
		{"unstable", "Latency grows through the run and the load is not below capacity: the values describe the length of the run, not the system. Latency gates are inconclusive unless `allow_overload: true`."},
		{"not-monotone", "`capacity` found the rule missed at one setting and met at a harder one: there may be several thresholds, of which one is shown."},
		{"near-critical", "One or two of the three signs of instability: intervals are unreliable this close to capacity."},
		{"extrapolated", "A latency model was used beyond the points it was measured at."},
		{"closed-loop", "Arrivals wait for completions, so a slow system is asked less: latency is not comparable with open-loop runs."},
		{"infinite-variance", "A size distribution has no finite variance: means converge slowly or not at all."},
		{"clamped-sizes", "Sizes beyond the limits of the model were clamped."},
		{"unsorted-trace", "The trace was not sorted by time and has been sorted."},
		{"quantised-stamps", "The stamps of the trace are coarse: arrivals come in bursts that were not there."},
		{"skipped-rows", "Rows of the trace could not be read and were skipped."},
		{"tokens-estimated", "Token counts were estimated from text length."},
	}
}

// warnOf appends a warning about this cell.
func (s *summing) warnOf(code, metric, message string) {
	w := Warning{Code: code, Message: message, Policy: s.in.Policy, Load: s.in.Load, Metric: metric}
	if len(s.in.Axes) > 0 {
		w.Axes = s.in.Axes
	}
	s.warnings = append(s.warnings, w)
}

// warn looks for what a reader of the cell must know.
func (s *summing) warn() {
	c := &s.out
	s.warnFew()
	if name := biased(c.Requests-c.Completed, c.Requests); name != "" {
		s.warnOf("survivor-bias", "", fmt.Sprintf("%.3g%% of the requests failed: percentiles from %s upwards describe the survivors",
			100*float64(c.Requests-c.Completed)/float64(c.Requests), name))
	}
	if name := biased(c.Errors["unfinished"], c.Requests); name != "" {
		s.warnOf("unfinished", "", fmt.Sprintf("%d of %d requests were still under way at the drain cap: percentiles from %s upwards miss them",
			c.Errors["unfinished"], c.Requests, name))
	}
	over := int64(0)
	for _, r := range s.runs {
		over += r.result.latency.over + r.result.ttft.over + r.result.tpot.over
	}
	if over > 0 {
		s.warnOf("histogram-overflow", "", fmt.Sprintf("%d values above 1 h were clamped in the histogram", over))
	}
	if s.opt.Transient {
		return
	}
	s.warnWarmup()
	if unstable, near := majority(s.runs); unstable {
		s.warnOf("unstable", "", "latency grows through the run and the load is not below capacity: values are those of its length, not of the system")
	} else if near {
		s.warnOf("near-critical", "", "a sign of instability: intervals are unreliable")
	}
}

func (s *summing) warnFew() {
	c := &s.out
	if c.Unit == UnitSeed && c.Seeds < 5 && !s.opt.Transient {
		s.warnOf("few-seeds", "", fmt.Sprintf("%d seeds: intervals need at least 2, and 5 or more to say much", c.Seeds))
	}
	var missing []string
	for _, q := range s.list() {
		if *q.value == nil && c.Completed > 0 && !strings.Contains(q.name, "_") {
			missing = append(missing, q.name+" needs "+thousands(30_000/(1000-q.k)))
		}
	}
	if len(missing) > 0 {
		s.warnOf("few-samples", "", strings.Join(missing, ", ")+" completed requests per "+runUnit(c.Unit))
	}
}

// runUnit is what the samples of a percentile are counted per.
func runUnit(unit string) string {
	if unit == UnitSection {
		return "run"
	}
	return unit
}

// biased names the lowest percentile that leaves out fewer requests than are
// missing; empty if none does.
func biased(missing, requests int64) string {
	for _, name := range []string{"p50", "p90", "p95", "p99", "p999"} {
		if shareBeyond(missing, requests, permille(name)) {
			return name
		}
	}
	return ""
}

// shareBeyond says whether missing/requests > 1 − p, in integers.
func shareBeyond(missing, requests int64, k int) bool {
	return requests > 0 && missing*1000 > requests*int64(1000-k)
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// hasWarning says whether a cell carries one of the codes, for all metrics or
// for the one named.
func hasWarning(warnings []Warning, c *Cell, metric string, codes ...string) string {
	for i := range warnings {
		w := &warnings[i]
		if !slices.Contains(codes, w.Code) || w.Policy != "" && w.Policy != c.Policy {
			continue
		}
		if w.Load != nil && (c.Load == nil || *w.Load != *c.Load) {
			continue
		}
		if w.Metric != "" && w.Metric != metric || len(w.Axes) > 0 && !sameAxes(w.Axes, c.Axes) {
			continue
		}
		return w.Code
	}
	return ""
}
