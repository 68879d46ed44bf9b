package realrun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/realrun/actuator"
	"taillab/realrun/wire"
)

// pod is the life that a slot holds.
type pod struct {
	name       string // of the actuator's pod; "" = none yet
	number     int
	inc        uint32
	used       bool // an earlier life was a member
	phase      autoscale.Phase
	everReady  bool
	member     bool // front ends were told of it, and not that it is gone
	quiet      bool // holds a GPU and runs nothing on it
	holds      bool // a GPU
	start      time.Duration
	transition time.Duration
	backend    Transport
	close      func()
	told       []time.Duration // by front end: when the last notice arrives
	notices    int             // of its draining, on the way to front ends
	inside     []*visit        // attempts, in order of sending
}

// absent stands for a replica that is not there.
type absent struct{}

func (absent) Do(context.Context, *wire.Call, func(time.Duration)) wire.Result {
	return wire.Result{Outcome: policies.Refused, Sent: -1, FirstByte: -1, FirstToken: -1, LastToken: -1, Done: -1}
}
func (absent) Probe(context.Context) (balance.Load, bool) { return balance.Load{}, false }
func (absent) Tell(context.Context, wire.Envelope) error  { return errAbsent }
func (absent) Begin(context.Context, wire.Start) error    { return errAbsent }
func (absent) Ready(context.Context, string) bool         { return false }

var errAbsent = errors.New("the replica is not there")

// backend is the way to one life of a replica.
func (e *elastic) backend(ref policies.Ref) Transport {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := &e.pods[ref.ID]; p.inc == ref.Inc && p.backend != nil {
		return p.backend
	}
	return absent{}
}

// at is the way to one life of a replica of the service.
func (s *service) at(ref policies.Ref) Transport {
	if s.elastic != nil {
		return s.elastic.backend(ref)
	}
	return s.backends[ref.ID]
}

// adopt takes the pods of the start over, before the run begins: its clock stands at 0.
func (e *elastic) adopt() error {
	held := 0
	for _, a := range e.act.Pods() {
		e.appear(&a, 0)
		if a.Phase != autoscale.Ready {
			continue
		}
		if err := e.reach(&a); err != nil {
			return err
		}
		e.mu.Lock()
		e.rise(&a, 0)
		e.pods[a.Slot].transition, e.pods[a.Slot].member = 0, a.Slot < e.cfg.Start
		e.mu.Unlock()
		held++
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.nodes, e.idle = 0, autoscale.Area{N: held}, autoscale.Area{N: held}
	return nil
}

// settle tells front ends at the begin of the run where the pods are not those that the
// scenario's count of the start stands for.
func (e *elastic) settle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for r := range e.pods {
		p := &e.pods[r]
		switch ready := p.phase == autoscale.Ready; {
		case ready && !p.member:
			e.announce(uint32(r), balance.ChangeAdded)
		case !ready && r < e.cfg.Start:
			e.announce(uint32(r), balance.ChangeRemoved)
		}
	}
}

// follow looks at the pods whenever they have changed.
func (e *elastic) follow() {
	for {
		select {
		case <-e.d.ctx.Done():
			return
		case <-e.act.Changed():
			e.look()
		}
	}
}

// look compares the actuator's pods with those known, one goroutine at a time.
func (e *elastic) look() {
	there := map[int]*actuator.Pod{}
	list := e.act.Pods()
	for i := range list {
		there[list[i].Slot] = &list[i]
	}
	for r := range e.pods {
		a := there[r]
		e.mu.Lock()
		p := &e.pods[r]
		name, phase := p.name, p.phase
		if name != "" && phase != autoscale.Gone && (a == nil || a.Name != name) {
			e.gone(uint32(r))
			phase = autoscale.Gone
		}
		e.mu.Unlock()
		if a == nil || a.Name == name && phase == autoscale.Gone {
			continue
		}
		if a.Name != name {
			e.appear(a, e.at(a.Started))
		}
		e.step(a)
	}
	e.d.scaled()
}

// at is an instant of an actuator as one of the run; −1 for one that has not come.
func (e *elastic) at(t time.Time) time.Duration {
	if t.IsZero() {
		return -1
	}
	return e.d.clock.local(max(0, t.Sub(e.d.clock.base)))
}

// appear begins the life of a pod in its slot.
func (e *elastic) appear(a *actuator.Pod, start time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &e.pods[a.Slot]
	inc := p.inc
	if p.used {
		inc++
	}
	*p = pod{name: a.Name, number: e.next, inc: inc, used: p.used, phase: autoscale.Pending, start: start, transition: e.now(), told: p.told}
	e.next++
}

