package flow

import (
	"fmt"
	"math"
	"time"

	"taillab/policies"
	"taillab/policies/chance"
	"taillab/policies/quota"
)

// QuotaStage stands for a service in Woke and in ActWake where the quota stage is meant.
const QuotaStage = math.MaxUint16

// CostKind says what a request is charged.
type CostKind uint8

// The kinds of cost, in units. Used is what the request turned out to take.
const (
	CostConstant    CostKind = iota // Cost.Units; used: the same
	CostInput                       // input tokens; used: the same
	CostInputAndMax                 // input and the bound on output tokens; used: input and output tokens
	CostEstimate                    // what requests of its tenant and class have used lately; used: as above
)

// Cost says what requests are charged.
type Cost struct {
	Kind      CostKind
	Units     float64  // CostConstant
	MaxTokens []uint32 // by class: the bound where a request names none
	Classes   int      // how many classes there are, ≥ 1
}

// DeniedKind says what becomes of a denied request.
type DeniedKind uint8

// The ways: it ends, waits in its group's line, or asks again on its own.
const (
	DeniedDrop DeniedKind = iota
	DeniedWait
	DeniedRetry
)

// OnDenied says what becomes of a denied request.
type OnDenied struct {
	Kind    DeniedKind
	Max     int           // DeniedRetry: how often it asks again
	Backoff time.Duration // DeniedRetry: doubled each time, and spread by U(0.5, 1)
	WaitMax time.Duration // DeniedWait: how long it may wait in all
}

// Quota configures the quota stage of a front end.
type Quota struct {
	Limiter  quota.Limiter // this front end's own instance
	Dice     *chance.Dice  // stream quota/<frontend>
	Groups   []quota.Group
	Loss     quota.LossMode
	Cost     Cost
	OnDenied OnDenied
}

// halfLife of the estimate of cost, in requests.
const halfLife = 100

// soonest is when a denied request is asked again where its limiter does not know.
const soonest = time.Millisecond

// kinds of wakes that the quota stage asks for itself, in bits 48…55 of the token.
const (
	wakeLine  uint64 = (iota + 16) << 48 // the head of a group's line is asked again
	wakeRetry                            // a request is asked again
	wakeTired                            // a request has waited for WaitMax
)

// quotaStage is the first stage of a front end. It implements quota.Host.
type quotaStage struct {
	fe      *FrontEnd
	cfg     Quota
	env     *quota.Env
	asks    ids // asks out, by number: the slot in outs
	outs    []asked
	free    []uint32
	lastAsk uint32
	wakes   int // of the limiter, out
	sent    uint64
	lines   []line             // by group
	left    map[uint64]booking // requests that left while pending
	usage   []float64          // CostEstimate, by tenant and class; NaN = none yet
	agenda  []due              // what waits until the limiter's call at hand has returned
	busy    bool               // the limiter is being called, or the agenda worked off
	ev      quota.Event
}

type asked struct {
	group uint32
	req   uint64
}

// line is where the denied requests of a group wait.
type line struct {
	fifo
	waking bool // a wakeLine is out
	asking bool // the head's decision is out
}

// booking is what was asked for a request that is no longer here.
type booking struct {
	cost          float64
	group, tenant uint32
}

// due is a verdict to carry out or a settlement to tell.
type due struct {
	settled bool
	req     uint64
	verdict quota.Verdict
	ev      quota.Event
}

func newQuotaStage(f *FrontEnd, c Quota) *quotaStage {
	q := &quotaStage{fe: f, cfg: c, lines: make([]line, len(c.Groups)), left: map[uint64]booking{}}
	q.env = quota.NewEnv(newRand(c.Dice), q, f.index, f.cfg.Count, c.Groups, c.Loss)
	return q
}

func (q *quotaStage) at() *quota.Env {
	q.env.Now = q.fe.now
	return q.env
}

// admit is the first decision about a request, unless others of its group wait.
func (q *quotaStage) admit(i uint32) {
	r := &q.fe.of(i).req
	if q.cfg.OnDenied.Kind == DeniedWait && q.lines[r.Group].n > 0 {
		q.wait(i, r)
		return
	}
	q.decide(i)
	q.work()
}

