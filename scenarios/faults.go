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
func (d *decoder) faults(n *node, at hittable) []Fault {
	var out []Fault
	for i, item := range d.list(n, "faults", "{at, for, target, kind}") {
		b := d.block(item, index("faults", i), "faults")
		if b.n != nil {
			out = append(out, d.fault(b, at))
		}
	}
	return out
}

func (d *decoder) fault(b block, at hittable) Fault {
	f := Fault{Share: 1, Code: 503}
	d.faultKind(b, &f)
	d.faultTimes(b, &f)
	if t := b.get("target"); t == nil {
		d.ps.at(b.n, b.at("target"), "such as {replica: 3}, {replica: all} or {frontend: 0}", "%s is missing: whom the fault hits", b.at("target"))
	} else {
		d.target(t, b.at("target"), &f, at)
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
