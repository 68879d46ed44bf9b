package realrun

import (
	"context"
	"fmt"
	"sync"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/realrun/timers"
	"taillab/realrun/wire"
	"taillab/reports"
	"taillab/workloads"
)

// front is one front end of a live run: the pure flow.FrontEnd, its tape and its
// requests behind one mutex. Inputs go in under the lock; actions are copied out
// and executed after it, so nothing blocks while a policy decides.
type front struct {
	d      *drive
	index  int
	timers *timers.Timers

	mu   sync.Mutex
	fe   *flow.FrontEnd
	gen  uint32
	down bool          // crashed, or the run is over
	last time.Duration // Now never goes back
	out  flow.Actions
	reqs []pending // by slot
	dice []*chance.Dice
	past flow.Counters // of the generations before

	limiter quota.Limiter // nil without a quota
	limit   *chance.Dice  // its dice
	alone   uint64        // decisions without the store, of the generations before

	leaving map[leaver]bool

	started bool
	early   []said
	tapes   []taped // of all generations
}

// pending is an open request.
type pending struct {
	req      workloads.Request
	open     bool
	measured bool
	z, u     float64 // noise, drawn at arrival as in the simulator
	work     *work   // what its service's autoscaler knows of it; nil without one
	tries    []attempt
}

// attempt is one send of a request.
type attempt struct {
	ref    policies.Ref
	sent   time.Duration // handed over; the wire says when the first byte left
	res    wire.Result
	over   bool
	cancel context.CancelFunc
}

// todo is an action taken out of the lock, with what executing it needs.
type todo struct {
	act    flow.Action
	gen    uint32
	msg    balance.Msg
	ask    quota.Ask
	decide *reports.Decision
	settle *settlement
	call   *wire.Call
	cancel context.CancelFunc
	ctx    context.Context
	record *reports.Record
	visit  *visit     // of an elastic service
	judge  *judgement // where fleets change their size
	first  bool       // the policy wants to hear of the first byte
}

// input runs one input under the lock and executes what it asked for.
func (f *front) input(do func(now time.Duration)) {
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	f.last = max(f.last, f.d.clock.now(), 0)
	do(f.last)
	list := f.take()
	f.mu.Unlock()
	f.execute(list)
}

// take copies the actions out, booking what only the lock may touch.
func (f *front) take() []todo {
	var list []todo
	for _, a := range f.out.List {
		t := todo{act: a, gen: f.gen}
		switch a.Kind {
		case flow.ActSend:
			f.begin(&t)
		case flow.ActTell:
			t.msg = f.out.Msgs[a.Arg]
		case flow.ActCancel:
			if p := &f.reqs[a.Slot]; int(a.N) < len(p.tries) && !p.tries[a.N].over {
				t.cancel = p.tries[a.N].cancel
			}
		case flow.ActClose:
			f.end(&t)
		case flow.ActAsk:
			t.ask = f.out.Asks[a.Arg]
		case flow.ActDecided:
			x := f.decided(&a)
			t.decide = &x
		}
		list = append(list, t)
	}
	f.out.Reset()
	if n := len(f.tapes); n > 0 {
		f.d.spool.Trim(f.tapes[n-1].stream, f.tapes[n-1].tape)
	}
	return list
}

// begin prepares an attempt.
func (f *front) begin(t *todo) {
	p := &f.reqs[t.act.Slot]
	r := &p.req
	t.call = &wire.Call{ID: r.ID, FrontEnd: f.index, Attempt: int(t.act.N), Input: r.Input, Output: r.Output,
		Tenant: f.d.tenantNames[r.Tenant], Model: f.d.modelName(r.Model), Demand: r.Demand, Noise: f.d.factor(r.Service, t.act.Ref.ID, p.z, p.u), Truth: f.d.emulated}
	t.ctx, t.cancel = context.WithCancel(f.d.ctx)
	t.first = f.fe.Subscribed(int(t.act.Service))&balance.WantFirstByte != 0
	p.tries = append(p.tries, attempt{ref: t.act.Ref, sent: f.last, cancel: t.cancel})
	if p.work != nil {
		t.visit = f.d.services[r.Service].elastic.sent(t.act.Ref, p.work)
	}
}

