package quota

import (
	"time"

	"taillab/policies"
)

// Leaky spaces requests evenly and denies none: each gets the next permit, one per
// period, and waits for it. After a pause up to slack permits may be caught up at once.
// The semantics are those of uber-go/ratelimit v0.3.1. Each front end has its own.
type Leaky struct {
	Rate  *float64 `yaml:"rate" about:"permits per second, one per unit; not given: the group's" above:"0" max:"1e9"`
	Slack int      `yaml:"slack" about:"permits that may be caught up after a pause" min:"0" max:"1e6"`

	groups perGroup[permits]
}

// permits is the permits of one group.
type permits struct {
	issued bool
	last   time.Duration // of the last permit; may be ahead
	queue  queue
}

// next is the time of the permit of a request that comes now; per is how long its units
// take.
func (p *permits) next(now, per, slack time.Duration) time.Duration {
	at := p.last + per
	switch {
	case !p.issued, slack == 0 && now-p.last > per:
		at = now
	case slack > 0 && now-p.last > per+slack:
		at = now - slack
	}
	return at
}

// Admit implements Limiter.
func (p *Leaky) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	rate := env.Groups[req.Group].Rate
	if p.Rate != nil {
		rate = *p.Rate
	}
	g := p.groups.of(env, req.Group)
	per := time.Duration(float64(time.Second) / rate)
	g.last = g.next(env.Now, time.Duration(float64(per)*cost), time.Duration(p.Slack)*per)
	g.issued = true
	if g.last <= env.Now {
		return Verdict{Outcome: Admitted}
	}
	g.queue.push(waitingFor(req, cost))
	env.Wake(g.last, uint64(req.Group))
	return Verdict{Outcome: Pending}
}

// Observe implements Limiter. Permits are spent when they are issued: what a request
// used does not matter.
func (p *Leaky) Observe(env *Env, ev *Event) {
	if ev.Kind == Woke {
		env.Resolve(p.groups.of(env, uint32(ev.Token)).queue.pop().id, Verdict{Outcome: Admitted})
	}
}
