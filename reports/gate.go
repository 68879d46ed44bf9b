package reports

import (
	"strconv"
	"strings"
)

// GateOp is how a gate compares.
type GateOp string

// The comparisons of the grammar.
const (
	OpLess      GateOp = "<"
	OpLessEq    GateOp = "<="
	OpGreater   GateOp = ">"
	OpGreaterEq GateOp = ">="
	OpWithin    GateOp = "within"
)

// GateSpan is a stretch of the gate's text, in bytes.
type GateSpan struct{ Offset, Len int }

// GateMetric is one metric of one policy: p99(jiq, tenant=chat).
type GateMetric struct {
	Name  string // canonical name, as in MetricInfo
	Label string
	Group *GroupRef
	At    GateSpan // of the whole metric
	Where GateSpan // of the label
}

// GateAxis restricts a gate to one value of a swept axis.
type GateAxis struct {
	Axis  string
	Value string // as written; a number or a name
	At    GateSpan
}

// Bounds of a gate.
const (
	BoundConstant = "constant" // Number Unit
	BoundMetric   = "metric"   // Factor * Metric
	BoundPercent  = "percent"  // within Percent % of Label, or of the baseline
)

// GateBound is the right side of a gate.
type GateBound struct {
	Kind     string
	Number   float64 // BoundConstant, as written
	Unit     string  // BoundConstant: us ms s m h rps % or empty
	Factor   float64 // BoundMetric, 1 if not written
	Metric   GateMetric
	Percent  float64 // BoundPercent
	Label    string  // BoundPercent: the other policy; empty: the baseline
	Baseline bool
	At       GateSpan
	Where    GateSpan // of the label
}

// GateExpr is one gate: `p99(jiq) <= 1.1 * p99(p2c) at load 0.85`.
type GateExpr struct {
	Left  GateMetric
	Den   *GateMetric // a ratio divides Left by it
	Op    GateOp
	Bound GateBound
	Axes  []GateAxis // after `at`
}

// GateError is one thing wrong with a gate, with its place in the text.
type GateError struct {
	Offset, Len int
	Msg         string
	Hint        string // what to write instead; may be empty
}

// Error is the message with its hint.
func (e GateError) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + " (" + e.Hint + ")"
}

// String prints the gate in its normal form; parsing it gives the same gate.
func (g GateExpr) String() string {
	var b strings.Builder
	b.WriteString(g.Left.String())
	if g.Den != nil {
		b.WriteString("/" + g.Den.String())
	}
	b.WriteString(" " + string(g.Op) + " " + g.Bound.String())
	for i, a := range g.Axes {
		sep := ", "
		if i == 0 {
			sep = " at "
		}
		b.WriteString(sep + a.Axis + " " + a.Value)
	}
	return b.String()
}

// String prints the metric: p99(jiq, tenant=chat).
func (m GateMetric) String() string {
	if m.Group == nil {
		return m.Name + "(" + m.Label + ")"
	}
	return m.Name + "(" + m.Label + ", " + m.Group.By + "=" + m.Group.Name + ")"
}

// String prints the bound: 600ms, 1.1 * p99(p2c), or 5% of baseline.
func (b GateBound) String() string {
	switch b.Kind {
	case BoundConstant:
		return number(b.Number) + b.Unit
	case BoundMetric:
		if b.Factor == 1 {
			return b.Metric.String()
		}
		return number(b.Factor) + " * " + b.Metric.String()
	}
	of := b.Label
	if b.Baseline {
		of = "baseline"
	}
	return number(b.Percent) + "% of " + of
}

// Labels returns every policy label the gate names, left first.
func (g GateExpr) Labels() []GateLabel {
	out := []GateLabel{{g.Left.Label, g.Left.Where}}
	if g.Den != nil {
		out = append(out, GateLabel{g.Den.Label, g.Den.Where})
	}
	switch {
	case g.Bound.Kind == BoundMetric:
		out = append(out, GateLabel{g.Bound.Metric.Label, g.Bound.Metric.Where})
	case g.Bound.Kind == BoundPercent && !g.Bound.Baseline:
		out = append(out, GateLabel{g.Bound.Label, g.Bound.Where})
	}
	return out
}

// GateLabel is a policy label and where it stands in the gate.
type GateLabel struct {
	Label string
	At    GateSpan
}

// Latency says whether the gate is on times of completed requests, which a
// transient run does not support.
func (g GateExpr) Latency() bool {
	m, ok := findMetric(g.Left.Name, nil)
	return ok && latencyMetric(m)
}

// metricText is what the JSON calls the tested metric: p99, or p99/p50.
func (g GateExpr) metricText() string {
	if g.Den != nil {
		return g.Left.Name + "/" + g.Den.Name
	}
	return g.Left.Name
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// unitScale converts a written unit to the unit of a metric: ms for times, rps
// for rates, fractions for percentages. Kind is time, rate, percent or empty.
func unitScale(unit string) (kind string, scale float64) {
	switch unit {
	case "us":
		return "time", 1e-3
	case "ms":
		return "time", 1
	case "s":
		return "time", 1e3
	case "m":
		return "time", 60e3
	case "h":
		return "time", 3600e3
	case "rps":
		return "rate", 1
	case "%":
		return "percent", 0.01
	}
	return "", 1
}

// constant is the bound in the unit of the metric.
func (b GateBound) constant(metricUnit string) float64 {
	_, scale := unitScale(b.Unit)
	x := b.Number * scale
	if b.Unit == "%" {
		x = b.Number / 100 // 5% is exactly 0.05
	}
	if metricUnit == "s" {
		x /= 1e3
	}
	return x
}
