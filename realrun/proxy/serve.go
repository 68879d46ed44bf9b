package proxy

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/cespare/xxhash/v2"

	"taillab/policies"
)

// ServeHTTP takes a request of a client and answers it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	arrived := p.now()
	if !p.enter() {
		refuse(w, http.StatusServiceUnavailable, policies.Unfinished.String(), "the proxy is stopping", 0)
		return
	}
	defer p.leave()
	if upgrades(in) {
		p.stats.unrouted.Add(1)
		refuse(w, http.StatusNotImplemented, "upgrade", "this proxy passes on no upgrade and no tunnel", 0)
		return
	}
	rules := p.rules.Load()
	route := rules.match(in)
	if route == nil {
		p.stats.unrouted.Add(1)
		refuse(w, http.StatusNotFound, "no_route", "no route of this proxy matches", 0)
		return
	}
	what, err := route.head(in)
	if err != nil {
		p.early(w, &request{service: route.service, tenant: maxTenants, arrived: arrived}, policies.Malformed, err.Error())
		return
	}
	p.handle(w, in, rules, route, what, arrived)
}

// early answers a request that ended before its front end met it.
func (p *Proxy) early(w http.ResponseWriter, q *request, class policies.Outcome, message string) {
	code := statusOf(class)
	if class == policies.Malformed {
		code = http.StatusBadRequest
	}
	p.stats.book(&record{service: q.service, class: q.class, tenant: q.tenant, outcome: class, id: p.ids.Add(1) - 1,
		arrived: q.arrived, latency: p.now() - q.arrived})
	refuse(w, code, class.String(), message, retryAfter(class))
}

// handle is the way of a request that has a route.
func (p *Proxy) handle(w http.ResponseWriter, in *http.Request, rules *rules, route *rule, what fields, arrived time.Duration) {
	key := what.session
	if key == "" {
		key = what.tenant
	}
	hash := xxhash.Sum64String(key)
	f := p.fronts[p.split.pick(hash)]
	q := &request{f: f, rules: rules, in: in, body: body{in: in}, what: what, service: route.service, arrived: arrived,
		tenant: p.tenants.id(what.tenant), class: p.classes.name(p.classes.id(what.class)), ready: make(chan struct{}), wake: make(chan struct{}, 1)}
	if what.deadline > 0 {
		q.deadline = arrived + what.deadline
	}
	defer f.inside.Add(-1)
	if f.inside.Add(1) > int64(rules.MaxInFlight) || f.parked.Load() >= int64(rules.Park.Max) {
		p.early(w, q, policies.Shed, "too many requests are under way")
		return
	}
	rc := http.NewResponseController(w)
	if route.body {
		if err := q.load(rc); err != nil {
			class := classOf(err)
			if p.stopping() && class == policies.Cancelled {
				class = policies.Unfinished
			}
			p.early(w, q, class, about(class))
			return
		}
		size := in.ContentLength
		if q.body.whole {
			size = int64(len(q.body.head))
		}
		q.what.read(route, q.body.head, max(size, int64(len(q.body.head))))
	}
	p.stats.defaults(q.what.defaulted)
	view := p.view(q, hash)
	f.arrive(q, &view)
	stop := context.AfterFunc(in.Context(), func() { f.gone(q, q.why()) })
	defer stop()
	if !route.body {
		if err := q.load(rc); err != nil {
			f.gone(q, classOf(err))
		}
	}
	close(q.ready)
	q.wait(w)
}

// view is what the front end sees of a request.
func (p *Proxy) view(q *request, key uint64) policies.Request {
	return policies.Request{Key: key, Arrived: q.arrived, Deadline: q.deadline, Service: uint32(q.service), Tenant: q.tenant,
		Model: p.models.id(q.what.model), Input: q.what.input, MaxTokens: q.what.maxOutput, Class: uint16(p.classes.id(q.what.class))}
}

// until is when the request is given up, whatever it waits for.
func (q *request) until() time.Duration {
	if q.deadline > 0 {
		return q.deadline
	}
	return q.arrived + q.f.p.services[q.service].total()
}

// why tells why the request's context has ended: a body that is not there in time ends
// it as a client that leaves does.
func (q *request) why() policies.Outcome {
	if q.f.p.now() >= q.until() {
		return policies.DeadlineHit
	}
	return policies.Cancelled
}

