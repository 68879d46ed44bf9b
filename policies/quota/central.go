package quota

import (
	"time"

	"taillab/policies"
	"taillab/policies/share"
)

// Central asks the store for every request: exact, at the price of a round trip in
// every decision, and of the store's bad moments.
type Central struct {
	Inner   string        `yaml:"inner" about:"the counter in the store" enum:"token|gcra|concurrency"`
	HoldTTL time.Duration `yaml:"hold_ttl" about:"term of a hold that nobody renews" min:"1s" max:"1h"`
	Renew   time.Duration `yaml:"renew" about:"how often a hold is renewed; 0: a third of hold_ttl" min:"0s" max:"1h"`
	Poll    time.Duration `yaml:"poll" about:"when a request that was denied a hold may ask again: nothing tells when one ends" above:"0" max:"1h"`

	fallback fallback
	divider  func() share.Divider
	waiting  map[AskID]waiting
	held     map[uint64]waiting // holds by request
	renewals uint64
}

// Values of Inner.
const (
	innerToken       = "token"
	innerGCRA        = "gcra"
	innerConcurrency = "concurrency"
)

// Check implements policies.Checker.
func (p *Central) Check() []policies.Problem {
	if p.Renew >= p.HoldTTL {
		return []policies.Problem{{Path: "renew", Msg: "renew is not below hold_ttl: every hold would end before it is renewed", Hint: "leave it out for a third of hold_ttl"}}
	}
	return nil
}

// Share implements Sharing.
func (p *Central) Share(divider func() share.Divider) {
	p.divider = divider
	p.fallback.share(divider)
}

// Store implements Stored.
func (p *Central) Store(groups []Group) Store {
	if p.Inner == innerConcurrency {
		return newSlots(groups, p.divider)
	}
	return newRates(groups, p.Inner == innerGCRA, p.divider)
}

// Fit implements Fitted.
func (p *Central) Fit(s Setting) (problems, warnings []policies.Problem) {
	for i := range s.Groups {
		g := &s.Groups[i]
		if g.Units == 0 && g.Rate == 0 {
			return fitRate(s, nil), nil
		}
		if units := g.Units > 0; units != (p.Inner == innerConcurrency) {
			want := innerToken
			if units {
				want = innerConcurrency
			}
			return []policies.Problem{{Path: "inner", Msg: "inner is " + p.Inner + ", which does not fit the group limit: one is a rate, the other a number of units",
				Hint: "write {name: central, inner: " + want + "}"}}, nil
		}
	}
	return nil, nil
}

// most is the cost above which a group admits nothing.
func (p *Central) most(g *Group) float64 {
	if p.Inner == innerConcurrency {
		return g.Units
	}
	return max(g.Burst, 1)
}

// Admit implements Limiter.
func (p *Central) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	if cost > p.most(&env.Groups[req.Group])+tiny {
		return Verdict{Outcome: Never}
	}
	if p.waiting == nil {
		p.waiting, p.held = map[AskID]waiting{}, map[uint64]waiting{}
	}
	a := Ask{Kind: AskTake, Tenant: req.Tenant, Req: req.ID, Units: cost, Need: cost}
	if p.Inner == innerConcurrency {
		a.Kind, a.Window = AskHold, p.HoldTTL
	}
	p.waiting[env.Ask(req.Group, a)] = waitingFor(req, cost)
	return Verdict{Outcome: Pending}
}

// Observe implements Limiter.
func (p *Central) Observe(env *Env, ev *Event) {
	switch ev.Kind {
	case Granted:
		p.granted(env, ev)
	case AskLost:
		if w, ok := p.waiting[ev.Ask]; ok {
			delete(p.waiting, ev.Ask)
			env.Resolve(w.id, p.fallback.decide(env, w))
		}
	case Woke:
		p.renew(env, ev.Token)
	case Settled:
		p.settled(env, ev)
	}
}

func (p *Central) granted(env *Env, ev *Event) {
	w, ok := p.waiting[ev.Ask]
	if !ok { // the answer to a renewal
		return
	}
	delete(p.waiting, ev.Ask)
	v := Verdict{Outcome: Admitted}
	switch {
	case ev.Grant.Never:
		v.Outcome = Never
	case ev.Grant.Units == 0:
		if v = (Verdict{Denied, ev.Grant.RetryIn}); p.Inner == innerConcurrency {
			v.RetryIn = min(v.RetryIn, p.Poll)
		}
	case p.Inner == innerConcurrency:
		p.held[w.id] = w
		env.Wake(env.Now+p.term(), w.id)
	}
	env.Resolve(w.id, v)
}

// term is the time between two renewals of a hold.
func (p *Central) term() time.Duration {
	if p.Renew > 0 {
		return p.Renew
	}
	return p.HoldTTL / 3
}

func (p *Central) renew(env *Env, req uint64) {
	w, ok := p.held[req]
	if !ok { // released meanwhile
		return
	}
	p.renewals++
	env.Ask(w.group, Ask{Kind: AskRenew, Tenant: w.tenant, Req: req, Units: w.cost, Window: p.HoldTTL})
	env.Wake(env.Now+p.term(), req)
}

func (p *Central) settled(env *Env, ev *Event) {
	switch {
	case p.fallback.settle(env, ev):
	case p.Inner == innerConcurrency:
		if w, ok := p.held[ev.Req]; ok {
			delete(p.held, ev.Req)
			env.Ask(w.group, Ask{Kind: AskRelease, Tenant: w.tenant, Req: ev.Req, Units: w.cost})
		}
	case ev.Charged != ev.Actual:
		env.Ask(ev.Group, Ask{Kind: AskReturn, Tenant: ev.Tenant, Req: ev.Req, Units: ev.Charged - ev.Actual})
	}
}

// Counts implements Counted.
func (p *Central) Counts(add func(name string, n uint64)) {
	add("decisions_without_store", p.fallback.decided)
	add("renewals", p.renewals)
}
