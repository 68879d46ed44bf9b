package scenarios

import (
	"math"
	"time"

	"taillab/policies/autoscale"
	"taillab/policies/flow"
	"taillab/reports"
)

// Elastic says in what bounds a fleet changes its size, and what a change takes.
type Elastic struct {
	Scale
	Lifecycle Lifecycle
	Reclaim   Reclaim
	Hold      Hold
}

// Scale is how many replicas there are at the start, at least, at most.
type Scale struct{ Start, Min, Max int }

// Clamp bounds a count.
func (s Scale) Clamp(n int) int { return min(max(n, s.Min), s.Max) }

// Lifecycle is what passes between asking for a replica and being rid of it.
type Lifecycle struct {
	Bind       time.Duration // until a node has it
	Image      time.Duration // pulling the image
	Model      Weights
	Warmup     time.Duration
	DrainGrace time.Duration // from the notice on; what is inside then is killed
}

// Weights is the loading of a model.
type Weights struct {
	Bytes   float64
	Read    float64       // bytes per second of one replica's disk
	Network float64       // bytes per second that all loading replicas share; 0 = no limit
	Init    time.Duration // after the last byte
}

// Laws of Reclaim.Law.
const (
	LawExp     = "exp"
	LawWeibull = "weibull" // of shape 2: nodes wear out
)

// Reclaim is capacity that can be taken away.
type Reclaim struct {
	Rate   float64       // per node and second; 0 = never
	Notice time.Duration // before the kill; the replica drains meanwhile
	Batch  float64       // share of the nodes taken at once, at least one
	Law    string
	Factor float64 // speed of a node under notice
}

// Hold is where requests wait while there is no replica.
type Hold struct {
	Capacity int
	Timeout  time.Duration
}

// Lead is the time from asking for a replica until it is ready, when it loads alone.
func (l *Lifecycle) Lead() time.Duration {
	rate := l.Model.Read
	if l.Model.Network > 0 {
		rate = min(rate, l.Model.Network)
	}
	load := l.Model.Init
	if l.Model.Bytes > 0 {
		load += time.Duration(math.Round(l.Model.Bytes / rate * 1e9))
	}
	return l.Bind + l.Image + load + l.Warmup
}

// Slots is the number of replica IDs: those of a fleet that changes its size go on
// while replicas of earlier lives drain, so there are twice as many as replicas.
func (s *Service) Slots() int {
	if s.Elastic != nil {
		return 2 * s.Elastic.Max
	}
	return s.Replicas()
}

// HoldStage is where requests wait while the service has no replica; nil for a fleet of
// a fixed size.
func (s *Service) HoldStage() *flow.Hold {
	if s.Elastic == nil {
		return nil
	}
	return &flow.Hold{Capacity: s.Elastic.Hold.Capacity, Timeout: s.Elastic.Hold.Timeout, Zero: s.Elastic.Min == 0}
}

// SlotsOf is the number of replica IDs of a group.
func (s *Service) SlotsOf(g *Group) int {
	if s.Elastic != nil {
		return s.Slots()
	}
	return g.Replicas
}

// elastic decodes what the fleet says about changing its size; nil when it does not.
func (d *decoder) elastic(b block) *Elastic {
	n := b.get("replicas")
	out := Elastic{
		Lifecycle: Lifecycle{Bind: time.Second, Image: 5 * time.Second, Model: Weights{Read: 1e9, Init: 10 * time.Second}, DrainGrace: 30 * time.Second},
		Reclaim:   Reclaim{Notice: 30 * time.Second, Batch: 0.1, Law: LawExp, Factor: 1},
	}
	d.lifecycle(b.get("lifecycle"), b.at("lifecycle"), &out.Lifecycle)
	d.reclaim(b.get("reclaim"), b.at("reclaim"), &out.Reclaim)
	if n == nil || n.kind != mapNode {
		for _, key := range []string{"lifecycle", "reclaim"} {
			if at := b.get(key); at != nil && (n == nil || n.kind == scalarNode) {
				d.ps.at(at.key, b.at(key), "give "+b.at("replicas")+" {start, min, max}, or remove it", "%s stands in a fleet of a fixed size", b.at(key))
			}
		}
		return nil
	}
	var none problemList // fleet has reported them
	out.Scale = (&decoder{ps: &none}).scale(n, b.at("replicas"))
	return &out
}

