package reports

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// PlacedGate is a parsed gate with its place in the scenario (0 for gates that
// come from flags).
type PlacedGate struct {
	Expr   GateExpr
	Line   int
	Column int
}

// Baseline is the reference of `within X% of baseline`.
type Baseline struct {
	Path  string
	Cells []Cell
	// SameCommit is true if baseline and cells come from the same commit and plan
	// on a deterministic host: different results are then a broken rule.
	SameCommit bool
}

// JudgeOptions are what a verdict depends on beside the cells.
type JudgeOptions struct {
	Confidence       float64      // 0 = DefaultConfidence
	Live             bool         // sections then need 10 parts
	Invalid          string       // not empty: the live measurement was not sound, and why
	Force            bool         // judge in spite of Invalid, and say so in every reason
	Transient        bool         // latency gates are not judged
	AllowOverload    bool         // judge latency gates of unstable cells
	PolicyChanceOnly bool         // constant bounds are not judged
	WarmupAuto       bool         // a warmup-short says that no end of the warm-up was found: no latency gate
	Warnings         []Warning    // of Summarize: short-run, unstable … hold gates back
	Baseline         *Baseline    // nil: none yet
	Metrics          []MetricInfo // registered outside this program's catalogue
}

// Judge holds every gate against every cell it matches, in the order of gates,
// then cells. A gate that matches nothing yields one inconclusive verdict.
// Findings about the comparisons themselves come back as warnings.
func Judge(gates []PlacedGate, cells []Cell, opt JudgeOptions) ([]Gate, []Warning) {
	if opt.Confidence == 0 {
		opt.Confidence = DefaultConfidence
	}
	j := judging{cells: cells, opt: opt}
	return j.all(gates), j.warnings
}

// all judges gates in order, each on every cell that it matches.
func (j *judging) all(gates []PlacedGate) []Gate {
	out := []Gate{}
	for _, g := range gates {
		if g.Expr.Op == OpWithin {
			j.checkTolerance(g.Expr.Bound.Percent, g.Expr.String())
		}
		matched := false
		for i := range j.cells {
			if index := labelAt(j.cells[i].Policy, g.Expr.Left.Label); index >= 0 && onAxes(&j.cells[i], g.Expr.Axes) {
				matched = true
				out = append(out, j.gate(g, &j.cells[i], index))
			}
		}
		if !matched {
			out = append(out, j.unmatched(g))
		}
	}
	return out
}

// checkTolerance warns of a tolerance that histograms cannot resolve.
func (j *judging) checkTolerance(percent float64, what string) {
	if percent < 0.2 {
		j.warnOnce(Warning{Code: "tolerance-below-resolution", Message: what + ": the tolerance is near the step of the histogram (0.1%)"})
	}
}

// Overall is the verdict of all gates: invalid beats fail beats inconclusive.
func Overall(gates []Gate) Verdict {
	rank := map[Verdict]int{VerdictNone: 0, Pass: 1, Inconclusive: 2, Fail: 3, Invalid: 4}
	worst := VerdictNone
	for i := range gates {
		if rank[gates[i].Verdict] > rank[worst] {
			worst = gates[i].Verdict
		}
	}
	return worst
}

// ExitCode is the exit status the gates ask for: 3 if one is invalid, 1 if one
// failed, 4 if strict and one is inconclusive, else 0.
func ExitCode(gates []Gate, strict bool) int {
	switch v := Overall(gates); {
	case v == Invalid:
		return 3
	case v == Fail:
		return 1
	case v == Inconclusive && strict:
		return 4
	}
	return 0
}

type judging struct {
	cells    []Cell
	opt      JudgeOptions
	warnings []Warning
}

func (j *judging) warnOnce(w Warning) {
	for i := range j.warnings {
		if j.warnings[i].Code == w.Code && j.warnings[i].Message == w.Message {
			return
		}
	}
	j.warnings = append(j.warnings, w)
}

func (j *judging) unmatched(g PlacedGate) Gate {
	axes := map[string]any{}
	for _, a := range g.Expr.Axes {
		axes[a.Axis] = a.Value
	}
	out := blankGate(g)
	out.Axes = axes
	out.Reason = text("no finished cell of " + g.Expr.Left.Label + " matches")
	if j.opt.Invalid != "" {
		out.Verdict, out.Reason = Invalid, text(j.opt.Invalid)
	}
	return out
}

func blankGate(g PlacedGate) Gate {
	return Gate{
		Expr: g.Expr.String(), Line: g.Line, Column: g.Column, Metric: g.Expr.metricText(),
		Policy: g.Expr.Left.Label, Axes: map[string]any{}, Group: g.Expr.Left.Group,
		Verdict: Inconclusive, Unit: "ratio", Reference: g.Expr.reference(""),
	}
}

// reference says what kind of thing the gate compares with.
func (g GateExpr) reference(path string) Reference {
	switch {
	case g.Bound.Kind == BoundConstant:
		return Reference{Kind: "constant"}
	case g.Bound.Kind == BoundMetric:
		return Reference{Kind: "policy", Policy: g.Bound.Metric.Label}
	case g.Bound.Baseline:
		return Reference{Kind: "baseline", Path: path}
	}
	return Reference{Kind: "policy", Policy: g.Bound.Label}
}

