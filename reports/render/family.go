package render

import (
	"slices"

	"taillab/reports"
	"taillab/reports/chart"
)

// family is the table of one policy family's metrics, at the load that is shown.
type family struct {
	name string
	cols []column
}

// families are those whose titled metrics have something to say.
func (v view) families() []family {
	var out []family
	for _, m := range reports.Metrics() {
		if m.Family == "" || m.Title == "" || !v.any(func(c reports.Cell) bool { x, _ := c.Spread(m, v.level()); return x != nil && *x != 0 }) {
			continue
		}
		i := slices.IndexFunc(out, func(f family) bool { return f.name == m.Family })
		if i < 0 {
			i = len(out)
			out = append(out, family{m.Family, []column{{name: "policy", cell: chart.Label}}})
		}
		f := &out[i]
		f.cols = append(f.cols, column{name: m.Title, drop: len(f.cols), best: m.Better == reports.LowerBetter,
			cell: func(c reports.Cell) string { return v.spread(c, m) },
			val:  func(c reports.Cell) *float64 { return c.Metrics[m.JSON] }})
	}
	return out
}

// level is the confidence of intervals.
func (v view) level() float64 {
	if c := v.s.Confidence; c > 0 && c < 1 {
		return c
	}
	return 0.95
}

// spread is the mean of a family's metric over the parts and half its interval.
func (v view) spread(c reports.Cell, m reports.MetricInfo) string {
	mean, ci := c.Spread(m, v.level())
	if mean == nil {
		return chart.Missing
	}
	text := amount(m, *mean)
	if ci == nil || *mean == 0 || ci[0] == ci[1] {
		return text
	}
	return text + " " + chart.PlusMinus(*mean, ci[0], ci[1])
}

// amount is a value of a family's metric in text.
func amount(m reports.MetricInfo, x float64) string {
	switch m.Unit {
	case "s":
		return chart.Latency(x * 1e3)
	case "ms":
		return chart.Latency(x)
	}
	return chart.Digits(x, 3)
}

// scalingFrontier sets what a fleet costs against the promises it breaks; false where
// fewer than two policies know both.
func scalingFrontier(v view) (chart.FrontierInput, bool) {
	in := chart.FrontierInput{Origin: chart.OriginOf(v.s), At: v.place(),
		X: chart.Dimension{Name: "GPU hours"}, Y: chart.Dimension{Name: "seconds that missed the SLO"}}
	for _, c := range v.rows {
		hours, missed := v.value(c, "gpu_hours"), v.value(c, "slo_miss")
		if hours.V != nil && missed.V != nil {
			in.Points = append(in.Points, chart.FrontierPoint{Label: chart.Label(c), X: hours, Y: missed})
		}
	}
	return in, len(in.Points) > 1
}

// value is a family's metric of a cell with its interval over the parts.
func (v view) value(c reports.Cell, metric string) chart.Value {
	for _, m := range reports.Metrics() {
		if m.Name != metric {
			continue
		}
		mean, ci := c.Spread(m, v.level())
		out := chart.Value{V: mean}
		if ci != nil {
			out.CI = &[2]float64{ci[0], ci[1]}
		}
		return out
	}
	return chart.Value{}
}
