package scenarios

import (
	"math"
	"slices"
	"strings"
	"time"

	"taillab/workloads"
)

// MainService is the name of the one service of a scenario without services.
const MainService = "main"

// serviceDraft is a service with the policies that are swept over it.
type serviceDraft struct {
	Service
	path      string // "" or "services.NAME"
	balance   []policyDraft
	autoscale []policyDraft
	written   bool // policies.balance stands in the file
	scalerTop bool // and policies.autoscale before it
	fleetAt   block
	front     []place // policies of the front ends: kept by the first service
}

// sugarKeys may stand at the top level in place of services.
func sugarKeys() []string { return []string{"fleet", "network", "discovery", "hold", "reporter"} }

// services decodes both forms: services: {…}, or the keys of one at the top level.
func (d *decoder) services(root block, demand bool, cat catalog) []serviceDraft {
	list := root.get("services")
	policies := root.get("policies")
	if list == nil {
		return []serviceDraft{d.service(root, "", MainService, demand, cat)}
	}
	for _, key := range sugarKeys() {
		if n := root.get(key); n != nil {
			d.ps.at(n.key, key, "move it below services."+anyKey(list)+", or leave services out", "%s stands beside services", key)
		}
	}
	for _, key := range []string{"balance", "autoscale"} {
		if n := policies.get(key); n != nil {
			d.ps.at(n.key, "policies."+key, "move it below services."+anyKey(list)+".policies, or leave services out", "policies.%s stands beside services", key)
		}
	}
	if list.kind != mapNode || len(list.keys) == 0 {
		d.wrongKind(list, "services", "a map of services", "such as {chat: {fleet: {…}}}")
		return nil
	}
	d.policies(root, "policies")
	var out []serviceDraft
	for i, k := range list.keys {
		path := join("services", k.text)
		d.checkName(k, path, "the service")
		b := d.block(list.items[i], path, "S")
		if b.n != nil {
			out = append(out, d.service(b, path, k.text, demand, cat))
		}
	}
	return out
}

// policies opens the block policies and refuses the families that this version
// does not have; what they do without a policy may be said.
func (d *decoder) policies(b block, registered string) block {
	p := d.block(b.get("policies"), b.at("policies"), registered)
	for _, f := range []struct{ key, only string }{{"graph", "none"}, {"schedule", "none"}} {
		if n := p.get(f.key); n != nil && textOf(n) != f.only {
			d.ps.at(n, p.at(f.key), "remove it", "%s other than %s is not available in this version", p.at(f.key), f.only)
		}
	}
	return p
}

func anyKey(n *node) string {
	if n.kind == mapNode && len(n.keys) > 0 {
		return n.keys[0].text
	}
	return "NAME"
}

// checkName wants a name that gates can hold.
func (d *decoder) checkName(k *node, path, what string) {
	if k.text == "" || strings.ContainsAny(k.text, " \t\n()*,<>/=") {
		d.ps.at(k, path, "leave out blanks and ()*,<>/=", "%s %q cannot be named in a gate", what, k.text)
	}
}

