package sim

import (
	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

// sendProbe carries a probe; a lost one is noticed by the front end's own timer.
func (l *lab) sendProbe(k int, a *flow.Action) {
	s := &l.svcs[a.Service]
	d, lost, _ := s.probe.send()
	if !lost {
		l.post(l.now()+d, l.id.probe, envelope{service: a.Service, front: uint32(k), gen: l.fronts[k].gen, ref: a.Ref, arg: a.Arg})
	}
}

// probed answers a probe at the replica.
func (l *lab) probed(e envelope) {
	s := &l.svcs[e.service]
	c := s.at(e.ref.ID)
	if c.down > 0 || c.frozen > 0 {
		return
	}
	e.load = s.loadOf(e.ref.ID)
	e.ref.Inc = c.inc
	d, lost, double := s.probe.send()
	if !lost {
		l.post(l.now()+d, l.id.reply, e)
	}
	if double >= 0 {
		l.post(l.now()+double, l.id.reply, e)
	}
}

func (l *lab) replied(e envelope) {
	f := &l.fronts[e.front]
	if f.gen != e.gen || f.down {
		return
	}
	f.fe.Replied(l.now(), int(e.service), balance.ProbeID(e.arg), e.ref, e.load, &l.out)
	l.act(int(e.front))
}

// half tells the policy's replica half what happened, and carries out what it asks.
func (l *lab) half(svc int, r uint32, ev balance.ReplicaEvent) {
	s := &l.svcs[svc]
	if s.half == nil {
		return
	}
	self := policies.Ref{ID: r, Inc: s.at(r).inc}
	mark, msgs := len(l.out.List), len(l.out.Msgs)
	s.half.Event(l.now(), self, ev, s.loadOf(r), &l.out)
	for i := mark; i < len(l.out.List); i++ {
		a := &l.out.List[i]
		if a.Kind == flow.ActReport {
			l.sendReport(a, ev)
		} else {
			l.wakeAt(a.At, l.id.wakeReplica, wake{token: a.Arg, who: a.Ref.ID, life: a.Ref.Inc, service: a.Service})
		}
	}
	l.out.List, l.out.Msgs = l.out.List[:mark], l.out.Msgs[:msgs]
}

// sendReport carries a message from a replica to a front end. Where neither
// reports nor responses take time, one that goes where the response goes rides on
// it: it is read right after it, before the next arrival of that instant.
func (l *lab) sendReport(a *flow.Action, ev balance.ReplicaEvent) {
	s := &l.svcs[a.Service]
	m := l.out.Msgs[a.Arg]
	k := &s.report
	if m.Kind == balance.MsgAsk {
		k = &s.ask
	}
	c := s.at(a.Ref.ID)
	if c.mute > 0 {
		return
	}
	e := newLetter(a.Service, a.Slot, a.Ref, &m)
	if ev.Kind == balance.ReplicaFinished && ev.From == a.Slot && k.free && s.response.free && c.late == 0 {
		l.riders = append(l.riders, e)
		return
	}
	d, lost, double := k.send()
	if !lost {
		l.mailLetter(l.now()+d+c.late, l.id.report, e)
	}
	if double >= 0 {
		l.mailLetter(l.now()+double+c.late, l.id.report, e)
	}
}

// reported is a replica's message at its front end.
func (l *lab) reported(e letter) {
	f := &l.fronts[e.front]
	if f.down {
		return
	}
	f.fe.Heard(l.now(), int(e.service), e.ref, e.msg(), &l.out)
	l.act(int(e.front))
}

// sendTell carries a message from a front end to a replica half.
func (l *lab) sendTell(from int, a *flow.Action) {
	s := &l.svcs[a.Service]
	m := l.out.Msgs[a.Arg]
	k := &s.report
	if m.Kind == balance.MsgAnswer {
		k = &s.ask
	}
	d, lost, double := k.send()
	e := newLetter(a.Service, uint32(from), a.Ref, &m)
	if !lost {
		l.mailLetter(l.now()+d, l.id.tell, e)
	}
	if double >= 0 {
		l.mailLetter(l.now()+double, l.id.tell, e)
	}
}

// told is a front end's message at a replica.
func (l *lab) told(e letter) {
	s := &l.svcs[e.service]
	c := s.at(e.ref.ID)
	if s.half == nil || c.down > 0 || c.frozen > 0 || e.ref.Inc != c.inc {
		return
	}
	l.msg = e.msg()
	l.half(int(e.service), e.ref.ID, balance.ReplicaEvent{Kind: balance.ReplicaHeard, From: e.front, Msg: &l.msg})
}

func (l *lab) wakeFront(w wake) {
	f := &l.fronts[w.who]
	if f.gen != w.life || f.down {
		return
	}
	f.fe.Woke(l.now(), int(w.service), w.token, &l.out)
	l.act(int(w.who))
}

func (l *lab) wakeReplica(w wake) {
	s := &l.svcs[w.service]
	c := s.at(w.who)
	if c.down > 0 || c.inc != w.life {
		return
	}
	if c.frozen > 0 { // a frozen process wakes late
		c.asleep = append(c.asleep, w.token)
		return
	}
	l.half(int(w.service), w.who, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: w.token})
}
