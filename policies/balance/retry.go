package balance

import (
	"math/bits"
	"time"

	"taillab/policies"
)

// Retry sends a request once more when its last attempt has failed in a way that
// another replica may cure: after a back-off with full jitter, to a replica that has
// not been tried yet, within a budget. Once a first byte has come it does nothing:
// the client may have seen it.
type Retry struct {
	Inner      `yaml:"inner" about:"the balancer that picks, for retries too"`
	On         []string      `yaml:"on" about:"outcomes of an attempt that are tried again" enum:"queue_full|too_long|refused|reset|lost|deadline|http_429|http_503|http_5xx|http_4xx|grpc|dial_timeout|dns|tls|header_timeout|stall|short_read|malformed"`
	Max        int           `yaml:"max" about:"attempts per request, the first one counted" min:"1" max:"5"`
	Budget     float64       `yaml:"budget" about:"retries per first attempt, saved up to 10" min:"0" max:"10"`
	Backoff    time.Duration `yaml:"backoff" about:"longest wait before the first retry; it doubles with each further one" min:"0"`
	BackoffCap time.Duration `yaml:"backoff_cap" about:"what the longest wait never exceeds" min:"0"`

	open   requests[retried]
	tokens budget
	on     uint64 // by outcome; bit 0 (OK): it was read
	stats  struct{ retries, broke uint64 }
}

// retried is what is kept of a request that has attempts out or waits for its next.
type retried struct {
	out     uint8 // attempts not ended
	retries uint8
	cleared uint8 // attempts made before the excluded replicas were cleared
	won     bool  // an attempt has answered
	byte1   bool  // a first byte has come
	waiting bool  // for the end of its back-off
	picking bool  // the balancer inside has answered Later
}

// newRetry is the prototype.
func newRetry() *Retry {
	return &Retry{Inner: Around("random", &Random{}), Max: 2, Budget: .1, Backoff: 25 * time.Millisecond, BackoffCap: time.Second,
		On: []string{"refused", "dial_timeout", "reset", "queue_full", "http_429", "http_503"}}
}

// Rank implements Decorator.
func (*Retry) Rank() int { return rankRetry }

// Wants implements Wanter.
func (p *Retry) Wants() Mask {
	return p.Inner.Wants() | WantAttempts | WantFirstByte | WantWoke | WantGone | WantRequests
}

// curable tells whether another attempt may help.
func (p *Retry) curable(o policies.Outcome) bool {
	if p.on == 0 {
		p.on = 1
		for o, name := range policies.OutcomeNames() {
			for _, on := range p.On {
				if on == name && o > 0 {
					p.on |= 1 << o
				}
			}
		}
	}
	return o != policies.OK && p.on>>o&1 != 0
}

// Sent implements Attempts.
func (p *Retry) Sent(env *Env, a Attempt) {
	e := p.open.put(a.Req)
	e.out++
	if a.N == 0 {
		p.tokens.earn(p.Budget)
	}
	p.Inner.Sent(env, a)
}

// FirstByte implements FirstByter.
func (p *Retry) FirstByte(env *Env, a Attempt) {
	if e := p.open.get(a.Req); e != nil {
		e.byte1 = true
	}
	p.Inner.FirstByte(env, a)
}

// Ended implements Attempts: after the last attempt, the request waits for its
// retry or is forgotten.
func (p *Retry) Ended(env *Env, d Done) {
	p.Inner.Ended(env, d)
	e := p.open.get(d.Req)
	if e == nil {
		return
	}
	e.out--
	e.won = e.won || d.Outcome == policies.OK
	if e.out > 0 {
		return
	}
	if e.won || e.byte1 || int(e.retries)+1 >= p.Max || !p.curable(d.Outcome) {
		p.open.del(d.Req)
		return
	}
	wait := p.wait(env, int(e.retries))
	req := env.Request(d.Req)
	if req == nil || req.Deadline > 0 && env.Now+wait >= req.Deadline {
		p.open.del(d.Req)
		return
	}
	if !p.tokens.spend() {
		p.stats.broke++
		p.open.del(d.Req)
		return
	}
	e.retries++
	e.waiting = true
	env.Retry(d.Req, Later())
	env.Wake(env.Now+wait, d.Req)
}

