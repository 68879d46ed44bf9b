package sim

import (
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/sim/gpu"
)

// act carries out what front end k asked for.
func (l *lab) act(k int) {
	for i := range l.out.List { // carrying out asks for nothing new
		a := &l.out.List[i]
		switch a.Kind {
		case flow.ActSend:
			l.send(k, a)
		case flow.ActClose:
			l.closed(k, a)
		case flow.ActProbe:
			l.sendProbe(k, a)
		case flow.ActTell:
			l.sendTell(k, a)
		case flow.ActWake:
			l.wakeAt(a.At, l.id.wakeFront, wake{token: a.Arg, who: uint32(k), life: l.fronts[k].gen, service: a.Service})
		case flow.ActCancel:
			l.sendCancel(k, a)
		case flow.ActAsk:
			l.sendAsk(k, a)
		case flow.ActDecided:
			l.decided(k, a)
		}
	}
	l.out.Reset()
}

// send puts an attempt on the wire.
func (l *lab) send(k int, a *flow.Action) {
	now := l.now()
	r := l.fronts[k].slots[a.Slot]
	i := l.newAttempt()
	t, q := &l.atts[i], &l.reqs[r]
	t.sent, t.reached, t.finished, t.ended, t.queue = now, now, now, 0, 0
	t.req, t.older = r, q.first
	t.ref, t.svc, t.n, t.outcome = a.Ref, a.Service, a.N, policies.OK
	t.inside, t.over, t.gone, t.killed = false, false, false, alive
	q.first = i + 1
	s := &l.svcs[a.Service]
	s.sent++
	if s.due != nil {
		l.stays = put(l.stays, i, stay{first: -1})
	}
	if s.truth != nil {
		s.truth.transit(a.Ref.ID, 1)
	}
	if s.elastic != nil {
		s.elastic.sending(a.Ref, 1)
	}
	if s.request.free {
		l.eng.Schedule(l.eng.now, l.id.deliver, uint64(i))
		return
	}
	d, lost, _ := s.request.send()
	if lost { // the sender notices after a round trip
		if s.truth != nil {
			s.truth.transit(a.Ref.ID, -1)
		}
		if s.elastic != nil {
			s.elastic.sending(a.Ref, -1)
		}
		t.outcome = policies.Lost
		l.eng.Schedule(At(now+d+s.response.delay()), l.id.respond, uint64(i))
		return
	}
	l.eng.Schedule(At(now+d), l.id.deliver, uint64(i))
}

// deliver hands an attempt to its replica.
func (l *lab) deliver(i uint32) {
	now := l.now()
	a := &l.atts[i]
	s := &l.svcs[a.svc]
	r := a.ref.ID
	a.reached, a.finished = now, now
	if s.truth != nil {
		s.truth.transit(r, -1)
	}
	if l.faulty && l.refused(s, r, i) {
		return
	}
	q, w := &l.reqs[a.req], &l.needs[a.req]
	a.inside = true
	it := &l.item
	it.ID, it.Demand, it.Input, it.Output, it.Deadline = i, w.demand, w.input, w.output, w.deadline
	it.Class, it.Priority, it.Factor = q.class, q.priority, l.factor(s, r, a.req)
	if s.elastic != nil {
		s.elastic.books.Accepted(r)
	}
	before := s.filed(r)
	due := s.pool.Accept(now, r, it, &l.ev)
	if s.truth != nil {
		s.truth.accept(r, l.work(s, r, a.req))
	}
	if s.half != nil && s.half.Wants(balance.ReplicaAccepted) {
		l.half(int(a.svc), r, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: q.front, Req: q.id})
	}
	l.happened(int(a.svc), r)
	l.arm(int(a.svc), r, before, due)
}

// refused tells whether a fault answers the attempt in place of its replica, and
// lets it.
func (l *lab) refused(s *service, r, i uint32) bool {
	c := s.at(r)
	if s.elastic != nil && !s.elastic.reached(&l.atts[i]) || c.down > 0 {
		l.fail(i, policies.Refused)
		return true
	}
	for _, f := range c.fails {
		if l.roll(f.share) {
			if f.answers {
				l.passed(i)
			}
			l.fail(i, f.outcome)
			l.ride()
			return true
		}
	}
	return false
}

