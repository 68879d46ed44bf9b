package scenarios

import (
	"io/fs"
	"math"
	"reflect"
	"slices"
	"strings"

	"taillab/sim/gpu"
	"taillab/sim/gpu/presets"
)

const maxReplicas = 2_000_000

// groupKeys are the keys of fleet that may stand in a group, where they win.
func groupKeys() []string {
	return []string{"gpu", "slots", "max_batch", "max_delay", "queue", "queue_limit", "queue_timeout", "oracle",
		"speed", "weight", "labels", "noise", "straggler"}
}

// PresetNames lists the GPU profiles in alphabetical order.
func PresetNames() []string {
	entries, err := fs.ReadDir(presets.FS, ".")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			out = append(out, name)
		}
	}
	return out
}

func textOf(n *node) string {
	if n == nil || n.kind != scalarNode {
		return ""
	}
	return n.text
}

// fleet decodes a fleet into its groups.
func (d *decoder) fleet(n *node, path string, demand bool) []Group {
	b := d.block(n, path, "fleet")
	if b.n == nil {
		return nil
	}
	replicas, groups := b.get("replicas"), b.get("groups")
	switch {
	case replicas != nil && groups != nil:
		d.ps.at(groups.key, b.at("groups"), "leave one out: the groups add up to the fleet", "%s stands beside %s", b.at("groups"), b.at("replicas"))
		return nil
	case replicas == nil && groups == nil && b.odd:
		return nil
	case replicas == nil && groups == nil:
		d.ps.at(n, b.at("replicas"), "such as {replicas: 8}", "%s has neither replicas nor groups", path)
		return nil
	case replicas != nil:
		g := d.group(b, block{d: d, path: path}, demand)
		g.Replicas = d.replicas(b)
		return []Group{g}
	}
	var out []Group
	total := 0
	for i, item := range d.list(groups, b.at("groups"), "{replicas, …}") {
		in := d.open(item, index(b.at("groups"), i), append([]string{"replicas"}, groupKeys()...)...)
		if in.n == nil {
			continue
		}
		if in.get("replicas") == nil {
			d.ps.at(item, in.at("replicas"), "", "%s is missing: how many replicas the group has", in.at("replicas"))
		}
		g := d.group(b, in, demand)
		g.Replicas = d.replicas(in)
		total += g.Replicas
		out = append(out, g)
	}
	if groups.kind == seqNode && len(groups.items) == 0 {
		d.ps.at(groups, b.at("groups"), "such as [{replicas: 8}]", "%s is empty", b.at("groups"))
	}
	if total > maxReplicas {
		d.ps.at(groups.key, b.at("groups"), "", "the groups add up to %s replicas: a fleet has at most 2,000,000", thousands(int64(total)))
	}
	return out
}

func (d *decoder) replicas(b block) int {
	if n := b.get("replicas"); n != nil && n.kind == mapNode {
		return d.scale(n, b.at("replicas")).Max
	}
	v := 1
	b.integer("replicas", &v, 1, maxReplicas)
	return v
}

// group decodes the keys of one group: its own, over those of the fleet, over
// those of the profile.
func (d *decoder) group(fleet, own block, demand bool) Group {
	g := Group{Speed: 1, Weight: 1}
	spec := gpu.Defaults(gpu.Service)
	var inline block
	profile := own.get("gpu")
	at := own
	if profile == nil {
		profile, at = fleet.get("gpu"), fleet
	}
	ok := true
	switch {
	case profile == nil && !demand:
		d.ps.at(fleet.n, fleet.at("gpu"), "give "+fleet.at("gpu")+" a preset (taillab list gpus), or workload.demand the service demand", "nothing says how long a request takes: there is neither %s nor workload.demand", fleet.at("gpu"))
		ok = false
	case profile == nil:
	case profile.kind == scalarNode:
		ok = d.preset(profile, at.at("gpu"), &spec)
		if !profileFile(profile.text) { // a file's parameters say what it is, not its place
			g.Preset = profile.text
		}
	default:
		inline = block{d: d, n: profile, path: at.at("gpu")}
		ok = d.inline(inline, &spec)
	}
	before := d.ps.broken()
	for _, b := range []block{fleet, own} {
		d.modelKeys(b, &spec)
		b.number("speed", &g.Speed, span{lo: 0, hi: 1000, above: true})
		b.number("weight", &g.Weight, span{lo: 0, hi: 1e300})
		g.Labels = d.labels(b.get("labels"), b.at("labels"), g.Labels)
	}
	if !ok || d.ps.broken() > before {
		return g
	}
	model, ps := gpu.New(spec)
	for _, p := range ps {
		d.modelProblem(p.Path, p.Msg, p.Hint, own, fleet, inline)
	}
	g.Model = model
	return g
}