// load reads the body, as long as the request may take at most.
func (q *request) load(rc *http.ResponseController) error {
	if q.in.ContentLength == 0 {
		q.body.whole = true
		q.whole.Store(true)
		return nil
	}
	timed := rc.SetReadDeadline(q.f.p.base.Add(q.until())) == nil
	err := q.body.load(q.rules.Buffer)
	q.whole.Store(q.body.whole)
	if timed && q.body.whole { // else it bounds the rest of the body, too
		_ = rc.SetReadDeadline(time.Time{}) // it worked before
	}
	return err
}

// wait sees the request to its end: it watches the clock, and answers the client once
// there is something to answer.
func (q *request) wait(w http.ResponseWriter) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		q.f.mu.Lock()
		claimed, held, closed, gone, waits, since := q.claimed, q.held, q.closed, q.gone, q.waits, q.since
		q.f.mu.Unlock()
		switch {
		case claimed != nil:
			held.discard()
			q.pass(w, claimed)
			return
		case closed:
			q.conclude(w, held)
			return
		}
		at, class := q.deadline, policies.DeadlineHit
		if park := since + q.rules.Park.Timeout; waits && (at == 0 || park < at) {
			at, class = park, policies.HoldTimeout
		}
		var due <-chan time.Time
		if at > 0 && !gone {
			timer.Reset(at - q.f.p.now())
			due = timer.C
		}
		select {
		case <-q.wake:
		case <-due:
			q.late(class)
		}
	}
}

// late ends a request whose time has passed. It may have been sent just now: then only
// the deadline counts.
func (q *request) late(class policies.Outcome) {
	q.f.input(q, func(l *life, now time.Duration) {
		if class == policies.HoldTimeout && (!q.waits || now < q.since+q.rules.Park.Timeout) {
			return
		}
		q.f.leave(l, q, class, now)
	})
}

// conclude answers a closed request that no attempt has the client of.
func (q *request) conclude(w http.ResponseWriter, held *attempt) {
	q.f.mu.Lock()
	class := q.outcome
	q.f.mu.Unlock()
	if held != nil && held.res.Outcome == class {
		if q.copy(w, held) != nil {
			held.answer.End()
			held.cancel()
			panic(http.ErrAbortHandler)
		}
		held.answer.End()
		held.cancel()
		return
	}
	held.discard()
	if class == policies.Cancelled { // nobody listens
		panic(http.ErrAbortHandler)
	}
	refuse(w, statusOf(class), class.String(), about(class), retryAfter(class))
}

// pass gives the answer of an attempt to the client. What breaks it breaks the
// client's stream in the same way.
func (q *request) pass(w http.ResponseWriter, a *attempt) {
	err := q.copy(w, a)
	if err != nil && a.ctx.Err() == nil && err == errClient {
		q.f.gone(q, policies.Cancelled)
	}
	res := a.answer.End()
	if err != nil && res.Outcome == policies.OK { // the client left before the last byte
		res.Outcome = policies.Cancelled
	}
	a.cancel()
	q.f.ended(a, res)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// errClient is a client that takes no more bytes.
var errClient = clientError{}

type clientError struct{}

func (clientError) Error() string { return "the client takes no more bytes" }

// copy copies an answer to the client, flushed per read.
func (q *request) copy(w http.ResponseWriter, a *attempt) error {
	ans := a.answer
	h := w.Header()
	for name, values := range q.rules.answer(ans.Header) { // into a map: no order
		h[name] = values
	}
	announced := len(ans.Trailer())
	for name := range ans.Trailer() {
		h.Add("Trailer", name)
	}
	w.WriteHeader(ans.Result().Status)
	rc := http.NewResponseController(w)
	if ans.Length < 0 && rc.Flush() != nil { // a stream: its header is news of its own
		return errClient
	}
	// A client that takes nothing must not outlive the attempt's time.
	stop := context.AfterFunc(a.ctx, func() { _ = rc.SetWriteDeadline(time.Now()) })
	defer stop()
	buf, _ := q.f.p.bufs.Get().(*[]byte)
	defer q.f.p.bufs.Put(buf)
	left := ans.Length
	for {
		n, err := ans.Read(*buf)
		if n > 0 {
			if _, failed := w.Write((*buf)[:n]); failed != nil {
				return errClient
			}
			left -= int64(n)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if ans.Length < 0 || left > 0 { // the last bytes leave with the end of the answer
			if rc.Flush() != nil {
				return errClient
			}
		}
	}
	for name, values := range ans.Trailer() {
		key := name
		if announced != len(ans.Trailer()) {
			key = http.TrailerPrefix + name
		}
		h[key] = values
	}
	return nil
}
