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
		if _, blind := balance.Inside[balance.Blind](c.Balancers[i].Make()); blind || c.Setup.Services[i].alone() {
			return true
		}
	}
	return false
}

// alone says whether the service never has a second replica.
func (s *Service) alone() bool { return s.Elastic == nil && s.Replicas() == 1 }

// ReplicaSlots is the least number of slots that a replica has.
func (s *Setup) ReplicaSlots() int {
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

// NoCapacity tells whether slots are no measure of what the fleet can do: a slot
// serves several requests at a time, in a batch or by turns, or there are sometimes
// more replicas and sometimes fewer.
func (s *Setup) NoCapacity() bool {
	for i := range s.Services {
		if s.Services[i].Elastic != nil {
			return true
		}
		for _, g := range s.Services[i].Groups {
			if g.Model.MaxBatch() > 1 || g.Model.Spec().Queue == gpu.PS {
				return true
			}
		}
	}
	return false
}
