package realrun

import (
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/policies/chance"
	"taillab/scenarios"
)

// noFront marks a fault at a replica.
const noFront = -1

// victim is one target of a fault: a front end, or a replica of the fault's service or
// shard of the store.
type victim struct{ front, replica int }

// stream returns a stream of the run, the same as the simulator's of that name. fmu
// is held.
func (d *drive) stream(name string) *rand.PCG {
	p := d.dice[name]
	if p == nil {
		s := chance.Stream(d.run.Seed, name)
		p = &s
		d.dice[name] = p
	}
	return p
}

// addFaults files the first occurrence of every fault at each of its targets.
func (d *drive) addFaults() {
	faults := d.run.Cell.Setup.Faults
	for i := range faults {
		f := &faults[i]
		for _, k := range f.Fronts {
			d.planFault(i, victim{k, 0})
		}
		if len(f.Fronts) > 0 {
			continue
		}
		targets := f.Replicas
		switch {
		case f.Shards != nil:
			targets = f.Shards
		case targets == nil:
			svc := &d.services[f.Service]
			n := svc.members()
			if svc.elastic != nil { // those to come, too
				n = svc.table.N
			}
			for r := range n {
				targets = append(targets, r)
			}
		}
		for _, r := range targets {
			d.planFault(i, victim{noFront, r})
		}
	}
}

// faultStream draws the times of fault i at a target.
func (d *drive) faultStream(i int, v victim) *rand.PCG {
	if v.front != noFront {
		return d.stream(fmt.Sprintf("faults/%d/frontend/%d", i, v.front))
	}
	return d.stream(fmt.Sprintf("faults/%d/%d", i, v.replica))
}

// planFault files the next occurrence of fault i at a target, at the instant that the
// simulator draws for it.
func (d *drive) planFault(i int, v victim) { d.planFaultAfter(i, v, 0) }

func (d *drive) planFaultAfter(i int, v victim, now time.Duration) {
	f := &d.run.Cell.Setup.Faults[i]
	at := f.At
	if f.Every > 0 {
		d.fmu.Lock()
		at = now + time.Duration(chance.Exp(d.faultStream(i, v))*float64(f.Every)) + 1
		d.fmu.Unlock()
	}
	d.agenda.Set(at, func() { d.beginFault(i, v, at) })
}

// beginFault begins fault i at a target and files its end.
func (d *drive) beginFault(i int, v victim, now time.Duration) {
	f := &d.run.Cell.Setup.Faults[i]
	length := f.ForLo
	if f.ForHi > f.ForLo {
		d.fmu.Lock()
		length += time.Duration(chance.Float(d.faultStream(i, v)) * float64(f.ForHi-f.ForLo))
		d.fmu.Unlock()
	}
	d.carryOut(f, v, length, true)
	if f.ForHi == 0 {
		return
	}
	at := now + length
	d.agenda.Set(at, func() {
		d.carryOut(f, v, length, false)
		if f.Every > 0 {
			d.planFaultAfter(i, v, at)
		}
	})
}

// carryOut begins or ends a fault.
func (d *drive) carryOut(f *scenarios.Fault, v victim, length time.Duration, begin bool) {
	switch {
	case v.front != noFront && begin:
		d.fronts[v.front].crash()
	case v.front != noFront:
		d.restartFront(v.front)
	case f.Shards != nil:
		d.crashShard(v.replica, begin)
	default:
		if do := d.services[f.Service].fault; do != nil {
			do(v.replica, f, length, begin)
		}
		if f.Kind == scenarios.FaultCrash {
			d.crashed(f.Service, v.replica, begin)
		}
	}
}
