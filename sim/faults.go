package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// phases of a fault event, in envelope.arg's upper half.
const (
	faultBegin uint64 = iota << 32
	faultEnd
)

// noFront marks an envelope about a replica.
const noFront = ^uint32(0)

// dice draws uniformly from a stream of the run that only some scenarios need.
func (l *lab) dice(name string) float64 { return chance.Float(l.stream(name)) }

func (l *lab) stream(name string) *rand.PCG {
	p := l.streams[name]
	if p == nil {
		s := chance.Stream(l.rep.Seed, name)
		p = &s
		l.streams[name] = p
	}
	return p
}

// addFaults files the first occurrence of every fault at each of its targets.
func (l *lab) addFaults() {
	for i := range l.rep.Cell.Setup.Faults {
		f := &l.rep.Cell.Setup.Faults[i]
		if (f.Update != nil || f.Lock != nil) && l.ops == nil {
			l.ops = &operations{}
		}
		if f.Update != nil { // one update of all its front ends
			l.plan(i, envelope{arg: uint64(i)})
			continue
		}
		if len(f.Fronts) > 0 {
			for _, k := range f.Fronts {
				l.plan(i, envelope{front: uint32(k), arg: uint64(i)})
			}
			continue
		}
		targets := f.Replicas
		switch {
		case f.Shards != nil:
			targets = f.Shards
		case targets == nil:
			for r := range l.svcs[f.Service].pool.Len() {
				targets = append(targets, r)
			}
		}
		for _, r := range targets {
			l.plan(i, envelope{service: uint16(f.Service), front: noFront, ref: policies.Ref{ID: uint32(r)}, arg: uint64(i)})
		}
	}
	if l.ops != nil {
		l.addLocks()
	}
}

// plan files the next occurrence of fault i at a target.
func (l *lab) plan(i int, e envelope) {
	f := &l.rep.Cell.Setup.Faults[i]
	at := f.At
	if f.Every > 0 {
		at = l.now() + time.Duration(chance.Exp(l.faultStream(i, e))*float64(f.Every)) + 1
	}
	e.arg = faultBegin | uint64(i)
	l.post(at, l.id.fault, e)
}

func (l *lab) faultStream(i int, e envelope) *rand.PCG {
	if e.front != noFront {
		return l.stream(fmt.Sprintf("faults/%d/frontend/%d", i, e.front))
	}
	return l.stream(fmt.Sprintf("faults/%d/%d", i, e.ref.ID))
}

// faultEvent begins or ends a fault at a target.
func (l *lab) faultEvent(e envelope) {
	i, begin := int(uint32(e.arg)), e.arg>>32<<32 == faultBegin
	f := &l.rep.Cell.Setup.Faults[i]
	var d time.Duration
	if begin {
		d = l.lengthOf(f, i, e)
	}
	switch {
	case f.Update != nil:
		l.beginUpdate(f)
	case f.Lock != nil && begin:
		l.stallLock(int(e.front), d)
	case f.Lock != nil:
	case f.Shards != nil:
		l.crashShard(int(e.ref.ID), begin)
	case e.front != noFront:
		l.faultFront(int(e.front), begin)
	default:
		l.faultReplica(i, f, int(e.service), e.ref.ID, begin)
	}
	if !begin {
		if f.Every > 0 {
			l.plan(i, e)
		}
		return
	}
	if f.ForHi == 0 {
		return
	}
	e.arg = faultEnd | uint64(i)
	l.post(l.now()+d, l.id.fault, e)
}

// lengthOf draws how long an occurrence lasts.
func (l *lab) lengthOf(f *scenarios.Fault, i int, e envelope) time.Duration {
	d := f.ForLo
	if f.ForHi > f.ForLo {
		d += time.Duration(chance.Float(l.faultStream(i, e)) * float64(f.ForHi-f.ForLo))
	}
	return d
}