// decide asks the limiter.
func (q *quotaStage) decide(i uint32) {
	f := q.fe
	st, r := &f.stages[i], &f.of(i).req
	st.cost, st.asked, st.phase = q.price(r), f.now, phaseResolved
	if st.asks < math.MaxUint8 {
		st.asks++
	}
	was := q.busy
	q.busy = true
	v := q.cfg.Limiter.Admit(q.at(), r, st.cost)
	q.busy = was
	if v.Outcome == quota.Pending {
		f.stages[i].phase = phasePending
		return
	}
	q.agenda = append(q.agenda, due{req: r.ID, verdict: v})
}

// observe tells the limiter of an event.
func (q *quotaStage) observe(ev quota.Event) {
	was := q.busy
	q.busy, q.ev = true, ev
	q.cfg.Limiter.Observe(q.at(), &q.ev)
	q.busy = was
}

// work carries out what was decided. The limiter is never called while it is being
// called: what a verdict brings about waits here.
func (q *quotaStage) work() {
	if q.busy {
		return
	}
	q.busy = true
	for k := 0; k < len(q.agenda); k++ {
		d := q.agenda[k]
		if d.settled {
			q.observe(d.ev)
		} else if i, ok := q.fe.ids.get(d.req); ok {
			q.carry(i, d.verdict)
		}
	}
	q.agenda, q.busy = q.agenda[:0], false
}

// carry carries a verdict out.
func (q *quotaStage) carry(i uint32, v quota.Verdict) {
	f := q.fe
	st, s, r := &f.stages[i], &f.slots[i], &f.of(i).req
	group := r.Group
	f.out.List = append(f.out.List, Action{Kind: ActDecided, N: st.asks, Service: s.service, Slot: i, Req: s.req,
		At: f.now - st.asked, Arg: uint64(v.Outcome)})
	if v.Outcome == quota.Denied {
		q.denied(i, r, v.RetryIn)
		return
	}
	q.served(group, s.req)
	if v.Outcome == quota.Admitted {
		st.charged, st.booked = st.cost, true
		f.move(i, phasePast)
		f.enter(i, &f.services[s.service])
	} else {
		f.close(i, policies.Rejected)
	}
	q.next(group)
}

// abandon remembers a request that leaves while its decision is out: what is granted
// to it goes back.
func (q *quotaStage) abandon(i uint32) {
	r := &q.fe.of(i).req
	q.left[r.ID] = booking{q.fe.stages[i].cost, r.Group, r.Tenant}
	q.served(r.Group, r.ID)
}

// price is the cost of a request, in units.
func (q *quotaStage) price(r *policies.Request) float64 {
	c := &q.cfg.Cost
	switch c.Kind {
	case CostConstant:
		return c.Units
	case CostInput:
		return float64(r.Input)
	case CostEstimate:
		if u := q.estimate(r); !math.IsNaN(*u) {
			return *u
		}
	}
	bound := r.MaxTokens
	if bound == 0 && int(r.Class) < len(c.MaxTokens) {
		bound = c.MaxTokens[r.Class]
	}
	return float64(r.Input) + float64(bound)
}

// estimate is the cell that holds what requests like r have used lately.
func (q *quotaStage) estimate(r *policies.Request) *float64 {
	at := int(r.Tenant)*q.cfg.Cost.Classes + int(r.Class)
	for at >= len(q.usage) {
		q.usage = append(q.usage, math.NaN())
	}
	return &q.usage[at]
}

// settle tells the limiter what a closing request has used.
func (q *quotaStage) settle(i uint32, class policies.Outcome) {
	f := q.fe
	st, r := &f.stages[i], &f.of(i).req
	if !st.booked {
		return
	}
	st.booked = false
	if f.slots[i].tries > 0 {
		switch q.cfg.Cost.Kind {
		case CostConstant, CostInput:
			st.actual = st.charged
		default:
			st.actual = float64(r.Input) + float64(st.output)
		}
		if q.cfg.Cost.Kind == CostEstimate {
			u := q.estimate(r)
			if math.IsNaN(*u) {
				*u = st.actual
			} else {
				*u += (st.actual - *u) * -math.Expm1(-math.Ln2/halfLife)
			}
		}
	}
	q.agenda = append(q.agenda, due{settled: true, ev: quota.Event{Kind: quota.Settled, Outcome: class, Group: r.Group,
		Tenant: r.Tenant, Req: r.ID, Charged: st.charged, Actual: st.actual}})
	q.work()
}

func (q *quotaStage) wake(at time.Duration, token uint64) {
	q.fe.out.List = append(q.fe.out.List, Action{Kind: ActWake, Service: QuotaStage, At: at, Arg: internal<<56 | token})
}

