package quota

import (
	"fmt"
	"time"

	"taillab/policies"
	"taillab/policies/share"
)

// Async decides by a view of the store's counter and tells the store afterwards, about
// every sync, what it admitted: no request waits, and front ends that do not know of
// each other yet admit too much together, at most a view each. Told by requests, the
// store hears the least; told by a timer, front ends stay out of step for ever, and the
// worst second is milder.
type Async struct {
	Sync time.Duration `yaml:"sync" about:"time between two tellings of what was admitted" min:"1ms" max:"60s"`
	Tell string        `yaml:"tell" about:"what tells: the first request after sync, or a timer" enum:"request|timer"`

	cells    cells
	list     []view
	out      map[AskID]sync
	fallback fallback
	syncs    uint64
}

// view is what a front end believes of one group, or tenant of it.
type view struct {
	units   float64 // as the store said, less what was admitted since, and refilled
	at      time.Duration
	pending float64 // admitted and not told yet
	wanted  float64 // asked for since the last telling
	rate    float64
	burst   float64
	next    time.Duration // of the next telling by a request
	silent  bool          // the store did not answer the last time
}

// tellTimer is the value of Tell whose tellings need no request: a front end that has
// gone idle tells its last units, too.
const tellTimer = "timer"

// sync is a telling that is out.
type sync struct {
	cell  int
	units float64
}

// Share implements Sharing.
func (p *Async) Share(divider func() share.Divider) {
	p.cells.divider = divider
	p.fallback.share(divider)
}

// Store implements Stored.
func (p *Async) Store(groups []Group) Store { return newRates(groups, false, p.cells.divider) }

// Fit implements Fitted.
func (p *Async) Fit(s Setting) (problems, warnings []policies.Problem) {
	if problems = fitRate(s, nil); problems != nil {
		return problems, nil
	}
	if p.Sync < s.RTT {
		problems = append(problems, policies.Problem{Path: "sync", Msg: fmt.Sprintf("sync is %v: it is below the round trip to the store, %v", p.Sync, s.RTT)})
	}
	for i := range s.Groups {
		if g := &s.Groups[i]; p.Sync.Seconds()*g.Rate > g.Burst {
			return problems, []policies.Problem{{Path: "sync", Msg: fmt.Sprintf("in a sync of %v the limit gives %v units, more than the burst of %v: every front end may admit the whole limit unseen", p.Sync, p.Sync.Seconds()*g.Rate, g.Burst)}}
		}
	}
	return problems, nil
}

// view is the number of a tenant's view. The first call makes all of them, full, and
// starts the tellings at a random phase, so that front ends do not tell in step.
func (p *Async) view(env *Env, group, tenant uint32) int {
	if p.list == nil {
		p.cells.init(env)
		p.list, p.out = make([]view, p.cells.total), map[AskID]sync{}
		p.cells.flows(env, func(k int, rate, burst float64) {
			p.list[k] = view{rate: rate, burst: burst, units: burst, at: env.Now, next: env.Now + p.phase(env)}
		})
		if p.Tell == tellTimer {
			env.Wake(env.Now+p.phase(env), 0)
		}
	}
	return p.cells.of(env, group, tenant)
}

// phase is a random part of a period.
func (p *Async) phase(env *Env) time.Duration {
	return time.Duration(env.Rand.Float64() * float64(p.Sync))
}

// Admit implements Limiter.
func (p *Async) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	k := p.view(env, req.Group, req.Tenant)
	v := &p.list[k]
	if cost > max(env.Groups[req.Group].Burst, 1)+tiny {
		return Verdict{Outcome: Never}
	}
	v.wanted += cost
	if p.Tell != tellTimer && env.Now >= v.next {
		v.next = env.Now + p.Sync
		p.tell(env, k)
	}
	if v.silent && env.OnLoss != LossOpen {
		return p.alone(env, v, waitingFor(req, cost))
	}
	v.refill(env.Now)
	if v.units < cost-tiny {
		return Verdict{Denied, nanos(cost-v.units, v.rate)}
	}
	v.units -= cost
	v.pending += cost
	return Verdict{Outcome: Admitted}
}

// alone decides while the store is silent; what it admits is told when it is back.
func (p *Async) alone(env *Env, v *view, w waiting) Verdict {
	d := p.fallback.decide(env, w)
	if d.Outcome == Admitted {
		v.pending += w.cost
	}
	return d
}

func (v *view) refill(now time.Duration) {
	if v.units < v.burst {
		v.units = min(v.burst, v.units+(now-v.at).Seconds()*v.rate)
	}
	v.at = now
}

// Observe implements Limiter.
func (p *Async) Observe(env *Env, ev *Event) {
	switch ev.Kind {
	case Granted:
		if s, ok := p.out[ev.Ask]; ok {
			delete(p.out, ev.Ask)
			v := &p.list[s.cell]
			v.units, v.at, v.silent = ev.Grant.Left-v.pending, env.Now, false
		}
	case AskLost: // perhaps booked, perhaps not: told again, so that the limit holds
		if s, ok := p.out[ev.Ask]; ok {
			delete(p.out, ev.Ask)
			v := &p.list[s.cell]
			v.pending += s.units
			v.silent = true
		}
	case Woke:
		for k := range p.list {
			if v := &p.list[k]; v.pending != 0 || v.silent {
				p.tell(env, k)
			}
		}
		env.Wake(env.Now+p.Sync, 0)
	case Settled:
		d := ev.Charged - ev.Actual
		if p.fallback.settle(env, ev); d != 0 {
			v := &p.list[p.view(env, ev.Group, ev.Tenant)]
			v.refill(env.Now)
			v.pending -= d
			v.units += d
		}
	}
}

// tell tells the store what was admitted and asks what is left.
func (p *Async) tell(env *Env, k int) {
	v := &p.list[k]
	group, tenant := p.cells.home(env, k)
	p.syncs++
	id := env.Ask(group, Ask{Kind: AskSync, Tenant: tenant, Units: v.pending, Need: v.wanted})
	p.out[id] = sync{k, v.pending}
	v.pending, v.wanted = 0, 0
}

// Counts implements Counted.
func (p *Async) Counts(add func(name string, n uint64)) {
	add("decisions_without_store", p.fallback.decided)
	add("syncs", p.syncs)
}
