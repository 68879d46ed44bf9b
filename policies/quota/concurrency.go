package quota

import (
	"time"

	"taillab/policies"
	"taillab/policies/share"
)

// Concurrency lets requests hold units until they end, in each front end by itself.
// The holds live and die with the front end, so they need no term; central with inner:
// concurrency keeps them in the store, with one.
type Concurrency struct {
	Units *float64      `yaml:"units" about:"units that may be held at once; not given: the group's" above:"0" max:"1e9"`
	Poll  time.Duration `yaml:"poll" about:"when a denied request may ask again: nothing tells when a hold ends" above:"0" max:"1h"`

	own slotsOf
}

// poll is how long a request that was denied a hold waits before it asks again. Our
// choice: short against service times of tens of milliseconds to seconds.
const poll = 100 * time.Millisecond

// slotsOf is the holds of a front end by group.
type slotsOf struct {
	list    []*holds
	divider func() share.Divider
}

func (s *slotsOf) of(env *Env, group uint32, units func(*Group) float64) *holds {
	for len(s.list) < len(env.Groups) {
		s.list = append(s.list, nil)
	}
	if s.list[group] == nil {
		g := &env.Groups[group]
		s.list[group] = newHolds(g, units(g), s.divider)
	}
	return s.list[group]
}

// admit decides by holds at once.
func (h *holds) admit(now time.Duration, req *policies.Request, cost float64, again time.Duration) Verdict {
	switch {
	case cost > h.units:
		return Verdict{Outcome: Never}
	case h.take(now, req.Tenant, req.ID, cost, forever):
		return Verdict{Outcome: Admitted}
	}
	return Verdict{Denied, again}
}

// Share implements Sharing.
func (p *Concurrency) Share(divider func() share.Divider) { p.own.divider = divider }

func (p *Concurrency) units(g *Group) float64 {
	if p.Units != nil {
		return *p.Units
	}
	return g.Units
}

// Admit implements Limiter.
func (p *Concurrency) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	return p.own.of(env, req.Group, p.units).admit(env.Now, req, cost, p.Poll)
}

// Observe implements Limiter.
func (p *Concurrency) Observe(env *Env, ev *Event) {
	if ev.Kind == Settled {
		p.own.of(env, ev.Group, p.units).release(ev.Req)
	}
}
