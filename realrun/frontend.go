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
	timers *timers

	mu   sync.Mutex
	fe   *flow.FrontEnd
	tape *flow.Tape
	gen  uint32
	down bool
	last time.Duration // Now never goes back
	out  flow.Actions
	reqs []pending // by slot
	dice []*chance.Dice

	started bool
	early   []said
}

// pending is an open request.
type pending struct {
	req      workloads.Request
	open     bool
	measured bool
	z, u     float64 // noise, drawn at arrival as in the simulator
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
	call   *wire.Call
	cancel context.CancelFunc
	ctx    context.Context
	record *reports.Record
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
		}
		list = append(list, t)
	}
	f.out.Reset()
	return list
}

// begin prepares an attempt.
func (f *front) begin(t *todo) {
	p := &f.reqs[t.act.Slot]
	r := &p.req
	t.call = &wire.Call{ID: r.ID, FrontEnd: f.index, Attempt: int(t.act.N), Input: r.Input, Output: r.Output,
		Tenant: f.d.tenantNames[r.Tenant], Model: f.d.modelName(r.Model), Demand: r.Demand, Noise: f.d.factor(r.Service, t.act.Ref.ID, p.z, p.u), Truth: f.d.emulated}
	parent := f.d.ctx
	if r.Deadline > 0 {
		t.ctx, t.cancel = context.WithDeadline(parent, f.d.clock.base.Add(f.d.clock.zero+r.Deadline))
	} else {
		t.ctx, t.cancel = context.WithCancel(parent)
	}
	p.tries = append(p.tries, attempt{ref: t.act.Ref, sent: f.last, cancel: t.cancel})
}

// end makes the record of a closed request.
func (f *front) end(t *todo) {
	p := &f.reqs[t.act.Slot]
	p.open = false
	if p.measured {
		r := f.record(p, policies.Outcome(t.act.Arg), int(t.act.N))
		t.record = &r
		f.d.open.Add(-1)
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
			if t.record != nil {
				f.d.book(t.record)
			}
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
			f.timers.set(a.At, func() {
				f.input(func(now time.Duration) {
					if f.gen == gen {
						f.fe.Woke(now, int(a.Service), a.Arg, &f.out)
					}
				})
			})
		}
	}
}

// arrive hands a request of the schedule over.
func (f *front) arrive(r *workloads.Request, z, u float64, measured bool) {
	if measured {
		f.d.open.Add(1)
	}
	f.input(func(now time.Duration) {
		view := policies.Request{ID: r.ID, Key: r.Key, Arrived: r.At, Deadline: r.Deadline, Service: r.Service,
			Tenant: r.Tenant, Group: r.Group, Model: r.Model, Input: r.Input, Class: r.Class, Priority: r.Priority}
		slot := f.fe.Arrive(now, &view, &f.out)
		for int(slot) >= len(f.reqs) {
			f.reqs = append(f.reqs, pending{})
		}
		p := &f.reqs[slot]
		*p = pending{req: *r, z: z, u: u, open: true, measured: measured, tries: p.tries[:0]}
	})
}

// ended tells the front end how an attempt went.
func (f *front) ended(gen uint32, slot uint32, n uint8, req uint64, res wire.Result) {
	f.input(func(now time.Duration) {
		p := &f.reqs[slot]
		if f.gen != gen || p.req.ID != req || int(n) >= len(p.tries) {
			return // the front end was replaced meanwhile
		}
		a := &p.tries[n]
		a.res, a.over = res, true
		f.fe.Ended(now, flow.End{Slot: slot, N: n, Outcome: res.Outcome, Told: res.Told, Load: res.Load, ServerTime: res.ServerTime}, &f.out)
	})
}

// firstByte tells the front end that an answer has begun.
func (f *front) firstByte(gen uint32, slot uint32, n uint8, req uint64) {
	f.input(func(now time.Duration) {
		if p := &f.reqs[slot]; f.gen == gen && p.open && p.req.ID == req {
			f.fe.FirstByte(now, slot, n, &f.out)
		}
	})
}

// stop closes what is still open at the drain cap.
func (f *front) stop() []reports.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = max(f.last, f.d.clock.now())
	var out []reports.Record
	for i := range f.reqs {
		p := &f.reqs[i]
		if !p.open {
			continue
		}
		p.open = false
		class := policies.Unfinished
		if len(p.tries) == 0 && f.fe.Stuck(uint32(i)) {
			class = policies.Stuck
		}
		if p.measured {
			f.d.open.Add(-1)
			out = append(out, f.record(p, class, len(p.tries)))
		}
	}
	f.down = true
	return out
}

func (f *front) String() string { return fmt.Sprintf("front end %d", f.index) }
