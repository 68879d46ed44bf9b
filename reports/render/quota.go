package render

import (
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
)

// quotaFrontier is what a limit costs against what it gives, in the rows that are shown:
// how near each limiter comes to the limit and how long its decisions take or, where
// dividers are compared, how much of the limit they use and how fairly.
func quotaFrontier(v view) (chart.FrontierInput, bool) {
	in := chart.FrontierInput{Origin: chart.OriginOf(v.s), At: v.place(),
		X: chart.Dimension{Name: "accuracy of the limit", Higher: true}, Y: chart.Dimension{Name: "P99 of a decision", Format: chart.Latency}}
	x := func(c reports.Cell) chart.Value { return accuracy(v.value(c, "admitted_of_ideal")) }
	y := func(c reports.Cell) chart.Value { return v.value(c, "p99_decision") }
	if v.any(func(c reports.Cell) bool { return strings.Contains(c.Family, "share") }) {
		in.X, in.Y = chart.Dimension{Name: "use of the limit", Higher: true}, chart.Dimension{Name: "Jain index", Higher: true}
		x = func(c reports.Cell) chart.Value { return v.value(c, "quota_utilization") }
		y = func(c reports.Cell) chart.Value { return v.value(c, "jain") }
	}
	for _, c := range v.rows {
		p := chart.FrontierPoint{Label: chart.Label(c), X: x(c), Y: y(c)}
		if p.X.V != nil && p.Y.V != nil {
			in.Points = append(in.Points, p)
		}
	}
	return in, len(in.Points) > 1
}

// accuracy is 1 less the distance from the ideal, on either side; so is its interval,
// which ends at 1 where it holds the ideal.
func accuracy(ratio chart.Value) chart.Value {
	of := func(x float64) float64 { return 1 - max(x-1, 1-x) }
	if ratio.V == nil {
		return ratio
	}
	a := of(*ratio.V)
	out := chart.Value{V: &a}
	if ci := ratio.CI; ci != nil {
		lo, hi := of(ci[0]), of(ci[1])
		if lo, hi = min(lo, hi), max(lo, hi); ci[0] <= 1 && 1 <= ci[1] {
			hi = 1
		}
		out.CI = &[2]float64{lo, hi}
	}
	return out
}
