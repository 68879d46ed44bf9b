package sim

import (
	"time"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/sim/gpu"
)

// steps of a pod's life, in envelope.arg's upper half.
const (
	podBound uint64 = iota << 32
	podPulled
	podInited
	podWarm
	podGrace
)

// create asks for a replica.
func (e *elastic) create(r uint32) {
	now := e.l.now()
	p, c := &e.pods[r], &e.s.state[r]
	if p.used {
		c.inc++
	}
	*p = pod{phase: autoscale.Pending, number: e.next, used: true, start: -1, transition: now, epoch: p.epoch + 1, told: p.told, past: p.cause}
	e.next++
	c.slow = 1
	e.later(r, e.cfg.Lifecycle.Bind, podBound)
}

// later files the next step of a pod; a pod that is gone by then takes none.
func (e *elastic) later(r uint32, d time.Duration, step uint64) {
	e.l.post(e.l.now()+d, e.l.id.pod, envelope{service: uint16(e.svc), ref: policies.Ref{ID: r}, gen: e.pods[r].epoch, arg: step})
}

// podStep is the next step of a pod.
func (l *lab) podStep(v envelope) {
	e := l.svcs[v.service].elastic
	r := v.ref.ID
	p := &e.pods[r]
	if p.epoch != v.gen {
		return
	}
	now := l.now()
	switch v.arg {
	case podBound:
		p.phase, p.start, p.bound = autoscale.Pulling, now, now
		e.gpu(r, true)
		e.later(r, e.cfg.Lifecycle.Image, podPulled)
	case podPulled:
		p.phase = autoscale.Loading
		e.loading.add(e, r)
	case podInited:
		p.phase = autoscale.Warming
		e.later(r, e.cfg.Lifecycle.Warmup, podWarm)
	case podWarm:
		e.becomeReady(r)
	case podGrace:
		e.kill(r)
	}
}

// gpu books a GPU as taken or given back; the nodes' hazard changes with it.
func (e *elastic) gpu(r uint32, on bool) {
	p, now := &e.pods[r], e.l.now()
	if p.holds == on {
		return
	}
	e.pass()
	p.holds = on
	if on {
		e.nodes.Add(now, 1)
	} else {
		e.nodes.Add(now, -1)
	}
	e.quiet(r, on)
	e.age()
}

// quiet books whether a GPU that is held runs nothing.
func (e *elastic) quiet(r uint32, on bool) {
	p, now := &e.pods[r], e.l.now()
	if p.quiet == on {
		return
	}
	p.quiet = on
	if on {
		e.idle.Add(now, 1)
	} else {
		e.idle.Add(now, -1)
	}
}