// modelProblem places a problem of the latency model at the key that caused it.
func (d *decoder) modelProblem(path, msg, hint string, blocks ...block) {
	for _, b := range blocks {
		if b.n != nil && exists(b.n, path) {
			d.ps.at(find(b.n, path), b.at(path), hint, "%s: %s", b.at(path), msg)
			return
		}
	}
	for _, b := range slices.Backward(blocks) { // not written: the profile, else the fleet
		if b.n != nil {
			d.ps.at(find(b.n, path), b.at(path), hint, "%s: %s", b.at(path), msg)
			return
		}
	}
}

func (d *decoder) preset(n *node, path string, spec *gpu.Spec) bool {
	p, err := Profile(n.text, d.dir)
	if err != nil {
		hint := "taillab calibrate writes one"
		if !profileFile(n.text) {
			hint = Suggest(n.text, PresetNames(), "taillab list gpus")
		}
		d.ps.at(n, path, hint, "%v", err)
		return false
	}
	*spec = p.Spec
	return true
}

// inline decodes a profile written in the scenario.
func (d *decoder) inline(b block, spec *gpu.Spec) bool {
	if b.n.kind != mapNode {
		d.wrongKind(b.n, b.path, "a preset's name or a profile {kind, …}", "")
		return false
	}
	before := len(d.ps.list)
	var p gpu.Profile
	kind := b.get("kind")
	if kind == nil {
		d.ps.at(b.n, b.at("kind"), kindHint(), "%s is missing: the latency model", b.at("kind"))
		return false
	}
	p.Spec = gpu.Defaults(gpu.Kind(textOf(kind)))
	if !slices.Contains(gpu.Kinds(), p.Kind) {
		d.ps.at(kind, b.at("kind"), kindHint(), "no latency model called %q", textOf(kind))
		return false
	}
	if at := b.get("noise"); at == nil && p.Kind == gpu.Service {
		p.Noise.Sigma = 0
	}
	v := reflect.ValueOf(&p.Spec).Elem()
	named := fieldsOf(reflect.TypeFor[gpu.Profile]())
	var about []string
	for _, f := range named {
		if len(f.index) == 1 && f.name != "" {
			about = append(about, f.name) // name, source … are allowed and only describe
		}
	}
	d.fill(b.n, b.path, b.path, v, about...)
	*spec = p.Spec
	return len(d.ps.list) == before
}

func kindHint() string {
	var names []string
	for _, k := range gpu.Kinds() {
		names = append(names, string(k))
	}
	return "one of: " + strings.Join(names, " ")
}

// modelKeys lays the fleet's or group's keys over the profile's.
func (d *decoder) modelKeys(b block, s *gpu.Spec) {
	b.integer("slots", &s.Slots, 1, 4096)
	b.integer("max_batch", &s.MaxBatch, 1, 4096)
	b.duration("max_delay", &s.MaxDelay, 0, 10e9, false)
	b.enum("queue", &s.Queue, gpu.Disciplines()...)
	if n := b.get("queue_limit"); n != nil && textOf(n) == "none" {
		s.QueueLimit = gpu.NoLimit
	} else {
		b.integer("queue_limit", &s.QueueLimit, 0, math.MaxInt32)
	}
	b.duration("queue_timeout", &s.QueueTimeout, 0, 0, true)
	b.boolean("oracle", &s.Oracle)
	b.enum("extrapolate", &s.Extrapolate, gpu.ExtrapolateWarn, gpu.ExtrapolateError)
	if n := b.get("noise"); n != nil {
		d.fill(n, b.at("noise"), b.at("noise"), reflect.ValueOf(&s.Noise).Elem())
	}
	if n := b.get("straggler"); n != nil {
		d.fill(n, b.at("straggler"), b.at("straggler"), reflect.ValueOf(&s.Straggler).Elem())
	}
}

func (d *decoder) labels(n *node, path string, base map[string]string) map[string]string {
	if n == nil {
		return base
	}
	out := map[string]string{}
	for k, v := range base {
		out[k] = v
	}
	if n.kind != mapNode {
		d.wrongKind(n, path, "a map of texts", "such as {zone: a}")
		return out
	}
	for i, k := range n.keys {
		if d.isScalar(n.items[i], join(path, k.text), "a text") {
			out[k.text] = n.items[i].text
		}
	}
	if len(out) == 0 {
		return nil // as if never written
	}
	return out
}
