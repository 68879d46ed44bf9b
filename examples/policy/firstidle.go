package main

import (
	"taillab/policies"
	"taillab/policies/balance"
)

// FirstIdle goes through a few random replicas and takes the first with no request
// of this front end out. A policy is its own configuration: the exported fields
// are its parameters, and the prototype in main holds their defaults.
type FirstIdle struct {
	Look int `yaml:"look" about:"replicas looked at before giving up" min:"1" max:"64"`
}

// Pick implements balance.Balancer. Time and dice are lent; the fleet is what this
// front end knows.
func (p *FirstIdle) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	n := env.Fleet.Len()
	if n == 0 {
		return balance.None()
	}
	at := 0
	for range p.Look {
		at = env.Rand.IntN(n)
		if env.Fleet.Outstanding(at) == 0 {
			break
		}
	}
	return balance.To(env.Fleet.Ref(at))
}
