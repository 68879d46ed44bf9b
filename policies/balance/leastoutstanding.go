package balance

import "taillab/policies"

// LeastOutstanding picks the replica with the fewest own attempts out per weight,
// uniformly among equals. It knows only what its own front end has sent: with many
// front ends nearly all counts are 0 and it tends to random.
type LeastOutstanding struct{}

// Pick implements Balancer.
func (LeastOutstanding) Pick(env *Env, _ *policies.Request) Choice {
	i := env.Fleet.Least(env.Rand)
	if i < 0 {
		return None()
	}
	return To(env.Fleet.Ref(i))
}