// scale decodes {start, min, max}.
func (d *decoder) scale(n *node, path string) Scale {
	s := Scale{Min: 1, Max: 1}
	b := d.open(n, path, "start", "min", "max")
	most := b.get("max")
	if most == nil {
		d.ps.at(n, b.at("max"), "such as {start: 4, min: 1, max: 64}", "%s is missing: the most replicas there may be", b.at("max"))
	}
	b.integer("min", &s.Min, 0, maxReplicas)
	s.Max = max(s.Max, s.Min)
	b.integer("max", &s.Max, 1, maxReplicas/2)
	s.Start = s.Min
	if most != nil && s.Min > s.Max {
		d.ps.at(most, b.at("max"), "", "%s is %d: it must be at least min, %d", b.at("max"), s.Max, s.Min)
		s.Max = s.Min
	}
	b.integer("start", &s.Start, 0, maxReplicas)
	if at := b.get("start"); at != nil && most != nil && (s.Start < s.Min || s.Start > s.Max) {
		d.ps.at(at, b.at("start"), "", "%s is %d: it must lie between min and max, %d…%d", b.at("start"), s.Start, s.Min, s.Max)
		s.Start = s.Min
	}
	return s
}

func (d *decoder) lifecycle(n *node, path string, out *Lifecycle) {
	b := d.block(n, path, "fleet.lifecycle")
	b.duration("bind", &out.Bind, 0, 0, false)
	b.duration("image", &out.Image, 0, 0, false)
	b.duration("warmup", &out.Warmup, 0, 0, false)
	b.duration("drain_grace", &out.DrainGrace, 0, 0, false)
	m := d.block(b.get("model"), b.at("model"), "fleet.lifecycle.model")
	m.bytes("bytes", &out.Model.Bytes, "", false)
	m.bytes("read", &out.Model.Read, "/s", true)
	m.bytes("network", &out.Model.Network, "/s", true)
	m.duration("init", &out.Model.Init, 0, 0, false)
}

func (d *decoder) reclaim(n *node, path string, out *Reclaim) {
	b := d.block(n, path, "fleet.reclaim")
	b.rate("rate", &out.Rate)
	if at := b.get("rate"); at != nil && !(out.Rate >= 0 && out.Rate <= 1e3) {
		d.ps.at(at, b.at("rate"), "such as 0.5/h", "%s is %s: it must lie in [0, 1000]/s", b.at("rate"), at.text)
	} else if n != nil && n.kind == mapNode && at == nil {
		d.ps.at(n, b.at("rate"), "such as rate: 0.5/h", "%s is missing: how often a node is taken away", b.at("rate"))
	}
	b.duration("notice", &out.Notice, 0, 0, false)
	b.share("batch", &out.Batch, span{lo: 0, hi: 1, above: true})
	b.enum("law", &out.Law, LawExp, LawWeibull)
	b.share("factor", &out.Factor, span{lo: 0, hi: 1, above: true})
}

func (d *decoder) hold(n *node, path string) Hold {
	out := Hold{Capacity: 10_000, Timeout: 5 * time.Minute}
	b := d.block(n, path, "hold")
	b.integer("capacity", &out.Capacity, 0, unbounded)
	b.duration("timeout", &out.Timeout, 0, 0, true)
	return out
}

// advise lists what works with the service's autoscalers, but hardly as meant.
func advise(s *serviceDraft) []reports.Warning {
	if s.Elastic == nil || len(s.Groups) != 1 || s.Groups[0].Model == nil {
		return nil
	}
	m := s.Groups[0].Model
	setting := autoscale.Setting{Lead: s.Elastic.Lifecycle.Lead(), Concurrency: m.Slots() * m.MaxBatch()}
	var out []reports.Warning
	for _, p := range s.autoscale {
		a, ok := p.fresh().(autoscale.Adviser)
		if !ok {
			continue
		}
		for _, x := range a.Advise(setting) {
			out = append(out, reports.Warning{Code: x.Code, Message: p.label + ": " + x.Msg, Policy: p.label})
		}
	}
	return out
}

// checkElastic wants a fleet that changes its size where policies change it, and
// policies that can do what the fleet asks of them.
func (l *loader) checkElastic(s *serviceDraft) {
	if len(s.autoscale) == 0 {
		return
	}
	if s.Elastic == nil {
		if at := s.fleetAt.get("replicas"); at != nil && at.kind == scalarNode {
			l.ps.at(at, s.fleetAt.at("replicas"), "such as {start: 4, min: 1, max: 64}",
				"%s is a fixed count beside policies.autoscale", s.fleetAt.at("replicas"))
		} else if at := s.fleetAt.get("groups"); at != nil {
			l.ps.at(at.key, s.fleetAt.at("groups"), "give replicas: {start: 4, min: 1, max: 64}",
				"%s stands beside policies.autoscale: a fleet that changes its size has replicas of one kind", s.fleetAt.at("groups"))
		}
		return
	}
	if s.Elastic.Min > 0 {
		return
	}
	for _, p := range s.autoscale {
		a := p.fresh()
		if _, fixed := a.(*autoscale.Fixed); fixed {
			continue
		}
		if w, ok := a.(autoscale.Waker); !ok || !w.FromZero() {
			l.ps.at(p.n, p.path, "set "+s.fleetAt.at("replicas")+".min to 1", "%s cannot bring a service back from zero replicas, and %s.min is 0", p.Type, s.fleetAt.at("replicas"))
		}
	}
}
