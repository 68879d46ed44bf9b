package sim

import (
	"taillab/policies/balance"
	"taillab/scenarios"
)

// Table is the membership that the simulator's front ends are told at the start of
// a run. A tape keeps it, so that a replay shows its policies the same fleet.
func Table(s *scenarios.Service) *balance.Table { return tableOf(s, s.Replicas()) }
