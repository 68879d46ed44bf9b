package scenarios

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"taillab/workloads"
)

// dist decodes a DIST: a constant, or {KIND: {…}}. What is out of range is for
// workloads to say.
func (d *decoder) dist(n *node, path string, q workloads.Quantity) workloads.Dist {
	if n == nil {
		return workloads.Dist{}
	}
	if n.kind == scalarNode {
		v, _ := d.size(n, path, q)
		return workloads.Constant(v)
	}
	kind, inner := d.kindOf(n, path, "a value or {KIND: {…}}")
	if inner == nil {
		return workloads.Constant(1)
	}
	return d.distOf(kind, inner, join(path, kind), q)
}

// kindOf opens {KIND: …}.
func (d *decoder) kindOf(n *node, path, must string) (string, *node) {
	if n.kind != mapNode {
		d.wrongKind(n, path, must, "")
		return "", nil
	}
	if len(n.keys) != 1 {
		d.ps.at(n, path, "", "%s has %d keys: it must be %s", path, len(n.keys), must)
		return "", nil
	}
	return n.keys[0].text, n.items[0]
}

// distOf decodes the parameters of a kind.
func (d *decoder) distOf(kind string, n *node, path string, q workloads.Quantity) workloads.Dist {
	out := workloads.Dist{Kind: kind}
	switch {
	case kind == "constant" && n.kind == scalarNode:
		out.Value, _ = d.size(n, path, q)
	case kind == "quantiles" && n.kind == scalarNode:
		if out.Preset = n.text; !d.isTable(n, path) {
			return workloads.Constant(1)
		}
	case kind == "quantiles":
		d.points(n, path, q, &out)
	case kind == "bimodal":
		for i, item := range d.list(n, path, "{p, value}") {
			out.Parts = append(out.Parts, d.part(item, index(path, i), q))
		}
	default:
		d.distKeys(n, path, q, &out)
	}
	return out
}

// isTable wants the name of a preset with lengths, or NAME-input, NAME-output.
func (d *decoder) isTable(n *node, path string) bool {
	var names []string
	for _, p := range workloads.Presets() {
		if p.Sizes {
			names = append(names, p.Name)
		}
	}
	base := strings.TrimSuffix(strings.TrimSuffix(n.text, "-input"), "-output")
	if slices.Contains(names, base) {
		return true
	}
	d.harmless(func() {
		d.ps.at(n, path, Suggest(n.text, names, "taillab list workloads"), "no quantile table called %q", n.text)
	})
	return false
}

// distKeys decodes the keys that the kind's row in workloads names.
func (d *decoder) distKeys(n *node, path string, q workloads.Quantity, out *workloads.Dist) {
	kinds := workloads.DistKinds()
	i := slices.IndexFunc(kinds, func(k workloads.Kind) bool { return k.Name == out.Kind })
	if i < 0 {
		var names []string
		for _, k := range kinds {
			names = append(names, k.Name)
		}
		d.ps.at(n.key, path, Suggest(out.Kind, names, ""), "no distribution called %q", out.Kind)
		*out = workloads.Constant(1)
		return
	}
	var valid []string
	for _, k := range kinds[i].Keys {
		valid = append(valid, k.Name)
	}
	if n.kind != mapNode {
		d.wrongKind(n, path, "{"+strings.Join(valid, ", ")+"}", "")
		*out = workloads.Constant(1)
		return
	}
	for j, k := range n.keys {
		if !slices.Contains(valid, k.text) {
			d.unknown(k, path, valid)
			continue
		}
		d.distKey(n.items[j], join(path, k.text), k.text, q, out)
	}
}

