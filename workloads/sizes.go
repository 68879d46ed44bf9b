package workloads

import (
	"math"
	"strconv"
	"strings"

	"taillab/policies"
)

// Quantity says what a Dist measures, which decides its unit and its bounds.
type Quantity uint8

// The quantities: token counts, and durations in nanoseconds.
const (
	Tokens Quantity = iota
	Durations
)

// MaxTokens bounds one token count.
const MaxTokens = 1 << 30

// Dist is a distribution of sizes: a constant or a kind with its parameters.
// Values are tokens, or nanoseconds for a duration. The zero value is "not given".
type Dist struct {
	Kind string `yaml:"kind"` // one of DistKinds; "" = not given

	Value float64 `yaml:"value"` // constant
	Mean  float64 `yaml:"mean"`  // exponential, lognormal, pareto
	CV    float64 `yaml:"cv"`    // lognormal
	Mu    float64 `yaml:"mu"`    // lognormal: of the logarithm of tokens, or of seconds
	Sigma float64 `yaml:"sigma"`
	Xm    float64 `yaml:"xm"` // pareto
	Alpha float64 `yaml:"alpha"`
	Cap   float64 `yaml:"cap"` // pareto: 0 = none

	Parts     []Part  `yaml:"parts"`     // bimodal
	Preset    string  `yaml:"preset"`    // quantiles: a preset's name in place of points
	Points    []Point `yaml:"points"`    // quantiles
	File      string  `yaml:"file"`      // empirical
	Column    string  `yaml:"column"`    // empirical
	Histogram []Bar   `yaml:"histogram"` // empirical, in place of a file

	Min *float64 `yaml:"min"` // nil: 1 for tokens, 0 for durations
	Max *float64 `yaml:"max"` // nil: none
}

// Part is one component of a mixture: a value, or a distribution.
type Part struct {
	P     float64 `yaml:"p"`
	Value float64 `yaml:"value"`
	Dist  *Dist   `yaml:"dist"` // nil: the value
}

// Point is one line of a quantile table.
type Point struct {
	Percent float64 `yaml:"percent"`
	Value   float64 `yaml:"value"`
}

// Bar is one line of a histogram.
type Bar struct {
	Value  float64 `yaml:"value"`
	Weight float64 `yaml:"weight"`
}

// Constant is the distribution of a bare value.
func Constant(v float64) Dist { return Dist{Kind: "constant", Value: v} }

// Check returns everything that is out of range, with paths that begin with the kind.
func (d Dist) Check(q Quantity) []policies.Problem {
	if d.Kind == "" {
		return d.checkBounds(q)
	}
	var ps []policies.Problem
	switch d.Kind {
	case "constant":
		if !within(d.Value, 0, limit(q)) {
			ps = append(ps, problem("", "the value is %v: it must be at least 0 and at most %v", d.Value, limit(q)))
		}
		return append(ps, d.checkBounds(q)...)
	case "exponential":
		ps = positive(ps, "mean", d.Mean, q)
	case "lognormal":
		ps = d.checkLognormal(q)
	case "pareto":
		ps = d.checkPareto(q)
	case "bimodal":
		ps = d.checkParts(q)
	case "quantiles":
		ps = d.checkPoints(q)
	case "empirical":
		ps = d.checkEmpirical(q)
	default:
		var names []string
		for _, k := range DistKinds() {
			names = append(names, k.Name)
		}
		return []policies.Problem{hint(problem("", "no distribution called %q", d.Kind), "one of: "+strings.Join(names, " "))}
	}
	return under(d.Kind, append(ps, d.checkBounds(q)...))
}

// limit is the largest value that a quantity may be told to have.
func limit(q Quantity) float64 {
	if q == Tokens {
		return MaxTokens
	}
	return 1e18 // 31 years in ns
}

func within(v, lo, hi float64) bool { return v >= lo && v <= hi } // false for NaN

