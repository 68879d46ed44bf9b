package balance

import "taillab/policies"

// Random picks uniformly, or in proportion to the weights. It remembers nothing,
// so its replicas are independent queues: the yardstick for all others.
type Random struct {
	Weighted bool `yaml:"weighted" about:"pick in proportion to the weights instead of uniformly"`
}

// Pick implements Balancer.
func (p *Random) Pick(env *Env, _ *policies.Request) Choice {
	i := 0
	if p.Weighted {
		i = env.Fleet.Weighted(env.Rand)
	} else {
		i = env.Fleet.One(env.Rand)
	}
	if i < 0 {
		return None()
	}
	return To(env.Fleet.Ref(i))
}