// faultFront crashes a front end, or brings it back with an empty state: what it
// held is lost, and what replicas still do for it is dropped.
func (l *lab) faultFront(k int, begin bool) {
	f := &l.fronts[k]
	if begin == f.down {
		return
	}
	if !begin {
		f.down = false
		l.past = l.past.Add(f.fe.Counters())
		l.open(k)
		f.fe.Start(l.now(), &l.out)
		l.act(k)
		l.catchUp(k)
		return
	}
	f.down = true
	for i := range l.reqs {
		if q := &l.reqs[i]; q.open() && int(q.front) == k && q.gen == f.gen {
			l.lose(uint32(i))
		}
	}
}

// catchUp tells a fresh front end what the table of the plan does not say: the
// registry it starts from knows which replicas run now, and in which incarnation.
func (l *lab) catchUp(k int) {
	for i := range l.svcs {
		s := &l.svcs[i]
		if l.fronts[k].fe.Fleet(i) == nil {
			continue
		}
		for r := range s.state {
			ref := policies.Ref{ID: uint32(r), Inc: s.state[r].inc}
			if s.elastic != nil {
				s.elastic.catchUp(k, uint32(r))
			} else if ref.Inc > 0 {
				l.notify(k, i, balance.Change{Kind: balance.ChangeAdded, Ref: ref})
			}
		}
	}
}

func (l *lab) notify(k, svc int, c balance.Change) {
	l.fronts[k].fe.Membership(l.now(), svc, c, &l.out)
	l.act(k)
}

func (l *lab) faultReplica(i int, f *scenarios.Fault, svc int, r uint32, begin bool) {
	s := &l.svcs[svc]
	c := &s.state[r]
	was := c.reachable()
	step := 1
	if !begin {
		step = -1
	}
	switch f.Kind {
	case scenarios.FaultCrash:
		c.down += step
		if begin && c.down == 1 {
			l.crash(svc, r)
		} else if !begin && c.down == 0 {
			l.restart(svc, r)
		}
	case scenarios.FaultFreeze:
		c.frozen += step
		l.rerate(svc, r)
		l.awake(svc, r)
	case scenarios.FaultSlow:
		if begin {
			c.slow *= f.Factor
		} else {
			c.slow /= f.Factor
		}
		l.rerate(svc, r)
	case scenarios.FaultDrop:
		c.mute += step
	case scenarios.FaultDelay:
		c.late += time.Duration(step) * f.Delay
	default:
		c.fail(i, f, begin)
	}
	if is := c.reachable(); is != was {
		c.epoch++
		if is {
			s.up++
		} else {
			s.up--
		}
		l.health(svc, r, is)
	}
}

// fail adds or removes a fault that answers a share of the requests.
func (c *condition) fail(i int, f *scenarios.Fault, begin bool) {
	if begin {
		c.fails = append(c.fails, failing{i, f.Share, outcomeOf(f), f.Kind == scenarios.FaultError})
		return
	}
	for k := range c.fails {
		if c.fails[k].fault == i {
			c.fails = append(c.fails[:k], c.fails[k+1:]...)
			return
		}
	}
}

func outcomeOf(f *scenarios.Fault) policies.Outcome {
	switch {
	case f.Kind == scenarios.FaultRefuse:
		return policies.Refused
	case f.Kind == scenarios.FaultReset:
		return policies.Reset
	case f.Code == 429:
		return policies.HTTP429
	case f.Code == 503:
		return policies.HTTP503
	case f.Code >= 400 && f.Code < 500:
		return policies.HTTP4xx
	}
	return policies.HTTP5xx
}

// crash empties a replica: what is inside ends as reset.
func (l *lab) crash(svc int, r uint32) {
	s := &l.svcs[svc]
	before := s.filed(r)
	s.pool.Crash(l.now(), r, &l.ev)
	l.happened(svc, r)
	l.arm(svc, r, before, gpu.Due{At: gpu.Never})
}

