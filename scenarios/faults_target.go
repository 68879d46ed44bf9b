package scenarios

import (
	"slices"
	"strings"
)

// hittable is what a fault may hit.
type hittable struct {
	services  []serviceDraft
	frontends int
	shards    int // of the quota's store; 0 without a quota
}

// target decodes whom a fault hits: replicas of a service, front ends, or shards.
func (d *decoder) target(n *node, path string, f *Fault, at hittable) {
	b := d.open(n, path, "replica", "frontend", "service", "link", "shard", "group")
	if b.n == nil {
		return
	}
	for _, key := range []string{"link", "group"} {
		if at := b.get(key); at != nil {
			d.ps.at(at.key, b.at(key), "name a replica, a frontend or a shard", "%s is not available in this version", b.at(key))
		}
	}
	name := ""
	if n := b.text("service", &name); n != nil {
		if i := serviceIndex(at.services, name); i >= 0 {
			f.Service = i
		} else {
			d.ps.at(n, b.at("service"), Suggest(name, serviceNames(at.services), ""), "no service called %q", name)
		}
	} else if len(at.services) > 1 && b.get("replica") != nil {
		d.ps.at(n, b.at("service"), "one of: "+strings.Join(serviceNames(at.services), " "), "%s is missing: there are several services", b.at("service"))
	}
	replica, frontend, shard := b.get("replica"), b.get("frontend"), b.get("shard")
	switch {
	case replica != nil && frontend != nil:
		d.ps.at(frontend.key, b.at("frontend"), "write two faults", "%s stands beside replica", b.at("frontend"))
	case shard != nil && (replica != nil || frontend != nil):
		d.ps.at(shard.key, b.at("shard"), "write two faults", "%s stands beside another target", b.at("shard"))
	case shard != nil:
		d.shardTarget(b, shard, f, at.shards)
	case frontend != nil:
		if f.Kind != "" && !slices.Contains(frontFaults(), f.Kind) {
			d.ps.at(frontend, b.at("frontend"), "use kind: crash, or a replica", "a front end cannot %s", f.Kind)
		}
		if f.Fronts = d.targets(frontend, b.at("frontend"), "front end", at.frontends); f.Fronts == nil {
			f.Fronts = allOf(at.frontends)
		}
	case replica != nil && slices.Contains(frontFaults(), f.Kind) && f.Kind != FaultCrash:
		d.ps.at(replica, b.at("replica"), "such as target: {frontend: all}", "%s happens to front ends", f.Kind)
	case replica != nil:
		if f.Service < len(at.services) && at.services[f.Service].Elastic != nil && f.Kind == FaultCrash {
			d.ps.at(n, path, "use fleet.reclaim, which takes replicas away", "%s: the fleet changes its size, so a replica that crashed would have no number to come back to", path)
		} else if f.Service < len(at.services) {
			f.Replicas = d.targets(replica, b.at("replica"), "replica", at.services[f.Service].Slots())
		}
	case b.get("link") == nil && b.get("group") == nil:
		d.ps.at(n, path, "such as {replica: 3}, {replica: all} or {frontend: 0}", "%s names neither a replica nor a frontend", path)
	}
}

// shardTarget decodes the shards that crash.
func (d *decoder) shardTarget(b block, n *node, f *Fault, shards int) {
	path := b.at("shard")
	switch {
	case shards == 0:
		d.ps.at(n.key, path, "add quota.store, or name a replica or a frontend", "%s: there is no quota, so no store has shards", path)
		return
	case f.Kind != "" && f.Kind != FaultCrash:
		d.ps.at(n, path, "use kind: crash, or quota.store.stall for pauses", "a shard cannot %s", f.Kind)
	case b.get("service") != nil:
		d.ps.at(b.get("service").key, b.at("service"), "remove it", "%s: a shard belongs to no service", b.at("service"))
	}
	if f.Shards = d.targets(n, path, "shard", shards); f.Shards == nil {
		f.Shards = allOf(shards)
	}
	f.place = n.place()
	f.place.Path = path
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
