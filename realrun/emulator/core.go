package emulator

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/wire"
	"taillab/sim/gpu"
)

// core is one replica without clock, lock or socket: a pool of one, the replica
// half's wakes and messages, and the faults in force. Its owner tells the time,
// which never goes back, and comes again at next.
type core struct {
	id   uint32 // number of the replica in its service
	pool *gpu.Pool
	spec gpu.Spec
	due  gpu.Due
	ev   gpu.Events

	calls []*call  // by the number the pool knows
	free  []uint32 // numbers to use again

	pass   *passage      // in place of the model: requests go on to a backend; nil = they do not
	now    time.Duration // to which the core was advanced
	half   *half         // nil: the policy has no replica half
	link   *link         // of messages to front ends
	agenda agenda

	inc      uint32
	down     int
	frozen   int
	asleep   []uint64 // wakes that came while frozen
	slow     float64
	speed    float64
	fails    []failing
	mutes    []float64 // shares of messages dropped, one per fault
	late     time.Duration
	dice     rand.PCG // of faults' shares
	latency  float64  // ns, moving mean of the stay; 0 = none yet
	riding   *call    // the request whose Finished is being told
	kv       uint64   // tokens of the requests inside
	ended    []*call  // for the owner: over since it last looked
	posts    []report // for the owner: to be sent
	accepted uint64
	dropped  uint64 // messages lost by faults and the link
}

// call is one request inside a replica.
type call struct {
	id      uint32
	from    uint32 // front end
	replica uint32 // number of the replica
	named   bool   // the request said which front end it comes from
	stream  bool   // the reply's header leaves before its end: nothing can ride on it
	over    bool
	began   bool
	req     uint64
	tokens  uint64 // input + output
	output  uint32
	arrived time.Duration

	// Good once done is closed.
	outcome               policies.Outcome
	finished, first       time.Duration
	queue, batch, service time.Duration
	riders                []balance.Msg

	out  atomic.Uint32 // tokens that are out
	tick chan struct{} // of streams: out has grown
	done chan struct{} // closed when it is over
}

// report is a message on its way to a front end.
type report struct {
	to  uint32
	msg balance.Msg
}

// failing is a fault that hits a share of the requests.
type failing struct {
	kind  string
	share float64
	code  int
}

func newCore(id uint32, m *gpu.Model, speed float64, noise, dice rand.PCG) *core {
	c := &core{id: id, pool: gpu.NewPool(1, 64), spec: m.Spec(), due: gpu.Due{At: gpu.Never}, slow: 1, speed: speed, dice: dice}
	c.pool.WatchFirst = m.Streams()
	c.pool.Add(m, speed, noise)
	return c
}

// self is how policies call this replica.
func (c *core) self() policies.Ref { return policies.Ref{ID: c.id, Inc: c.inc} }

// load is what the replica says of itself: the room beside a running batch counts
// only where it could start at once.
func (c *core) load() balance.Load {
	if c.pass != nil {
		return c.pass.load(c.now, time.Duration(c.latency))
	}
	running, queued := c.pool.Load(0)
	room := c.pool.Free(0) * c.pool.Model(0).MaxBatch()
	return balance.Load{Running: int32(running), Queued: int32(queued), Slots: int32(running + room),
		KV: c.kvShare(), LatencyEst: time.Duration(c.latency)}
}

// kvShare is the tokens inside over what the slots could hold; 0 where the model
// has no bound.
func (c *core) kvShare() float32 {
	most := float64(c.spec.MaxModelLen) * float64(c.spec.Slots)
	if c.spec.Kind != gpu.Tokens || most == 0 {
		return 0
	}
	return float32(min(1, float64(c.kv)/most))
}

// accept hands a request in. It is over at once when the replica rejects it.
func (c *core) accept(now time.Duration, q *call, it gpu.Item) {
	q.replica, q.arrived, q.tokens = c.id, now, uint64(it.Input)+uint64(it.Output)
	if n := len(c.free); n > 0 {
		q.id, c.free = c.free[n-1], c.free[:n-1]
		c.calls[q.id] = q
	} else {
		q.id = uint32(len(c.calls))
		c.calls = append(c.calls, q)
	}
	it.ID = q.id
	c.accepted++
	c.kv += q.tokens
	c.due = c.pool.Accept(now, 0, &it, &c.ev)
	c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: q.from, Req: q.req})
	c.happened(now)
}

// cancel takes a request out whose client has left.
func (c *core) cancel(now time.Duration, q *call) {
	if q.over {
		return
	}
	c.due = c.pool.Cancel(now, 0, q.id, &c.ev)
	c.happened(now)
}

// next is the next instant at which advance has something to do.
func (c *core) next() time.Duration {
	t := c.due.At
	if len(c.agenda.list) > 0 {
		t = min(t, c.agenda.list[0].at)
	}
	return t
}

// advance does what is due until now, each at its own instant: completions, then
// messages, then timers.
func (c *core) advance(now time.Duration) {
	c.now = now
	for t := c.next(); t <= now; t = c.next() {
		switch {
		case c.due.At == t && !c.due.Timer:
			c.due = c.pool.Settle(t, 0, &c.ev)
			c.happened(t)
		case len(c.agenda.list) > 0 && c.agenda.list[0].at == t && (c.agenda.list[0].kind == entryPost || c.due.At > t):
			c.fire(t, c.agenda.pop())
		default:
			c.due = c.pool.Expire(t, 0, &c.ev)
			c.happened(t)
		}
	}
}