// restart brings a replica back empty, as its next incarnation; front ends learn of
// it as of any planned change.
func (l *lab) restart(svc int, r uint32) {
	s := &l.svcs[svc]
	s.state[r].inc++
	s.state[r].asleep = nil
	l.rerate(svc, r)
	l.half(svc, r, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
	ch := balance.Change{Kind: balance.ChangeAdded, Ref: policies.Ref{ID: r, Inc: s.state[r].inc}}
	for k := range l.fronts {
		l.announce(k, svc, ch)
	}
}

// announce sends a planned change to a front end.
func (l *lab) announce(k, svc int, c balance.Change) {
	l.post(l.now()+l.noticeDelay(svc), l.id.member, envelope{service: uint16(svc), front: uint32(k), change: c, arg: planned})
}

// noticeDelay draws how long a planned change is on its way to a front end.
func (l *lab) noticeDelay(svc int) time.Duration {
	s := &l.svcs[svc]
	d := s.cfg.Discovery.Delay
	if j := s.cfg.Discovery.Jitter; j > 0 {
		d += time.Duration(l.dice("discovery/"+s.name) * float64(j))
	}
	wire, lost, _ := s.membership.send()
	for lost { // a lost notice is sent again after the period
		var again time.Duration
		again, lost, _ = s.membership.send()
		wire += max(s.cfg.Discovery.Period, 1) + again
	}
	return d + wire
}

// planned marks a membership notice that no health check can overtake.
const planned = ^uint64(0)

// health files what the checks of each front end will find: Removed after so many
// misses in a row, Added at the first answer after that.
func (l *lab) health(svc int, r uint32, up bool) {
	s := &l.svcs[svc]
	d := &s.cfg.Discovery
	if d.Detect != scenarios.DetectHealth {
		return
	}
	c := &s.state[r]
	for k := range l.fronts {
		wait := l.nextCheck(k, svc, r)
		ch := balance.Change{Kind: balance.ChangeAdded, Ref: policies.Ref{ID: r, Inc: c.inc}}
		if !up {
			wait += time.Duration(max(d.Misses, 1)-1) * d.Period
			ch.Kind = balance.ChangeRemoved
		}
		l.post(l.now()+wait, l.id.member, envelope{service: uint16(svc), front: uint32(k), change: ch, arg: uint64(c.epoch), ref: ch.Ref})
	}
}

// nextCheck is the time until front end k checks replica r: every period, at a
// phase of its own.
func (l *lab) nextCheck(k, svc int, r uint32) time.Duration {
	p := uint64(max(l.svcs[svc].cfg.Discovery.Period, 1))
	phase := chance.Mix(l.rep.Seed^chance.Mix(uint64(k)<<40^uint64(svc)<<32^uint64(r))) % p
	return time.Duration((phase + p - uint64(l.now())%p) % p)
}

// member delivers a membership notice.
func (l *lab) member(e envelope) {
	f := &l.fronts[e.front]
	if s := &l.svcs[e.service]; s.elastic != nil && e.change.Kind == balance.ChangeDraining {
		defer s.elastic.noticed(e.change.Ref)
	}
	if f.down || f.fe.Fleet(int(e.service)) == nil {
		return
	}
	if e.arg != planned && uint64(l.svcs[e.service].state[e.change.Ref.ID].epoch) != e.arg {
		return // it changed again before the checks could tell
	}
	l.notify(int(e.front), int(e.service), e.change)
}

// rerate applies the faults in force to a replica's speed.
func (l *lab) rerate(svc int, r uint32) {
	s := &l.svcs[svc]
	c := &s.state[r]
	if c.down > 0 {
		return
	}
	m := 1 / c.slow
	if c.frozen > 0 {
		m = 0
	}
	before := s.filed(r)
	due := s.pool.Rate(l.now(), r, m, &l.ev)
	l.happened(svc, r)
	l.arm(svc, r, before, due)
}

// awake delivers the wakes that came while a replica was frozen.
func (l *lab) awake(svc int, r uint32) {
	c := &l.svcs[svc].state[r]
	if c.frozen > 0 || c.down > 0 {
		return
	}
	for _, token := range c.asleep {
		l.half(svc, r, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: token})
	}
	c.asleep = c.asleep[:0]
}