// passed tells the replica half of a request that is answered with an error: it came
// and went, and the replica is as idle as before.
func (l *lab) passed(i uint32) {
	a := l.atts[i]
	s, r, q := &l.svcs[a.svc], a.ref.ID, &l.reqs[a.req]
	front, id := q.front, q.id
	if s.half == nil {
		return
	}
	s.passing = 1 // its load includes the request
	if s.half.Wants(balance.ReplicaAccepted) {
		l.half(int(a.svc), r, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: front, Req: id})
	}
	s.passing = 0
	if s.half.Wants(balance.ReplicaFinished) {
		l.half(int(a.svc), r, balance.ReplicaEvent{Kind: balance.ReplicaFinished, From: front, Req: id})
	}
}

// factor is the noise of request i under the model of replica r.
func (l *lab) factor(s *service, r, i uint32) float64 {
	if !s.noisy {
		return 1
	}
	n := &l.noise[i]
	return s.pool.Model(r).RequestFactor(n.z, n.u)
}

// work is what request i asks of replica r at speed 1.
func (l *lab) work(s *service, r, i uint32) time.Duration {
	return time.Duration(float64(l.needs[i].demand) * l.factor(s, r, i))
}

// fail answers an attempt without serving it.
func (l *lab) fail(i uint32, class policies.Outcome) {
	a := &l.atts[i]
	a.outcome, a.finished = class, l.now()
	l.answer(i)
}

// filed is the instant of a replica that an event is filed for.
func (s *service) filed(r uint32) gpu.Due {
	if s.due != nil {
		return s.due[r]
	}
	return s.pool.Due(r)
}

// arm files the next instant of a replica, unless it is the one filed before.
func (l *lab) arm(svc int, r uint32, before, due gpu.Due) {
	s := &l.svcs[svc]
	if s.elastic != nil {
		s.elastic.touch(r)
	}
	if before == due {
		return
	}
	if s.direct {
		l.ending(s.lane+r, due.At)
		return
	}
	if s.due != nil {
		s.due[r] = due
	}
	if due.At == gpu.Never {
		return
	}
	h := l.id.settle
	if due.Timer {
		h = l.id.expire
	}
	l.eng.Schedule(At(due.At), h, uint64(svc)<<32|uint64(r))
}

// expire is an instant at which a delay ends in a replica.
func (l *lab) expire(arg uint64) { l.advance(arg, true) }

// advance is an instant at which something happens in a replica: work or, as timer
// says, a delay ends.
func (l *lab) advance(arg uint64, timer bool) {
	svc, r := int(arg>>32), uint32(arg)
	s, now := &l.svcs[svc], l.now()
	if d := s.filed(r); d.At != now || d.Timer != timer {
		return // it was filed anew
	}
	if s.due != nil {
		s.due[r].At = gpu.Never
	}
	var due gpu.Due
	if timer {
		due = s.pool.Expire(now, r, &l.ev)
	} else {
		due = s.pool.Settle(now, r, &l.ev)
	}
	l.happened(svc, r)
	l.arm(svc, r, gpu.Due{At: gpu.Never}, due)
}

// happened carries on what a replica reported.
func (l *lab) happened(svc int, r uint32) {
	s := &l.svcs[svc]
	for k := 0; k < len(l.ev.List); k++ {
		e := &l.ev.List[k]
		a := &l.atts[e.ID]
		switch e.Kind {
		case gpu.Began:
			if s.elastic != nil {
				s.elastic.began(a.req)
			}
			if s.half != nil && s.half.Wants(balance.ReplicaBegan) {
				l.half(svc, r, balance.ReplicaEvent{Kind: balance.ReplicaBegan, From: l.reqs[a.req].front, Req: l.reqs[a.req].id})
			}
		case gpu.FirstToken:
			l.eng.Schedule(At(l.now()+s.response.delay()), l.id.firstByte, uint64(e.ID))
		case gpu.Finished:
			a.queue = e.Queue
			if s.due != nil {
				l.stays[e.ID] = stay{e.Batch, e.First}
			}
			if s.elastic != nil {
				s.elastic.finished(&l.reqs[a.req], e.Service)
			}
			l.left(svc, r, e.ID, policies.OK)
		case gpu.Rejected:
			l.left(svc, r, e.ID, e.Outcome)
		}
	}
	l.ev.List = l.ev.List[:0]
}

