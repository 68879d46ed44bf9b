package quota

import (
	"taillab/policies"
	"taillab/policies/share"
)

// GCRA is the generic cell rate algorithm (ITU-T I.371) in each front end by itself:
// with T the time per unit and tau = burst·T, a request of n units may go when the
// theoretical arrival time after it, max(TAT, now) + n·T, is at most now + tau.
type GCRA struct {
	Rate  *float64 `yaml:"rate" about:"units per second; not given: the group's" above:"0" max:"1e9"`
	Burst *float64 `yaml:"burst" about:"units that may come at once; not given: the group's, else 1" min:"1" max:"1e9"`

	own local
}

// Share implements Sharing.
func (p *GCRA) Share(divider func() share.Divider) { p.own.divider = divider }

// Admit implements Limiter.
func (p *GCRA) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	return p.bank(env, req.Group).verdict(env.Now, req.Tenant, cost)
}

func (p *GCRA) bank(env *Env, group uint32) *bank {
	return p.own.bank(env, group, func(g *Group) *bank {
		rate, burst := limit(g, p.Rate, p.Burst, 0)
		return newBank(g, rate, burst, true, p.own.divider)
	})
}

// Observe implements Limiter.
func (p *GCRA) Observe(env *Env, ev *Event) {
	if ev.Kind == Settled && ev.Charged != ev.Actual {
		p.bank(env, ev.Group).give(env.Now, ev.Tenant, ev.Charged-ev.Actual)
	}
}
