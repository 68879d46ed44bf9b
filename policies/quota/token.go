package quota

import (
	"taillab/policies"
	"taillab/policies/share"
)

// Token is a token bucket in each front end by itself: units come at a rate up to a
// burst, and a request takes its cost. Several front ends admit several limits.
type Token struct {
	Rate  *float64 `yaml:"rate" about:"units per second; not given: the group's" above:"0" max:"1e9"`
	Burst *float64 `yaml:"burst" about:"units that can be there; not given: the group's, else one second of the rate" min:"1" max:"1e9"`

	own local
}

// Share implements Sharing.
func (p *Token) Share(divider func() share.Divider) { p.own.divider = divider }

// Admit implements Limiter.
func (p *Token) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	return p.bank(env, req.Group).verdict(env.Now, req.Tenant, cost)
}

func (p *Token) bank(env *Env, group uint32) *bank {
	return p.own.bank(env, group, func(g *Group) *bank {
		rate, burst := limit(g, p.Rate, p.Burst, 1)
		return newBank(g, rate, burst, false, p.own.divider)
	})
}

// limit is a limiter's own rate and burst, where given, else the group's; the burst
// then is the group's, or so many seconds of the rate.
func limit(g *Group, rate, burst *float64, seconds float64) (float64, float64) {
	r, b := g.Rate, g.Burst
	if rate != nil {
		r, b = *rate, *rate*seconds
	}
	if burst != nil {
		b = *burst
	}
	return r, b
}

// Observe implements Limiter.
func (p *Token) Observe(env *Env, ev *Event) {
	if ev.Kind == Settled && ev.Charged != ev.Actual {
		p.bank(env, ev.Group).give(env.Now, ev.Tenant, ev.Charged-ev.Actual)
	}
}
