package scenarios

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// sweep is what is varied, beside the policies.
type sweep struct {
	loads    []number
	loadPath string
	seeds    int
	axes     []axis
}

// number is a value with its place.
type number struct {
	v float64
	n *node
}

// axis is a swept key: each value is laid over the scenario in turn.
type axis struct {
	name, path string
	values     []*node
}

// sweep decodes the block sweep and workload.load, which is a sweep of one.
func (d *decoder) sweep(root block, overload bool) sweep {
	s := sweep{seeds: 10, loadPath: "sweep.load"}
	n := root.get("sweep")
	b := block{d: d, path: "sweep"}
	if n != nil && n.kind != mapNode {
		d.wrongKind(n, "sweep", "a map of axes", "such as {load: [0.6, 0.8], seeds: 10}")
	} else {
		b.n = n
	}
	b.integer("seeds", &s.seeds, 1, 10_000)
	s.loads = d.loads(b.get("load"), b.at("load"), overload)
	if at := root.get("workload").get("load"); at != nil {
		if b.get("load") != nil {
			d.ps.at(at, "workload.load", "leave one out", "workload.load stands beside sweep.load")
		}
		s.loads, s.loadPath = d.loads(at, "workload.load", overload), "workload.load"
	}
	if b.n != nil {
		for i, k := range b.n.keys {
			if k.text != "load" && k.text != "seeds" {
				d.axis(k, b.n.items[i], root, &s)
			}
		}
	}
	return s
}

func (d *decoder) loads(n *node, path string, overload bool) []number {
	if n == nil {
		return nil
	}
	items, at := []*node{n}, func(int) string { return path }
	if n.kind == seqNode {
		items, at = n.items, func(i int) string { return index(path, i) }
		if len(items) == 0 {
			d.ps.at(n, path, "such as [0.6, 0.8]", "%s is empty", path)
		}
	}
	var out []number
	for i, item := range items {
		if !d.isScalar(item, at(i), "a number") {
			continue
		}
		v, wrong := readFloat(item.text)
		switch {
		case strings.HasSuffix(item.text, "%"):
			share, _ := readShare(item.text)
			d.ps.at(item, at(i), "write "+numberText(share), "load %s is a percentage: loads are plain numbers", item.text)
		case wrong != nil:
			d.refuse(item, at(i), wrong)
		case v <= 0:
			d.ps.at(item, at(i), "", "load %s is out of range: it must be above 0", item.text)
		case v >= 1 && !overload:
			d.ps.at(item, at(i), "set allow_overload: true to study overload", "load %s would never settle: it must be below 1", item.text)
		case v > 100:
			d.ps.at(item, at(i), "", "load %s is out of range: it must be at most 100", item.text)
		case slices.ContainsFunc(out, func(o number) bool { return o.v == v }):
			d.ps.at(item, at(i), "keep one of them", "load %s is listed twice", item.text)
		default:
			out = append(out, number{v, item})
		}
	}
	return out
}

// axis decodes NAME: {path, values}, or a list for the short names rate and demand.
func (d *decoder) axis(k, n *node, root block, s *sweep) {
	path := join("sweep", k.text)
	d.checkName(k, path, "the axis")
	a := axis{name: k.text}
	values := n
	switch {
	case n.kind == seqNode && k.text == "rate":
		a.path = ratePath(root.get("workload").get("arrivals"))
	case n.kind == seqNode && k.text == "demand" && len(n.items) > 0 && strings.Contains(textOf(n.items[0]), "/"):
		a.path = ratePath(root.get("workload").get("arrivals")) // demand for a quota: how much comes
	case n.kind == seqNode && k.text == "demand":
		a.path = "workload.demand"
	case n.kind == seqNode:
		d.ps.at(k, path, "write {path: KEY, values: […]}; only load, rate and demand are short names", "sweep.%s does not say which key it varies", k.text)
		return
	default:
		b := d.open(n, path, "path", "values")
		if b.n == nil {
			return
		}
		b.text("path", &a.path)
		values = b.get("values")
		if a.path == "" || values == nil {
			d.ps.at(n, path, "such as {path: frontends.count, values: [1, 10, 100]}", "%s needs a path and values", path)
			return
		}
		path = b.at("values")
	}
	if why := unsweepable(a.path); why != "" {
		d.ps.at(find(n, "path"), join(join("sweep", k.text), "path"), "", "%s cannot be swept: %s", a.path, why)
		return
	}
	for i, v := range d.list(values, path, "values") {
		if d.isScalar(v, index(path, i), "a single value") {
			a.values = append(a.values, v)
		}
	}
	if values.kind == seqNode && len(values.items) == 0 {
		d.ps.at(values, path, "", "%s is empty", path)
	}
	if len(a.values) > 0 {
		s.axes = append(s.axes, a)
	}
}

func unsweepable(path string) string {
	steps := splitPath(path)
	if slices.Contains(steps, "") {
		return "it is no key path"
	}
	switch steps[0] {
	case "version", "name", "about", "sweep", "gates":
		return "it is the same for all runs"
	}
	if path == "workload.load" {
		return "use sweep.load"
	}
	return ""
}

// ratePath is the key that holds the rate of the scenario's arrivals.
func ratePath(n *node) string {
	kind := "poisson"
	switch {
	case n != nil && n.kind == scalarNode:
		kind = n.text
	case n != nil && n.kind == mapNode && len(n.keys) == 1:
		kind = n.keys[0].text
	}
	return "workload.arrivals." + kind + ".rate"
}

// point is one combination of the axes' values.
type point struct {
	values []*node // by axis
}

// points lists the combinations; the last axis varies fastest.
func (s *sweep) points() []point {
	out := []point{{}}
	for _, a := range s.axes {
		var next []point
		for _, p := range out {
			for _, v := range a.values {
				next = append(next, point{append(slices.Clone(p.values), v)})
			}
		}
		out = next
	}
	return out
}

// lay returns the scenario with the values of the point in place.
func (d *decoder) lay(root *node, axes []axis, p point) *node {
	for i, a := range axes {
		next, why := overlay(root, splitPath(a.path), p.values[i])
		if why != "" {
			d.ps.at(p.values[i], "sweep."+a.name, "", "%s cannot be swept: %s", a.path, why)
			continue
		}
		root = next
	}
	return root
}

// axisValue is a swept value as the summary shows it.
func axisValue(n *node) any {
	if n.quoted {
		return n.text
	}
	if v, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		return v
	}
	if v, wrong := readFloat(n.text); wrong == nil {
		return v
	}
	if n.text == "true" || n.text == "false" {
		return n.text == "true"
	}
	if v, err := time.ParseDuration(n.text); err == nil {
		return durationText(v)
	}
	return n.text
}
