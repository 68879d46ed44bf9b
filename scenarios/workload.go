package scenarios

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"taillab/workloads"
)

// workload decodes the blocks workload and frontends. Ranges are checked by
// workloads.Compile.
func (d *decoder) workload(root block) workloads.Spec {
	s := workloads.NewSpec()
	b := d.block(root.get("workload"), root.at("workload"), "workload")
	if n := b.get("arrivals"); n != nil {
		s.Arrivals = d.arrivals(n, b.at("arrivals"))
	}
	s.Input = d.dist(b.get("input"), b.at("input"), workloads.Tokens)
	s.Output = d.dist(b.get("output"), b.at("output"), workloads.Tokens)
	s.Demand = d.dist(b.get("demand"), b.at("demand"), workloads.Durations)
	s.Deadline = d.dist(b.get("deadline"), b.at("deadline"), workloads.Durations)
	b.text("pairs", &s.Pairs)
	b.number("copula", &s.Copula, span{lo: -0.99, hi: 0.99})
	b.text("class", &s.Class)
	b.priority("priority", &s.Priority)
	s.Tenants = d.tenants(b.get("tenants"), b.at("tenants"))
	s.Models = d.models(b.get("models"), b.at("models"))
	for i, n := range d.list(b.get("modulate"), b.at("modulate"), "{step | ramp | burst}") {
		s.Modulate = append(s.Modulate, d.modulation(n, index(b.at("modulate"), i)))
	}
	f := d.block(root.get("frontends"), root.at("frontends"), "frontends")
	f.integer("count", &s.Frontends.Count, 1, workloads.MaxFrontends)
	f.enum("split", &s.Frontends.Split, "uniform", "sticky", "skewed")
	f.number("skew", &s.Frontends.Skew, span{lo: 0, hi: 5})
	return s
}

func (b block) priority(key string, dst *int8) {
	v := int(*dst)
	b.integer(key, &v, math.MinInt8, math.MaxInt8)
	*dst = int8(v)
}

// arrivals decodes a name or {KIND: {…}}.
func (d *decoder) arrivals(n *node, path string) workloads.Arrivals {
	if n.kind == scalarNode {
		if n.text == "trace" {
			d.ps.at(n, path, "such as {trace: {file: conv.csv.gz}}", "a trace needs a file")
			return workloads.NewArrivals("poisson")
		}
		if !d.isArrival(n, n.text, path) {
			return workloads.NewArrivals("poisson")
		}
		return workloads.NewArrivals(n.text)
	}
	kind, inner := d.kindOf(n, path, "a name or {KIND: {…}}")
	if inner == nil || !d.isArrival(inner.key, kind, path) {
		return workloads.NewArrivals("poisson")
	}
	a, at := workloads.NewArrivals(kind), join(path, kind)
	if kind == "trace" {
		a.Trace = d.trace(inner, at)
		return a
	}
	if inner.kind != mapNode {
		d.wrongKind(inner, at, "a map of its parameters", "such as {"+kind+": {rate: 40/s}}")
		return a
	}
	valid := arrivalKeys(kind)
	v := reflect.ValueOf(&a).Elem()
	for i, k := range inner.keys {
		j := slices.IndexFunc(valid, func(x workloads.Key) bool { return x.Name == k.text })
		if j < 0 {
			var names []string
			for _, x := range valid {
				names = append(names, x.Name)
			}
			d.unknown(k, at, names)
			continue
		}
		d.arrivalKey(inner.items[i], join(at, k.text), v.FieldByName(valid[j].Field))
	}
	return a
}

// isArrival wants the name of a process or of a preset.
func (d *decoder) isArrival(n *node, kind, path string) bool {
	if kind == "closed" || kind == "clients" {
		d.harmless(func() {
			d.ps.at(n, path, "use an open process such as poisson or gamma", "arrivals of kind %s are not available in this version", kind)
		})
		return false
	}
	if arrivalKeys(kind) != nil {
		return true
	}
	var names []string
	for _, k := range workloads.ArrivalKinds() {
		names = append(names, k.Name)
	}
	for _, p := range workloads.Presets() {
		if p.Arrivals {
			names = append(names, p.Name)
		}
	}
	d.harmless(func() {
		d.ps.at(n, path, Suggest(kind, names, "taillab list workloads"), "no arrival process called %q", kind)
	})
	return false
}