// step moves a known pod on to where its actuator has it.
func (e *elastic) step(a *actuator.Pod) {
	e.mu.Lock()
	p := &e.pods[a.Slot]
	was := p.phase
	p.start = e.at(a.Started)
	if a.Phase < autoscale.Ready && was < autoscale.Ready { // one that was ready is for health checks to judge
		p.phase = a.Phase
	}
	if a.Phase > autoscale.Pending {
		e.gpu(p, true)
	}
	if a.Phase == autoscale.Draining && was == autoscale.Ready {
		e.drain(uint32(a.Slot))
	}
	e.mu.Unlock()
	if a.Phase != autoscale.Ready || was >= autoscale.Ready {
		return
	}
	if err := e.reach(a); err != nil {
		e.d.note(fmt.Sprintf("%s of service %s cannot be reached: %v", a.Name, e.name, err))
		return
	}
	ref := policies.Ref{ID: uint32(a.Slot), Inc: p.inc} // changed by this goroutine alone
	if h := e.d.services[e.svc].inferred; h != nil {
		h.Restarted(ref)
	}
	e.mu.Lock()
	e.rise(a, e.now())
	e.announce(ref.ID, balance.ChangeAdded)
	e.mu.Unlock()
	e.d.begun()
}

// reach makes the client of a pod, opens its connections, and hands the replica half
// beside it its part in the run.
func (e *elastic) reach(a *actuator.Pod) error {
	backend, end, err := e.dial(a.URL)
	if err != nil {
		return err
	}
	e.mu.Lock()
	p := &e.pods[a.Slot]
	p.backend, p.close = backend, end
	inc := p.inc
	e.mu.Unlock()
	svc := &e.d.services[e.svc]
	e.d.fmu.Lock()
	e.d.registry.inc[e.svc][a.Slot] = inc
	for k := range e.d.registry.checks {
		e.d.registry.checks[k][e.svc][a.Slot] = health{}
	}
	e.d.fmu.Unlock()
	if svc.remote {
		ctx, cancel := context.WithTimeout(e.d.ctx, checkLimit)
		defer cancel()
		return backend.Begin(ctx, e.d.startOf(e.svc, a.Slot, inc))
	}
	return nil
}

// rise makes a pod take requests. mu is held.
func (e *elastic) rise(a *actuator.Pod, now time.Duration) {
	p := &e.pods[a.Slot]
	p.phase, p.everReady, p.used, p.transition = autoscale.Ready, true, true, now
	e.gpu(p, true)
	e.ready++
	e.books.Begin(uint32(a.Slot), p.number, now)
}

// drain lets front ends leave a pod. mu is held.
func (e *elastic) drain(r uint32) {
	p := &e.pods[r]
	p.phase, p.transition = autoscale.Draining, e.now()
	e.ready--
	e.books.Drain(r)
	e.announce(r, balance.ChangeDraining)
}

// gone ends the life of a pod. One that front ends were not told of before is a crash,
// which they find out as the scenario's discovery has it. mu is held.
func (e *elastic) gone(r uint32) {
	p := &e.pods[r]
	told := p.phase == autoscale.Draining
	if p.phase == autoscale.Ready {
		e.ready--
	}
	p.phase, p.inside = autoscale.Gone, nil
	e.moved(r)
	e.gpu(p, false)
	e.books.End(r)
	e.over[policies.Ref{ID: r, Inc: p.inc}] = e.now()
	if p.close != nil {
		end := p.close
		p.backend, p.close = nil, nil
		e.d.wg.Go(end)
	}
	if told {
		e.announce(r, balance.ChangeRemoved)
	}
}

// gpu books a GPU as taken or given back. mu is held.
func (e *elastic) gpu(p *pod, on bool) {
	if p.holds == on {
		return
	}
	p.holds = on
	by := 1
	if !on {
		by = -1
	}
	e.nodes.Add(e.now(), by)
	e.still(p, on && len(p.inside) == 0)
}

// still books whether a GPU that is held runs nothing. mu is held.
func (e *elastic) still(p *pod, on bool) {
	if p.quiet == on {
		return
	}
	p.quiet = on
	by := 1
	if !on {
		by = -1
	}
	e.idle.Add(e.now(), by)
}

// announce sends a change of a pod to every front end. What is said of one pod arrives
// in the order in which it was said. mu is held.
func (e *elastic) announce(r uint32, kind balance.ChangeKind) {
	p, d := &e.pods[r], e.d
	p.member = kind != balance.ChangeRemoved
	ref := policies.Ref{ID: r, Inc: p.inc}
	now := e.now()
	for k := range d.fronts {
		d.fmu.Lock()
		p.told[k] = max(p.told[k], now+d.announcement(e.svc))
		d.fmu.Unlock()
		if kind == balance.ChangeDraining {
			p.notices++
		}
		d.agenda.Set(p.told[k], func() {
			d.fronts[k].change(e.svc, balance.Change{Kind: kind, Ref: ref})
			if kind == balance.ChangeDraining {
				e.noticed(ref)
			}
		})
	}
}

// noticed counts a front end that has learned that a pod drains.
func (e *elastic) noticed(ref policies.Ref) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := &e.pods[ref.ID]; p.inc == ref.Inc {
		p.notices--
		e.drained(ref.ID)
	}
}

// drained releases a pod that has nothing left to do. mu is held.
func (e *elastic) drained(r uint32) {
	if p := &e.pods[r]; p.phase == autoscale.Draining && p.notices == 0 && len(p.inside) == 0 {
		e.act.Release(int(r))
	}
}

// watched tells whether health checks of a replica mean anything: front ends know it.
func (e *elastic) watched(r int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pods[r].member && e.pods[r].phase != autoscale.Draining
}