func positive(ps []policies.Problem, key string, v float64, q Quantity) []policies.Problem {
	if !(v > 0 && v <= limit(q)) {
		ps = append(ps, problem(key, "%s is %v: it must be above 0 and at most %v", key, v, limit(q)))
	}
	return ps
}

// bounds returns the clamp, +Inf for no maximum.
func (d Dist) bounds(q Quantity) (lo, hi float64) {
	lo, hi = 0, math.Inf(1)
	if q == Tokens {
		lo, hi = 1, MaxTokens
	}
	if d.Kind == "constant" {
		lo = 0 // a constant 0 is meant
	}
	if d.Min != nil {
		lo = *d.Min
	}
	if d.Max != nil {
		hi = *d.Max
	}
	return lo, hi
}

func (d Dist) checkBounds(q Quantity) []policies.Problem {
	var ps []policies.Problem
	if d.Min != nil && !within(*d.Min, 0, limit(q)) {
		ps = append(ps, problem("min", "min is %v: it must be at least 0 and at most %v", *d.Min, limit(q)))
	}
	if d.Max != nil && !within(*d.Max, 0, limit(q)) {
		ps = append(ps, problem("max", "max is %v: it must be at least 0 and at most %v", *d.Max, limit(q)))
	}
	if lo, hi := d.bounds(q); len(ps) == 0 && lo > hi {
		ps = append(ps, problem("max", "max is %v and min is %v: max must not be below min", hi, lo))
	}
	return ps
}

func (d Dist) checkLognormal(q Quantity) []policies.Problem {
	byMean, byLog := d.Mean != 0 || d.CV != 0, d.Mu != 0 || d.Sigma != 0
	if byMean == byLog {
		return []policies.Problem{hint(problem("", "a lognormal takes mean and cv, or mu and sigma"), "for example {mean: 180, cv: 1.2}")}
	}
	var ps []policies.Problem
	if byMean {
		ps = positive(ps, "mean", d.Mean, q)
		if !(d.CV > 0 && d.CV <= 1000) {
			ps = append(ps, problem("cv", "cv is %v: it must be above 0 and at most 1000", d.CV))
		}
		return ps
	}
	if !within(d.Mu, -50, 50) {
		ps = append(ps, problem("mu", "mu is %v: it must lie in [-50, 50]", d.Mu))
	}
	if !(d.Sigma > 0 && d.Sigma <= 10) {
		ps = append(ps, problem("sigma", "sigma is %v: it must be above 0 and at most 10", d.Sigma))
	}
	return ps
}

func (d Dist) checkPareto(q Quantity) []policies.Problem {
	var ps []policies.Problem
	if !(d.Alpha > 1 && d.Alpha <= 1000) {
		ps = append(ps, problem("alpha", "alpha is %v: it must be above 1 (the mean is infinite below) and at most 1000", d.Alpha))
	}
	switch {
	case d.Mean != 0 && d.Xm != 0:
		ps = append(ps, hint(problem("xm", "mean and xm are both given"), "give one of them"))
	case d.Xm != 0:
		ps = positive(ps, "xm", d.Xm, q)
	default:
		ps = positive(ps, "mean", d.Mean, q)
	}
	if d.Cap != 0 {
		ps = positive(ps, "cap", d.Cap, q)
	}
	if xm := d.xm(); len(ps) == 0 && d.Cap != 0 && d.Cap < xm {
		ps = append(ps, problem("cap", "cap is %v: it lies below the smallest value %v", d.Cap, xm))
	}
	return ps
}

// xm is the smallest value of a pareto.
func (d Dist) xm() float64 {
	if d.Xm != 0 {
		return d.Xm
	}
	return d.Mean * (d.Alpha - 1) / d.Alpha
}

