package scenarios

import (
	"slices"
	"strings"
	"time"

	"taillab/policies/chance"
)

// faultKinds lists the faults a simulator carries out.
func faultKinds() []string {
	return []string{FaultCrash, FaultFreeze, FaultSlow, FaultDrop, FaultDelay, FaultError, FaultRefuse, FaultReset, FaultRolling, FaultLock}
}

// laterFaults belong to parts this version does not have.
func laterFaults() []string {
	return []string{"stall_stream", "throttle", "partition", "drain"}
}

// faults decodes the list faults.
func (d *decoder) faults(n *node, services []serviceDraft, frontends int) []Fault {
	var out []Fault
	for i, item := range d.list(n, "faults", "{at, for, target, kind}") {
		b := d.block(item, index("faults", i), "faults")
		if b.n != nil {
			out = append(out, d.fault(b, services, frontends))
		}
	}
	return out
}

func (d *decoder) fault(b block, services []serviceDraft, frontends int) Fault {
	f := Fault{Share: 1, Code: 503}
	d.faultKind(b, &f)
	d.faultTimes(b, &f)
	if t := b.get("target"); t == nil {
		d.ps.at(b.n, b.at("target"), "such as {replica: 3}, {replica: all} or {frontend: 0}", "%s is missing: whom the fault hits", b.at("target"))
	} else {
		d.target(t, b.at("target"), &f, services, frontends)
	}
	d.faultNumbers(b, &f)
	d.operations(b, &f)
	return f
}

func (d *decoder) faultKind(b block, f *Fault) {
	n, ok := b.scalar("kind", "a kind of fault")
	switch {
	case n == nil:
		d.ps.at(b.n, b.at("kind"), "one of: "+strings.Join(faultKinds(), " "), "%s is missing: what happens", b.at("kind"))
	case !ok:
	case slices.Contains(laterFaults(), n.text):
		d.ps.at(n, b.at("kind"), "remove the fault", "the fault %s is not available in this version", n.text)
	case !slices.Contains(faultKinds(), n.text):
		d.ps.at(n, b.at("kind"), Suggest(n.text, faultKinds(), ""), "no fault called %q", n.text)
	default:
		f.Kind = n.text
	}
}

func (d *decoder) faultTimes(b block, f *Fault) {
	at, every := b.get("at"), b.get("every")
	switch {
	case at == nil && every == nil:
		d.ps.at(b.n, b.at("at"), "such as at: 30s, or every: 2m", "%s has neither at nor every", b.path)
	case at != nil && every != nil:
		d.ps.at(every.key, b.at("every"), "leave one out", "%s stands beside at", b.at("every"))
	}
	b.duration("at", &f.At, 0, 0, false)
	b.duration("every", &f.Every, 0, 0, true)
	n := b.get("for")
	if n == nil {
		return
	}
	if n.kind != seqNode {
		b.duration("for", &f.ForLo, 0, 0, true)
		f.ForHi = f.ForLo
		return
	}
	if len(n.items) != 2 {
		d.ps.at(n, b.at("for"), "such as [100ms, 1s]", "%s has %d entries: it must be a duration or [lo, hi]", b.at("for"), len(n.items))
		return
	}
	for i, dst := range []*time.Duration{&f.ForLo, &f.ForHi} {
		if d.isScalar(n.items[i], index(b.at("for"), i), "a duration") {
			*dst, _ = d.duration(n.items[i], index(b.at("for"), i), 0, 0, i == 1)
		}
	}
	if f.ForHi > 0 && f.ForLo > f.ForHi {
		d.ps.at(n, b.at("for"), "swap them", "%s begins above its end", b.at("for"))
	}
}