// end makes the record of a closed request.
func (f *front) end(t *todo) {
	p := &f.reqs[t.act.Slot]
	p.open = false
	f.closed(p)
	if charged, actual := f.fe.Settlement(t.act.Slot); charged > 0 {
		t.settle = &settlement{f.last, p.req.Group, p.req.Tenant, charged, actual, p.measured}
	}
	if p.measured { // else it was given up before, or is not measured
		r := f.record(p, policies.Outcome(t.act.Arg), int(t.act.N))
		r.Steps.Quota, _ = f.fe.Waited(t.act.Slot)
		r.Steps.Held = max(0, r.Steps.Held-r.Steps.Quota)
		t.record, t.judge = &r, f.judge(p, &r, t.act.Slot)
		f.d.open.Add(-1)
	}
}

// closed tells the autoscaler of a request's service that it is over.
func (f *front) closed(p *pending) {
	if p.work != nil {
		f.d.services[p.req.Service].elastic.closed(p.work)
	}
}

func (f *front) record(p *pending, class policies.Outcome, n int) reports.Record {
	at := p.req.At
	r := reports.Record{Request: p.req.ID, Arrived: at, Latency: f.last - at, TTFT: -1, TPOT: -1, Replica: reports.NoReplica,
		Service: uint16(p.req.Service), Tenant: f.d.tenants[p.req.Tenant], Class: p.req.Class, Outcome: uint8(class), Attempt: uint8(len(p.tries))}
	if n >= len(p.tries) {
		return r
	}
	a := &p.tries[n]
	r.Replica = a.ref.ID
	if class != policies.OK {
		return r
	}
	sent := a.res.Sent
	if sent < a.sent {
		sent = a.sent
	}
	done := max(a.res.Done, sent)
	r.Latency = done - at
	r.Steps = reports.Steps{Held: sent - at, Service: done - sent}
	if t := a.res.Steps; t.Told && t.Queue+t.Batch+t.Service <= done-sent { // what the backend does not account for is the network's
		r.Steps.Queue, r.Steps.Batch, r.Steps.Service = t.Queue, t.Batch, t.Service
		r.Steps.Network = done - sent - t.Queue - t.Batch - t.Service
	}
	if a.res.FirstToken >= 0 && f.d.streaming {
		r.TTFT = a.res.FirstToken - at
		if a.res.Tokens > 1 && a.res.LastToken >= a.res.FirstToken {
			r.TPOT = (a.res.LastToken - a.res.FirstToken) / time.Duration(a.res.Tokens-1)
		}
	}
	return r
}

// execute carries actions out, in order, outside the lock.
func (f *front) execute(list []todo) {
	for i := range list {
		t := &list[i]
		switch t.act.Kind {
		case flow.ActSend:
			f.d.send(f, t)
		case flow.ActClose:
			if t.settle != nil {
				f.d.limits.settle(t.settle)
			}
			if t.record != nil {
				f.d.book(t.record)
			}
			if t.judge != nil {
				f.d.judged(t.judge)
			}
		case flow.ActAsk:
			f.d.ask(f, t)
		case flow.ActDecided:
			f.d.limits.tell(*t.decide)
		case flow.ActCancel:
			if t.cancel != nil {
				t.cancel()
			}
		case flow.ActProbe:
			f.d.probe(f, t)
		case flow.ActTell:
			f.d.tell(f, t)
		case flow.ActWake:
			a, gen := t.act, t.gen
			f.timers.Set(a.At, func() {
				f.input(func(now time.Duration) {
					if f.gen == gen {
						f.fe.Woke(now, int(a.Service), a.Arg, &f.out)
					}
				})
			})
		}
	}
}

