package scenarios

import (
	"taillab/policies/balance"
	"taillab/sim/gpu"
)

// Separate tells whether some service of the cell has replicas with a queue of their
// own that no choice relieves: there is one replica, or the policy does not look at
// load.
func (c *Cell) Separate() bool {
	for i := range c.Setup.Services {
		if _, blind := balance.Inside[balance.Blind](c.Balancers[i].Make()); blind || c.Setup.Services[i].Replicas() == 1 {
			return true
		}
	}
	return false
}

// Slots is the least number of slots that a replica has.
func (s *Setup) Slots() int {
	least := 0
	for i := range s.Services {
		for _, g := range s.Services[i].Groups {
			if n := g.Model.Slots(); least == 0 || n < least {
				least = n
			}
		}
	}
	return least
}

// Batching tells whether some slot serves several requests at a time, in a batch or
// by turns, so that slots do not measure what the fleet can do.
func (s *Setup) Batching() bool {
	for i := range s.Services {
		for _, g := range s.Services[i].Groups {
			if g.Model.MaxBatch() > 1 || g.Model.Spec().Queue == gpu.PS {
				return true
			}
		}
	}
	return false
}