func (d *decoder) service(b block, path, name string, demand bool, cat catalog) serviceDraft {
	s := serviceDraft{path: path}
	s.Name = name
	if b.get("fleet") == nil && b.odd {
		s.Groups = nil // it is perhaps the unknown key
	} else if b.get("fleet") == nil {
		d.ps.at(b.n, b.at("fleet"), "such as fleet: {replicas: 8, gpu: h100-8b}", "%s is missing: nothing serves the requests", b.at("fleet"))
	} else {
		s.Groups = d.fleet(b.get("fleet"), b.at("fleet"), demand)
		s.fleetAt = block{d: d, n: b.get("fleet"), path: b.at("fleet")}
		if s.Elastic = d.elastic(s.fleetAt); s.Elastic != nil {
			s.scaleAt = s.fleetAt.get("replicas").place()
			s.scaleAt.Path = s.fleetAt.at("replicas")
		}
	}
	hold := d.hold(b.get("hold"), b.at("hold"))
	if s.Elastic != nil {
		s.Elastic.Hold = hold
	}
	s.Network = d.network(b.get("network"), b.at("network"))
	s.Discovery = d.discovery(b.get("discovery"), b.at("discovery"))
	b.enum("reporter", &s.Reporter, ReporterReplica, ReporterAgent, ReporterInferred)
	if n := b.get("reporter"); n != nil {
		s.reporterAt = n.place()
		s.reporterAt.Path = b.at("reporter")
	}
	registered := "S.policies"
	if path == "" {
		registered = "policies"
	}
	p := d.policies(b, registered)
	s.written = p.get("balance") != nil
	s.balance = d.policyList(p.get("balance"), p.at("balance"), "balance", cat)
	if n := p.get("autoscale"); n != nil && textOf(n) != "none" {
		s.autoscale = d.policyList(n, p.at("autoscale"), "autoscale", cat)
		s.scalerTop = s.written && n.line < p.get("balance").line
	}
	return s
}

// datacentre is the one-way delay between machines of a data centre: lognormal,
// mean 0.25 ms, σ of the logarithm 0.3.
func datacentre() Link {
	return Link{Delay: workloads.Dist{Kind: "lognormal", Mean: millis(0.25), CV: math.Sqrt(math.Expm1(0.3 * 0.3))}}
}

func (d *decoder) network(n *node, path string) Network {
	var net Network
	if n == nil {
		return net
	}
	links := []struct {
		key string
		dst *Link
	}{{"request", &net.Request}, {"response", &net.Response}, {"report", &net.Report}, {"probe", &net.Probe}, {"membership", &net.Membership}, {"ask", &net.Ask}}
	if n.kind == scalarNode {
		switch n.text {
		case "none":
		case "datacentre":
			for _, l := range links {
				*l.dst = datacentre()
			}
		default:
			d.ps.at(n, path, Suggest(n.text, []string{"none", "datacentre"}, ""), "no network called %q", n.text)
		}
		return net
	}
	var keys []string
	for _, l := range links {
		keys = append(keys, l.key)
	}
	b := d.open(n, path, keys...)
	for _, l := range links {
		if m := b.get(l.key); m != nil {
			*l.dst = d.link(m, b.at(l.key))
		}
	}
	return net
}

func (d *decoder) link(n *node, path string) (l Link) {
	b := d.open(n, path, "delay", "loss", "duplicate", "reorder")
	if at := b.get("delay"); at != nil {
		l.Delay = d.dist(at, b.at("delay"), workloads.Durations)
		for _, p := range l.Delay.Check(workloads.Durations) {
			d.ps.at(find(at, p.Path), join(b.at("delay"), p.Path), p.Hint, "%s", said(join(b.at("delay"), p.Path), p.Msg))
		}
	}
	share := span{lo: 0, hi: 1, below: true}
	b.share("loss", &l.Loss, share)
	b.share("duplicate", &l.Duplicate, share)
	b.share("reorder", &l.Reorder, share)
	return l
}

func (d *decoder) discovery(n *node, path string) Discovery {
	out := Discovery{Detect: DetectReset, Period: 5 * time.Second, Misses: 3}
	b := d.block(n, path, "discovery")
	b.duration("delay", &out.Delay, 0, 0, false)
	b.duration("jitter", &out.Jitter, 0, 0, false)
	b.enum("detect", &out.Detect, DetectNever, DetectReset, DetectHealth)
	b.duration("period", &out.Period, 0, 0, true)
	b.integer("misses", &out.Misses, 1, unbounded)
	return out
}

// serviceIndex finds a service by name.
func serviceIndex(list []serviceDraft, name string) int {
	return slices.IndexFunc(list, func(s serviceDraft) bool { return s.Name == name })
}
