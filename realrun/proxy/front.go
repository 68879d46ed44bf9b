package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/timers"
	"taillab/realrun/wire"
)

// front is one front end behind its lock: inputs go in under it, actions are copied
// out and executed after it, so that nothing blocks while a policy decides.
type front struct {
	p     *Proxy
	index int
	clock *timers.Timers
	fresh func(t *flow.Tape) *flow.FrontEnd // makes an instance

	inside atomic.Int64 // requests, from their header to their answer
	parked atomic.Int64

	mu    sync.Mutex
	life  *life         // takes what arrives
	old   []*life       // lives before, as long as they have open requests
	past  flow.Counters // of the lives that are over
	last  time.Duration
	out   flow.Actions
	down  bool
	outs  []map[policies.Ref]int // by service: attempts under way
	drain []map[policies.Ref]bool
	said  []map[uint32]balance.Change // by service: the last change of each replica
}

// todo is an action taken out of the lock.
type todo struct {
	act flow.Action
	by  *life
	msg balance.Msg
	att *attempt
	end *ended
}

// ended is a closed request.
type ended struct {
	q   *request
	rec record
}

// input runs one input of a request under the lock and executes what it asked for. The
// time under the lock counts as the policy's for the request.
func (f *front) input(q *request, do func(l *life, now time.Duration)) {
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	if q.life == nil {
		q.life = f.life
	}
	f.last = max(f.last, f.p.now())
	began := f.last
	list := f.run(q.life, do)
	q.policy += f.p.now() - began
	q.park(f.last)
	f.retire()
	f.mu.Unlock()
	f.execute(list)
	q.notify()
}

// news runs one input that is no request's: of one life, or of all (nil).
func (f *front) news(of *life, do func(l *life, now time.Duration)) {
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	f.last = max(f.last, f.p.now())
	var list []todo
	for _, l := range f.lives() {
		if of == nil || of == l {
			list = append(list, f.run(l, do)...)
		}
	}
	f.retire()
	f.mu.Unlock()
	f.execute(list)
}

// run runs one input of a life and takes what it asked for; the lock is held.
func (f *front) run(l *life, do func(l *life, now time.Duration)) []todo {
	guarded(func(now time.Duration) { do(l, now) }, f.last)
	switch {
	case l.tape == nil:
	case l.to == nil:
		l.tape.Drop()
	default:
		l.to.Trim(f.stream(), l.tape)
	}
	return f.take(l)
}

// guarded lets a policy that breaks its contract end the process: net/http would
// swallow the panic of a handler, and leave the lock taken for ever.
func guarded(do func(time.Duration), now time.Duration) {
	defer func() {
		if e := recover(); e != nil {
			go panic(e)
			select {}
		}
	}()
	do(now)
}

// take copies a life's actions out and books what only the lock may touch.
func (f *front) take(l *life) []todo {
	var list []todo
	for _, a := range f.out.List {
		t := todo{act: a, by: l}
		switch a.Kind {
		case flow.ActSend:
			t.att = l.slots[a.Slot].begin(&a)
			f.outs[a.Service][a.Ref]++
		case flow.ActTell:
			t.msg = f.out.Msgs[a.Arg]
		case flow.ActCancel:
			if q := l.slots[a.Slot]; q != nil && q.id == a.Req && int(a.N) < len(q.tries) && !q.tries[a.N].over {
				t.att = q.tries[a.N] // an attempt that is over may have an answer that is still to be read
			}
		case flow.ActClose:
			q := l.slots[a.Slot]
			l.slots[a.Slot] = nil
			t.end = &ended{q, q.close(policies.Outcome(a.Arg), int(a.N), f.last)}
		}
		list = append(list, t)
	}
	f.out.Reset()
	return list
}

// execute carries actions out, in order, outside the lock.
func (f *front) execute(list []todo) {
	for i := range list {
		t := &list[i]
		switch t.act.Kind {
		case flow.ActSend:
			if h := f.p.services[t.act.Service].inferred; h != nil {
				h.Accepted(t.act.Ref, t.act.Req)
			}
			f.p.work.Go(t.att.run)
		case flow.ActClose:
			f.p.stats.book(&t.end.rec)
			t.end.q.notify()
		case flow.ActCancel:
			if t.att != nil {
				t.att.cancel()
			}
		case flow.ActProbe:
			f.probe(t)
		case flow.ActTell:
			f.tell(t.act, t.msg)
		case flow.ActWake:
			f.clock.Set(t.act.At, func() {
				f.news(t.by, func(l *life, now time.Duration) { l.fe.Woke(now, int(t.act.Service), t.act.Arg, &f.out) })
			})
		}
	}
}