// becomeReady lets a pod take requests: it is up at once, and front ends learn of it
// as of any planned change.
func (e *elastic) becomeReady(r uint32) {
	l, p, c := e.l, &e.pods[r], &e.s.state[r]
	p.phase, p.everReady, p.transition = autoscale.Ready, true, l.now()
	c.down, c.asleep = 0, nil
	c.epoch++
	l.rerate(e.svc, r)
	e.books.Begin(r, p.number, l.now())
	l.half(e.svc, r, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
	e.announce(r, balance.ChangeAdded)
	if l.scale != nil {
		l.scale.Started()
	}
	l.scaled(l.now())
}

// announce sends a change of a pod to every front end. What is said of one pod
// arrives in the order in which it was said.
func (e *elastic) announce(r uint32, kind balance.ChangeKind) {
	l, p := e.l, &e.pods[r]
	if p.told == nil {
		p.told = make([]time.Duration, len(l.fronts))
	}
	ch := balance.Change{Kind: kind, Ref: policies.Ref{ID: r, Inc: e.s.state[r].inc}}
	for k := range l.fronts {
		p.told[k] = max(p.told[k], l.now()+l.noticeDelay(e.svc))
		if kind == balance.ChangeDraining {
			p.notices++
		}
		l.post(p.told[k], l.id.member, envelope{service: uint16(e.svc), front: uint32(k), change: ch, arg: planned})
	}
}

// remove ends a pod that is no longer wanted.
func (e *elastic) remove(r uint32) { e.drain(r, e.cfg.Lifecycle.DrainGrace, scaledDown) }

// drain takes a pod out of service: one that is not ready yet goes at once; another
// stays until every front end knows and nothing is inside or on the way, at most for
// the grace. What is left then is killed.
func (e *elastic) drain(r uint32, grace time.Duration, why cause) {
	p := &e.pods[r]
	if p.phase < autoscale.Ready {
		e.gone(r, why)
		return
	}
	if p.phase == autoscale.Ready {
		p.phase, p.transition = autoscale.Draining, e.l.now()
		e.books.Drain(r)
		e.l.half(e.svc, r, balance.ReplicaEvent{Kind: balance.ReplicaStopping})
		e.announce(r, balance.ChangeDraining)
		e.l.scaled(e.l.now())
	}
	p.cause = why
	if grace <= 0 {
		e.kill(r)
		return
	}
	e.later(r, grace, podGrace)
	e.drained(r)
}

// drained lets a pod go that has nothing left to do.
func (e *elastic) drained(r uint32) {
	p := &e.pods[r]
	if p.phase != autoscale.Draining || p.notices > 0 || p.wire > 0 || e.s.state[r].down > 0 {
		return
	}
	if running, queued := e.s.pool.Load(r); running+queued > 0 {
		return
	}
	e.gone(r, p.cause)
}

// kill ends a pod with what is inside: its attempts end as reset. Front ends learn of
// it as of a crash, unless they were told that it drains.
func (e *elastic) kill(r uint32) {
	p := &e.pods[r]
	told := p.phase == autoscale.Draining
	if p.cause == alive {
		p.cause = reclaimed
	}
	e.dying(r)
	e.l.killing = p.cause
	e.l.crash(e.svc, r)
	e.l.killing = alive
	if !told {
		e.l.health(e.svc, r, false)
	}
	e.over(r, told)
}

// gone ends a pod with nothing inside.
func (e *elastic) gone(r uint32, why cause) {
	p := &e.pods[r]
	told := p.phase == autoscale.Draining
	p.cause = why
	if p.phase >= autoscale.Ready {
		e.dying(r)
		e.l.arm(e.svc, r, e.s.filed(r), gpu.Due{At: gpu.Never})
	} else {
		e.loading.drop(e, r)
	}
	e.over(r, told)
}

// dying makes a pod unreachable.
func (e *elastic) dying(r uint32) {
	c := &e.s.state[r]
	c.down = 1
	c.epoch++
	e.touch(r)
}

// over frees the node and the replica number.
func (e *elastic) over(r uint32, told bool) {
	p := &e.pods[r]
	e.gpu(r, false)
	p.phase = autoscale.Gone
	e.books.End(r)
	p.epoch++
	if told {
		e.announce(r, balance.ChangeRemoved)
	}
	e.l.scaled(e.l.now())
	e.reconcile()
}

// loader shares the bandwidth among the pods that load their model.
type loader struct {
	timer Timer
	pods  []loading
	at    time.Duration
}

// loading is a pod with the bytes it still has to read.
type loading struct {
	r    uint32
	left float64
}

// rate is the bytes per second that each of n pods gets.
func (d *loader) rate(e *elastic) float64 {
	w := &e.cfg.Lifecycle.Model
	if w.Network > 0 {
		return min(w.Read, w.Network/float64(len(d.pods)))
	}
	return w.Read
}

func (d *loader) add(e *elastic, r uint32) {
	d.pass(e)
	d.pods = append(d.pods, loading{r, e.cfg.Lifecycle.Model.Bytes})
	d.file(e)
}

func (d *loader) drop(e *elastic, r uint32) {
	d.pass(e)
	for i := range d.pods {
		if d.pods[i].r == r {
			d.pods = append(d.pods[:i], d.pods[i+1:]...)
			break
		}
	}
	d.file(e)
}

// pass lets the pods read until now.
func (d *loader) pass(e *elastic) {
	now := e.l.now()
	if len(d.pods) > 0 {
		read := float64(d.rate(e) * (now - d.at).Seconds())
		for i := range d.pods {
			d.pods[i].left -= read
		}
	}
	d.at = now
}

// file sets the timer to when the first pod has read all.
func (d *loader) file(e *elastic) {
	if len(d.pods) == 0 {
		e.l.eng.Cancel(d.timer)
		return
	}
	least := d.pods[0].left
	for _, p := range d.pods {
		least = min(least, p.left)
	}
	e.l.eng.Reset(d.timer, At(d.at+time.Duration(max(0, least)/d.rate(e)*1e9+0.5)))
}

// loaded carries on the pods that have read all, to less than a millionth of a second.
func (d *loader) loaded(e *elastic) {
	d.pass(e)
	slack := d.rate(e) * 1e-6
	k := 0
	for _, p := range d.pods {
		if p.left <= slack {
			e.later(p.r, e.cfg.Lifecycle.Model.Init, podInited)
			continue
		}
		d.pods[k] = p
		k++
	}
	d.pods = d.pods[:k]
	d.file(e)
}