func (d *decoder) distKey(n *node, path, key string, q workloads.Quantity, out *workloads.Dist) {
	sizes := map[string]*float64{"value": &out.Value, "mean": &out.Mean, "xm": &out.Xm, "cap": &out.Cap}
	numbers := map[string]*float64{"cv": &out.CV, "mu": &out.Mu, "sigma": &out.Sigma, "alpha": &out.Alpha}
	switch key {
	case "min", "max":
		if v, ok := d.size(n, path, q); ok && key == "min" {
			out.Min = &v
		} else if ok {
			out.Max = &v
		}
	case "file", "column":
		if d.isScalar(n, path, "a text") && key == "file" {
			out.File = n.text
		} else {
			out.Column = n.text
		}
	case "histogram":
		out.Histogram = d.histogram(n, path, q)
	default:
		if dst := sizes[key]; dst != nil {
			*dst, _ = d.size(n, path, q)
		} else if dst := numbers[key]; dst != nil && d.isScalar(n, path, "a number") {
			*dst = d.float(n, path)
		}
	}
}

// size reads a number of tokens, or a duration as nanoseconds.
func (d *decoder) size(n *node, path string, q workloads.Quantity) (float64, bool) {
	if q == workloads.Durations {
		if !d.isScalar(n, path, "a duration") {
			return 1, false
		}
		v, wrong := readDuration(n.text)
		if wrong != nil {
			d.refuse(n, path, wrong)
			return 1, false
		}
		return float64(v), true
	}
	if !d.isScalar(n, path, "a number of tokens") {
		return 1, false
	}
	v, wrong := readFloat(n.text)
	if wrong != nil {
		hint := wrong.hint
		if digits := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(n.text), "tokens")); digits != n.text {
			if _, no := readFloat(digits); no == nil {
				hint = "write " + digits
			}
		}
		d.refuse(n, path, &bad{must: "it must be a number of tokens", hint: hint})
		return 1, false
	}
	return v, true
}

// float reads a number; 0 after reporting that it is none.
func (d *decoder) float(n *node, path string) float64 {
	if !d.isScalar(n, path, "a number") {
		return 0
	}
	v, wrong := readFloat(n.text)
	if wrong != nil {
		d.refuse(n, path, wrong)
	}
	return v
}

func (d *decoder) points(n *node, path string, q workloads.Quantity, out *workloads.Dist) {
	if n.kind != mapNode {
		d.wrongKind(n, path, "a preset's name or {percent: value}", "")
		return
	}
	for i, k := range n.keys {
		at := join(path, k.text)
		v, _ := d.size(n.items[i], at, q)
		switch percent, err := strconv.ParseFloat(strings.TrimSuffix(k.text, "%"), 64); {
		case k.text == "min":
			out.Min = &v
		case k.text == "max":
			out.Max = &v
		case err != nil:
			d.ps.at(k, at, "such as {50: 200, 99: 4000}", "%q is no percent", k.text)
		default:
			out.Points = append(out.Points, workloads.Point{Percent: percent, Value: v})
		}
	}
}

func (d *decoder) part(n *node, path string, q workloads.Quantity) workloads.Part {
	var out workloads.Part
	if n.kind != mapNode {
		d.wrongKind(n, path, "{p, value}", "")
		return out
	}
	for i, k := range n.keys {
		at := join(path, k.text)
		switch k.text {
		case "p":
			if d.isScalar(n.items[i], at, "a share") {
				v, wrong := readShare(n.items[i].text)
				if wrong != nil {
					d.refuse(n.items[i], at, wrong)
				}
				out.P = v
			}
		case "value":
			out.Value, _ = d.size(n.items[i], at, q)
		default:
			inner := d.distOf(k.text, n.items[i], at, q)
			out.Dist = &inner
		}
	}
	return out
}

func (d *decoder) histogram(n *node, path string, q workloads.Quantity) []workloads.Bar {
	if n.kind != mapNode {
		d.wrongKind(n, path, "{value: weight}", "")
		return nil
	}
	var out []workloads.Bar
	for i, k := range n.keys {
		v, ok := d.size(k, join(path, k.text), q)
		if w := d.float(n.items[i], join(path, k.text)); ok {
			out = append(out, workloads.Bar{Value: v, Weight: w})
		}
	}
	return out
}

// millis is a duration in ns as a Dist value.
func millis(ms float64) float64 { return ms * float64(time.Millisecond) }
