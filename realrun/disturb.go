package realrun

import (
	"sync"
	"time"

	"taillab/policies/chance"
	"taillab/realrun/emulator"
	"taillab/scenarios"
	"taillab/workloads"
)

// disturb makes an emulated fleet's reports as late, lost and doubled as the
// scenario's network says. Requests and responses travel on the real loopback, whose
// delay is its own.
func (d *drive) disturb(cfg *emulator.Config, s *scenarios.Service) error {
	l := s.Network.Report
	cfg.Loss, cfg.Duplicate = l.Loss, l.Duplicate
	if l.Delay.Kind == "" {
		return nil
	}
	law, err := workloads.NewSampler(l.Delay)
	if err != nil {
		return err
	}
	var mu sync.Mutex // replicas of a fleet report at any time
	dice := chance.Stream(d.run.Seed, "net/"+s.Name+"/report")
	cfg.Delay = func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return law.Draw(&dice)
	}
	return nil
}
