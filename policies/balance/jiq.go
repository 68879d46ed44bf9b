package balance

import "taillab/policies"

// JIQ is join-idle-queue (Lu et al. 2011): a replica that becomes idle reports to
// one dispatcher, which keeps a queue of idle replicas and pops one per request.
// The load information costs nothing on the request's path; the tail is decided by
// what happens when the queue is empty. Entries do not expire: that is jiq-amnesia.
type JIQ struct {
	Reporting        string `yaml:"reporting" about:"report to a random dispatcher, or to the shortest idle-queue of a few" enum:"random|sq"`
	Choices          int    `yaml:"choices" about:"dispatchers asked per report with reporting: sq" min:"1" max:"32"`
	DispatcherSample string `yaml:"dispatcher_sample" about:"may a dispatcher be asked twice?" enum:"distinct|replacement"`
	Fallback         string `yaml:"fallback" about:"where a request goes when the idle-queue is empty" enum:"random|p2c"`
	FallbackLoad     string `yaml:"fallback_load" about:"load that fallback: p2c compares" enum:"outstanding|probed"`
	Pop              string `yaml:"pop" about:"which entry of the idle-queue is taken" enum:"fifo|lifo"`
	Withdraw         bool   `yaml:"withdraw" about:"a replica hit elsewhere takes its entry back by one message"`
	IdleWhen         string `yaml:"idle_when" about:"what idle means; default slot_free where there are several slots, else empty" enum:"|empty|slot_free"`

	queue  idleQueue
	probes probing
	stats  struct{ idle, random, p2c, probed, none, stale uint64 }
}

// Values of parameters.
const (
	reportingSQ = "sq"
	fallbackP2C = "p2c"
	popLIFO     = "lifo"
)

// Pick implements Balancer.
func (p *JIQ) Pick(env *Env, req *policies.Request) Choice {
	f := env.Fleet
	for {
		r, _, ok := p.queue.pop(p.Pop == popLIFO)
		if !ok {
			break
		}
		if f.Index(r) >= 0 {
			p.stats.idle++
			return To(r)
		}
		p.stats.stale++
	}
	switch {
	case f.Len() == 0:
		p.stats.none++
		return None()
	case p.Fallback != fallbackP2C:
		p.stats.random++
		return To(f.Ref(f.One(env.Rand)))
	case p.FallbackLoad != loadProbed || f.Len() == 1:
		p.stats.p2c++
		return To(f.Ref(f.LessLoaded(f.DistinctPair(env.Rand))))
	}
	p.stats.probed++
	i, j := f.DistinctPair(env.Rand)
	w := p.probes.open(req.ID)
	p.probes.add(w, f.Ref(i))
	p.probes.add(w, f.Ref(j))
	p.probes.ask(env, w, probeTimeout)
	return Later()
}

// Wants implements Wanter.
func (p *JIQ) Wants() Mask { return WantHeard | WantProbes | WantMembers }

// Heard implements Listener.
func (p *JIQ) Heard(env *Env, from policies.Ref, m Msg) {
	switch m.Kind {
	case MsgAsk:
		env.Tell(from, Msg{Kind: MsgAnswer, Seq: m.Seq, A: int64(p.queue.n)})
	case MsgIdle:
		p.queue.insert(env, from)
	case MsgWithdraw, MsgBusy:
		p.queue.forget(from.ID, from.Inc)
	}
}

// Changed implements Members: a replica that is gone or restarted leaves the queue.
func (p *JIQ) Changed(_ *Env, c *Change) {
	switch {
	case c.Kind == ChangeRemoved:
		p.queue.forget(c.Ref.ID, c.Ref.Inc)
	case c.Kind == ChangeAdded && c.Ref.Inc > 0:
		p.queue.forget(c.Ref.ID, c.Ref.Inc-1)
	}
}

// Replied implements Prober.
func (p *JIQ) Replied(env *Env, r Reply) { p.decide(env, p.probes.answer(r.Probe, r.Load, true)) }

// Lost implements Prober.
func (p *JIQ) Lost(env *Env, id ProbeID) { p.decide(env, p.probes.answer(id, Load{}, false)) }

// Board implements Prober; JIQ asks for none.
func (p *JIQ) Board(*Env, []BoardRow) {}

func (p *JIQ) decide(env *Env, w *waiting) {
	if w != nil {
		w.resolve(env, nil)
	}
}

// Stats implements Counted.
func (p *JIQ) Stats(s *Stats) {
	s.Path("idle-queue", p.stats.idle)
	s.Path("random", p.stats.random)
	s.Path("fallback", p.stats.p2c)
	s.Path("fallback-probed", p.stats.probed)
	s.Path("none", p.stats.none)
	s.Count("stale entries", p.stats.stale)
}

// Reporter implements Halved.
func (p *JIQ) Reporter() Reporter {
	k := 1
	if p.Reporting == reportingSQ {
		k = p.Choices
	}
	return &jiqReplica{idler{choices: k, replacement: p.DispatcherSample == sampleReplacement,
		timeout: askTimeout, withdraw: p.Withdraw, edge: true, when: p.IdleWhen}}
}

// jiqReplica is the replica half: it reports once at the start and whenever the
// replica becomes idle.
type jiqReplica struct{ idler }

// Report implements Reporter.
func (h *jiqReplica) Report(env *ReplicaEnv, ev ReplicaEvent) { h.event(env, &ev) }

// Wants implements ReplicaWants.
func (h *jiqReplica) Wants() ReplicaMask { return idlerWants }
