package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseGate reads one gate. It checks grammar, metrics and units; whether labels,
// groups and axes exist is for the caller, who knows the scenario. All that is
// wrong is reported at once where the text can still be followed. extra are
// metrics registered by policies outside this program's catalogue.
//
//	gate   = left ( cmp bound | "within" percent "of" ( "baseline" | LABEL ) ) [ "at" axis value { "," axis value } ]
//	left   = metric [ "/" metric ]         cmp   = "<" | "<=" | ">" | ">="
//	metric = NAME "(" LABEL [ "," group ] ")"
//	group  = ( "service" | "tenant" | "class" ) "=" VALUE
//	bound  = quantity | [ number "*" ] metric
func ParseGate(text string, extra ...MetricInfo) (GateExpr, []GateError) {
	p := gateParser{text: text, extra: extra}
	var g GateExpr
	if p.gate(&g) {
		p.check(&g)
	}
	return g, p.errs
}

// gateParser is a hand-written descent: a failed step has reported its error and
// returns false.
type gateParser struct {
	text  string
	at    int
	extra []MetricInfo
	errs  []GateError
}

const labelStop = "()*,<>/="

// valueStop ends the value of an axis, which may be a rate: 480/s.
const valueStop = "()*,<>="

func (p *gateParser) fail(from int, msg, hint string) bool {
	n := max(p.at-from, 1)
	if from >= len(p.text) {
		from, n = len(p.text), 0
	}
	p.errs = append(p.errs, GateError{Offset: from, Len: min(n, len(p.text)-from), Msg: msg, Hint: hint})
	return false
}

func (p *gateParser) blank() {
	for p.at < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsSpace(r) {
			return
		}
		p.at += n
	}
}

