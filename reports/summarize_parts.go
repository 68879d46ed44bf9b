package reports

import (
	"cmp"
	"slices"
)

// cellGroups folds the groups of the runs by the same rules as the cell: counts
// are sums, means arithmetic, percentiles geometric and unknown if one is.
func cellGroups(parts []Part) []Group {
	type key struct{ by, name string }
	var order []key
	byKey := map[key][]*Group{}
	for i := range parts {
		for j := range parts[i].Groups {
			g := &parts[i].Groups[j]
			k := key{g.By, g.Name}
			if byKey[k] == nil {
				order = append(order, k)
			}
			byKey[k] = append(byKey[k], g)
		}
	}
	out := make([]Group, 0, len(order))
	for _, k := range order {
		out = append(out, foldGroup(byKey[k]))
	}
	sortGroups(out)
	return out
}

func foldGroup(gs []*Group) Group {
	out := Group{By: gs[0].By, Name: gs[0].Name}
	failed := 0.0
	var mean, good, p50, p99 []float64
	for _, g := range gs {
		out.Requests += g.Requests
		if g.ErrorRate != nil {
			failed += *g.ErrorRate * float64(g.Requests)
		}
		mean, good = appendKnown(mean, g.MeanMS), appendKnown(good, g.GoodputRPS)
		p50, p99 = appendKnown(p50, g.P50MS), appendKnown(p99, g.P99MS)
	}
	if out.Requests > 0 {
		out.ErrorRate = finite(failed / float64(out.Requests))
	}
	if len(mean) > 0 {
		out.MeanMS = finite(estimateOf(mean).mean)
	}
	if len(good) > 0 {
		out.GoodputRPS = finite(estimateOf(good).mean)
	}
	if len(p50) == len(gs) {
		out.P50MS, _ = LogInterval(p50, DefaultConfidence)
	}
	if len(p99) == len(gs) {
		out.P99MS, _ = LogInterval(p99, DefaultConfidence)
	}
	return out
}

func appendKnown(xs []float64, v *float64) []float64 {
	if v == nil {
		return xs
	}
	return append(xs, *v)
}

// slowest merges the kept records of the runs: 10, descending; ties by seed,
// then request.
func (s *summing) slowest() []Slow {
	type kept struct {
		Record
		run *Collector
	}
	var all []kept
	for _, run := range s.runs {
		for _, r := range run.result.slow {
			all = append(all, kept{r, run})
		}
	}
	slices.SortStableFunc(all, func(a, b kept) int {
		return cmp.Or(cmp.Compare(b.Latency, a.Latency), cmp.Compare(a.run.setup.Seed, b.run.setup.Seed),
			cmp.Compare(a.run.setup.Index, b.run.setup.Index), cmp.Compare(a.Request, b.Request))
	})
	out := make([]Slow, 0, slowKept)
	for _, k := range all[:min(len(all), slowKept)] {
		out = append(out, Slow{Request: k.Request, Seed: k.run.setup.Seed,
			LatencyMS: float64(k.Latency) / 1e6, Steps: k.run.slowSteps(&k.Record)})
	}
	return out
}

// slowSteps lists the steps that took time, in the order of a request's life.
func (c *Collector) slowSteps(r *Record) []SlowStep {
	service := ""
	if int(r.Service) < len(c.setup.Services) {
		service = c.setup.Services[r.Service]
	}
	out := []SlowStep{}
	add := func(name string, d int64, placed bool) {
		if d <= 0 {
			return
		}
		step := SlowStep{Step: name, MS: float64(d) / 1e6, Service: service, Attempt: int(r.Attempt)}
		if placed && r.Replica != NoReplica {
			replica := int(r.Replica)
			step.Replica = &replica
		}
		out = append(out, step)
	}
	add("held", int64(r.Steps.Held), false)
	add("quota", int64(r.Steps.Quota), false)
	add("network", int64(r.Steps.Network), true)
	add("queue", int64(r.Steps.Queue), true)
	add("batch", int64(r.Steps.Batch), true)
	add("service", int64(r.Steps.Service), true)
	return out
}