// arrivalKeys are the parameters of a kind; a preset takes a rate. Nil: no such kind.
func arrivalKeys(kind string) []workloads.Key {
	for _, k := range workloads.ArrivalKinds() {
		if k.Name == kind {
			return k.Keys
		}
	}
	for _, p := range workloads.Presets() {
		if p.Name == kind && p.Arrivals {
			return []workloads.Key{{Name: "rate", Field: "Rate"}}
		}
	}
	return nil
}

// arrivalKey decodes one parameter by the type of the field it fills. A rate of 0
// is refused here: to workloads it means that none was given.
func (d *decoder) arrivalKey(n *node, path string, v reflect.Value) {
	switch dst := v.Addr().Interface().(type) {
	case *float64:
		if !strings.HasSuffix(path, "rate") {
			*dst = d.float(n, path)
			return
		}
		*dst = d.rateOf(n, path)
		if *dst == 0 && n.kind == scalarNode && strings.HasPrefix(strings.TrimSpace(n.text), "0") {
			d.ps.at(n, path, "", "%s is %s: it must be above 0", path, n.text)
		}
	case *time.Duration:
		if d.isScalar(n, path, "a duration") {
			*dst, _ = d.duration(n, path, math.MinInt64, 0, false)
		}
	case *[]workloads.State:
		for i, item := range d.list(n, path, "{rate, mean_sojourn}") {
			b := d.open(item, index(path, i), "rate", "mean_sojourn")
			var s workloads.State
			b.rate("rate", &s.Rate)
			b.duration("mean_sojourn", &s.MeanSojourn, math.MinInt64, 0, false)
			*dst = append(*dst, s)
		}
	case *[][]float64:
		for i, row := range d.list(n, path, "rows") {
			var p []float64
			for j, x := range d.list(row, index(path, i), "numbers") {
				p = append(p, d.float(x, index(index(path, i), j)))
			}
			*dst = append(*dst, p)
		}
	}
}

func (d *decoder) rateOf(n *node, path string) float64 {
	if !d.isScalar(n, path, "a rate") {
		return 0
	}
	x, wrong := readRate(n.text)
	if wrong != nil {
		d.refuse(n, path, wrong)
	}
	return x
}

// open is block for maps inside lists, whose keys are named here.
func (d *decoder) open(n *node, path string, keys ...string) block {
	b := block{d: d, path: path}
	if n.kind != mapNode {
		d.wrongKind(n, path, "{"+strings.Join(keys, ", ")+"}", "")
		return b
	}
	b.n = n
	for _, k := range n.keys {
		if !slices.Contains(keys, k.text) {
			d.unknown(k, path, keys)
		}
	}
	return b
}

func (d *decoder) trace(n *node, path string) workloads.TraceSpec {
	t := workloads.NewTrace()
	var b block
	d.harmless(func() {
		valid, _ := childKeys("workload.arrivals.trace")
		b = d.open(n, path, valid...)
	})
	if b.n == nil {
		return t
	}
	b.text("file", &t.File)
	if t.File == "" {
		at := b.get("file")
		if at == nil {
			at = n
		}
		d.ps.at(at, b.at("file"), "set it: --set "+b.at("file")+"=PATH", "%s is not given: the trace has no file", b.at("file"))
	}
	b.enum("format", &t.Format, workloads.Formats()...)
	b.number("time_scale", &t.TimeScale, span{lo: 0, hi: 1e4, above: true})
	b.number("load_scale", &t.LoadScale, span{lo: 0, hi: 1e3, above: true})
	if l := b.get("loop"); l != nil {
		t.Loop = d.loop(l, b.at("loop"))
	}
	if w := b.get("window"); w != nil {
		t.Window = d.window(w, b.at("window"))
	}
	b.integer("limit", &t.Limit, 1, unbounded)
	b.enum("jitter", &t.Jitter, "spread", "none")
	b.boolean("rotate", &t.Rotate)
	b.boolean("keep_offset", &t.KeepOffset)
	b.enum("sorted", &t.Sorted, "allow", "required")
	b.boolean("include_failed", &t.Failed)
	if c := b.get("columns"); c != nil {
		d.fill(c, b.at("columns"), b.at("columns"), reflect.ValueOf(&t.Columns).Elem())
	}
	return t
}

