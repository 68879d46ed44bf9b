package reports

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// The words of a Change.
const (
	Worse     = "worse"
	BetterBy  = "better"
	Same      = "~" // the interval holds 0
	Identical = "identical"
)

// Change is a metric of one cell against the same metric of another, paired by
// seed or block where both saw the same workload.
type Change struct {
	Metric   string    `json:"metric"`
	Base     *float64  `json:"base"`
	New      *float64  `json:"new"`
	Change   *float64  `json:"change"`    // as a fraction of base; nil if unknown
	CI       *Interval `json:"change_ci"` // of Change
	N        int       `json:"n"`         // pairs used, or parts of the smaller side if unpaired
	Dropped  int       `json:"dropped"`   // parts without a partner
	Word     string    `json:"word"`      // worse, better, ~, identical; empty if unknown or neither side is better
	Unpaired bool      `json:"unpaired"`  // Welch, because arrivals or demands differ
	Reason   string    `json:"reason"`    // why Change or CI is nil; empty if they are not
	Lower    *float64  `json:"lower"`     // share of the pairs in which new is below base; nil if unpaired
	// Gain is how many times fewer seeds pairing needs: (s_a² + s_b²)/s_d², on ln x
	// for log metrics. Below 1.2 it gains little. Nil if unpaired or without spread.
	Gain *float64 `json:"pairing_gain"`
	// SignFlip is the p-value of the sign-flip test, which assumes no normal
	// differences; nil above 20 pairs, and where too few pairs could never reject.
	SignFlip *float64 `json:"sign_flip_p"`
	Doubt    string   `json:"doubt"` // how CI and SignFlip disagree; empty if they do not
}

// Compare returns the change of a metric (gate name or JSON name) from base to
// new at the given confidence, 0 for the default.
func Compare(base, new *Cell, metric string, confidence float64, extra ...MetricInfo) Change {
	return CompareGroup(base, new, metric, nil, confidence, extra...)
}

// CompareGroup is Compare for one tenant, class or service.
func CompareGroup(base, new *Cell, metric string, group *GroupRef, confidence float64, extra ...MetricInfo) Change {
	if confidence == 0 {
		confidence = DefaultConfidence
	}
	info, ok := findMetric(metric, extra)
	if !ok {
		info = FamilyMetric("", metric, NoBetter, "")
	}
	j := judging{opt: JudgeOptions{Confidence: confidence}}
	out, _ := j.change(base, new, quantity{num: info, numGroup: group})
	return out
}

// change is the change of a quantity with the comparison that it rests on.
func (j *judging) change(base, new *Cell, q quantity) (Change, comparison) {
	out := Change{Metric: q.num.Name, Base: q.value(base), New: q.value(new)}
	for _, c := range []*Cell{new, base} {
		if out.Reason = q.absent(c); out.Reason != "" {
			return out, comparison{reason: out.Reason}
		}
	}
	cmp := j.compare(q, new, q, base)
	out.Change, out.CI, out.N, out.Dropped = cmp.change, cmp.ci, cmp.n, cmp.dropped
	out.Unpaired, out.Reason = cmp.unpaired, cmp.reason
	out.Word = cmp.word(q.better())
	if !cmp.unpaired && cmp.reason == "" && len(cmp.a) > 1 {
		out.Lower, out.Gain = cmp.effect()
		out.SignFlip, out.Doubt = flipCheck(cmp.differences(), cmp.ci, cmp.level)
	}
	return out, cmp
}

// effect returns the share of pairs with a below b, and what pairing gained.
func (c comparison) effect() (lower, gain *float64) {
	below, d := 0, c.differences()
	for _, x := range d {
		if x < 0 {
			below++
		}
	}
	a, b, e := estimateOf(c.a), estimateOf(c.b), estimateOf(d)
	return finite(float64(below) / float64(len(d))), finite((a.s*a.s + b.s*b.s) / (e.s * e.s))
}

// autocorrelated says whether the differences of successive pairs depend on each
// other: |r₁| > 2/√n.
func (c comparison) autocorrelated() bool {
	if c.unpaired || len(c.a) == 0 {
		return false
	}
	d := c.differences()
	return math.Abs(lag1(d)) > 2/math.Sqrt(float64(len(d)))
}

// differences are those of the pairs, a − b, in the scale of the comparison.
func (c comparison) differences() []float64 {
	d := make([]float64, len(c.a))
	for i := range d {
		d[i] = c.a[i] - c.b[i]
	}
	return d
}

func (c comparison) word(better string) string {
	switch {
	case c.identical:
		return Identical
	case c.ci == nil || better == NoBetter:
		return ""
	case c.ci[0] <= 0 && c.ci[1] >= 0:
		return Same
	case (c.ci[0] > 0) == (better == HigherBetter):
		return BetterBy
	}
	return Worse
}

// comparison is two sides of a difference before a threshold is applied.
type comparison struct {
	a, b      []float64 // paired if equally long and not unpaired
	log       bool
	identical bool
	unpaired  bool
	n         int
	dropped   int
	reason    string
	change    *float64
	ci        *Interval
	level     float64
}

