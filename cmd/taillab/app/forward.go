package app

import (
	"fmt"
	"strings"
	"time"

	"taillab/policies/balance"
	"taillab/realrun/emulator"
	"taillab/realrun/telemetry"
)

// forwardProblem says what of the flags for agents cannot be meant, "" when all can.
func (c *emulateCmd) forwardProblem() string {
	switch agents := len(c.Forward) > 0; {
	case agents && c.Replicas > 0:
		return "--replicas with --forward: there is one agent per --forward"
	case agents && c.ORCA != "":
		return "--orca with --forward: answers are passed on as the backends give them"
	case !agents && (c.Slots != 1 || c.Metrics != ""):
		return "--slots and --metrics describe the backends of --forward: add it, or leave them out"
	case c.Slots < 1 || c.Slots > 4096:
		return fmt.Sprintf("--slots is %d: it must lie in [1, 4096]", c.Slots)
	case c.Metrics != "" && !strings.HasPrefix(c.Metrics, "/"):
		return fmt.Sprintf("--metrics is %q: it must be a path such as /metrics", c.Metrics)
	}
	return ""
}

// forward makes the replicas agents of the backends of --forward, and watches what
// these tell of their load.
func (c *emulateCmd) forward(s *session, cfg *emulator.Config) *telemetry.Run {
	if len(c.Forward) == 0 {
		return nil
	}
	var seen *telemetry.Run
	cfg.Replicas = nil
	var pages []telemetry.Target
	for i, url := range c.Forward {
		f := &emulator.Forward{URL: url, Slots: c.Slots}
		if name := fmt.Sprintf("backend %d", i); c.Metrics != "" {
			pages = append(pages, telemetry.Target{Name: name, URL: strings.TrimSuffix(url, "/") + c.Metrics})
			f.Load = func() (balance.Load, bool) {
				load, _, ok := seen.Load(name)
				return load, ok
			}
		}
		cfg.Replicas = append(cfg.Replicas, emulator.Replica{Forward: f})
	}
	if pages != nil {
		seen = telemetry.Start(s.ctx, telemetry.Config{Backends: pages, Period: telemetry.MinBackendPeriod}, sinceNow())
	}
	return seen
}

// sinceNow is a clock that starts now.
func sinceNow() func() time.Duration {
	base := time.Now()
	return func() time.Duration { return time.Since(base) }
}
