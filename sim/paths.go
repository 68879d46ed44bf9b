package sim

import (
	"strings"

	"taillab/policies/balance"
	"taillab/reports"
)

// paths turns what Counted policies tell into metrics: the share of picks made by
// each path, and other counts per pick.
func (l *lab) paths() []reports.Metric {
	var names []string
	sum := map[string]uint64{}
	var picks uint64
	add := func(prefix string, list []balance.PathCount) {
		for _, p := range list {
			name := prefix + strings.ReplaceAll(p.Name, "-", "_")
			if _, ok := sum[name]; !ok {
				names = append(names, name)
			}
			sum[name] += p.N
		}
	}
	for k := range l.fronts {
		for i := range l.svcs {
			c, ok := l.fronts[k].fe.Balancer(i).(balance.Counted)
			if !ok {
				continue
			}
			var s balance.Stats
			c.Stats(&s)
			add("picks_", s.Paths)
			add("count_", s.Counts)
			for _, p := range s.Paths {
				picks += p.N
			}
		}
	}
	var out []reports.Metric
	for _, n := range names {
		v := float64(sum[n])
		if picks > 0 {
			v /= float64(picks)
		}
		out = append(out, reports.Metric{Name: n, Value: &v})
	}
	return out
}
