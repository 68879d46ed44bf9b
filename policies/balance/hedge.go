package balance

import (
	"time"

	"taillab/policies"
)

// Hedge sends a copy of a request to a different replica when no answer has come
// within a delay; the first answer wins. It cuts the tail that single slow replicas
// make, and burns capacity when all of them are slow: hence the budget.
//
// Requests of unequal cost are a trap: the delay singles out the dearest ones, and
// those are what is done twice.
type Hedge struct {
	Inner  `yaml:"inner" about:"the balancer that picks, for copies too"`
	Delay  string        `yaml:"delay" about:"how long to wait for an answer: a duration, or a percentile such as p95 of the last window's latencies"`
	Window time.Duration `yaml:"window" about:"time over which the percentile is taken" above:"0"`
	Max    int           `yaml:"max" about:"attempts per request, the first one counted" min:"1" max:"5"`
	Budget float64       `yaml:"budget" about:"copies per first attempt, saved up to 10" min:"0" max:"10"`
	Cancel string        `yaml:"cancel" about:"what happens to the attempts that lose: left alone, taken out of queues, or stopped even in service" enum:"none|queued|running"`

	open   requests[hedged]
	tokens budget
	recent recent
	fixed  time.Duration
	mode   CancelMode
	read   bool
	stats  struct{ hedges, won, broke uint64 }
}

// hedged is what is kept of a request that has attempts out.
type hedged struct {
	first   time.Duration // when the first attempt was sent
	due     time.Duration // of the wake that counts; 0 = none
	out     uint32        // attempts not ended, by number
	lead    uint8         // number of the first attempt
	sent    uint8
	ghosts  uint8 // choices that the balancer inside still owes, and nobody needs
	won     bool
	pending bool // the balancer inside has answered Later for a copy
}

// newHedge is the prototype.
func newHedge() *Hedge {
	return &Hedge{Inner: Around("random", &Random{}), Delay: "p95", Window: 10 * time.Second, Max: 2, Budget: .05, Cancel: "queued"}
}

// Rank implements Decorator.
func (*Hedge) Rank() int { return rankHedge }

// Wants implements Wanter.
func (p *Hedge) Wants() Mask {
	return p.Inner.Wants() | WantAttempts | WantWoke | WantGone | WantRequests
}

// Check implements policies.Checker.
func (p *Hedge) Check() []policies.Problem {
	if _, _, ok := hedgeDelay(p.Delay); ok {
		return nil
	}
	return []policies.Problem{{Path: "delay", Msg: "delay " + p.Delay + " is neither a duration above 0 nor a percentile between p1 and p99.9",
		Hint: "such as p95, or 50ms"}}
}

func (p *Hedge) configure() {
	p.read = true
	d, q, _ := hedgeDelay(p.Delay)
	p.fixed, p.recent.q, p.recent.window = d, q, p.Window
	switch p.Cancel {
	case "queued":
		p.mode = CancelQueued
	case "running":
		p.mode = CancelRunning
	}
}

// delay is how long a copy waits now; 0 while no latency is known.
func (p *Hedge) delay(now time.Duration) time.Duration {
	if p.fixed > 0 {
		return p.fixed
	}
	return p.recent.value(now)
}

// Sent implements Attempts.
func (p *Hedge) Sent(env *Env, a Attempt) {
	if !p.read {
		p.configure()
	}
	e := p.open.put(a.Req)
	first := e.out == 0
	if first { // a retry starts afresh
		*e = hedged{first: env.Now, lead: a.N, ghosts: e.ghosts}
	}
	e.out |= 1 << (a.N % 32)
	e.sent++
	if a.N == 0 {
		p.tokens.earn(p.Budget)
	}
	if int(e.sent) < p.Max {
		p.arm(env, a.Req, e)
	}
	p.Inner.Sent(env, a)
}

// arm asks for the wake at which the next copy is due.
func (p *Hedge) arm(env *Env, req uint64, e *hedged) {
	e.due = 0
	if d := p.delay(env.Now); d > 0 {
		e.due = env.Now + d
		env.Wake(e.due, req)
	}
}

// Woke implements Waker: a copy is due, unless the answer has come or the wake is of
// an earlier attempt.
func (p *Hedge) Woke(env *Env, id uint64) {
	e := p.open.get(id)
	if e == nil || e.due == 0 || env.Now < e.due || e.out == 0 || e.won || e.pending {
		return
	}
	e.due = 0
	if !p.tokens.has() {
		p.stats.broke++
		return
	}
	req := env.Request(id)
	if req == nil {
		return
	}
	f := env.Fleet.Without(env.Exclude(req))
	if f.Len() == 0 {
		return
	}
	switch c := p.Bal.Pick(p.With(env, f), req); c.Kind() {
	case KindTo:
		p.copy(env, id, c.Ref)
	case KindLater:
		p.open.put(id).pending = true
	}
}

func (p *Hedge) copy(env *Env, id uint64, r policies.Ref) {
	if p.tokens.spend() {
		p.stats.hedges++
		env.Hedge(id, r, p.mode)
	}
}

// Resolved implements Resolver: the balancer inside has decided later, for a first
// attempt, for a copy, or for a copy that nobody needs any more.
func (p *Hedge) Resolved(env *Env, id uint64, c Choice) {
	e := p.open.get(id)
	switch {
	case e != nil && e.ghosts > 0:
		e.ghosts--
		p.release(id, e)
	case e != nil && e.pending:
		e.pending = false
		if c.Kind() == KindTo && p.fresh(env, id, c.Ref) {
			p.copy(env, id, c.Ref)
		}
	default:
		env.Resolve(id, c)
	}
}

// fresh tells whether a copy may go to a replica: it is eligible and was not tried.
func (p *Hedge) fresh(env *Env, id uint64, r policies.Ref) bool {
	req := env.Request(id)
	if req == nil {
		return false
	}
	for _, t := range env.Exclude(req) {
		if t == r {
			return false
		}
	}
	return true
}

// Ended implements Attempts. The flow core cancels the attempts that lost.
func (p *Hedge) Ended(env *Env, d Done) {
	e := p.open.get(d.Req)
	leave := false
	if e != nil {
		e.out &^= 1 << (d.N % 32)
		if d.Outcome == policies.OK && !e.won {
			e.won = true
			if d.N != e.lead {
				p.stats.won++
			}
			p.recent.add(env.Now, env.Now-e.first)
		}
		if leave = e.pending && (e.won || e.out == 0); leave {
			e.pending = false
			e.ghosts++
		}
		p.release(d.Req, e)
	}
	p.Inner.Ended(env, d)
	if leave {
		p.Inner.Gone(env, d.Req)
	}
}

// release forgets a request of which nothing more is to come.
func (p *Hedge) release(req uint64, e *hedged) {
	if e.out == 0 && e.ghosts == 0 {
		p.open.del(req)
	}
}

// Stats implements Counted.
func (p *Hedge) Stats(s *Stats) {
	s.Count("hedges", p.stats.hedges)
	s.Count("hedges-won", p.stats.won)
	s.Count("hedges-over-budget", p.stats.broke)
	p.Inner.Stats(s)
}
