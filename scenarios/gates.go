package scenarios

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"taillab/reports"
	"taillab/sim/gpu"
)

// checkGates parses the gates and checks what they name against the scenario.
func (l *loader) checkGates(drafts []draft) {
	for i, n := range l.gates {
		path := index("gates", i)
		if !l.isScalar(n, path, "a text such as p99(jiq) < 600ms") {
			continue
		}
		expr, errs := reports.ParseGate(n.text, l.opt.Metrics...)
		for _, e := range errs {
			l.gateProblem(n, path, reports.GateSpan{Offset: e.Offset, Len: e.Len}, e.Hint, e.Msg)
		}
		if expr.Left.Label != "" && len(drafts) > 0 {
			l.checkGate(n, path, expr, &drafts[0])
		}
		l.plan.Gates = append(l.plan.Gates, reports.PlacedGate{Expr: expr, Line: n.line, Column: n.col})
	}
}

// gateProblem places a problem at a stretch of the gate's text.
func (l *loader) gateProblem(n *node, path string, at reports.GateSpan, hint, msg string) {
	p := n.place()
	if !n.alias && !n.src.flag && p.Line == n.line && at.Offset >= 0 && at.Offset+at.Len <= len(n.text) && n.end-n.col >= utf8.RuneCountInString(n.text) {
		p.Column = n.col + n.raw + utf8.RuneCountInString(n.text[:at.Offset])
		p.EndColumn = p.Column + max(utf8.RuneCountInString(n.text[at.Offset:at.Offset+at.Len]), 1)
	}
	p.Path, p.Message, p.Hint = path, msg, hint
	l.ps.add(p)
}

func (l *loader) checkGate(n *node, path string, g reports.GateExpr, d *draft) {
	labels := gateLabels(d.services)
	for _, x := range g.Labels() {
		if x.Label != "" && x.Label != "baseline" && !slices.Contains(labels, x.Label) {
			l.gateProblem(n, path, x.At, Suggest(x.Label, labels, ""), "no policy is labelled "+strconv.Quote(x.Label))
		}
	}
	metrics := []reports.GateMetric{g.Left}
	if g.Den != nil {
		metrics = append(metrics, *g.Den)
	}
	if g.Bound.Kind == reports.BoundMetric {
		metrics = append(metrics, g.Bound.Metric)
	}
	for _, m := range metrics {
		l.checkGroup(n, path, m, d)
		l.checkStreams(n, path, m, d)
		l.checkFamily(n, path, m, d)
	}
	if d.measure.Transient && g.Latency() {
		l.gateProblem(n, path, g.Left.At, "remove the gate, or measure.transient", "a transient run has no steady state to judge latencies by")
	}
	for _, a := range g.Axes {
		l.checkAxis(n, path, a)
	}
}

// gateLabels are the labels a gate may name.
func gateLabels(services []serviceDraft) []string {
	var out []string
	for _, pl := range placesOf(services) {
		for _, p := range pl.list {
			if !slices.Contains(out, p.label) {
				out = append(out, p.label)
			}
		}
	}
	return out
}

func (l *loader) checkGroup(n *node, path string, m reports.GateMetric, d *draft) {
	if m.Group == nil {
		return
	}
	var known []string
	switch m.Group.By {
	case "service":
		known = serviceNames(d.services)
	case "tenant", "class":
		if d.setup.Workload == nil {
			return
		}
		if known = d.setup.Workload.Tenants(); m.Group.By == "class" {
			known = d.setup.Workload.Classes()
		}
	}
	if !slices.Contains(known, m.Group.Name) {
		l.gateProblem(n, path, m.At, Suggest(m.Group.Name, known, ""), "no "+m.Group.By+" called "+strconv.Quote(m.Group.Name))
	}
}

// checkStreams refuses token times where nothing yields tokens one by one: the
// gate could never be judged.
func (l *loader) checkStreams(n *node, path string, m reports.GateMetric, d *draft) {
	if !strings.HasPrefix(m.Name, "ttft") && !strings.HasPrefix(m.Name, "tpot") {
		return
	}
	for _, s := range d.services {
		if len(s.Groups) == 0 { // what is wrong with the fleet has been told
			return
		}
		for _, g := range s.Groups {
			if g.Model == nil || g.Model.Streams() {
				return
			}
		}
	}
	l.gateProblem(n, path, m.At, "use a gpu of kind "+string(gpu.Tokens), "there is no "+m.Name+": no service streams tokens")
}

// checkFamily refuses metrics that only a policy of another family reports: without
// one the gate could never be judged.
func (l *loader) checkFamily(n *node, path string, m reports.GateMetric, d *draft) {
	info, _ := reports.FindMetric(m.Name, l.opt.Metrics...)
	switch {
	case info.Family == "" || len(d.services) == 0:
		return
	case info.Family == "faults":
		if !slices.ContainsFunc(d.setup.Faults, func(f Fault) bool { return f.Update != nil || f.Lock != nil }) {
			l.gateProblem(n, path, m.At, "add a fault of kind "+FaultRolling+" or "+FaultLock, "there is no "+m.Name+": no fault reports it")
		}
		return
	case slices.ContainsFunc(placesOf(d.services), func(p place) bool { return p.family == info.Family }):
		return
	}
	l.gateProblem(n, path, m.At, "add policies."+info.Family, "there is no "+m.Name+": no policy of the family "+info.Family+" is configured")
}

// checkAxis wants a swept axis and one of its values.
func (l *loader) checkAxis(n *node, path string, a reports.GateAxis) {
	if a.Axis == "load" {
		var swept []string
		v, wrong := readFloat(a.Value)
		for _, x := range l.sweep.loads {
			if wrong == nil && x.v == v {
				return
			}
			swept = append(swept, numberText(x.v))
		}
		if len(swept) == 0 {
			l.gateProblem(n, path, a.At, "leave `at load` out", "no load is swept")
			return
		}
		l.gateProblem(n, path, a.At, "swept: "+strings.Join(swept, " "), "load "+a.Value+" is not in the sweep")
		return
	}
	var names []string
	for _, x := range l.sweep.axes {
		names = append(names, x.name)
		if x.name != a.Axis {
			continue
		}
		var values []string
		for _, v := range x.values {
			if sameValue(v.text, a.Value) {
				return
			}
			values = append(values, v.text)
		}
		l.gateProblem(n, path, a.At, "swept: "+strings.Join(values, " "), a.Axis+" "+a.Value+" is not in the sweep")
		return
	}
	l.gateProblem(n, path, a.At, Suggest(a.Axis, append(names, "load"), ""), "no axis called "+strconv.Quote(a.Axis))
}

// sameValue compares as numbers or durations where both are, else as text.
func sameValue(a, b string) bool {
	if x, wrong := readFloat(a); wrong == nil {
		y, wrong := readFloat(b)
		return wrong == nil && x == y
	}
	if x, wrong := readDuration(a); wrong == nil {
		y, wrong := readDuration(b)
		return wrong == nil && x == y
	}
	return a == b
}
