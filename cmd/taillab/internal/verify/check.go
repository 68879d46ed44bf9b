package verify

import (
	"time"

	"taillab/reports"
)

// unitOf is the prediction's unit of time in the simulation.
func unitOf(x *experiment) time.Duration {
	if x.pred.Unit == unitMS {
		return time.Millisecond
	}
	return unitTime
}

// check compares all quantities of a point with its simulation, one collector per seed.
func (x *experiment) check(runs []*reports.Collector, confidence float64) []*reports.TheoryCheck {
	unit := unitOf(x)
	var means, busy, blocked []float64
	var hists []*reports.Hist
	for _, c := range runs {
		part, h := c.Part(), c.Hists()[0].Hist
		hists = append(hists, h)
		means = append(means, h.Mean()/float64(unit))
		blocked = append(blocked, 1-float64(part.Completed)/float64(part.Requests))
		if part.Utilization != nil {
			busy = append(busy, *part.Utilization)
		}
	}
	slack := x.model.slack(x.point)
	mean := x.new("mean", x.pred.Unit, x.pred.Mean, slack*x.pred.Mean)
	mean.AgreeMean(means, confidence)
	out := []*reports.TheoryCheck{mean}
	for _, q := range quantiles() {
		if q.permille > x.size.top {
			break
		}
		out = append(out, x.quantile(q, hists, float64(unit), slack, confidence))
	}
	out = append(out, x.share("busy", x.pred.Busy, busy, confidence))
	if x.pred.Blocked > 0 {
		out = append(out, x.share("blocked", x.pred.Blocked, blocked, confidence))
	}
	for _, n := range x.pred.Counts {
		var values []float64
		for _, c := range runs {
			if v := c.Part().Metrics[n.metric]; v != nil {
				values = append(values, *v)
			}
		}
		c := x.new(n.name, unitRatio, n.value, (slack+n.slack)*n.value)
		c.AgreeMean(values, confidence)
		out = append(out, c)
	}
	return out
}

func (x *experiment) new(metric, unit string, theory, slack float64) *reports.TheoryCheck {
	return &reports.TheoryCheck{Case: x.point.Case, Params: x.point.Params(), Label: x.point.Label(), Metric: metric, Unit: unit,
		Theory: theory, Slack: slack, Requests: int64(x.size.measured)}
}

func (x *experiment) quantile(q quantile, hists []*reports.Hist, unit, slack, confidence float64) *reports.TheoryCheck {
	p := float64(q.permille) / 1000
	v := x.pred.Quantile(p)
	c := x.new(q.name, x.pred.Unit, v, slack*v)
	var values, below, above []float64
	for _, h := range hists {
		values = append(values, h.Quantile(q.permille)/unit)
		below = append(below, shareUpTo(h, v*(1-slack)*unit))
		above = append(above, shareUpTo(h, v*(1+slack)*unit))
	}
	c.AgreeQuantile(p, values, below, above, confidence)
	return c
}

func (x *experiment) share(metric string, theory float64, values []float64, confidence float64) *reports.TheoryCheck {
	c := x.new(metric, unitRatio, theory, max(shareSlack, baseSlack*theory))
	c.AgreeMean(values, confidence)
	return c
}

// shareUpTo is the share of values up to v ns; within the bin of v they lie evenly.
func shareUpTo(h *reports.Hist, v float64) float64 {
	sum := 0.0
	for _, b := range h.Bins() {
		part := (v - float64(b.Low)) / float64(b.Width)
		if part <= 0 {
			break
		}
		sum += float64(b.Count) * min(part, 1)
	}
	return sum / float64(h.Count())
}
