package realrun

import (
	"context"
	"fmt"
	"time"

	"taillab/policies/balance"
	"taillab/realrun/telemetry"
	"taillab/reports"
)

// watch starts to watch the machines under the runs; close stops it. It goes by the
// clock of a run on its own; those of several arms stand still in turns, so that
// theirs is the time since the backends were reached.
func (s *session) watch(ctx context.Context) {
	live := &s.arms[0].run.Cell.Setup.Live
	cfg := telemetry.Config{Period: live.Telemetry.Period, NVML: live.Telemetry.NVML, StaleAfter: live.StaleAfter, Lag: s.latest}
	if t := s.h.Targets; t != nil {
		seen := map[string]bool{}
		for i := range t.Services {
			for r := range t.Services[i].Targets {
				u := &t.Services[i].Targets[r]
				if u.Metrics != "" {
					cfg.Backends = append(cfg.Backends, telemetry.Target{Name: backendName(t.Services[i].Name, r), URL: u.Metrics})
				}
				if live.Telemetry.DCGM && u.DCGM != "" && !seen[u.DCGM] { // an exporter tells of all GPUs of its host
					seen[u.DCGM] = true
					cfg.DCGM = append(cfg.DCGM, u.DCGM)
				}
			}
		}
	}
	cfg.Samplers = s.h.samplers
	clock := s.arms[0].clock.now
	if len(s.arms) > 1 {
		clock = func() time.Duration { return time.Since(s.base) }
	}
	s.seen = telemetry.Start(ctx, cfg, clock)
	s.ends = append([]func(){func() { s.seen.Stop() }}, s.ends...)
}

// backendName is what telemetry calls replica r of a service.
func backendName(service string, r int) string { return fmt.Sprintf("%s/r%d", service, r) }

// latest is how late sends were at worst since the last look.
func (s *session) latest() time.Duration {
	worst := int64(0)
	for _, d := range s.arms {
		worst = max(worst, d.lateness.Swap(0))
	}
	return time.Duration(worst)
}

// watched tells what was seen, and what of it spoils the measurement.
func (s *session) watched() []reports.Warning {
	seen := s.seen.Stop()
	for _, n := range seen.Notes {
		s.note("telemetry: " + n)
	}
	if s.h.Watched != nil {
		s.h.Watched(seen)
	}
	if !seen.Throttled {
		return nil
	}
	return []reports.Warning{{Code: "throttled", Message: fmt.Sprintf(
		"a GPU was slowed down (%s): latencies are those of its cooling or power supply, not of the policy", telemetry.ReasonNames(seen.Reasons))}}
}

// tickEvery is the step of the timeline.
const tickEvery = time.Second

// tickAt files a row of the timeline and all that follow it.
func (d *drive) tickAt(at time.Duration) {
	d.agenda.Set(at, func() {
		open, sent := 0, 0
		for _, f := range d.fronts {
			_, n := f.counters()
			open += n
		}
		for i := range d.services {
			sent += int(d.services[i].sent.Load())
		}
		for i := range d.services {
			s := &d.services[i]
			row := reports.TimelineRow{At: at, Service: i, Queued: -1, InFlight: int(s.sent.Load()), Held: max(0, open-sent), Replicas: d.standing(i)}
			if s.queued != nil {
				row.Queued = s.queued()
			}
			if s.elastic != nil {
				s.elastic.tick(&row)
			}
			d.tick(row)
		}
		d.tickAt(at + tickEvery)
	})
}

// standing counts the members of a service that no fault holds down.
func (d *drive) standing(service int) (n int) {
	d.fmu.Lock()
	defer d.fmu.Unlock()
	for r, down := range d.registry.down[service] {
		if down == 0 && d.registry.here[service][r] {
			n++
		}
	}
	return n
}

// told is a backend whose page of metrics is read beside the run. What the page says
// counts where the backend's own answers say nothing; a page that was not read, or
// not lately, is unknown.
type told struct {
	Transport
	load func() (balance.Load, bool)
}

// telling lets a backend's page of metrics answer probes that it does not answer
// itself.
func (s *session) telling(b Transport, name string) told {
	return told{b, func() (balance.Load, bool) {
		load, _, ok := s.seen.Load(name)
		return load, ok
	}}
}

func (b told) Probe(ctx context.Context) (balance.Load, bool) {
	if load, ok := b.Transport.Probe(ctx); ok {
		return load, true
	}
	return b.load()
}