// loop reads a number of times, `until 1h`, or true.
func (d *decoder) loop(n *node, path string) (l workloads.Loop) {
	until := n
	text := n.text
	if n.kind == mapNode {
		b := d.open(n, path, "until")
		if until = b.get("until"); until == nil {
			return l
		}
		text = "until " + until.text
	}
	if !d.isScalar(until, path, "a number of times, `until 1h`, or true") {
		return l
	}
	if rest, ok := strings.CutPrefix(text, "until "); ok {
		v, wrong := readDuration(rest)
		if wrong != nil {
			d.refuse(until, path, wrong)
		}
		l.Until = v
		return l
	}
	if v, wrong := readInt(text); wrong == nil {
		if v < 1 || v > unbounded {
			d.ps.at(n, path, "", "%s is %d: it must be at least 1", path, v)
			v = 1
		}
		l.Times = int(v)
		return l
	}
	v, wrong := readBool(text)
	if wrong != nil {
		d.refuse(n, path, &bad{"it must be a number of times, `until 1h`, or true", ""})
	}
	l.Forever = v
	return l
}

func (d *decoder) window(n *node, path string) *workloads.Window {
	items := d.list(n, path, "two durations")
	if n.kind == seqNode && len(items) != 2 {
		d.ps.at(n, path, "such as [10m, 20m]", "%s has %d entries: it must be [from, to]", path, len(items))
	}
	if len(items) != 2 {
		return nil
	}
	var w workloads.Window
	for i, dst := range []*time.Duration{&w.From, &w.To} {
		if !d.isScalar(items[i], index(path, i), "a duration") {
			return nil
		}
		*dst, _ = d.duration(items[i], index(path, i), 0, 0, false)
	}
	return &w
}

func (d *decoder) tenants(n *node, path string) (t workloads.Tenants) {
	if n == nil {
		return t
	}
	if n.kind == seqNode {
		for i, item := range n.items {
			t.List = append(t.List, d.tenant(item, index(path, i)))
		}
		return t
	}
	b := d.open(n, path, "n", "zipf", "weights")
	b.integer("n", &t.N, 1, workloads.MaxTenants)
	b.number("zipf", &t.Zipf, span{lo: 0, hi: 5})
	for i, w := range d.list(b.get("weights"), b.at("weights"), "numbers") {
		t.Weights = append(t.Weights, d.float(w, index(b.at("weights"), i)))
	}
	return t
}

func (d *decoder) tenant(n *node, path string) (t workloads.Tenant) {
	b := d.open(n, path, "name", "share", "group", "class", "priority", "rate", "input", "output")
	b.text("name", &t.Name)
	b.share("share", &t.Share, span{lo: 0, hi: 1})
	b.text("group", &t.Group)
	b.text("class", &t.Class)
	if b.get("priority") != nil {
		t.Priority = new(int8)
		b.priority("priority", t.Priority)
	}
	b.rate("rate", &t.Rate)
	t.Input = d.dist(b.get("input"), b.at("input"), workloads.Tokens)
	t.Output = d.dist(b.get("output"), b.at("output"), workloads.Tokens)
	return t
}

func (d *decoder) models(n *node, path string) (out []workloads.Model) {
	for i, item := range d.list(n, path, "{name, weight, service}") {
		m := workloads.Model{Weight: 1}
		b := d.open(item, index(path, i), "name", "weight", "service")
		b.text("name", &m.Name)
		b.number("weight", &m.Weight, span{lo: 0, hi: 1e300})
		b.text("service", &m.Service)
		out = append(out, m)
	}
	return out
}

func (d *decoder) modulation(n *node, path string) (m workloads.Modulation) {
	b := d.open(n, path, "step", "ramp", "burst")
	m.Step = d.levels(b.get("step"), b.at("step"))
	m.Ramp = d.levels(b.get("ramp"), b.at("ramp"))
	if n := b.get("burst"); n != nil {
		m.Burst = &workloads.Burst{}
		in := d.open(n, b.at("burst"), "at", "factor", "for")
		in.duration("at", &m.Burst.At, 0, 0, false)
		in.number("factor", &m.Burst.Factor, span{lo: 0, hi: 1e6})
		in.duration("for", &m.Burst.For, 0, 0, true)
	}
	return m
}

func (d *decoder) levels(n *node, path string) (out []workloads.Level) {
	for i, item := range d.list(n, path, "{at, rate}") {
		var l workloads.Level
		b := d.open(item, index(path, i), "at", "rate")
		b.duration("at", &l.At, 0, 0, false)
		b.rate("rate", &l.Rate)
		out = append(out, l)
	}
	return out
}
