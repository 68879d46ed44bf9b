package balance

import (
	"time"

	"taillab/policies"
)

// askTimeout is how long a joining replica waits for answers where that is not a
// parameter (our choice).
const askTimeout = 10 * time.Millisecond

// JIQAmnesia is join-idle-queue with soft-state membership, after a published talk
// on WeChat's dispatching (DataFun 2023; whom to tell, the law of retention and the
// fallback are reconstructed by us). Each dispatcher keeps an idle-queue and a
// table of the replicas that have sent it a heartbeat of late; who is silent for
// long is gradually forgotten, so no registry is needed.
type JIQAmnesia struct {
	Heartbeat        time.Duration `yaml:"heartbeat" about:"time between the heartbeats of a replica (H)" above:"0"`
	Jitter           float64       `yaml:"jitter" about:"random share by which the time between heartbeats varies" min:"0" max:"0.5"`
	Report           string        `yaml:"report" about:"join an idle-queue on becoming idle (edge), on a heartbeat while idle (periodic), or either" enum:"both|edge|periodic"`
	Membership       string        `yaml:"membership" about:"may a replica stand in several idle-queues?" enum:"single|multi"`
	InsertChoices    int           `yaml:"insert_choices" about:"dispatchers asked for the length of their idle-queue; 1 = no asking" min:"1" max:"32"`
	AskTimeout       time.Duration `yaml:"ask_timeout" about:"how long a joining replica waits for answers" above:"0"`
	DispatcherSample string        `yaml:"dispatcher_sample" about:"may a dispatcher be asked twice?" enum:"distinct|replacement"`
	IdleWhen         string        `yaml:"idle_when" about:"what idle means; default slot_free where there are several slots, else empty" enum:"|empty|slot_free"`
	Pop              string        `yaml:"pop" about:"which entry of the idle-queue is taken" enum:"fifo|lifo"`
	Withdraw         bool          `yaml:"withdraw" about:"a replica hit elsewhere takes its entry back by one message"`
	Retention        string        `yaml:"retention" about:"weight of a replica by the age of its last heartbeat: halving (exp) or all or nothing (ttl)" enum:"exp|ttl"`
	HalfLife         time.Duration `yaml:"half_life" about:"age that halves the weight with retention: exp; 0 = 3 heartbeats" min:"0"`
	Cut              float64       `yaml:"cut" about:"half-lives after which a replica is forgotten with retention: exp" above:"0" max:"1000"`
	Forget           time.Duration `yaml:"forget" about:"age at which a replica is forgotten with retention: ttl; 0 = 5 heartbeats" min:"0"`
	EntryAge         time.Duration `yaml:"entry_age" about:"age at which an entry of the idle-queue is discarded; 0 = when the replica is forgotten" min:"0"`
	FallbackProbe    string        `yaml:"fallback_probe" about:"compare the two candidates by a probe, or by the last load heard" enum:"live|none"`
	HeartbeatTo      int           `yaml:"heartbeat_to" about:"dispatchers told per heartbeat" min:"1"`

	queue  idleQueue
	table  amnesia
	probes probing
	entry  time.Duration // EntryAge with its default
	lifo   bool
	live   bool
	ready  bool
	stats  struct{ idle, fallback, random, none, stale uint64 }
}

// Values of parameters.
const (
	reportEdge      = "edge"
	reportPeriodic  = "periodic"
	membershipMulti = "multi"
	retentionTTL    = "ttl"
	probeNone       = "none"
)

// read derives what depends on several parameters.
func (p *JIQAmnesia) read() {
	p.ready = true
	t := &p.table
	t.half = p.HalfLife
	if t.half == 0 {
		t.half = 3 * p.Heartbeat
	}
	t.ttl = p.Retention == retentionTTL
	switch {
	case !t.ttl:
		t.limit = time.Duration(p.Cut * float64(t.half))
	case p.Forget > 0:
		t.limit = p.Forget
	default:
		t.limit = 5 * p.Heartbeat
	}
	if p.entry = p.EntryAge; p.entry == 0 {
		p.entry = t.limit
	}
	p.lifo, p.live = p.Pop == popLIFO, p.FallbackProbe != probeNone
}

