package reports

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// sloLabel stands in a rule for the policy that it leaves out while it is parsed.
const sloLabel = "slo"

// sloMetric is a metric with what stands in its parentheses, if it has any; sloGroup
// is the only thing that may.
var (
	sloMetric = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.]*)\s*(?:\(([^()]*)\))?`)
	sloGroup  = regexp.MustCompile(`^\s*(?:service|tenant|class)\s*=`)
)

// ParseSLO reads a rule that any policy may be held to: a gate without label and
// `at`, against a constant, such as `p99() < 600ms`. The parentheses may be left
// out. Its labels are empty; Of puts one in.
func ParseSLO(text string, extra ...MetricInfo) (GateExpr, error) {
	cut := strings.IndexAny(text, "<>")
	if cut < 0 {
		return GateExpr{}, fmt.Errorf("%q compares with nothing: write a bound, such as `p99() < 600ms`", text)
	}
	labelled := false
	left := sloMetric.ReplaceAllStringFunc(text[:cut], func(m string) string {
		parts := sloMetric.FindStringSubmatch(m)
		switch inside := strings.TrimSpace(parts[2]); {
		case inside == "":
			return parts[1] + "(" + sloLabel + ")"
		case sloGroup.MatchString(inside):
			return parts[1] + "(" + sloLabel + ", " + inside + ")"
		}
		labelled = true
		return parts[1] + "()"
	})
	if labelled {
		return GateExpr{}, fmt.Errorf("%q names a policy: every policy is asked, so leave it out: %s", text, left+text[cut:])
	}
	g, problems := ParseGate(left+text[cut:], extra...)
	var errs []error
	for _, p := range problems {
		errs = append(errs, p)
	}
	switch {
	case len(errs) > 0:
		return GateExpr{}, fmt.Errorf("%q: %w", text, errors.Join(errs...))
	case len(g.Axes) > 0:
		return GateExpr{}, fmt.Errorf("%q: leave out `at`: the place is what is looked for", text)
	case g.Bound.Kind != BoundConstant:
		return GateExpr{}, fmt.Errorf("%q: the bound must be a number, such as 600ms", text)
	}
	return g.Of(""), nil
}

// Of is the gate with another label on its left side.
func (g GateExpr) Of(label string) GateExpr {
	g.Left.Label = label
	if g.Den != nil {
		den := *g.Den
		den.Label = label
		g.Den = &den
	}
	return g
}

// Rule prints a gate whose labels are empty as ParseSLO reads it: p99 < 600ms.
func (g GateExpr) Rule() string {
	return strings.NewReplacer("()", "", "(, ", "(").Replace(g.String())
}

// Unit is that of the tested metric: ms rps s ratio.
func (g GateExpr) Unit() string {
	j := judging{}
	return j.quantity(g.Left, g.Den).unit()
}

// Limit is the constant bound in the unit of the metric.
func (g GateExpr) Limit() float64 {
	if g.Den != nil {
		return g.Bound.Number
	}
	return g.Bound.constant(g.Unit())
}