// take consumes s if it comes next after blanks.
func (p *gateParser) take(s string) bool {
	p.blank()
	if strings.HasPrefix(p.text[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

// word consumes a run of characters outside stop and blanks.
func (p *gateParser) word(stop string) (string, GateSpan) {
	p.blank()
	from := p.at
	for p.at < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		if unicode.IsSpace(r) || strings.ContainsRune(stop, r) {
			break
		}
		p.at += n
	}
	return p.text[from:p.at], GateSpan{from, p.at - from}
}

// keyword consumes s as a whole word.
func (p *gateParser) keyword(s string) bool {
	save := p.at
	if w, _ := p.word(labelStop); w == s {
		return true
	}
	p.at = save
	return false
}

// rest describes what stands at the present place, for messages.
func (p *gateParser) rest() string {
	p.blank()
	if p.at >= len(p.text) {
		return "the end"
	}
	save := p.at
	w, _ := p.word(labelStop)
	p.at = save
	if w == "" {
		r, _ := utf8.DecodeRuneInString(p.text[p.at:])
		w = string(r)
	}
	return strconv.Quote(w)
}

func (p *gateParser) gate(g *GateExpr) bool {
	factor, from := 1.0, p.at
	if !p.side(&g.Left, &factor, true) {
		return false
	}
	if p.take("/") {
		g.Den = new(GateMetric)
		if !p.side(g.Den, &factor, false) {
			return false
		}
	}
	if !p.comparison(g, factor, from) {
		return false
	}
	if p.keyword("at") && !p.axes(g) {
		return false
	}
	if p.blank(); p.at < len(p.text) {
		rest := p.rest()
		start := p.at
		p.at = len(p.text)
		return p.fail(start, "unexpected "+rest+" after the gate", "a gate ends after its bound or after `at AXIS VALUE`")
	}
	return true
}

// side reads [number "*"] metric ["*" number]; only the first metric of a side
// may have a factor before it.
func (p *gateParser) side(m *GateMetric, factor *float64, before bool) bool {
	p.blank()
	if before && p.digit() {
		from := p.at
		f, ok := p.factor()
		if !ok {
			return false
		}
		*factor *= f
		if !p.take("*") {
			return p.fail(from, "a gate starts with a metric, not with a number", "such as `p99(jiq) < 600ms`")
		}
	}
	if !p.metric(m) {
		return false
	}
	if p.take("*") {
		f, ok := p.factor()
		if !ok {
			return false
		}
		*factor *= f
	}
	return true
}

func (p *gateParser) metric(m *GateMetric) bool {
	p.blank()
	from := p.at
	name, span := p.word(labelStop)
	if name == "" {
		return p.fail(from, "expected a metric, found "+p.rest(), "such as p99(jiq)")
	}
	if !p.take("(") {
		return p.fail(span.Offset, fmt.Sprintf("%q has no policy", name), fmt.Sprintf("name the policy in brackets: %s(jiq)", name))
	}
	if m.Label, m.Where = p.word(labelStop); m.Label == "" {
		return p.fail(p.at, "the policy label is missing", fmt.Sprintf("such as %s(jiq)", name))
	}
	if m.Label == "baseline" {
		return p.fail(m.Where.Offset, "`baseline` is not a policy", "write `within 5% of baseline`")
	}
	if p.take(",") && !p.group(m) {
		return false
	}
	if !p.take(")") {
		return p.fail(p.at, "expected `)`, found "+p.rest(), "")
	}
	m.At = GateSpan{from, p.at - from}
	m.Name = name
	if info, ok := findMetric(name, p.extra); ok {
		m.Name = info.Name
		return p.groupMetric(m, info)
	}
	p.errs = append(p.errs, GateError{Offset: span.Offset, Len: span.Len, Msg: fmt.Sprintf("unknown metric %q", name), Hint: p.suggest(name)})
	return true // the rest can still be read
}

func (p *gateParser) suggest(name string) string {
	names := metricNames(p.extra)
	if best := nearest(name, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known: " + strings.Join(names, " ")
}

func (p *gateParser) group(m *GateMetric) bool {
	by, span := p.word(labelStop)
	if by != "service" && by != "tenant" && by != "class" {
		return p.fail(span.Offset, fmt.Sprintf("%q is not a group", by), "a group is service=NAME, tenant=NAME or class=NAME")
	}
	if !p.take("=") {
		return p.fail(p.at, "expected `=` after "+by+", found "+p.rest(), "such as "+by+"=chat")
	}
	value, _ := p.word(labelStop)
	if value == "" {
		return p.fail(p.at, "the name of the "+by+" is missing", "such as "+by+"=chat")
	}
	m.Group = &GroupRef{By: by, Name: value}
	return true
}

func (p *gateParser) groupMetric(m *GateMetric, info MetricInfo) bool {
	if m.Group != nil && !info.Group {
		p.errs = append(p.errs, GateError{Offset: m.At.Offset, Len: m.At.Len,
			Msg: fmt.Sprintf("%s is not known per %s", m.Name, m.Group.By), Hint: "with a group: requests mean p50 p99 error_rate goodput"})
	}
	return true
}

// comparison reads the operator and the bound; factor is what multiplied the
// left side and moves to the right.
func (p *gateParser) comparison(g *GateExpr, factor float64, from int) bool {
	for _, op := range []GateOp{OpLessEq, OpGreaterEq, OpLess, OpGreater} {
		if p.take(string(op)) {
			g.Op = op
			return p.bound(g, factor)
		}
	}
	if !p.keyword("within") {
		return p.fail(p.at, "expected <, <=, >, >= or within, found "+p.rest(), "such as `p99(jiq) < 600ms`")
	}
	g.Op = OpWithin
	if factor != 1 {
		p.fail(from, "`within` takes no factor", "write the metric alone: `p99(jiq) within 5% of baseline`")
	}
	return p.within(&g.Bound)
}

func (p *gateParser) bound(g *GateExpr, factor float64) bool {
	b := &g.Bound
	p.blank()
	from := p.at
	b.Factor = 1
	if p.digit() {
		x, ok := p.number()
		if !ok {
			return false
		}
		if !p.take("*") {
			return p.quantity(b, x/factor, from)
		}
		if x == 0 {
			return p.fail(from, "a factor of 0 compares with nothing", "write a positive factor such as 1.1")
		}
		b.Factor = x
	}
	b.Kind = BoundMetric
	if !p.side(&b.Metric, &b.Factor, false) {
		return false
	}
	b.Factor /= factor
	b.At = GateSpan{from, p.at - from}
	if math.IsInf(b.Factor, 0) || b.Factor == 0 {
		return p.fail(from, "the factor is out of range", "")
	}
	return true
}

func (p *gateParser) quantity(b *GateBound, x float64, from int) bool {
	b.Kind, b.Number = BoundConstant, x
	save := p.at
	switch unit, span := p.word(labelStop[:6]); unit { // a unit may hold a slash: /s
	case "us", "ms", "s", "m", "h", "rps", "%":
		b.Unit = unit
	case "µs", "μs":
		b.Unit = "us"
	case "/s":
		b.Unit = "rps"
	case "", "at":
		p.at = save
	default:
		return p.fail(span.Offset, fmt.Sprintf("unknown unit %q", unit), "units: us ms s m h, rps or /s, %, none for ratios and counts")
	}
	b.At = GateSpan{from, p.at - from}
	if math.IsInf(x, 0) {
		return p.fail(from, "the bound is out of range", "")
	}
	return true
}

func (p *gateParser) within(b *GateBound) bool {
	p.blank()
	from := p.at
	b.Kind = BoundPercent
	x, ok := p.number()
	if !ok {
		return false
	}
	if !p.take("%") {
		return p.fail(p.at, "expected `%` after within, found "+p.rest(), "such as `within 5% of baseline`")
	}
	b.Percent = x
	if x <= 0 || x > 1000 {
		p.fail(from, "the tolerance must be above 0% and at most 1000%", "")
	}
	if !p.keyword("of") {
		return p.fail(from, "within what? `of` is missing", fmt.Sprintf("write `within %s%% of baseline` or `within %s%% of LABEL`", number(x), number(x)))
	}
	label, span := p.word(labelStop)
	if label == "" {
		return p.fail(p.at, "expected `baseline` or a policy label, found "+p.rest(), "")
	}
	b.Where, b.At = span, GateSpan{from, p.at - from}
	if p.take("(") {
		inner, _ := p.word(labelStop)
		p.take(")")
		return p.fail(span.Offset, "within compares the same metric of another policy: name the policy only", fmt.Sprintf("within %s%% of %s", number(x), inner))
	}
	if label == "baseline" {
		b.Baseline = true
	} else {
		b.Label = label
	}
	return true
}

func (p *gateParser) axes(g *GateExpr) bool {
	for {
		name, span := p.word(labelStop)
		if name == "" {
			return p.fail(p.at, "expected an axis after `at`, found "+p.rest(), "such as `at load 0.85`")
		}
		p.take("=") // `load=0.85` is what other tools write
		value, _ := p.word(valueStop)
		if value == "" {
			return p.fail(p.at, fmt.Sprintf("the value of axis %q is missing", name), "such as `at load 0.85`")
		}
		for _, a := range g.Axes {
			if a.Axis == name {
				p.fail(span.Offset, fmt.Sprintf("axis %q is given twice", name), "write one gate for each value")
			}
		}
		g.Axes = append(g.Axes, GateAxis{Axis: name, Value: value, At: GateSpan{span.Offset, p.at - span.Offset}})
		if !p.take(",") {
			return true
		}
	}
}
