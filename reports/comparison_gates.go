package reports

import (
	"fmt"
	"slices"
	"strings"
)

// GatesOf are the gates that a saved run was judged by, each once, in the order of
// its scenario.
func GatesOf(s *Summary, extra ...MetricInfo) ([]PlacedGate, error) {
	var out []PlacedGate
	seen := map[string]bool{}
	for i := range s.Gates {
		g := &s.Gates[i]
		key := fmt.Sprint(g.Line, g.Column, g.Expr)
		if seen[key] {
			continue
		}
		seen[key] = true
		expr, errs := ParseGate(g.Expr, extra...)
		if len(errs) > 0 {
			return nil, fmt.Errorf("gate `%s` of %s: %w", g.Expr, s.Scenario, errs[0])
		}
		out = append(out, PlacedGate{Expr: expr, Line: g.Line, Column: g.Column})
	}
	return out, nil
}

// judgeOptions are what the verdicts of the newer run depended on when it was made.
// Findings about either side hold a gate back.
func (c *comparing) judgeOptions() JudgeOptions {
	opt := JudgeOptions{Confidence: c.opt.Confidence, Live: c.new.Host == "live", AllowOverload: c.new.AllowOverload,
		Warnings: slices.Concat(c.new.Warnings, c.base.Warnings), Metrics: c.opt.Extra,
		Baseline: &Baseline{Path: c.base.Path, Cells: c.base.Cells, SameCommit: SameProgram(&c.base.Summary, &c.new.Summary)}}
	for _, s := range []*Stored{c.new, c.base} {
		if s.Verdict == Invalid {
			opt.Invalid = "the measurement of " + s.Path + " is not valid"
		}
	}
	return opt
}

// gates judges the newer run's gates, then the tolerance in every common cell.
func (c *comparing) gates() ([]Gate, error) {
	placed, err := GatesOf(&c.new.Summary, c.opt.Extra...)
	if err != nil {
		return nil, err
	}
	out := c.judging.all(placed)
	if c.opt.Tolerance > 0 {
		c.judging.checkTolerance(c.opt.Tolerance, fmt.Sprintf("--tolerance %s%%", number(c.opt.Tolerance)))
		asked := len(out)
		for _, p := range c.pairs {
			g := c.judging.gate(PlacedGate{Expr: toleranceGate(p[1], c.opt.Tolerance)}, p[1], -1)
			if !slices.ContainsFunc(out[:asked], func(o Gate) bool { return sameQuestion(&o, &g) }) {
				out = append(out, g)
			}
		}
	}
	if c.opt.Holm {
		holmGates(out, c.opt.Confidence)
	}
	return out, nil
}

// sameQuestion says whether a gate of the scenario is what the tolerance asks, too.
func sameQuestion(a, b *Gate) bool {
	withoutPlace := func(expr string) string { expr, _, _ = strings.Cut(expr, " at "); return expr }
	return withoutPlace(a.Expr) == withoutPlace(b.Expr) && placeKey(a.Policy, a.Load, a.Axes) == placeKey(b.Policy, b.Load, b.Axes)
}

// toleranceGate is `p99(POLICY) within X% of baseline` at the place of one cell.
func toleranceGate(c *Cell, percent float64) GateExpr {
	g := GateExpr{Left: GateMetric{Name: "p99", Label: c.Policy}, Op: OpWithin, Bound: GateBound{Kind: BoundPercent, Percent: percent, Baseline: true}}
	if c.Load != nil {
		g.Axes = append(g.Axes, GateAxis{Axis: "load", Value: number(*c.Load)})
	}
	for _, name := range sortedKeys(c.Axes) {
		g.Axes = append(g.Axes, GateAxis{Axis: name, Value: fmt.Sprint(c.Axes[name])})
	}
	return g
}

// findings are the warnings of the comparison itself, then those of the two runs
// about what is compared here, each once.
func (c *comparing) findings(gates []Gate) []Warning {
	out := []Warning{}
	for _, w := range slices.Concat(c.judging.warnings, c.new.Warnings, c.base.Warnings) {
		if c.concerns(&w, gates) && !slices.ContainsFunc(out, func(o Warning) bool { return sameWarning(&o, &w) }) {
			out = append(out, w)
		}
	}
	return out
}

// concerns says whether a warning is about a metric that is compared or gated.
func (c *comparing) concerns(w *Warning, gates []Gate) bool {
	if w.Metric == "" {
		return true
	}
	is := func(name string) bool { m, _ := findMetric(name, c.opt.Extra); return m.Name == w.Metric }
	return slices.ContainsFunc(c.opt.Metrics, is) ||
		slices.ContainsFunc(gates, func(g Gate) bool { return slices.ContainsFunc(strings.Split(g.Metric, "/"), is) })
}

func sameWarning(a, b *Warning) bool {
	return a.Code == b.Code && a.Message == b.Message && a.Metric == b.Metric && sameInt(a.Seed, b.Seed) &&
		placeKey(a.Policy, a.Load, a.Axes) == placeKey(b.Policy, b.Load, b.Axes)
}

func sameInt(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }
