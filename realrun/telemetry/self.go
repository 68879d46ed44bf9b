package telemetry

import (
	"fmt"
	"math"
	"runtime/metrics"
	"time"
)

// Self is what the client did between two readings, and what others did to its host.
type Self struct {
	Span       time.Duration // between the two
	CPUCores   float64       // cores in use by this process; NaN = unknown
	Goroutines int
	GCs        int           // garbage collections that ended in the span
	GCPause    time.Duration // at least as long as the longest stop for one, to the resolution of the runtime's histogram
	HeapMiB    float64
	LagKnown   bool
	Lag        time.Duration // how late the driver said it was

	// Shares of the whole host's CPU, 0…1, also from inside a container; NaN = unknown,
	// as they are where there is no /proc/stat.
	Steal float64 // wanted here, taken by the hypervisor
	Other float64 // used by other processes
}

// self reads the client itself. Its first reading only starts the span.
type self struct {
	lag  func() time.Duration
	cpu  func() (time.Duration, bool) // of this process so far
	host func() ([]byte, error)       // /proc/stat

	started bool
	at      time.Time
	used    time.Duration
	usedOK  bool
	ticks   hostTicks
	ticksOK bool
	gcs     uint64
	pauses  []uint64
	samples []metrics.Sample
}

func newSelf(lag func() time.Duration) *self {
	return &self{lag: lag, cpu: processCPU, host: procStat, samples: []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"}, {Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/sched/pauses/total/gc:seconds"}}}
}

// read returns what happened since the reading before; false the first time.
func (s *self) read() (Self, bool) {
	now := time.Now()
	out := Self{Span: now.Sub(s.at), CPUCores: math.NaN(), Steal: math.NaN(), Other: math.NaN()}
	used, usedOK := s.cpu()
	ticks, err := s.stat()
	own := used - s.used
	if usedOK && s.usedOK && out.Span > 0 {
		out.CPUCores = own.Seconds() / out.Span.Seconds()
	}
	if err == nil && s.ticksOK {
		out.Steal, out.Other = ticks.since(s.ticks, own, usedOK && s.usedOK)
	}
	s.runtime(&out)
	if s.lag != nil {
		out.Lag, out.LagKnown = s.lag(), true
	}
	began := !s.started
	s.started, s.at, s.used, s.usedOK, s.ticks, s.ticksOK = true, now, used, usedOK, ticks, err == nil
	return out, !began && out.Span > 0
}

func (s *self) stat() (hostTicks, error) {
	text, err := s.host()
	if err != nil {
		return hostTicks{}, err
	}
	return parseStat(text)
}

// runtime reads the Go runtime's own figures.
func (s *self) runtime(out *Self) {
	metrics.Read(s.samples)
	number := func(i int) uint64 {
		if s.samples[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a future runtime without it
		}
		return s.samples[i].Value.Uint64()
	}
	gcs := number(1)
	out.Goroutines, out.GCs, out.HeapMiB = int(number(0)), int(gcs-s.gcs), float64(number(2))/(1<<20)
	s.gcs = gcs
	if s.samples[3].Value.Kind() == metrics.KindFloat64Histogram {
		h := s.samples[3].Value.Float64Histogram()
		out.GCPause = longest(h, s.pauses)
		s.pauses = append(s.pauses[:0], h.Counts...)
	}
}

// longest is the upper bound of the last bucket that grew.
func longest(h *metrics.Float64Histogram, before []uint64) time.Duration {
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if h.Counts[i] == 0 || i < len(before) && h.Counts[i] == before[i] {
			continue
		}
		bound := h.Buckets[i+1]
		if math.IsInf(bound, 1) {
			bound = h.Buckets[i]
		}
		return time.Duration(bound * float64(time.Second))
	}
	return 0
}

// hostTicks are the CPU times of a host, in ticks of a hundredth of a second.
type hostTicks struct{ total, idle, steal uint64 }

// tick is the unit of /proc/stat (USER_HZ) on every system that Go runs on.
const tick = 10 * time.Millisecond

// parseStat reads the first line of /proc/stat: cpu user nice system idle iowait irq
// softirq steal …; time of guests is in user and nice already.
func parseStat(text []byte) (hostTicks, error) {
	var v [8]uint64
	n, err := fmt.Sscanf(string(text), "cpu %d %d %d %d %d %d %d %d", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7])
	if err != nil {
		return hostTicks{}, fmt.Errorf("/proc/stat cannot be read: %d of 8 numbers: %w", n, err)
	}
	h := hostTicks{idle: v[3] + v[4], steal: v[7]}
	for _, x := range v {
		h.total += x
	}
	return h, nil
}

// since returns the shares of steal and of other processes since an earlier reading.
// A counter that went back (idle and iowait may) makes them unknown.
func (h hostTicks) since(before hostTicks, own time.Duration, ownKnown bool) (steal, other float64) {
	if h.total <= before.total || h.idle < before.idle || h.steal < before.steal {
		return math.NaN(), math.NaN()
	}
	total := float64(h.total - before.total)
	steal = float64(h.steal-before.steal) / total
	other = math.NaN()
	if ownKnown {
		busy := total - float64(h.idle-before.idle) - float64(h.steal-before.steal)
		other = max(0, busy-float64(own)/float64(tick)) / total
	}
	return steal, other
}
