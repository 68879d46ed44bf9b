package quota

import (
	"taillab/policies"
	"taillab/policies/share"
)

// Static gives each of n front ends 1/n of the limit, once and for all: nobody asks
// anybody, and a front end with more than its part of the requests denies while
// another has units left.
type Static struct {
	Burst *float64 `yaml:"burst" about:"burst of one front end in units; not given: 1/n of the group's, at least 1" min:"1" max:"1e9"`

	own   local
	slots slotsOf
}

// Share implements Sharing.
func (p *Static) Share(divider func() share.Divider) {
	p.own.divider, p.slots.divider = divider, divider
}

// Admit implements Limiter.
func (p *Static) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	if env.Groups[req.Group].Units > 0 {
		return p.holds(env, req.Group).admit(env.Now, req, cost, poll)
	}
	return p.bank(env, req.Group).verdict(env.Now, req.Tenant, cost)
}

func (p *Static) bank(env *Env, group uint32) *bank {
	if p.Burst == nil {
		return p.own.part(env, group)
	}
	return p.own.bank(env, group, func(g *Group) *bank {
		return newBank(g, g.Rate/float64(env.FrontEnds), *p.Burst, false, p.own.divider)
	})
}

func (p *Static) holds(env *Env, group uint32) *holds {
	return p.slots.of(env, group, func(g *Group) float64 { return slice(g.Units, env.Self, env.FrontEnds) })
}

// Observe implements Limiter.
func (p *Static) Observe(env *Env, ev *Event) {
	switch {
	case ev.Kind != Settled:
	case env.Groups[ev.Group].Units > 0:
		p.holds(env, ev.Group).release(ev.Req)
	case ev.Charged != ev.Actual:
		p.bank(env, ev.Group).give(env.Now, ev.Tenant, ev.Charged-ev.Actual)
	}
}