// Pick implements Balancer: rules 7 and 8.
func (p *JIQAmnesia) Pick(env *Env, req *policies.Request) Choice {
	if !p.ready {
		p.read()
	}
	if r, ok := p.pop(env); ok {
		p.stats.idle++
		return To(r)
	}
	f := env.Fleet
	if f.Len() == 0 {
		p.stats.none++
		return None()
	}
	a, ok := p.table.draw(env, none)
	if !ok { // nobody known: the list of discovery
		p.stats.random++
		return To(f.Ref(f.One(env.Rand)))
	}
	p.stats.fallback++
	b, ok := p.table.draw(env, a)
	switch {
	case !ok:
		return To(p.table.ref(a))
	case p.live:
		w := p.probes.open(req.ID)
		p.probes.add(w, p.table.ref(a))
		p.probes.add(w, p.table.ref(b))
		p.probes.ask(env, w, probeTimeout)
		return Later()
	}
	x, y := p.table.load(a), p.table.load(b)
	if y < x || (x == y && Below(env.Rand, 2) == 0) {
		a = b
	}
	return To(p.table.ref(a))
}

// pop takes the first entry of the idle-queue that is fresh, known and eligible.
func (p *JIQAmnesia) pop(env *Env) (policies.Ref, bool) {
	for {
		r, at, ok := p.queue.pop(p.lifo)
		if !ok {
			return r, false
		}
		if env.Now-at <= p.entry && env.Fleet.Index(r) >= 0 && p.table.knows(r) && !p.table.stale(env.Now, r.ID) {
			return r, true
		}
		p.stats.stale++
	}
}

// Wants implements Wanter.
func (p *JIQAmnesia) Wants() Mask { return WantAttempts | WantHeard | WantProbes | WantMembers }

// Heard implements Listener: rules 5 and 6. The flow core has dropped what is old.
func (p *JIQAmnesia) Heard(env *Env, from policies.Ref, m Msg) {
	if !p.ready {
		p.read()
	}
	if m.Kind == MsgAsk {
		env.Tell(from, Msg{Kind: MsgAnswer, Seq: m.Seq, A: int64(p.queue.n)})
		return
	}
	p.table.hear(env, from, m)
	switch m.Kind {
	case MsgIdle:
		if !p.engaged(env, from) {
			p.queue.insert(env, from)
		}
	case MsgBusy, MsgWithdraw:
		p.queue.remove(from.ID)
	}
}

// engaged tells whether own attempts are out that a heartbeat has crossed: what it
// says of being idle is not so any more.
func (p *JIQAmnesia) engaged(env *Env, r policies.Ref) bool {
	i := env.Fleet.Index(r)
	if i < 0 {
		return false
	}
	need := 1
	if slots := env.Fleet.Slots(i); idleBySlot(p.IdleWhen, slots) {
		need = slots
	}
	return env.Fleet.Outstanding(i) >= need
}

// Sent implements Attempts: whoever gets work leaves the own idle-queue.
func (p *JIQAmnesia) Sent(_ *Env, a Attempt) {
	p.queue.remove(a.Ref.ID)
	p.table.sent(a.Ref)
}

// Ended implements Attempts.
func (p *JIQAmnesia) Ended(env *Env, d Done) { p.table.ended(env.Now, d) }

// Changed implements Members.
func (p *JIQAmnesia) Changed(_ *Env, c *Change) {
	switch {
	case c.Kind == ChangeRemoved:
		p.queue.forget(c.Ref.ID, c.Ref.Inc)
		p.table.erase(c.Ref.ID, c.Ref.Inc)
	case c.Kind == ChangeAdded && c.Ref.Inc > 0:
		p.queue.forget(c.Ref.ID, c.Ref.Inc-1)
		p.table.erase(c.Ref.ID, c.Ref.Inc-1)
	}
}

// Replied implements Prober.
func (p *JIQAmnesia) Replied(env *Env, r Reply) {
	p.decide(env, p.probes.answer(r.Probe, r.Load, true))
}

// Lost implements Prober.
func (p *JIQAmnesia) Lost(env *Env, id ProbeID) { p.decide(env, p.probes.answer(id, Load{}, false)) }

// Board implements Prober; the policy asks for none.
func (p *JIQAmnesia) Board(*Env, []BoardRow) {}

// decide draws between equal loads: a sample by weight is not in random order.
func (p *JIQAmnesia) decide(env *Env, w *waiting) {
	if w != nil {
		w.resolve(env, env.Rand)
	}
}

// Stats implements Counted.
func (p *JIQAmnesia) Stats(s *Stats) {
	s.Path("idle-queue", p.stats.idle)
	s.Path("fallback", p.stats.fallback)
	s.Path("random", p.stats.random)
	s.Path("none", p.stats.none)
	s.Count("stale entries", p.stats.stale)
	s.Count("forgotten", p.table.forgotten)
}
