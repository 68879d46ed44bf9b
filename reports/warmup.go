package reports

import (
	"math"
	"time"
)

// Least warm-up in mean service times. An M/M/c queue forgets its start with the time
// constant 1/(c(1−√ρ)²); after three of them its mean is within 2% of the steady state
// (Odoni and Roth 1983, whose unit is 0.7 of that). A policy that chooses among
// replicas relieves the long queues: there 50/c do at the loads that fleets run at.
// With many slots the time in service itself decides, as in M/M/∞.
const (
	settleRelaxations = 3
	settleServices    = 50
	settleLeast       = 10
)

// warnWarmup holds the discarded start of the runs against the time that systems take
// to settle. A warm-up that was found from a pilot needs no rule of thumb; blocks
// begin in a system under way; and who does not report its steps has no service time.
func (s *summing) warnWarmup() {
	if s.opt.WarmupAuto || s.out.Unit == UnitBlock || s.runs[0].setup.Opaque {
		return
	}
	n, service, start := int64(0), int64(0), time.Duration(math.MaxInt64)
	for _, r := range s.runs {
		for i := range r.result.tail.bins {
			n += r.result.tail.bins[i].n
			service += r.result.tail.bins[i].service
		}
		start = min(start, r.pace.first)
	}
	if n == 0 {
		return
	}
	slots := float64(max(s.in.Slots, 1))
	need, what := settleServices/slots, "a fleet needs to settle (50 mean service times with one slot a replica)"
	rho := s.out.Utilization
	if s.runs[0].setup.NoCapacity { // a slot that is busy with a small batch is not full
		rho = s.in.Load
	}
	if s.in.Separate && rho != nil && *rho < 1 {
		gap := 1 - math.Sqrt(*rho)
		need, what = settleRelaxations/(slots*gap*gap), "replicas with a queue of their own need to settle (3/(1−√ρ)² mean service times with one slot)"
	}
	if float64(start) < max(need, settleLeast)*float64(service)/float64(n) {
		s.warnOf("warmup-short", "", "the warm-up is shorter than "+what+": make measure.warmup longer, or auto")
	}
}
