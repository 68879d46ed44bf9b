package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/wire"
)

// front is one front end behind its lock: inputs go in under it, actions are copied
// out and executed after it, so that nothing blocks while a policy decides.
type front struct {
	p     *Proxy
	index int
	clock *alarms

	inside atomic.Int64 // requests, from their header to their answer
	parked atomic.Int64

	mu    sync.Mutex
	fe    *flow.FrontEnd
	tape  *flow.Tape
	taped []byte // the tape at its limit; nil before
	last  time.Duration
	out   flow.Actions
	slots []*request
	down  bool
	outs  []map[policies.Ref]int // by service: attempts under way
	drain []map[policies.Ref]bool
}

// todo is an action taken out of the lock.
type todo struct {
	act flow.Action
	msg balance.Msg
	att *attempt
	end *ended
}

// ended is a closed request.
type ended struct {
	q   *request
	rec record
}

// input runs one input under the lock and executes what it asked for. The time under
// the lock counts as the policy's for request q, which may be nil.
func (f *front) input(q *request, do func(now time.Duration)) {
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	f.last = max(f.last, f.p.now())
	began := f.last
	guarded(do, f.last)
	f.trim()
	spent := f.p.now() - began
	if q != nil {
		q.policy += spent
	}
	list := f.take()
	if q != nil {
		q.park(f.last)
	}
	f.mu.Unlock()
	f.execute(list)
	if q != nil {
		q.notify()
	}
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

// trim ends the tape at its limit: what follows is forgotten.
func (f *front) trim() {
	if f.tape == nil {
		return
	}
	if f.taped == nil && int64(len(f.tape.Bytes())) >= f.p.tapeLimit {
		f.taped = slices.Clone(f.tape.Bytes())
		f.p.noteTape(f.index)
	}
	if f.taped != nil {
		f.tape.Drop()
	}
}

// take copies the actions out and books what only the lock may touch.
func (f *front) take() []todo {
	var list []todo
	for _, a := range f.out.List {
		t := todo{act: a}
		switch a.Kind {
		case flow.ActSend:
			t.att = f.slots[a.Slot].begin(&a)
			f.outs[a.Service][a.Ref]++
		case flow.ActTell:
			t.msg = f.out.Msgs[a.Arg]
		case flow.ActCancel:
			if q := f.slots[a.Slot]; q != nil && q.id == a.Req && int(a.N) < len(q.tries) && !q.tries[a.N].over {
				t.att = q.tries[a.N] // an attempt that is over may have an answer that is still to be read
			}
		case flow.ActClose:
			q := f.slots[a.Slot]
			f.slots[a.Slot] = nil
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
			f.p.work.Go(t.att.run)
		case flow.ActClose:
			f.p.stats.book(&t.end.rec)
			t.end.q.notify()
		case flow.ActCancel:
			if t.att != nil {
				t.att.cancel()
			}
		case flow.ActProbe:
			f.probe(t.act)
		case flow.ActTell:
			f.tell(t.act, t.msg)
		case flow.ActWake:
			a := t.act
			f.clock.set(a.At, func() {
				f.input(nil, func(now time.Duration) { f.fe.Woke(now, int(a.Service), a.Arg, &f.out) })
			})
		}
	}
}

// probe asks a backend for its load. Silence is noticed by the front end's own timer.
func (f *front) probe(a flow.Action) {
	m := f.p.member(int(a.Service), a.Ref)
	if m == nil {
		return
	}
	f.p.work.Go(func() {
		load, ok := m.agent.Probe(f.p.ctx)
		if !ok {
			return
		}
		f.input(nil, func(now time.Duration) {
			f.fe.Replied(now, int(a.Service), balance.ProbeID(a.Arg), a.Ref, load, &f.out)
		})
	})
}

// tell carries a message to a replica half: one try, nobody waits for it.
func (f *front) tell(a flow.Action, m balance.Msg) {
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
	f.input(q, func(now time.Duration) {
		view.ID = f.p.ids.Add(1) - 1
		q.id = view.ID
		// The slot is not known before Arrive returns, and take needs it.
		q.slot = f.fe.Arrive(now, view, &f.out)
		for int(q.slot) >= len(f.slots) {
			f.slots = append(f.slots, nil)
		}
		f.slots[q.slot] = q
		q.open = true
	})
}

// gone tells that a request's client has left, or that its time has passed.
func (f *front) gone(q *request, class policies.Outcome) {
	f.input(q, func(now time.Duration) { f.leave(q, class, now) })
}

// leave is Gone, at most once; the lock is held.
func (f *front) leave(q *request, class policies.Outcome, now time.Duration) {
	if !q.open || q.gone {
		return
	}
	q.gone = true
	f.fe.Gone(now, q.slot, class, &f.out)
}

// claim gives the client to the first attempt with a good answer; the others are
// cancelled. It is false where the client has been given away or is gone.
func (f *front) claim(a *attempt) (ok bool) {
	q := a.q
	var losers []*attempt
	f.input(q, func(now time.Duration) {
		if ok = q.open && !q.gone && q.claimed == nil; !ok {
			return
		}
		q.claimed = a
		for _, t := range q.tries {
			if t != a && !t.over {
				losers = append(losers, t)
			}
		}
		if f.fe.Subscribed(int(a.service))&balance.WantFirstByte != 0 {
			f.fe.FirstByte(now, q.slot, a.n, &f.out)
		}
	})
	for _, t := range losers {
		t.cancel()
	}
	return ok
}

// ended tells how an attempt went. A failure that nobody may cure, because the client
// has seen a part of the answer or the body is gone, is told as the client's end
// first: then no policy tries again.
func (f *front) ended(a *attempt, res wire.Result) {
	q := a.q
	f.input(q, func(now time.Duration) {
		if !q.open || a.over {
			return
		}
		a.res, a.over = res, true
		q.out--
		f.left(a)
		for _, m := range res.Messages {
			f.fe.Heard(now, int(a.service), policies.Ref{ID: a.ref.ID, Inc: m.Inc}, m, &f.out)
			f.p.stats.heard.Add(1)
		}
		if res.Outcome != policies.OK && (q.claimed == a || q.claimed == nil && a.n == 0 && !q.whole.Load()) {
			f.leave(q, res.Outcome, now)
		}
		f.fe.Ended(now, &flow.End{Slot: q.slot, N: a.n, Outcome: res.Outcome, Told: res.Told, Load: res.Load, ServerTime: res.ServerTime}, &f.out)
		f.removed(int(a.service), a.ref, now)
	})
}

// left uncounts an attempt.
func (f *front) left(a *attempt) {
	if n := f.outs[a.service][a.ref]; n > 1 {
		f.outs[a.service][a.ref] = n - 1
		return
	}
	delete(f.outs[a.service], a.ref)
}

// heard hands a replica's message to the front end.
func (f *front) heard(service int, from policies.Ref, m balance.Msg) {
	f.p.stats.heard.Add(1)
	f.input(nil, func(now time.Duration) { f.fe.Heard(now, service, from, m, &f.out) })
}

// member tells of a change of membership. A draining replica is removed once the last
// attempt at it has ended.
func (f *front) member(service int, c balance.Change) {
	f.input(nil, func(now time.Duration) {
		f.fe.Membership(now, service, c, &f.out)
		if c.Kind == balance.ChangeDraining {
			f.drain[service][c.Ref] = true
			f.removed(service, c.Ref, now)
		}
	})
}

// removed removes a draining replica that has nothing left to do.
func (f *front) removed(service int, ref policies.Ref, now time.Duration) {
	if !f.drain[service][ref] || f.outs[service][ref] > 0 {
		return
	}
	delete(f.drain[service], ref)
	f.fe.Membership(now, service, balance.Change{Kind: balance.ChangeRemoved, Ref: ref}, &f.out)
}

// start begins the front end's run: the spare numbers of the table are nobody's yet.
func (f *front) start() {
	f.input(nil, func(now time.Duration) {
		f.fe.Start(now, &f.out)
		for i, s := range f.p.services {
			for id := s.first; id < s.table.N; id++ {
				f.fe.Membership(now, i, balance.Change{Kind: balance.ChangeRemoved, Ref: policies.Ref{ID: uint32(id)}}, &f.out)
			}
		}
	})
}

// stop closes what is still open as unfinished; no input does anything any more.
func (f *front) stop() {
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	f.last = max(f.last, f.p.now())
	f.down = true
	var open []ended
	for i, q := range f.slots {
		if q != nil {
			f.slots[i] = nil
			open = append(open, ended{q, q.close(policies.Unfinished, len(q.tries), f.last)})
		}
	}
	f.mu.Unlock()
	for i := range open {
		f.p.stats.book(&open[i].rec)
		open[i].q.notify()
	}
	f.clock.end()
}