// left carries on a request that is no longer in its replica.
func (l *lab) left(svc int, r, i uint32, class policies.Outcome) {
	a, s := &l.atts[i], &l.svcs[svc]
	a.inside, a.outcome, a.finished, a.killed = false, class, l.now(), l.killing
	if s.truth != nil {
		s.truth.leave(r, l.work(s, r, a.req))
	}
	if s.half != nil && s.half.Wants(balance.ReplicaFinished) && s.at(r).down == 0 {
		l.half(svc, r, balance.ReplicaEvent{Kind: balance.ReplicaFinished, From: l.reqs[a.req].front, Req: l.reqs[a.req].id})
	}
	l.answer(i)
	l.ride()
	if s.elastic != nil {
		s.elastic.drained(r)
	}
}

// ride delivers the reports that came with a response.
func (l *lab) ride() {
	for _, e := range l.riders {
		l.reported(e)
	}
	l.riders = l.riders[:0]
}

// answer puts the response on the wire; without a delay it is the same event.
func (l *lab) answer(i uint32) {
	s := &l.svcs[l.atts[i].svc]
	if s.response.free {
		l.respond(i)
		return
	}
	d, lost, _ := s.response.send()
	if lost {
		l.atts[i].outcome = policies.Lost
	}
	l.eng.Schedule(At(l.now()+d), l.id.respond, uint64(i))
}

// respond is the end of an attempt at its front end.
func (l *lab) respond(i uint32) {
	a := &l.atts[i]
	a.over, a.ended = true, l.now()
	l.svcs[a.svc].sent--
	q := &l.reqs[a.req]
	if a.gone {
		l.dropAttempt(i)
		if q.slot--; q.slot == 0 {
			l.dropRequest(a.req)
		}
		return
	}
	k, e := int(q.front), &l.end
	e.Slot, e.N, e.Outcome, e.ServerTime, e.Output = q.slot, a.n, a.outcome, 0, 0
	if a.outcome == policies.OK {
		e.ServerTime, e.Output = a.finished-a.reached, l.needs[a.req].output
	}
	l.fronts[k].fe.Ended(l.now(), e, &l.out)
	l.act(k)
}

// firstByte tells a front end that an answer has begun.
func (l *lab) firstByte(i uint32) {
	a := &l.atts[i]
	if a.over || a.gone {
		return
	}
	q := &l.reqs[a.req]
	k := int(q.front)
	l.fronts[k].fe.FirstByte(l.now(), q.slot, a.n, &l.out)
	l.act(k)
}

func (l *lab) sendCancel(k int, act *flow.Action) {
	q := &l.reqs[l.fronts[k].slots[act.Slot]]
	for i := q.first; i != 0; i = l.atts[i-1].older {
		if a := &l.atts[i-1]; a.n == act.N && !a.over {
			d := l.svcs[a.svc].request.delay()
			l.post(l.now()+d, l.id.cancel, envelope{service: a.svc, gen: uint32(act.Arg), ref: a.ref, arg: uint64(i - 1), req: q.id})
		}
	}
}

func (l *lab) cancel(e envelope) {
	i := uint32(e.arg)
	a := &l.atts[i]
	if !a.inside || l.reqs[a.req].id != e.req {
		return
	}
	s, r := &l.svcs[e.service], e.ref.ID
	before := s.filed(r)
	var due gpu.Due
	if balance.CancelMode(e.gen) == balance.CancelRunning {
		due = s.pool.Cancel(l.now(), r, i, &l.ev)
	} else {
		due = s.pool.CancelQueued(l.now(), r, i, &l.ev)
	}
	l.happened(int(e.service), r)
	l.arm(int(e.service), r, before, due)
}

// roll draws a share from the run's stream of faults.
func (l *lab) roll(share float64) bool { return l.dice("faults/roll") < share }
