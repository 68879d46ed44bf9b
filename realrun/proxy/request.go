package proxy

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"taillab/policies"
	"taillab/policies/flow"
	"taillab/realrun/wire"
)

// request is one request of a client, from its header to its answer.
type request struct {
	f       *front
	rules   *rules
	in      *http.Request
	body    body
	what    fields
	service int
	tenant  uint32
	class   string

	arrived  time.Duration // the header was read
	deadline time.Duration // since the proxy began; 0 = none
	whole    atomic.Bool   // the body is kept: there may be further attempts
	ready    chan struct{} // closed once the body may be sent on
	wake     chan struct{} // something below has changed

	// under the front end's lock
	id      uint64
	life    *life // that has it
	slot    uint32
	tries   []*attempt
	out     int
	open    bool
	gone    bool
	waits   bool // parked
	since   time.Duration
	claimed *attempt // its answer goes to the client
	held    *attempt // failed with a status that may go to the client
	closed  bool
	outcome policies.Outcome
	policy  time.Duration
}

// notify wakes the handler.
func (q *request) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// begin makes an attempt; the lock is held.
func (q *request) begin(act *flow.Action) *attempt {
	a := &attempt{q: q, n: act.N, service: act.Service, ref: act.Ref, sent: q.f.last}
	if q.deadline > 0 {
		a.ctx, a.cancel = context.WithDeadline(q.f.p.ctx, q.f.p.base.Add(q.deadline))
	} else {
		a.ctx, a.cancel = context.WithCancel(q.f.p.ctx)
	}
	q.tries = append(q.tries, a)
	q.out++
	q.stay(false)
	return a
}

// park notes whether the request waits inside the front end; the lock is held.
func (q *request) park(now time.Duration) {
	if !q.open || q.out > 0 {
		return
	}
	q.since = now
	q.stay(true)
}

func (q *request) stay(parked bool) {
	if q.waits == parked {
		return
	}
	q.waits = parked
	if parked {
		q.f.parked.Add(1)
	} else {
		q.f.parked.Add(-1)
	}
}

// close ends the request and makes its record; the lock is held.
func (q *request) close(class policies.Outcome, n int, now time.Duration) record {
	q.stay(false)
	q.open, q.closed, q.outcome = false, true, class
	r := record{service: q.service, class: q.class, tenant: q.tenant, outcome: class, id: q.id, arrived: q.arrived,
		latency: max(0, now-q.arrived), policy: q.policy, attempts: len(q.tries)}
	if n < len(q.tries) {
		a := q.tries[n]
		r.replica, r.sent = int(a.ref.ID)+1, max(a.sent, a.res.Sent)
		if class == policies.OK && a.res.Done > 0 {
			r.latency = max(0, a.res.Done-q.arrived)
		}
	}
	return r
}

// attempt is one send of a request.
type attempt struct {
	q       *request
	n       uint8
	service uint16
	ref     policies.Ref
	sent    time.Duration
	ctx     context.Context
	cancel  context.CancelFunc
	answer  *wire.Answer // of a claimed or held attempt: the handler's to read and to end

	over bool // under the lock
	res  wire.Result
}

// run sends the request and waits for the header of the answer.
func (a *attempt) run() {
	q := a.q
	select {
	case <-q.ready:
	case <-a.ctx.Done():
		a.give(policies.Cancelled)
		return
	}
	m := q.f.p.member(int(a.service), a.ref)
	switch {
	case m == nil:
		a.give(policies.Refused)
		return
	case a.ctx.Err() != nil, a.n > 0 && !q.whole.Load(): // gone, or its body is: only the first attempt could have it
		a.give(policies.Cancelled)
		return
	}
	src, size := q.body.open()
	ans := m.forward.Forward(a.ctx, &wire.Passed{Method: q.in.Method, URL: q.in.URL, Host: q.in.Host, Header: q.rules.request(q.in),
		Body: src, Length: size, FrontEnd: q.f.index})
	switch {
	case ans.Failed():
		a.finish(ans)
	case ans.Result().Outcome != policies.OK:
		a.hold(ans)
	default:
		a.answer = ans
		if !q.f.claim(a) {
			a.finish(ans)
		}
	}
}

// give ends an attempt that was not sent.
func (a *attempt) give(class policies.Outcome) {
	if a.ctx.Err() == context.DeadlineExceeded {
		class = policies.DeadlineHit
	}
	a.cancel()
	a.q.f.ended(a, wire.Result{Outcome: class, Sent: -1, FirstByte: -1, FirstToken: -1, LastToken: -1, Done: a.q.f.p.now()})
}

// finish ends an attempt whose answer nobody reads any more.
func (a *attempt) finish(ans *wire.Answer) {
	res := ans.End()
	a.cancel()
	a.q.f.ended(a, res)
}

// hold keeps an answer with a failing status: if the policy makes no further attempt,
// the client gets it as it is. The attempt ends with its header.
func (a *attempt) hold(ans *wire.Answer) {
	q := a.q
	a.answer = ans
	res := ans.Result()
	res.Done = q.f.p.now()
	f := q.f
	var old *attempt
	kept := false
	f.mu.Lock()
	if kept = q.open && !q.gone && q.claimed == nil && !f.down; kept {
		q.held, old = a, q.held
	}
	f.mu.Unlock()
	if !kept {
		a.finish(ans)
		return
	}
	f.ended(a, res)
	old.discard()
}

// discard gives a held answer up.
func (a *attempt) discard() {
	if a == nil {
		return
	}
	a.answer.Drop()
	a.answer.End()
	a.cancel()
}