// fire carries out an entry of the agenda.
func (c *core) fire(now time.Duration, e entry) {
	switch e.kind {
	case entryPost:
		c.posts = append(c.posts, report{e.to, e.msg})
	case entryWake:
		switch {
		case c.down > 0 || c.inc != e.inc:
		case c.frozen > 0: // a frozen process wakes late
			c.asleep = append(c.asleep, e.token)
		default:
			c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: e.token})
		}
	case entryToken:
		c.token(now, e.call)
	}
}

// happened carries on what the pool reported.
func (c *core) happened(now time.Duration) {
	for i := range c.ev.List {
		e := &c.ev.List[i]
		q := c.calls[e.ID]
		switch e.Kind {
		case gpu.Began:
			q.began = true
			c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaBegan, From: q.from, Req: q.req})
		case gpu.FirstToken:
			if q.stream {
				c.token(now, q)
			}
		case gpu.Finished:
			q.first, q.queue, q.batch, q.service = e.First, e.Queue, e.Batch, e.Service
			c.learn(e.At - q.arrived)
			c.left(now, q, policies.OK)
		case gpu.Rejected:
			c.left(now, q, e.Outcome)
		}
	}
	c.ev.List = c.ev.List[:0]
}

// recent is the weight of one stay in the moving mean that /probe shows.
const recent = 0.1

func (c *core) learn(stay time.Duration) {
	if c.latency == 0 {
		c.latency = float64(stay)
		return
	}
	c.latency += recent * (float64(stay) - c.latency)
}

// left ends a request.
func (c *core) left(now time.Duration, q *call, class policies.Outcome) {
	q.over, q.outcome, q.finished = true, class, now
	c.calls[q.id] = nil
	c.free = append(c.free, q.id)
	c.kv -= q.tokens
	if c.down == 0 {
		c.riding = q
		c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaFinished, From: q.from, Req: q.req})
		c.riding = nil
	}
	c.ended = append(c.ended, q)
}

// tell tells the replica half what happened, and files what it asks for.
func (c *core) tell(now time.Duration, ev balance.ReplicaEvent) {
	if c.half == nil {
		return
	}
	c.half.event(now, c.self(), ev, c.load(), func(a *flow.Action, m balance.Msg) {
		if a.Kind == flow.ActReport {
			c.report(now, a.Slot, m)
			return
		}
		c.agenda.push(entry{at: max(a.At, now), kind: entryWake, inc: c.inc, token: a.Arg})
	})
}

// report sends a message to a front end. Where messages take no time, one that
// goes where the reply goes rides on it, as in the simulator.
func (c *core) report(now time.Duration, to uint32, m balance.Msg) {
	for _, share := range c.mutes {
		if c.roll(share) {
			c.dropped++
			return
		}
	}
	if q := c.riding; q != nil && q.named && q.from == to && !q.stream && c.late == 0 && c.link.direct() &&
		q.outcome != policies.Cancelled && len(q.riders) < wire.MaxMsgs {
		q.riders = append(q.riders, m)
		return
	}
	d, lost, double := c.link.send()
	if lost {
		c.dropped++
	} else {
		c.post(now, d, to, m)
	}
	if double >= 0 {
		c.post(now, double, to, m)
	}
}

func (c *core) post(now, delay time.Duration, to uint32, m balance.Msg) {
	if delay += c.late; delay <= 0 {
		c.posts = append(c.posts, report{to, m})
		return
	}
	c.agenda.push(entry{at: now + delay, kind: entryPost, to: to, msg: m})
}

// heard is a message of a front end.
func (c *core) heard(now time.Duration, from uint32, m balance.Msg) bool {
	if c.half == nil || c.down > 0 || c.frozen > 0 || m.Inc != c.inc {
		return false
	}
	c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaHeard, From: from, Msg: &m})
	return true
}

// start begins a life of the replica half.
func (c *core) start(now time.Duration) {
	c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
}

// stopping tells the replica half that the replica drains.
func (c *core) stopping(now time.Duration) {
	if c.down == 0 {
		c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaStopping})
	}
}

// token lets one more token of a stream out and files the next one. The pool knows
// only the first and the last instant; between them the pace is that of a step as
// the replica runs now, and the last token waits for the end.
func (c *core) token(now time.Duration, q *call) {
	if q.over || q.out.Load() >= max(q.output, 1)-1 && q.out.Load() > 0 {
		return
	}
	if c.frozen > 0 || c.down > 0 {
		c.agenda.push(entry{at: now + c.step(), kind: entryToken, call: q})
		return
	}
	if q.output > 1 {
		q.out.Add(1)
		c.agenda.push(entry{at: now + c.step(), kind: entryToken, call: q})
	}
	select {
	case q.tick <- struct{}{}:
	default:
	}
}

// finestStep bounds how often a stream is woken.
const finestStep = 200 * time.Microsecond

// step is the time of one step of the sequences that run now.
func (c *core) step() time.Duration {
	running, _ := c.pool.Load(0)
	s := &c.spec.Step
	ns := float64(s.Base) + float64(s.PerSeq)*float64(running) + float64(s.PerKV)*float64(c.kv)
	return max(finestStep, time.Duration(ns*c.slow/c.speed))
}
