package reports

import "math"

// Step is what a cell needs to reach a precision.
type Step int

// The steps, from nothing to do to nothing that helps.
const (
	Enough     Step = iota
	MoreSeeds       // the interval is too wide
	LongerRuns      // seeds too short: their percentile is biased, or unknown
	Hopeless        // the cell does not settle, or nothing completes
)

// Progress says how near a cell is to a precision.
type Progress struct {
	Step  Step
	Seeds int     // with MoreSeeds: how many in all are worth a next look
	Half  float64 // half-width of the wider interval as a fraction of the value; 0 if there is none
	Of    string  // the metric with that interval
}

// NextStep looks at the intervals of P50 and P99 of a cell and at its warnings, and
// says what would bring both within ± precision of their value.
func NextStep(c *Cell, warnings []Warning, precision float64) Progress {
	if c.Completed == 0 || hasWarning(warnings, c, "p99", "unstable") != "" {
		return Progress{Step: Hopeless}
	}
	p, h := Progress{}, 0.0
	for _, m := range []struct {
		name string
		ci   *Interval
	}{{"p50", c.P50CI}, {"p99", c.P99CI}} {
		if m.ci == nil || hasWarning(warnings, c, m.name, "short-run", "autocorrelated") != "" {
			return Progress{Step: LongerRuns, Of: m.name}
		}
		if wide := math.Log(m.ci[1]/m.ci[0]) / 2; p.Of == "" || wide > h {
			h, p.Half, p.Of = wide, math.Expm1(wide), m.name
		}
	}
	if next, reached := NextSeeds(c.Seeds, h, precision); !reached {
		p.Step, p.Seeds = MoreSeeds, next
	}
	return p
}

// NextSeeds is the sequential stopping rule: an interval of half-width half on ln x
// from so many seeds is narrow enough if half ≤ ln(1 + precision). Else the width
// falls with 1/√seeds, so (half/ln(1 + precision))² times as many would do; at most
// twice as many are run before the next look, because half is an estimate too.
func NextSeeds(seeds int, half, precision float64) (next int, reached bool) {
	want := math.Log1p(precision)
	if half <= want {
		return seeds, true
	}
	grow := half / want
	guess := math.Ceil(float64(seeds) * grow * grow)
	return int(min(float64(2*seeds), max(float64(seeds+1), guess))), false
}
