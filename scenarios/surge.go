package scenarios

import (
	"math"
	"time"

	"taillab/reports"
)

// Surge is the first rise of the arrival rate that the scenario writes down.
type Surge struct {
	At   time.Duration
	Rate float64 // requests per second after it
}

// Surge finds the first step, ramp or burst that raises the rate; false when there is
// none.
func (s *Setup) Surge() (Surge, bool) {
	base := s.Workload.Rate()
	best := Surge{At: -1}
	offer := func(at time.Duration, rate, before float64) {
		if rate > before && (best.At < 0 || at < best.At) {
			best = Surge{at, rate}
		}
	}
	for _, m := range s.spec.Modulate {
		before := base
		for _, l := range m.Step {
			offer(l.At, l.Rate, before)
			before = l.Rate
		}
		for i, l := range m.Ramp {
			if i > 0 && l.Rate > before {
				offer(m.Ramp[i-1].At, l.Rate, before)
			}
			before = l.Rate
		}
		if m.Burst != nil {
			offer(m.Burst.At, base*m.Burst.Factor, base)
		}
	}
	return best, best.At >= 0
}

// Scaling prepares what a run with fleets that change their size is judged by; nil when
// all keep theirs.
func (s *Setup) Scaling() *reports.Scaling {
	start, needed := 0, 0
	surge, rises := s.Surge()
	elastic := false
	for i := range s.Services {
		if e := s.Services[i].Elastic; e != nil {
			elastic = true
			start += e.Start
			if rises {
				needed += s.Need(i, surge.Rate)
			}
		}
	}
	if !elastic {
		return nil
	}
	out := &reports.Scaling{SLO: s.Measure.SLO != (reports.SLO{}), Surge: surge.At, Needed: needed}
	out.Begin(start, start)
	return out
}

// PerReplica is the rate of requests at which one replica of service i would have
// load 1.
func (s *Setup) PerReplica(i int) float64 {
	svc := &s.Services[i]
	if n := svc.Replicas(); n > 0 {
		return serviceCapacity(svc, s.Workload) / float64(n)
	}
	return 0
}

// Need is how many replicas of service i the rate keeps busy, counting its share of
// the requests.
func (s *Setup) Need(i int, rate float64) int {
	one := s.PerReplica(i)
	if one <= 0 {
		return 0
	}
	return int(math.Ceil(rate * s.Workload.ServiceShares(len(s.Services))[i] / one))
}
