package balance

import (
	"math"

	"taillab/policies"
)

// JSQ joins the truly shortest queue (Winston 1977): an oracle, since no front end
// of a real service can see true lengths at the moment of its decision. It bounds
// what any policy that looks at lengths can reach.
type JSQ struct {
	InTransit bool `yaml:"in_transit" about:"count requests that are still on the wire, too"`
}

// NeedsTruth implements Oracle.
func (*JSQ) NeedsTruth() string { return "true queue lengths" }

// Pick implements Balancer.
func (p *JSQ) Pick(env *Env, _ *policies.Request) Choice {
	if env.Fleet.Len() == 0 {
		return None()
	}
	i := 0
	if p.InTransit {
		i = p.scan(env)
	} else {
		i = env.Truth.Shortest(env.Rand)
	}
	if i < 0 {
		return None()
	}
	return To(env.Fleet.Ref(i))
}

// scan finds the least (length + in transit)/weight in two passes and one draw: a
// draw per tie would cost more than the scan.
func (p *JSQ) scan(env *Env) int {
	f, lens, wire := env.Fleet, env.Truth.Lens(), env.Truth.InTransit()
	uniform := f.Uniform()
	load := func(i int) float64 {
		x := float64(int(lens[i]) + int(wire[i]))
		if uniform {
			return x
		}
		return x / f.Weight(i)
	}
	low, ties := math.Inf(1), 0
	for i := range f.Len() {
		switch x := load(i); {
		case x < low:
			low, ties = x, 1
		case x == low:
			ties++
		}
	}
	k := 0
	if ties > 1 {
		k = Below(env.Rand, ties)
	}
	for i := range f.Len() {
		if load(i) == low {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return -1
}
