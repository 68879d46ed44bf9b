package reports

import (
	"fmt"
	"math"
)

// constant judges a bound that is a number: the interval of the cell itself.
func (j *judging) constant(out *Gate, g GateExpr, q quantity, c *Cell) {
	limit := g.Bound.constant(q.num.Unit)
	if g.Den != nil {
		limit = g.Bound.Number
	}
	out.Limit = finite(limit)
	if j.opt.PolicyChanceOnly || hasWarning(j.opt.Warnings, c, q.num.Name, "policy-chance-only") != "" {
		out.Reason = text("policy-chance-only: all seeds share one workload, so only comparisons are judged")
		return
	}
	xs, reason := j.sample(q, c)
	out.N = len(xs)
	if reason != "" {
		out.Reason = text(reason)
		return
	}
	d := decision{theta: limit, above: g.Op == OpGreater || g.Op == OpGreaterEq,
		strict: g.Op == OpLess || g.Op == OpGreater, confidence: j.opt.Confidence}
	scale := func(x float64) float64 { return x }
	switch {
	case c.Unit == UnitSection:
		centre := *out.Value
		half := sectionHalf(centre, xs, j.opt.Confidence)
		d.e, d.lo, d.hi = estimate{mean: centre, n: len(xs)}, centre-half, centre+half
		d.nu = float64(len(xs) - 1)
		d.se = half / studentT(j.opt.Confidence, d.nu)
	case q.log() && !q.arithmetic():
		ln, err := logs(xs)
		if err != nil {
			out.Reason = text(q.name() + ": " + err.Error())
			return
		}
		d.theta = math.Log(limit)
		d.around(estimateOf(ln))
		scale = math.Exp
	default:
		d.around(estimateOf(xs))
	}
	if limit != 0 {
		out.Change = finite(*out.Value/limit - 1)
		out.ChangeCI = interval(scale(d.lo)/limit-1, scale(d.hi)/limit-1)
	}
	d.decide()
	out.settle(d, j.held(q, c), c.Unit)
}

// around takes the t interval of an estimate.
func (d *decision) around(e estimate) {
	h := e.half(d.confidence)
	d.e, d.lo, d.hi = e, e.mean-h, e.mean+h
	d.se, d.nu = e.s/math.Sqrt(float64(e.n)), float64(e.n-1)
	d.width = func(n int) float64 {
		return studentT(d.confidence, float64(n-1)) * e.s / math.Sqrt(float64(n))
	}
}

// aroundWelch takes the interval of a difference of independent means.
func (d *decision) aroundWelch(a, b estimate) {
	diff, se, nu := welch(a, b)
	h := studentT(d.confidence, nu) * se
	d.e, d.lo, d.hi = estimate{mean: diff, n: min(a.n, b.n)}, diff-h, diff+h
	d.se, d.nu = se, nu
	d.width = func(n int) float64 {
		a.n, b.n = n, n
		_, se, nu := welch(a, b)
		return studentT(d.confidence, nu) * se
	}
}

// relative judges a bound that is another cell, or the cell of a baseline.
func (j *judging) relative(out *Gate, g GateExpr, left quantity, c *Cell, index int) {
	right, rightQ, reason := j.other(g, left, c, index)
	if right == nil {
		out.Reason = text(reason)
		return
	}
	factor, above, strict := g.threshold(left)
	ref := rightQ.value(right)
	if ref != nil {
		out.Limit = finite(factor * *ref)
	}
	if reason := j.barred(rightQ, right); reason != "" {
		out.Reason = text(right.Policy + ": " + reason)
		return
	}
	cmp := j.compare(left, c, rightQ, right)
	out.N, out.Change, out.ChangeCI = cmp.n, cmp.change, cmp.ci
	if cmp.reason != "" {
		out.Reason = text(cmp.reason)
		return
	}
	if g.Bound.Baseline && j.opt.Baseline.SameCommit && c.ResultHash != "" && right.ResultHash != "" && c.ResultHash != right.ResultHash {
		j.warnOnce(Warning{Code: "nondeterminism", Policy: c.Policy, Load: c.Load, Message: "same commit and plan, different result: see `taillab explain nondeterminism`"})
	}
	d := decision{above: above, strict: strict, confidence: j.opt.Confidence}
	cmp.difference(&d, factor)
	d.decide()
	held := ""
	if !(cmp.identical && g.Bound.Baseline) { // the same bits are no worse, whatever they are worth
		held = j.heldPair(left, c, rightQ, right, cmp)
	}
	out.settle(d, held, c.Unit)
	j.annotate(out, g, left, cmp, right)
}