// probe asks a backend for its load; of one that does not tell, the half that stands for
// it here knows. Silence is noticed by the front end's own timer.
func (f *front) probe(t *todo) {
	a := t.act
	m := f.p.member(int(a.Service), a.Ref)
	if m == nil {
		return
	}
	f.p.work.Go(func() {
		load, ok := f.p.probe(&a, m)
		if !ok {
			return
		}
		f.news(t.by, func(l *life, now time.Duration) {
			l.fe.Replied(now, int(a.Service), balance.ProbeID(a.Arg), a.Ref, load, &f.out)
		})
	})
}

func (p *Proxy) probe(a *flow.Action, m *member) (balance.Load, bool) {
	load, ok := m.agent.Probe(p.ctx)
	if h := p.services[a.Service].inferred; !ok && h != nil {
		return h.Load(a.Ref)
	}
	return load, ok
}

// tell carries a message to a replica half: one try, nobody waits for it.
func (f *front) tell(a flow.Action, m balance.Msg) {
	if h := f.p.services[a.Service].inferred; h != nil {
		h.Heard(a.Ref, m)
		return
	}
	to := f.p.member(int(a.Service), a.Ref)
	if to == nil {
		return
	}
	f.p.work.Go(func() {
		e := wire.Envelope{Run: f.p.name, Service: f.p.services[a.Service].name, From: wire.Peer{N: uint32(f.index)}.String(),
			To: wire.Peer{Replica: true, N: a.Ref.ID}.String(), Msgs: []balance.Msg{m}}
		if to.agent.Tell(f.p.ctx, e) != nil {
			f.p.stats.lost.Add(1)
		}
	})
}

// arrive hands a request over.
func (f *front) arrive(q *request, view *policies.Request) {
	f.input(q, func(l *life, now time.Duration) {
		view.ID = f.p.ids.Add(1) - 1
		q.id = view.ID
		// The slot is not known before Arrive returns, and take needs it.
		q.slot = l.fe.Arrive(now, view, &f.out)
		for int(q.slot) >= len(l.slots) {
			l.slots = append(l.slots, nil)
		}
		l.slots[q.slot] = q
		q.open = true
	})
}

// gone tells that a request's client has left, or that its time has passed.
func (f *front) gone(q *request, class policies.Outcome) {
	f.input(q, func(l *life, now time.Duration) { f.leave(l, q, class, now) })
}

// leave is Gone, at most once; the lock is held.
func (f *front) leave(l *life, q *request, class policies.Outcome, now time.Duration) {
	if !q.open || q.gone {
		return
	}
	q.gone = true
	l.fe.Gone(now, q.slot, class, &f.out)
}

// claim gives the client to the first attempt with a good answer; the others are
// cancelled. It is false where the client has been given away or is gone.
func (f *front) claim(a *attempt) (ok bool) {
	q := a.q
	var losers []*attempt
	f.input(q, func(l *life, now time.Duration) {
		if ok = q.open && !q.gone && q.claimed == nil; !ok {
			return
		}
		q.claimed = a
		for _, t := range q.tries {
			if t != a && !t.over {
				losers = append(losers, t)
			}
		}
		if l.fe.Subscribed(int(a.service))&balance.WantFirstByte != 0 {
			l.fe.FirstByte(now, q.slot, a.n, &f.out)
		}
	})
	for _, t := range losers {
		t.cancel()
	}
	return ok
}

// ended tells how an attempt went, once. A failure that nobody may cure, because the
// client has seen a part of the answer or the body is gone, is told as the client's end
// first: then no policy tries again.
func (f *front) ended(a *attempt, res wire.Result) {
	q := a.q
	last := false
	f.input(q, func(l *life, now time.Duration) {
		if !q.open || a.over {
			return
		}
		a.res, a.over = res, true
		q.out--
		last = f.left(a)
		if res.Outcome != policies.OK && (q.claimed == a || q.claimed == nil && a.n == 0 && !q.whole.Load()) {
			f.leave(l, q, res.Outcome, now)
		}
		l.fe.Ended(now, &flow.End{Slot: q.slot, N: a.n, Outcome: res.Outcome, Told: res.Told, Load: res.Load, ServerTime: res.ServerTime}, &f.out)
	})
	if last {
		f.removed(int(a.service), a.ref)
	}
	if h := f.p.services[a.service].inferred; h != nil {
		h.Finished(a.ref, q.id)
	}
	for _, m := range res.Messages { // said after the attempt: else a report of idleness would seem to be older
		f.heard(int(a.service), policies.Ref{ID: a.ref.ID, Inc: m.Inc}, m)
	}
}

// left uncounts an attempt; it tells whether it was the last at a draining replica.
func (f *front) left(a *attempt) bool {
	outs := f.outs[a.service]
	if n := outs[a.ref]; n > 1 {
		outs[a.ref] = n - 1
		return false
	}
	delete(outs, a.ref)
	return f.drain[a.service][a.ref]
}

// heard hands a replica's message to the front end.
func (f *front) heard(service int, from policies.Ref, m balance.Msg) {
	f.p.stats.heard.Add(1)
	f.news(nil, func(l *life, now time.Duration) { l.fe.Heard(now, service, from, m, &f.out) })
}
