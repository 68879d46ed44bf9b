package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies"
	"taillab/reports"
)

// record is one request that is over.
type record struct {
	service  int
	class    string
	tenant   uint32
	outcome  policies.Outcome
	id       uint64
	arrived  time.Duration
	latency  time.Duration
	sent     time.Duration // of the answering attempt; 0 = none
	policy   time.Duration // under the front end's lock
	replica  int           // from 1; 0 = none
	attempts int
}

// counted names one row of taillab_requests_total.
type counted struct {
	service int
	class   string
	outcome policies.Outcome
}

// stats is what a proxy counts.
type stats struct {
	p   *Proxy
	col *reports.Collector

	unrouted, lost, heard, badMsgs, sources atomic.Int64

	mu       sync.Mutex
	requests map[counted]int64
	tenants  map[uint32]int64
	bad      map[string]int64 // fields that took their default
	latency  []buckets        // by service
	policy   buckets
	ring     [minute]second
}

func newStats(p *Proxy, col *reports.Collector) *stats {
	return &stats{p: p, col: col, requests: map[counted]int64{}, tenants: map[uint32]int64{}, bad: map[string]int64{}}
}

// minute is the length of the window of /summary.json, in seconds.
const minute = 60

// second is what ended in one second.
type second struct {
	at       int64 // since the proxy began, in seconds, +1; 0 = none
	outcomes [policies.Outcomes]int64
	latency  *reports.Hist
}

// book counts a request that is over.
func (s *stats) book(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[counted{r.service, r.class, r.outcome}]++
	s.tenants[r.tenant]++
	for len(s.latency) <= r.service {
		s.latency = append(s.latency, newBuckets(latencyBounds()))
	}
	s.latency[r.service].add(r.latency)
	if s.policy.bounds == nil {
		s.policy = newBuckets(policyBounds())
	}
	s.policy.add(r.policy)
	s.tick(r)
	if s.col != nil {
		s.col.Add(r.report())
	}
}

// tick counts a request in its second.
func (s *stats) tick(r *record) {
	at := int64((r.arrived+r.latency)/time.Second) + 1
	w := &s.ring[at%minute]
	switch {
	case at < w.at: // a minute ago
		return
	case w.at != at:
		w.at, w.outcomes = at, [policies.Outcomes]int64{}
		if w.latency == nil {
			w.latency = reports.NewHist(reports.GroupBits)
		} else {
			w.latency.Reset()
		}
	}
	w.outcomes[r.outcome]++
	if r.outcome == policies.OK {
		w.latency.Record(int64(r.latency))
	}
}

// report is the record as package reports takes it.
func (r *record) report() *reports.Record {
	out := &reports.Record{Request: r.id, Arrived: r.arrived, Latency: r.latency, TTFT: -1, TPOT: -1, Replica: reports.NoReplica,
		Service: uint16(r.service), Outcome: uint8(r.outcome), Attempt: uint8(r.attempts)}
	if r.replica > 0 {
		out.Replica = uint32(r.replica - 1)
		sent := min(max(0, r.sent-r.arrived), r.latency)
		out.Steps = reports.Steps{Held: sent, Service: r.latency - sent}
	}
	return out
}

// defaults counts fields that took their default for a bad value.
func (s *stats) defaults(fields []string) {
	if len(fields) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range fields {
		s.bad[f]++
	}
}

// total is the number of requests that are over.
func (s *stats) total() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, k := range s.requests { // a sum: no order
		n += k
	}
	return n
}

// buckets is a histogram with fixed bounds.
type buckets struct {
	bounds []time.Duration
	counts []int64 // one more than the bounds
	sum    time.Duration
}

func newBuckets(bounds []time.Duration) buckets {
	return buckets{bounds: bounds, counts: make([]int64, len(bounds)+1)}
}

func (b *buckets) add(d time.Duration) {
	i, _ := slices.BinarySearch(b.bounds, d)
	b.counts[i]++
	b.sum += d
}

// latencyBounds are 1 ms … 100 s, four to a decade.
func latencyBounds() []time.Duration {
	var out []time.Duration
	for unit := time.Millisecond; unit < 100*time.Second; unit *= 10 {
		out = append(out, unit, unit*18/10, unit*32/10, unit*56/10)
	}
	return append(out, 100*time.Second)
}

// policyBounds are 250 ns … 1 ms.
func policyBounds() []time.Duration {
	out := []time.Duration{}
	for d := 250 * time.Nanosecond; d <= time.Millisecond; d *= 2 {
		out = append(out, d)
	}
	return out
}

// outcomes names the outcome classes, for a Collector.
func outcomes() []string {
	names := policies.OutcomeNames()
	return names[:]
}