// heldPair says why a pass does not stand: one of the two numbers is biased, or the
// pairs are not independent.
func (j *judging) heldPair(left quantity, c *Cell, rightQ quantity, right *Cell, cmp comparison) string {
	if why := j.held(left, c); why != "" {
		return why
	}
	if c.Unit == UnitBlock && cmp.autocorrelated() {
		return "autocorrelated: neighbouring block pairs resemble each other; use longer blocks"
	}
	if why := j.held(rightQ, right); why != "" {
		return right.Policy + ": " + why
	}
	return ""
}

// annotate adds to the reason what the numbers alone do not say.
func (j *judging) annotate(out *Gate, g GateExpr, left quantity, cmp comparison, right *Cell) {
	note := ""
	switch {
	case cmp.identical:
		note = "identical"
	case out.Verdict == Pass && g.Bound.Baseline && improved(cmp.change, g.Bound.Percent, left.better()):
		note = "improved; refresh the baseline"
	case out.More != nil && g.Bound.Baseline && out.N+*out.More > len(right.Parts):
		n := len(right.Parts)
		note = fmt.Sprintf("the baseline has %d %s: make it anew with as many", n, plural(n, partWord(right.Unit)))
	}
	if cmp.unpaired {
		note = joinNotes("unpaired", note)
	}
	if out.Reason != nil && out.More != nil {
		note = joinNotes(*out.Reason, note) // what would settle it comes first
	} else if out.Reason != nil {
		note = joinNotes(note, *out.Reason)
	}
	out.Reason = text(note)
}

func joinNotes(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

func improved(change *float64, percent float64, better string) bool {
	if change == nil {
		return false
	}
	if better == HigherBetter {
		return *change > percent/100
	}
	return *change < -percent/100
}

// threshold is the factor c of `left <= c * right` and the direction.
func (g GateExpr) threshold(q quantity) (factor float64, above, strict bool) {
	if g.Op != OpWithin {
		return g.Bound.Factor, g.Op == OpGreater || g.Op == OpGreaterEq, g.Op == OpLess || g.Op == OpGreater
	}
	if q.better() == HigherBetter {
		return 1 - g.Bound.Percent/100, true, false
	}
	return 1 + g.Bound.Percent/100, false, false
}

// other finds the cell on the right side, equal in all other axes and families.
func (j *judging) other(g GateExpr, left quantity, c *Cell, index int) (*Cell, quantity, string) {
	cells, label, q := j.cells, g.Bound.Label, left
	switch {
	case g.Bound.Kind == BoundMetric:
		q, label = j.quantity(g.Bound.Metric, nil), g.Bound.Metric.Label
	case g.Bound.Baseline && j.opt.Baseline == nil:
		return nil, q, "no baseline yet: run with --update-baseline"
	case g.Bound.Baseline:
		cells, label = j.opt.Baseline.Cells, g.Left.Label
	}
	policy := withLabel(c.Policy, index, label)
	for i := range cells {
		if cells[i].Policy == policy && sameCell(&cells[i], c) {
			return &cells[i], q, ""
		}
	}
	where := "among the finished cells"
	if g.Bound.Baseline {
		where = "in the baseline"
	}
	return nil, q, fmt.Sprintf("%s%s is not %s", policy, atText(c), where)
}