// expire lets a request go at its deadline, wherever it is by then.
func (f *front) expire(gen, slot uint32, req uint64, at time.Duration) {
	f.timers.Set(at, func() {
		f.input(func(now time.Duration) {
			if p := f.open(gen, slot, req); p != nil {
				f.fe.Gone(now, slot, policies.DeadlineHit, &f.out)
			}
		})
	})
}

// open finds a request that has not closed; nil when it has, or was lost in a crash.
func (f *front) open(gen, slot uint32, req uint64) *pending {
	if f.gen != gen || int(slot) >= len(f.reqs) {
		return nil
	}
	if p := &f.reqs[slot]; p.open && p.req.ID == req {
		return p
	}
	return nil
}

// ended tells the front end how an attempt went.
func (f *front) ended(gen uint32, slot uint32, n uint8, req uint64, res wire.Result) {
	f.input(func(now time.Duration) {
		p := f.open(gen, slot, req)
		if p == nil || int(n) >= len(p.tries) {
			return // the front end was replaced meanwhile
		}
		a := &p.tries[n]
		a.res, a.over = res, true
		f.fe.Ended(now, &flow.End{Slot: slot, N: n, Outcome: res.Outcome, Told: res.Told, Output: uint32(max(0, res.Tokens)), Load: res.Load, ServerTime: res.ServerTime}, &f.out)
		f.drained(now, int(p.req.Service), a.ref)
	})
}

// firstByte tells the front end that an answer has begun.
func (f *front) firstByte(gen uint32, slot uint32, n uint8, req uint64) {
	f.input(func(now time.Duration) {
		if f.open(gen, slot, req) != nil {
			f.fe.FirstByte(now, slot, n, &f.out)
		}
	})
}

// change tells the front end of a membership change.
func (f *front) change(service int, c balance.Change) {
	f.input(func(now time.Duration) {
		if f.fe.Fleet(service) != nil {
			f.fe.Membership(now, service, c, &f.out)
		}
	})
}

// drop gives up a request without telling the policy; what comes of it later counts
// for nothing.
func (f *front) drop(p *pending, class policies.Outcome) []reports.Record {
	for i := range p.tries {
		if a := &p.tries[i]; !a.over && a.cancel != nil {
			a.cancel()
		}
	}
	f.closed(p)
	if !p.open || !p.measured {
		return nil
	}
	p.measured = false
	f.d.open.Add(-1)
	return []reports.Record{f.record(p, class, len(p.tries))}
}

// dropAll gives up what is open. Parked requests that nothing can decide any more are
// stuck where the class is Unfinished.
func (f *front) dropAll(class policies.Outcome) (out []reports.Record) {
	f.last = max(f.last, f.d.clock.now())
	for i := range f.reqs {
		p := &f.reqs[i]
		if !p.open {
			continue
		}
		as := class
		if as == policies.Unfinished && len(p.tries) == 0 && f.fe.Stuck(uint32(i)) {
			as = policies.Stuck
		}
		out = append(out, f.drop(p, as)...)
	}
	return out
}

// abandon gives up what is open at the end of a block; the front end goes on.
func (f *front) abandon() {
	f.mu.Lock()
	lost := f.dropAll(policies.Unfinished)
	f.mu.Unlock()
	f.d.bookAll(lost)
}

// stop closes what is still open at the drain cap. The front end hears nothing more.
func (f *front) stop() {
	f.mu.Lock()
	lost := f.dropAll(policies.Unfinished)
	f.down = true
	f.mu.Unlock()
	f.d.bookAll(lost)
}

// counters are the messages of all generations, and how many requests are open.
func (f *front) counters() (flow.Counters, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return f.past.Add(f.fe.Counters()), 0
	}
	return f.past.Add(f.fe.Counters()), f.fe.Open()
}

func (f *front) String() string { return fmt.Sprintf("front end %d", f.index) }