// gate judges one gate on one cell; index is where the label stands in a joined
// policy name.
func (j *judging) gate(g PlacedGate, c *Cell, index int) Gate {
	out := blankGate(g)
	out.Policy, out.Load, out.Axes = c.Policy, c.Load, c.Axes
	if j.opt.Baseline != nil {
		out.Reference = g.Expr.reference(j.opt.Baseline.Path)
	}
	left := j.quantity(g.Expr.Left, g.Expr.Den)
	out.Unit = left.unit()
	out.Value = left.value(c)
	if j.opt.Invalid != "" && !j.opt.Force {
		out.Verdict, out.Reason = Invalid, text(j.opt.Invalid)
		return out
	}
	switch reason := j.barred(left, c); {
	case reason != "":
		out.Reason = text(reason)
	case g.Expr.Bound.Kind == BoundConstant:
		j.constant(&out, g.Expr, left, c)
	default:
		j.relative(&out, g.Expr, left, c, index)
	}
	if j.opt.Invalid != "" {
		out.Reason = text(joinNotes("not valid", *orText(out.Reason)))
	}
	return out
}

// barred says why a gate on this cell is not judged at all.
func (j *judging) barred(q quantity, c *Cell) string {
	switch {
	case q.latency() && (j.opt.Transient || hasWarning(j.opt.Warnings, c, q.num.Name, "transient") != ""):
		return "transient: no latency gate on a run without steady state"
	case q.latency() && !j.opt.AllowOverload && hasWarning(j.opt.Warnings, c, q.num.Name, "unstable") != "":
		return "unstable: the system does not settle at this load"
	case q.latency() && j.opt.WarmupAuto && hasWarning(j.opt.Warnings, c, q.num.Name, "warmup-short") != "":
		return "warmup-short: nothing in the run is a steady state; use more requests"
	}
	return q.absent(c)
}

// held says why a verdict of pass does not stand: the number is biased.
func (j *judging) held(q quantity, c *Cell) string {
	for _, m := range q.metrics() {
		if k := permille(m.Name); k > 0 {
			failed, unfinished, requests := q.missing(c)
			if shareBeyond(unfinished, requests, k) {
				return fmt.Sprintf("unfinished: %d of %d requests are missing from %s", unfinished, requests, m.Name)
			}
			if shareBeyond(failed, requests, k) {
				return fmt.Sprintf("survivor-bias: %d of %d requests failed, %s describes the survivors", failed, requests, m.Name)
			}
		}
		if code := hasWarning(j.opt.Warnings, c, m.Name, "short-run", "autocorrelated"); code != "" {
			return code + ": the run is too short for this percentile; use more requests, not more seeds"
		}
	}
	return ""
}

// settle turns a decision into a verdict with its reason and the advice on more
// parts.
func (out *Gate) settle(d decision, held string, unit string) {
	out.Verdict, out.p = d.verdict, d.p()
	switch {
	case d.verdict == Pass && held != "":
		out.Verdict, out.Reason = Inconclusive, text(held)
	case d.verdict == Inconclusive && unit != UnitSection:
		if more := d.more(); more > 0 {
			out.More = &more
			out.Reason = text(fmt.Sprintf("the interval holds the bound; %d more %s would settle it", more, plural(more, partWord(unit))))
		} else {
			out.Reason = text("the difference equals the tolerance; more " + partWord(unit) + "s will not settle it")
		}
	case d.verdict == Inconclusive:
		out.Reason = text("the interval holds the bound; a longer run or more seeds would settle it")
	case d.verdict == Fail:
		out.Reason = text(d.failure())
	}
}

func partWord(unit string) string {
	if unit == UnitBlock {
		return "block pair"
	}
	return "seed"
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// decision is an interval of a difference against a threshold: pass if the whole
// interval lies on the good side. above is true if larger is better (> and >=).
type decision struct {
	e          estimate // of the difference, in the scale of theta
	lo, hi     float64
	theta      float64
	above      bool
	strict     bool
	confidence float64
	width      func(n int) float64 // half-width with n parts
	se, nu     float64             // standard error of e and its degrees of freedom
	verdict    Verdict
}

func (d *decision) decide() {
	lo, hi, theta := d.lo, d.hi, d.theta
	if d.above { // mirrored: everything below is for "smaller is better"
		lo, hi, theta = -hi, -lo, -theta
	}
	switch {
	case hi < theta || hi == theta && !d.strict:
		d.verdict = Pass
	case lo > theta || lo == theta && d.strict:
		d.verdict = Fail
	default:
		d.verdict = Inconclusive
	}
}

// p is the one-sided p-value of a fail: how often a truth on the bound would give
// a difference at least this bad. Nil if there is nothing to test by.
func (d *decision) p() *float64 {
	bad := d.e.mean - d.theta
	if d.above {
		bad = -bad
	}
	switch {
	case d.se == 0 && bad > 0:
		return finite(0)
	case d.se == 0:
		return finite(1)
	case !(d.nu > 0):
		return nil
	}
	return finite(distuv.StudentsT{Sigma: 1, Nu: d.nu}.Survival(bad / d.se))
}

const moreCap = 10_000

// more is how many further parts would bring the interval off the threshold, 0
// if 10,000 would not.
func (d *decision) more() int {
	gap := math.Abs(d.e.mean - d.theta)
	if d.width == nil || gap == 0 || !(d.width(d.e.n+moreCap) < gap) {
		return 0
	}
	lo, hi := d.e.n, d.e.n+moreCap // the width falls with n: bisect
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; d.width(mid) < gap {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi - d.e.n
}

func (d *decision) failure() string {
	if d.above {
		return "the whole interval lies below the bound"
	}
	return "the whole interval lies above the bound"
}
