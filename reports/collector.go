package reports

import (
	"fmt"
	"math/bits"
	"time"
)

// Slices a run is cut into by arrival, and sections the slices make.
const (
	runSlices   = 20
	runSections = 10
)

// SLO is what a request must meet to count as goodput; 0 means no bound.
type SLO struct{ Latency, TTFT, TPOT time.Duration }

// Met tells whether a request that was served met the limits.
func (s SLO) Met(r *Record) bool {
	within := func(d, limit time.Duration) bool { return limit <= 0 || d <= limit }
	return within(r.Latency, s.Latency) && within(r.TTFT, s.TTFT) && within(r.TPOT, s.TPOT)
}

// Setup says what a Collector must expect. All names are slots fixed when the
// plan is made, the same for every policy: a record carries indices only.
type Setup struct {
	Services []string
	Tenants  []string // at most 32 and "other", chosen by the caller
	Classes  []string
	Outcomes []string // index = outcome code, 0 is "ok"; "unfinished" is recognised by name
	SLO      SLO
	// Streaming is true if requests stream tokens, so that TTFT and TPOT exist.
	Streaming bool
	// Opaque is true if the replica does not report its steps (live without
	// telemetry): network, queue and batch are then unknown, not zero.
	Opaque bool
	// NoCapacity is true if slots are no measure of what the fleet can do: they serve
	// several requests at a time, or their number changes.
	NoCapacity bool
	Bits       int // precision of the latency histograms, 0 = HistBits
	Seed       int // number of the seed, 1…
	Index      int // block of the run, 0 for whole runs
	Pair       *int
	// The measured window, cut into 20 equal slices for instability and for the
	// sections of a single run: by request number if Requests > 0 (numbers
	// First…First+Requests−1), else by arrival in [Start, Start+Window) if Window > 0.
	First    uint64
	Requests int64
	Start    time.Duration
	Window   time.Duration
	// Sections keeps histograms per slice: set it when the cell has one run only.
	Sections bool
}

// Steps is where the latency of a request went; the six sum to its latency.
type Steps struct{ Held, Quota, Network, Queue, Batch, Service time.Duration }

// Sum adds the six steps.
func (s *Steps) Sum() time.Duration {
	return s.Held + s.Quota + s.Network + s.Queue + s.Batch + s.Service
}

// NoReplica is the Replica of a record whose request never met one.
const NoReplica = ^uint32(0)

// Record is one closed request of the measured window.
type Record struct {
	Request    uint64        // number in the schedule
	Arrived    time.Duration // intended arrival since the run began
	Latency    time.Duration // intended arrival → end; of a failure: time to failure
	TTFT, TPOT time.Duration // < 0: not applicable
	Steps      Steps         // of the answering attempt
	Replica    uint32        // NoReplica if none was chosen
	Service    uint16        // slots of Setup
	Tenant     uint16
	Class      uint16
	Outcome    uint8 // index of Setup.Outcomes, 0 = completed
	Attempt    uint8 // attempts sent
}

// Collector reduces the records of one run (cell, seed) to statistics in bounded
// memory. Add and Served are the hot path: no allocation but for first uses of a
// histogram page. Not safe for concurrent use.
type Collector struct {
	setup      Setup
	unfinished int  // outcome code, −1 if there is none
	rows       rows // that wait to be counted
	room       [batch]int64

	latency      *Hist // nil with Setup.Sections, see whole
	ttft, tpot   *Hist
	failure      *GroupHist // time to failure, apart from the latencies
	outcomes     []int64
	good         int64
	limits       [3]time.Duration // latency, TTFT, TPOT; MaxInt64 = none
	groups       []groupKind
	service      []*GroupHist // full precision, only with several services
	tail         []tailBin
	slow         slowHeap
	hash         recordHash
	pace         pace
	slices       []slice
	perSlice     uint64 // 2^64·slices/requests: slice of a number by one multiplication
	brokenSteps  int64
	brokenSample Record

	closed bool
	end    End
	result runResult
}

// groupKind is one of tenants, classes, services with at least two members.
type groupKind struct {
	by      string
	names   []string
	slots   func(*rows) *[batch]uint16
	members []groupSlot
}

type groupSlot struct {
	hist *GroupHist
	n    int64
	good int64
}

// slice is 1/20 of the run by arrival.
type slice struct {
	tally
	hist, ttft, tpot *GroupHist // only with Setup.Sections
	outcomes         []int64    // likewise
}

// tally is what every slice keeps.
type tally struct {
	n, done, good int64
	sum           float64 // latency of completed, ns
	work          int64   // their time in service, ns
	first         time.Duration
}