// wait draws the back-off before retry k, from 0: uniform up to backoff × 2^k, capped.
func (p *Retry) wait(env *Env, k int) time.Duration {
	most := p.BackoffCap
	if p.Backoff <= most>>k {
		most = p.Backoff << k
	}
	if most <= 0 {
		return 0
	}
	hi, _ := bits.Mul64(env.Rand.Uint64(), uint64(most)+1)
	return time.Duration(hi)
}

// Woke implements Waker: a back-off is over.
func (p *Retry) Woke(env *Env, id uint64) {
	e := p.open.get(id)
	if e == nil || !e.waiting {
		return
	}
	e.waiting = false
	req := env.Request(id)
	if req == nil { // closed in the meantime: its client has left
		p.open.del(id)
		return
	}
	p.stats.retries++
	p.settle(env, req, p.again(env, req))
}

// again picks for a retry. When nothing is left outside the replicas that were
// tried, those are cleared: a lone replica is tried again.
func (p *Retry) again(env *Env, req *policies.Request) Choice {
	tried := p.Excluded(env, req)
	if len(tried) > 0 {
		if f := env.Fleet.Without(tried); f.Len() > 0 {
			if c := p.Bal.Pick(p.With(env, f), req); c.Kind() != KindNone {
				return c
			}
		}
		p.clear(env, req)
	}
	return p.Bal.Pick(p.With(env, env.Fleet), req)
}

func (p *Retry) clear(env *Env, req *policies.Request) {
	if e := p.open.get(req.ID); e != nil {
		e.cleared = uint8(len(env.Exclude(req)))
	}
}

// settle carries the choice of a retry out.
func (p *Retry) settle(env *Env, req *policies.Request, c Choice) {
	switch c.Kind() {
	case KindLater:
		p.open.put(req.ID).picking = true
		return
	case KindTo:
		p.open.put(req.ID).picking = false
	default:
		p.open.del(req.ID)
	}
	env.Resolve(req.ID, c)
}

// Resolved implements Resolver: the balancer inside has decided later.
func (p *Retry) Resolved(env *Env, id uint64, c Choice) {
	e := p.open.get(id)
	if e == nil || !e.picking {
		env.Resolve(id, c)
		return
	}
	req := env.Request(id)
	if c.Kind() == KindNone && req != nil && len(p.Excluded(env, req)) > 0 {
		p.clear(env, req)
		c = p.Bal.Pick(p.With(env, env.Fleet), req)
	}
	if req == nil {
		p.open.del(id)
		env.Resolve(id, c)
		return
	}
	p.settle(env, req, c)
}

// Excluded implements Excluder: the replicas tried since they were last cleared.
func (p *Retry) Excluded(env *Env, req *policies.Request) []policies.Ref {
	tried := env.Exclude(req)
	if e := p.open.get(req.ID); e != nil {
		return tried[min(int(e.cleared), len(tried)):]
	}
	return tried
}

// Gone implements Leaver: a client has left while its request waited here, or for
// the balancer inside.
func (p *Retry) Gone(env *Env, id uint64) {
	e := p.open.get(id)
	waiting := e != nil && e.waiting
	p.open.del(id)
	if waiting {
		env.Resolve(id, None()) // ignored: it tells the flow core that nothing more will come
		return
	}
	p.Inner.Gone(env, id)
}

// Stats implements Counted.
func (p *Retry) Stats(s *Stats) {
	s.Count("retries", p.stats.retries)
	s.Count("retries-over-budget", p.stats.broke)
	p.Inner.Stats(s)
}