func (d *decoder) target(n *node, path string, f *Fault, services []serviceDraft, frontends int) {
	b := d.open(n, path, "replica", "frontend", "service", "link", "shard", "group")
	if b.n == nil {
		return
	}
	for _, key := range []string{"link", "shard", "group"} {
		if at := b.get(key); at != nil {
			d.ps.at(at.key, b.at(key), "name a replica or a frontend", "%s is not available in this version", b.at(key))
		}
	}
	name := ""
	if at := b.text("service", &name); at != nil {
		if i := serviceIndex(services, name); i >= 0 {
			f.Service = i
		} else {
			d.ps.at(at, b.at("service"), Suggest(name, serviceNames(services), ""), "no service called %q", name)
		}
	} else if len(services) > 1 && b.get("replica") != nil {
		d.ps.at(n, b.at("service"), "one of: "+strings.Join(serviceNames(services), " "), "%s is missing: there are several services", b.at("service"))
	}
	replica, frontend := b.get("replica"), b.get("frontend")
	switch {
	case replica != nil && frontend != nil:
		d.ps.at(frontend.key, b.at("frontend"), "write two faults", "%s stands beside replica", b.at("frontend"))
	case frontend != nil:
		if f.Kind != "" && !slices.Contains(frontFaults(), f.Kind) {
			d.ps.at(frontend, b.at("frontend"), "use kind: crash, or a replica", "a front end cannot %s", f.Kind)
		}
		if f.Fronts = d.targets(frontend, b.at("frontend"), "front end", frontends); f.Fronts == nil {
			f.Fronts = allOf(frontends)
		}
	case replica != nil && slices.Contains(frontFaults(), f.Kind) && f.Kind != FaultCrash:
		d.ps.at(replica, b.at("replica"), "such as target: {frontend: all}", "%s happens to front ends", f.Kind)
	case replica != nil:
		if f.Service < len(services) && services[f.Service].Elastic != nil && f.Kind == FaultCrash {
			d.ps.at(n, path, "use fleet.reclaim, which takes replicas away", "%s: the fleet changes its size, so a replica that crashed would have no number to come back to", path)
		} else if f.Service < len(services) {
			f.Replicas = d.targets(replica, b.at("replica"), "replica", services[f.Service].Slots())
		}
	case b.get("link") == nil && b.get("shard") == nil && b.get("group") == nil:
		d.ps.at(n, path, "such as {replica: 3}, {replica: all} or {frontend: 0}", "%s names neither a replica nor a frontend", path)
	}
}

func allOf(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func serviceNames(list []serviceDraft) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Name)
	}
	return out
}

// targets reads an id, a list of ids, or all (nil).
func (d *decoder) targets(n *node, path, what string, count int) []int {
	if n.kind == scalarNode && n.text == "all" {
		return nil
	}
	items, at := []*node{n}, func(int) string { return path }
	if n.kind == seqNode {
		items, at = n.items, func(i int) string { return index(path, i) }
		if len(items) == 0 {
			d.ps.at(n, path, "name at least one, or all", "%s is empty", path)
		}
	}
	out := []int{}
	for i, item := range items {
		if !d.isScalar(item, at(i), "a number, a list of numbers, or all") {
			continue
		}
		v, wrong := readInt(item.text)
		switch {
		case wrong != nil:
			d.refuse(item, at(i), &bad{"it must be a number, a list of numbers, or all", ""})
		case v < 0 || v >= int64(count):
			d.ps.at(item, at(i), "", "there is no %s %d: they are numbered 0…%d", what, v, count-1)
		case slices.Contains(out, int(v)):
			d.ps.at(item, at(i), "keep one of them", "%s %d is named twice", what, v)
		default:
			out = append(out, int(v))
		}
	}
	return out
}

// faultNumbers decodes what each kind takes and refuses what it does not.
func (d *decoder) faultNumbers(b block, f *Fault) {
	for _, x := range []struct {
		key      string
		kinds    []string
		required bool
	}{
		{"factor", []string{FaultSlow}, true},
		{"code", []string{FaultError}, false},
		{"share", []string{FaultError, FaultRefuse, FaultReset, FaultDrop, FaultDelay}, false},
		{"delay", []string{FaultDelay}, true},
	} {
		n, takes := b.get(x.key), slices.Contains(x.kinds, f.Kind)
		switch {
		case f.Kind == "":
		case n != nil && !takes:
			d.ps.at(n.key, b.at(x.key), "remove it", "the fault %s takes no %s", f.Kind, x.key)
		case n == nil && takes && x.required:
			d.ps.at(b.n, b.at(x.key), "", "%s is missing: the fault %s needs it", b.at(x.key), f.Kind)
		}
	}
	b.number("factor", &f.Factor, span{lo: 1, hi: 1e6, above: true})
	b.integer("code", &f.Code, 400, 599)
	b.share("share", &f.Share, span{lo: 0, hi: 1, above: true})
	b.duration("delay", &f.Delay, 0, 0, true)
	if f.Kind != FaultError {
		f.Code = 0
	}
}

// RunsOf lists the runs of a plan: cell after cell, and all seeds of each.
func RunsOf(p *Plan) []Run {
	out := make([]Run, 0, len(p.Cells)*p.Seeds)
	for i, c := range p.Cells {
		for rep := range p.Seeds {
			out = append(out, Run{Cell: c, Index: i, Rep: rep, Seed: chance.RunSeed(p.BaseSeed, rep)})
		}
	}
	return out
}
