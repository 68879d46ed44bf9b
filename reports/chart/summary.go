package chart

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"taillab/reports"
)

// OriginOf is the foot of every chart of a summary. Requests are those of all
// cells.
func OriginOf(s *reports.Summary) Origin {
	o := Origin{Scenario: s.Scenario, Host: s.Host, Seed: s.Seed}
	if s.Git != nil {
		o.Commit = s.Git.Commit
		if s.Git.Dirty && o.Commit != "" {
			o.Commit = cut(o.Commit, 8) + "+"
		}
	}
	for _, c := range s.Cells {
		o.Requests += c.Requests
		o.Seeds = max(o.Seeds, c.Seeds)
		if name := Label(c); !slices.Contains(o.Palette, name) {
			o.Palette = append(o.Palette, name)
		}
	}
	return o
}

// Label names the series a cell belongs to: its policy, and the swept axes other
// than load.
func Label(c reports.Cell) string {
	var b strings.Builder
	b.WriteString(c.Policy)
	for _, k := range slices.Sorted(maps.Keys(c.Axes)) {
		fmt.Fprintf(&b, ", %s %v", k, c.Axes[k])
	}
	return b.String()
}

// ByRate is true if the cells are told apart by arrival rate because some have no
// load.
func ByRate(cells []reports.Cell) bool {
	return slices.ContainsFunc(cells, func(c reports.Cell) bool { return c.Load == nil })
}

// PlaceOf is where a cell stands on the axis of loads or rates.
func PlaceOf(c reports.Cell, byRate bool) float64 {
	if byRate || c.Load == nil {
		return c.RateRPS
	}
	return *c.Load
}

// PlaceName says a place in words: "85% load" or "40/s".
func PlaceName(x float64, byRate bool) string { return P99Input{Rate: byRate}.xLabel(x) }

// P99Of collects P99 of all cells.
func P99Of(s *reports.Summary) P99Input {
	in := P99Input{Origin: OriginOf(s), Rate: ByRate(s.Cells)}
	for _, c := range s.Cells {
		in.X = append(in.X, PlaceOf(c, in.Rate))
	}
	slices.Sort(in.X)
	in.X = slices.Compact(in.X)
	index := map[string]int{}
	for _, c := range s.Cells {
		name := Label(c)
		i, ok := index[name]
		if !ok {
			i = len(in.Series)
			index[name] = i
			in.Series = append(in.Series, P99Series{Label: name, Values: make([]Value, len(in.X))})
		}
		k, _ := slices.BinarySearch(in.X, PlaceOf(c, in.Rate))
		in.Series[i].Values[k] = valueOf(c.P99MS, c.P99CI)
	}
	return in
}

func valueOf(v *float64, ci *reports.Interval) Value {
	out := Value{V: v}
	if ci != nil {
		out.CI = &[2]float64{ci[0], ci[1]}
	}
	return out
}

// Finding is the sentence about a summary: which policy has the lowest P99 where.
func Finding(s *reports.Summary) string { return leadersTitle(P99Of(s)) }

// CapacityFinding is the sentence about a search for capacities.
func CapacityFinding(c *reports.Capacity) string { return CapacityOf(c).title() }

// TailOf collects the tails of the cells at one place of the sweep.
func TailOf(s *reports.Summary, at float64) TailInput {
	byRate := ByRate(s.Cells)
	in := TailInput{Origin: OriginOf(s), At: PlaceName(at, byRate)}
	in.Requests = 0
	for _, c := range s.Cells {
		if cmp.Compare(PlaceOf(c, byRate), at) != 0 {
			continue
		}
		in.Requests += c.Requests
		bar := TailBar{Label: Label(c), P99: valueOf(c.P99MS, c.P99CI)}
		if t := c.Tail; t != nil {
			bar.Parts = [6]*float64{t.HeldMS, t.QuotaMS, t.NetworkMS, t.QueueMS, t.BatchMS, t.ServiceMS}
		}
		in.Bars = append(in.Bars, bar)
		if len(c.Slowest) > 0 {
			in.Slowest = append(in.Slowest, SlowRequest{Label(c), c.Slowest[0].LatencyMS, StepsText(c.Slowest[0].Steps)})
		}
	}
	return in
}

// StepsText says the steps of a slow request in one line.
func StepsText(steps []reports.SlowStep) string {
	var parts []string
	for _, s := range steps {
		p := s.Step + " " + Latency(s.MS)
		if s.Replica != nil {
			p += fmt.Sprintf(" on replica %d", *s.Replica)
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, ", ")
}

// CapacityOf collects what a search for capacities found.
func CapacityOf(c *reports.Capacity) CapacityInput {
	in := CapacityInput{Rule: c.SLO, Limit: c.Limit, Unit: c.Unit, Setting: c.Vary, Fewer: c.Easiest > c.Hardest,
		Origin: Origin{Scenario: c.Scenario, Host: c.Host, Seed: c.Seed}}
	if c.Git != nil {
		in.Commit = c.Git.Commit
	}
	if in.Metric, _, _ = strings.Cut(c.SLO, " "); strings.HasPrefix(in.Metric, "p9") || strings.HasPrefix(in.Metric, "p5") {
		in.Metric = "P" + in.Metric[1:]
	}
	if c.Vary == reports.VaryLoad {
		in.Setting, in.Share = "offered load", true
	}
	for _, r := range c.Policies {
		l := CapacityLine{Label: Label(reports.Cell{Policy: r.Policy, Axes: r.Axes}), At: valueOf(r.Capacity, r.CI), Note: CapacityNote(r.Outcome), All: r.Outcome == reports.CapacityAlways}
		if l.All {
			l.Note = "≥" + in.place(c.Hardest)
			if in.Fewer {
				l.Note = "≤" + in.place(c.Hardest)
			}
		}
		for _, p := range decisive(r.Points) {
			l.X, l.Y = append(l.X, p.At), append(l.Y, valueOf(p.Value, p.CI))
			in.Seeds = max(in.Seeds, p.Seeds)
		}
		in.Rows = append(in.Rows, l)
	}
	return in
}

// decisive leaves out what was measured with fewer seeds among settings measured with
// more: the curve would jump between the two.
func decisive(points []reports.CapacityPoint) []reports.CapacityPoint {
	most, lo, hi := 0, math.Inf(1), math.Inf(-1)
	for _, p := range points {
		most = max(most, p.Seeds)
	}
	for _, p := range points {
		if p.Seeds == most {
			lo, hi = min(lo, p.At), max(hi, p.At)
		}
	}
	return slices.DeleteFunc(slices.Clone(points), func(p reports.CapacityPoint) bool {
		return p.Seeds < most && p.At > lo && p.At < hi
	})
}

// CapacityNote says an outcome that has no number.
func CapacityNote(outcome string) string {
	switch outcome {
	case reports.CapacityNever:
		return "never met"
	case reports.CapacityAlways:
		return "always met"
	}
	return "not settled"
}