// WakeAt implements policies.Waker.
func (q *quotaStage) WakeAt(at time.Duration, _ uint8, token uint64) {
	q.wakes++
	q.fe.out.List = append(q.fe.out.List, Action{Kind: ActWake, Service: QuotaStage, At: at, Arg: token})
}

func (q *quotaStage) woke(token uint64) {
	if token>>56 != internal {
		q.wakes--
		q.observe(quota.Event{Kind: quota.Woke, Token: token})
		q.work()
		return
	}
	arg, f := token&(1<<48-1), q.fe
	kind := token & wakeKinds
	if kind == wakeLine {
		q.lines[arg].waking = false
		q.next(uint32(arg))
		q.work()
		return
	}
	i, ok := f.ids.get(arg)
	switch {
	case !ok:
	case kind == wakeRetry && f.stages[i].phase == phaseRetry:
		q.decide(i)
	case kind == wakeTired && f.stages[i].phase == phaseWaiting:
		group := f.of(i).req.Group
		q.served(group, arg)
		f.close(i, policies.Rejected)
		q.next(group)
	}
	q.work()
}

// Ask implements quota.Host.
func (q *quotaStage) Ask(group uint32, a quota.Ask) quota.AskID {
	q.lastAsk++
	id := q.lastAsk
	q.sent++
	if a.Kind.Answered() {
		q.sent++
		var k uint32
		if n := len(q.free); n > 0 {
			k, q.free = q.free[n-1], q.free[:n-1]
		} else {
			k = uint32(len(q.outs))
			q.outs = append(q.outs, asked{})
		}
		q.outs[k] = asked{group, a.Req}
		q.asks.put(uint64(id), k)
	}
	out := q.fe.out
	out.Asks = append(out.Asks, a)
	out.List = append(out.List, Action{Kind: ActAsk, Slot: group, Req: uint64(id), Arg: uint64(len(out.Asks) - 1)})
	return quota.AskID(id)
}

// answered closes an ask; false when it was given up before.
func (q *quotaStage) answered(id quota.AskID) (asked, bool) {
	k, ok := q.asks.get(uint64(id))
	if !ok {
		return asked{}, false
	}
	q.asks.del(uint64(id))
	q.free = append(q.free, k)
	return q.outs[k], true
}

// Resolve implements quota.Host.
func (q *quotaStage) Resolve(req uint64, v quota.Verdict) {
	f := q.fe
	if v.Outcome == quota.Pending {
		q.bug(req, "resolved a request with Pending")
	}
	if b, left := q.left[req]; left { // its client has left: what it was granted goes back
		delete(q.left, req)
		if v.Outcome == quota.Admitted {
			q.agenda = append(q.agenda, due{settled: true, ev: quota.Event{Kind: quota.Settled, Outcome: policies.Cancelled,
				Group: b.group, Tenant: b.tenant, Req: req, Charged: b.cost}})
		}
		return
	}
	i, ok := f.ids.get(req)
	if !ok {
		q.bug(req, "resolved a request that is not open")
	}
	if f.stages[i].phase != phasePending {
		q.bug(req, "resolved a request that does not wait for it")
	}
	f.stages[i].phase = phaseResolved
	q.agenda = append(q.agenda, due{req: req, verdict: v})
}

// bug stops the run: a limiter broke its contract.
func (q *quotaStage) bug(req uint64, what string) {
	panic(fmt.Sprintf("flow: front end %d: the limiter %T %s (request %d, t=%v, tape record %d)",
		q.fe.index, q.cfg.Limiter, what, req, q.fe.now, q.fe.tape.position()))
}

// Granted tells the store's answer to an ask.
func (f *FrontEnd) Granted(now time.Duration, id quota.AskID, g quota.Grant, out *Actions) {
	f.begin(now, out, inGranted)
	if f.tape != nil {
		f.tape.granted(id, &g)
	}
	if a, ok := f.quota.answered(id); ok {
		f.quota.observe(quota.Event{Kind: quota.Granted, Ask: id, Group: a.group, Req: a.req, Grant: g})
		f.quota.work()
	}
	f.end()
}

// AskLost tells that an ask has got no answer in time.
func (f *FrontEnd) AskLost(now time.Duration, id quota.AskID, out *Actions) {
	f.begin(now, out, inAskLost)
	if f.tape != nil {
		f.tape.uints(uint64(id))
	}
	if a, ok := f.quota.answered(id); ok {
		f.quota.observe(quota.Event{Kind: quota.AskLost, Ask: id, Group: a.group, Req: a.req})
		f.quota.work()
	}
	f.end()
}