// compare pairs the parts of two cells and takes the change of a against b.
func (j *judging) compare(qa quantity, a *Cell, qb quantity, b *Cell) comparison {
	c := comparison{log: qa.log() && qb.log(), level: j.opt.Confidence}
	if a.ResultHash != "" && a.ResultHash == b.ResultHash && qa.same(qb) {
		c.identical = true
	}
	if a.Unit == UnitSection || b.Unit == UnitSection {
		if !c.identical {
			c.reason = "one run has no pairs: use at least 2 seeds to compare"
			return c
		}
		c.n, c.change, c.ci = 1, finite(0), &Interval{0, 0}
		return c
	}
	left, right, paired, dropped := pairParts(a, b)
	c.unpaired, c.dropped = !paired, dropped
	if dropped > 0 {
		j.warnOnce(aboutPair(a, b, "unpaired-seeds", fmt.Sprintf("%d %ss exist on one side only and were dropped", dropped, partWord(a.Unit))))
	}
	if c.unpaired {
		j.warnOnce(aboutPair(a, b, "unpaired", "arrivals or demands differ"))
	}
	c.n = min(len(left), len(right))
	if c.identical && (c.log || c.n < 2) {
		c.change, c.ci = finite(0), &Interval{0, 0}
		return c
	}
	if c.reason = j.tooFew(a.Unit, c.n); c.reason != "" {
		return c
	}
	c.a, c.b = values(left, qa.of), values(right, qb.of)
	if c.a == nil || c.b == nil {
		c.reason = fmt.Sprintf("few-samples: %s is not known for every %s", qa.name(), a.Unit)
		return c
	}
	c.measure()
	return c
}

// aboutPair is a finding about two cells: of one run it names them, of a run and its
// baseline it is about all that differ alike.
func aboutPair(a, b *Cell, code, message string) Warning {
	if a.Policy == b.Policy {
		return Warning{Code: code, Message: "compared with the baseline: " + message}
	}
	return Warning{Code: code, Policy: a.Policy, Load: a.Load, Message: "compared with " + b.Policy + ": " + message}
}

// measure takes logs where the metric asks for them and fills change and ci.
func (c *comparison) measure() {
	if c.log {
		la, errA := logs(c.a)
		lb, errB := logs(c.b)
		if errA != nil || errB != nil {
			c.reason = errNoLog.Error()
			return
		}
		c.a, c.b = la, lb
	}
	d := decision{confidence: c.level}
	c.difference(&d, 1)
	if c.log {
		c.change, c.ci = finite(math.Exp(d.e.mean)-1), interval(math.Exp(d.lo)-1, math.Exp(d.hi)-1)
		return
	}
	base := estimateOf(c.b).mean
	switch {
	case base == 0 && d.lo == 0 && d.hi == 0:
		c.change, c.ci = finite(0), &Interval{0, 0}
		return
	case base == 0:
		return // a fraction of nothing: the verdict still stands on the difference
	}
	c.change, c.ci = finite(d.e.mean/base), interval(d.lo/base, d.hi/base)
}

// difference sets the interval of a against factor·b and its threshold.
func (c *comparison) difference(d *decision, factor float64) {
	scaled := c.b
	if c.log {
		d.theta = math.Log(factor)
	} else {
		scaled = make([]float64, len(c.b))
		for i, x := range c.b {
			scaled[i] = factor * x
		}
	}
	switch {
	case c.identical && c.a == nil:
		c.identicalDifference(d, factor)
	case c.unpaired:
		d.aroundWelch(estimateOf(c.a), estimateOf(scaled))
	default:
		diff := make([]float64, len(c.a))
		for i := range c.a {
			diff[i] = c.a[i] - scaled[i]
		}
		d.around(estimateOf(diff))
	}
}

// identicalDifference needs no values: ln ratios are 0, and of a − c·a only the
// sign of 1 − c matters where it is not 0.
func (c *comparison) identicalDifference(d *decision, factor float64) {
	d.e = estimate{n: c.n}
	if !c.log {
		d.e.mean, d.lo, d.hi = 1-factor, 1-factor, 1-factor
	}
}

// pairParts returns the parts of both sides that belong together. Without a
// common workload it returns all parts and paired = false.
func pairParts(a, b *Cell) (left, right []Part, paired bool, dropped int) {
	type key struct{ seed, index int }
	of := func(p *Part) key {
		if p.Pair != nil {
			return key{p.Seed, *p.Pair}
		}
		return key{p.Seed, p.Index}
	}
	partners := map[key]*Part{}
	for i := range b.Parts {
		partners[of(&b.Parts[i])] = &b.Parts[i]
	}
	same := true
	for i := range a.Parts {
		p := &a.Parts[i]
		q := partners[of(p)]
		if q == nil {
			continue
		}
		left, right = append(left, *p), append(right, *q)
		same = same && sameWorkload(a, b, p, q)
	}
	if !same {
		return a.Parts, b.Parts, false, 0
	}
	return left, right, true, len(a.Parts) + len(b.Parts) - 2*len(left)
}

// sameWorkload compares the digests of two parts, or those of their cells where
// a summary does not have them per part. Blocks of one pair are interleaved in
// time and need no digest.
func sameWorkload(a, b *Cell, p, q *Part) bool {
	if p.Pair != nil {
		return true
	}
	if p.WorkloadHash != "" && q.WorkloadHash != "" {
		return p.WorkloadHash == q.WorkloadHash
	}
	return a.WorkloadHash == b.WorkloadHash
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