// NewCollector returns a collector for one run.
func NewCollector(s Setup) *Collector {
	if s.Bits == 0 {
		s.Bits = HistBits
	}
	if len(s.Outcomes) == 0 {
		s.Outcomes = []string{"ok"}
	}
	c := &Collector{
		setup: s, unfinished: -1, rows: rows{plain: true},
		latency: NewHist(s.Bits), failure: NewGroupHist(s.Bits),
		outcomes: make([]int64, len(s.Outcomes)), tail: make([]tailBin, cellsOf(tailBits)),
		hash: newRecordHash(), pace: newPace(),
		limits: [3]time.Duration{noLimit(s.SLO.Latency), noLimit(s.SLO.TTFT), noLimit(s.SLO.TPOT)},
	}
	for i, name := range s.Outcomes {
		if name == "unfinished" {
			c.unfinished = i
		}
	}
	if s.Streaming {
		c.ttft, c.tpot = NewHist(s.Bits), NewHist(s.Bits)
	}
	c.addKind("class", s.Classes, func(w *rows) *[batch]uint16 { return &w.class })
	c.addKind("service", s.Services, func(w *rows) *[batch]uint16 { return &w.service })
	c.addKind("tenant", s.Tenants, func(w *rows) *[batch]uint16 { return &w.tenant })
	if len(s.Services) > 1 {
		for range s.Services {
			c.service = append(c.service, NewGroupHist(s.Bits))
		}
	}
	c.cutSlices()
	return c
}

// unlimited is longer than any request takes.
const unlimited = time.Duration(1<<63 - 1)

func noLimit(d time.Duration) time.Duration {
	if d <= 0 {
		return unlimited
	}
	return d
}

func (c *Collector) addKind(by string, names []string, slots func(*rows) *[batch]uint16) {
	if len(names) < 2 {
		return
	}
	k := groupKind{by: by, names: names, slots: slots, members: make([]groupSlot, len(names))}
	for i := range k.members {
		k.members[i].hist = NewGroupHist(GroupBits)
	}
	c.groups = append(c.groups, k)
}

func (c *Collector) cutSlices() {
	s := &c.setup
	if s.Requests <= runSlices && s.Window <= 0 {
		return
	}
	c.slices = make([]slice, runSlices)
	if s.Requests > runSlices {
		q, _ := bits.Div64(runSlices, 0, uint64(s.Requests))
		c.perSlice = q + 1
	}
	for i := range c.slices {
		c.slices[i].first = -1
		if !s.Sections {
			continue
		}
		c.latency = nil
		c.slices[i].hist = NewGroupHist(s.Bits)
		c.slices[i].outcomes = make([]int64, len(s.Outcomes))
		if s.Streaming {
			c.slices[i].ttft, c.slices[i].tpot = NewGroupHist(s.Bits), NewGroupHist(s.Bits)
		}
	}
}

// sliceOf is the slice of a record by number or by arrival, clamped to 0…19.
func (c *Collector) sliceOf(request uint64, arrived time.Duration) int {
	if c.perSlice > 0 {
		k := request - c.setup.First
		if k >= uint64(c.setup.Requests) {
			return runSlices - 1
		}
		i, _ := bits.Mul64(k, c.perSlice)
		return min(int(i), runSlices-1) // exact up to 10^10 requests
	}
	x := float64(arrived-c.setup.Start) / float64(max(c.setup.Window, 1)) * runSlices
	return int(min(max(x, 0), runSlices-1))
}

// Requests returns the number of records so far.
func (c *Collector) Requests() int64 {
	n := int64(c.rows.n)
	for _, k := range c.outcomes {
		n += k
	}
	return n
}

// Live is the running latency histogram, for hosts that need a quantile during
// the run (the drain cap is 10 × P99 so far). Nil after Close. Read only, until the
// next record.
func (c *Collector) Live() *Hist {
	c.flush()
	return c.whole()
}

// whole is the latency histogram of the run. Where every slice keeps one it is their
// sum, and nothing is recorded twice.
func (c *Collector) whole() *Hist {
	if c.latency != nil || c.slices == nil {
		return c.latency
	}
	h := NewHist(c.setup.Bits)
	for i := range c.slices {
		h.mergeGroup(c.slices[i].hist)
	}
	return h
}

// Err reports a broken invariant of the records: steps that do not sum to the
// latency. It is an error of the host, never of the user.
func (c *Collector) Err() error {
	c.flush()
	if c.brokenSteps == 0 {
		return nil
	}
	b := &c.brokenSample
	return fmt.Errorf("steps do not sum to the latency in %d records of seed %d: first request %d, steps %v, latency %v",
		c.brokenSteps, c.setup.Seed, b.Request, b.Steps.Sum(), b.Latency)
}
