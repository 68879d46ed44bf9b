package reports

import (
	"fmt"
	"math"
)

// check finds what the grammar allows and statistics do not.
func (p *gateParser) check(g *GateExpr) {
	left, ok := findMetric(g.Left.Name, p.extra)
	if !ok {
		return // reported when it was read
	}
	if g.Den != nil && !p.checkRatio(g, left) {
		return
	}
	switch g.Bound.Kind {
	case BoundConstant:
		p.checkConstant(g, left)
	case BoundMetric:
		p.checkMetric(g, left)
	case BoundPercent:
		p.checkWithin(g, left)
	}
}

func (p *gateParser) refuse(at GateSpan, msg, hint string) bool {
	p.errs = append(p.errs, GateError{Offset: at.Offset, Len: at.Len, Msg: msg, Hint: hint})
	return false
}

func (p *gateParser) checkRatio(g *GateExpr, left MetricInfo) bool {
	den, ok := findMetric(g.Den.Name, p.extra)
	switch {
	case !ok:
		return false
	case g.Den.Label != g.Left.Label:
		return p.refuse(g.Den.At, fmt.Sprintf("a ratio divides two metrics of one policy, not of %q and %q", g.Left.Label, g.Den.Label),
			fmt.Sprintf("to compare policies write `%s <= 1.1 * %s`", g.Left, GateMetric{Name: g.Left.Name, Label: g.Den.Label}))
	case den.Unit != left.Unit:
		return p.refuse(g.Den.At, fmt.Sprintf("a ratio needs one unit: %s is in %s, %s in %s", left.Name, unitWord(left.Unit), den.Name, unitWord(den.Unit)), "")
	}
	return true
}

func (p *gateParser) checkConstant(g *GateExpr, left MetricInfo) {
	kind, _ := unitScale(g.Bound.Unit)
	if g.Den != nil {
		if g.Bound.Unit != "" {
			p.refuse(g.Bound.At, "a ratio has no unit", fmt.Sprintf("write %s", number(g.Bound.Number)))
		}
		return
	}
	want, example := "", ""
	switch left.Unit {
	case "ms", "s":
		want, example = "time", number(g.Bound.Number)+left.Unit
	case "rps":
		want, example = "rate", number(g.Bound.Number)+"rps"
	}
	switch {
	case want == "" && kind != "" && kind != "percent":
		p.refuse(g.Bound.At, fmt.Sprintf("%s is a plain number or a percentage, not %s", left.Name, kindWord(kind)), "")
	case want != "" && kind == "":
		p.refuse(g.Bound.At, fmt.Sprintf("the unit of the bound of %s is missing", left.Name), "add a unit, such as "+example)
	case want != "" && kind != want:
		p.refuse(g.Bound.At, fmt.Sprintf("%s is %s, the bound is %s", left.Name, kindWord(want), kindWord(kind)), "such as "+example)
	case left.Log && g.Bound.Number == 0:
		p.refuse(g.Bound.At, "a bound of 0 cannot be met", "")
	}
}

func (p *gateParser) checkMetric(g *GateExpr, left MetricInfo) {
	right, ok := findMetric(g.Bound.Metric.Name, p.extra)
	switch {
	case !ok:
	case g.Den != nil:
		p.refuse(g.Bound.At, "a ratio is compared with a number, or with its value at another policy",
			fmt.Sprintf("such as `%s/%s within 5%% of %s`", g.Left, g.Den, g.Bound.Metric.Label))
	case right.Unit != left.Unit || right.Log != left.Log:
		p.refuse(g.Bound.At, fmt.Sprintf("%s and %s are of different kinds: %s and %s", left.Name, right.Name, unitWord(left.Unit), unitWord(right.Unit)), "")
	case g.Bound.Metric.String() == g.Left.String():
		p.refuse(g.Bound.At, fmt.Sprintf("%s is compared with itself", g.Left), "")
	}
}

func (p *gateParser) checkWithin(g *GateExpr, left MetricInfo) {
	switch {
	case left.Better == NoBetter:
		p.refuse(g.Left.At, fmt.Sprintf("%s has no better side, so `within` has no direction", left.Name), "use < and > with two bounds")
	case left.Better == HigherBetter && g.Bound.Percent >= 100:
		p.refuse(g.Bound.At, fmt.Sprintf("of %s, where higher is better, at most 100%% can be lost", left.Name), "use a tolerance below 100%")
	case g.Bound.Label != "" && g.Bound.Label == g.Left.Label:
		p.refuse(g.Bound.Where, fmt.Sprintf("%q is compared with itself", g.Left.Label), "name another policy or `baseline`")
	case math.IsNaN(g.Bound.Percent):
		p.refuse(g.Bound.At, "the tolerance is not a number", "")
	}
}

func unitWord(unit string) string {
	switch unit {
	case "ms", "s":
		return "a time"
	case "rps":
		return "a rate"
	}
	return "a plain number"
}

func kindWord(kind string) string {
	if kind == "percent" {
		return "a percentage"
	}
	return "a " + kind
}

// nearest returns the closest of names by edit distance, empty if none is close.
func nearest(word string, names []string) string {
	best, at := "", max(1, len(word)/3)+1
	for _, n := range names {
		if d := distance(word, n); d < at {
			best, at = n, d
		}
	}
	return best
}

// distance is the edit distance of Levenshtein on bytes, with swaps of
// neighbours as one edit. Long words are not compared.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