func (d Dist) checkParts(q Quantity) []policies.Problem {
	var ps []policies.Problem
	if len(d.Parts) == 0 {
		return []policies.Problem{hint(problem("", "a mixture has no parts"), "for example [{p: 0.9, value: 10}, {p: 0.1, value: 200}]")}
	}
	sum := 0.0
	for i, p := range d.Parts {
		at := "[" + strconv.Itoa(i) + "]"
		if !within(p.P, 0, 1) {
			ps = append(ps, problem(at+".p", "p is %v: it must lie in [0, 1]", p.P))
		}
		sum += p.P
		switch {
		case p.Dist == nil && !within(p.Value, 0, limit(q)):
			ps = append(ps, problem(at+".value", "the value is %v: it must be at least 0 and at most %v", p.Value, limit(q)))
		case p.Dist != nil && p.Dist.Kind == "":
			ps = append(ps, problem(at, "part %d has no distribution", i+1))
		case p.Dist != nil:
			ps = append(ps, under(at, p.Dist.Check(q))...)
		}
	}
	if !(math.Abs(sum-1) <= 1e-9) {
		ps = append(ps, problem("", "the parts' p sum to %v: they must sum to 1", sum))
	}
	return ps
}

func (d Dist) checkPoints(q Quantity) []policies.Problem {
	if d.Preset != "" {
		if len(d.Points) > 0 {
			return []policies.Problem{problem("", "a quantile table is given beside the preset %q: give one", d.Preset)}
		}
		if q == Durations {
			return []policies.Problem{hint(problem("", "the preset %q holds tokens, not durations", d.Preset), "give a table {percent: duration}")}
		}
		if _, ok := quantileTable(d.Preset, "input"); !ok {
			return []policies.Problem{hint(problem("", "no quantile table called %q", d.Preset), "one of: "+strings.Join(tableNames(), " "))}
		}
		return nil
	}
	var ps []policies.Problem
	if len(d.Points) < 2 {
		ps = append(ps, problem("", "a quantile table has %d points: it needs at least 2", len(d.Points)))
	}
	for i, p := range d.Points {
		if !(p.Percent > 0 && p.Percent <= 100) {
			ps = append(ps, problem("", "percent %v of point %d must be above 0 and at most 100", p.Percent, i+1))
		}
		if !within(p.Value, 0, limit(q)) {
			ps = append(ps, problem("", "the value at %v %% is %v: it must be at least 0 and at most %v", p.Percent, p.Value, limit(q)))
		}
		if i > 0 && !(p.Percent >= d.Points[i-1].Percent && p.Value >= d.Points[i-1].Value) {
			ps = append(ps, hint(problem("", "the point %v %% → %v lies below the one before it", p.Percent, p.Value), "percents and values must not decrease"))
		}
	}
	return ps
}

func (d Dist) checkEmpirical(q Quantity) []policies.Problem {
	switch {
	case d.File != "" && len(d.Histogram) > 0:
		return []policies.Problem{problem("", "a file and a histogram are both given: give one")}
	case d.File != "" && d.Column == "":
		return []policies.Problem{problem("column", "the column of %s is not named", d.File)}
	case d.File != "":
		return nil
	case len(d.Histogram) == 0:
		return []policies.Problem{hint(problem("", "neither a file nor a histogram is given"), "for example {file: rows.csv, column: tokens}")}
	}
	var ps []policies.Problem
	sum := 0.0
	for _, b := range d.Histogram {
		if !within(b.Value, 0, limit(q)) {
			ps = append(ps, problem("histogram", "a value is %v: it must be at least 0 and at most %v", b.Value, limit(q)))
		}
		if !(b.Weight >= 0) || math.IsInf(b.Weight, 0) {
			ps = append(ps, problem("histogram", "the weight of %v is %v: it must be at least 0", b.Value, b.Weight))
		}
		sum += b.Weight
	}
	if len(ps) == 0 && !(sum > 0) {
		ps = append(ps, problem("histogram", "all weights are 0"))
	}
	return ps
}
