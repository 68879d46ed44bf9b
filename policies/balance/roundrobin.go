package balance

import "taillab/policies"

// RoundRobin picks the smallest eligible ID above the last one, else the smallest.
// Several front ends that all start at zero would send in lockstep bursts, so the
// default start is random (Envoy documents the same remedy).
type RoundRobin struct {
	Start string `yaml:"start" about:"where the sequence of a front end begins" enum:"random|zero"`

	last    uint32 // ID of the last pick; an ID outlives churn, an index does not
	started bool
}

// Pick implements Balancer.
func (p *RoundRobin) Pick(env *Env, _ *policies.Request) Choice {
	f := env.Fleet
	if f.Len() == 0 {
		return None()
	}
	i := 0
	switch {
	case p.started:
		i = f.Next(p.last)
	case p.Start == startZero:
		i = f.First()
	default:
		i = f.One(env.Rand)
	}
	r := f.Ref(i)
	p.last, p.started = r.ID, true
	return To(r)
}

// startZero is the value of Start that does without dice.
const startZero = "zero"
