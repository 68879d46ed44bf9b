package reports

import "time"

// batch is how many records are counted in one go: few enough to stay in the first
// cache, enough that statistics of one kind stay in registers for a while.
const batch = 64

// rows are records that wait to be counted, a column per field, so that counting reads
// only what it needs.
type rows struct {
	n int
	// plain says that all of them were served by their first attempt, and that their
	// time went to the replica's queue and to service alone. The columns of the second
	// group and those below it then hold nothing.
	plain bool

	request                [batch]uint64
	arrived                [batch]time.Duration
	latency                [batch]int64
	queue                  [batch]time.Duration
	replica                [batch]uint32
	service, tenant, class [batch]uint16
	outcome, attempt       [batch]uint8
	held, quota, network   [batch]time.Duration
	batching, serving      [batch]time.Duration
	ttft, tpot             [batch]time.Duration
}

// Served books a request that was served by its first attempt, after so long in the
// replica's queue and nowhere else, without streaming.
func (c *Collector) Served(request uint64, arrived, latency, queue time.Duration, replica uint32, service, tenant, class uint16) {
	w := &c.rows
	if w.n == batch || !w.plain {
		c.flush()
	}
	i := w.n & (batch - 1)
	w.request[i], w.arrived[i], w.latency[i], w.queue[i], w.replica[i] = request, arrived, int64(latency), queue, replica
	w.service[i], w.tenant[i], w.class[i] = service, tenant, class
	w.n++
}

// Add books a copy of a record. Its latency must not be negative; slots and outcome
// must lie within the Setup: anything else is a broken invariant of the host.
func (c *Collector) Add(r *Record) {
	w := &c.rows
	if w.n == batch || w.plain {
		c.flush()
		w.plain = false
	}
	i := w.n & (batch - 1)
	w.request[i], w.arrived[i], w.latency[i], w.queue[i], w.replica[i] = r.Request, r.Arrived, int64(r.Latency), r.Steps.Queue, r.Replica
	w.service[i], w.tenant[i], w.class[i], w.outcome[i], w.attempt[i] = r.Service, r.Tenant, r.Class, r.Outcome, r.Attempt
	s := &r.Steps
	w.held[i], w.quota[i], w.network[i], w.batching[i], w.serving[i] = s.Held, s.Quota, s.Network, s.Batch, s.Service
	w.ttft[i], w.tpot[i] = r.TTFT, r.TPOT
	w.n++
}

// record is row i.
func (w *rows) record(i int) Record {
	r := Record{Request: w.request[i], Arrived: w.arrived[i], Latency: time.Duration(w.latency[i]), TTFT: -1, TPOT: -1,
		Steps: w.steps(i), Replica: w.replica[i], Service: w.service[i], Tenant: w.tenant[i], Class: w.class[i], Attempt: 1}
	if !w.plain {
		r.TTFT, r.TPOT, r.Outcome, r.Attempt = w.ttft[i], w.tpot[i], w.outcome[i], w.attempt[i]
	}
	return r
}

// steps is where the latency of row i went.
func (w *rows) steps(i int) Steps {
	if w.plain {
		return Steps{Queue: w.queue[i], Service: time.Duration(w.latency[i]) - w.queue[i]}
	}
	return Steps{Held: w.held[i], Quota: w.quota[i], Network: w.network[i], Queue: w.queue[i], Batch: w.batching[i], Service: w.serving[i]}
}

// ok tells whether row i was served.
func (w *rows) ok(i int) bool { return w.plain || w.outcome[i] == 0 }

// flush counts the rows that wait, in the order in which they were booked.
func (c *Collector) flush() {
	w := &c.rows
	if w.n == 0 {
		w.plain = true
		return
	}
	c.hash.add(w)
	c.countOutcomes(w)
	c.pace.add(w, c.unfinished)
	if c.latency != nil {
		c.latency.recordAll(w.served(0, w.n, &c.room))
	}
	c.countTail(w)
	c.countParts(w)
	if c.slices != nil {
		c.cut(w)
	}
	w.n, w.plain = 0, true
}

// served are the latencies of the rows from…to that were served; room lends the place
// where they are not all.
func (w *rows) served(from, to int, room *[batch]int64) []int64 {
	if w.plain {
		return w.latency[from:to]
	}
	n := 0
	for i := from; i < to; i++ {
		room[n] = w.latency[i]
		n += boolInt(w.outcome[i] == 0)
	}
	return room[:n]
}

func (c *Collector) countOutcomes(w *rows) {
	if w.plain {
		c.outcomes[0] += int64(w.n)
		c.good += c.goodOf(w, 0, w.n)
		return
	}
	c.good += c.goodOf(w, 0, w.n)
	for i := range w.n {
		c.outcomes[w.outcome[i]]++
		if w.outcome[i] != 0 && int(w.outcome[i]) != c.unfinished {
			c.failure.Record(w.latency[i])
		}
	}
}

// meets tells whether row i was served within the limits.
func (c *Collector) meets(w *rows, i int) bool {
	if w.plain {
		return w.latency[i] <= int64(c.limits[0])
	}
	return w.outcome[i] == 0 && w.latency[i] <= int64(c.limits[0]) && w.ttft[i] <= c.limits[1] && w.tpot[i] <= c.limits[2]
}

// goodOf counts the rows from…to that were served within the limits.
func (c *Collector) goodOf(w *rows, from, to int) int64 {
	if w.plain && c.limits[0] == unlimited {
		return int64(to - from)
	}
	n := 0
	for i := from; i < to; i++ {
		n += boolInt(c.meets(w, i))
	}
	return int64(n)
}

// countTail keeps where the latency went, by latency, and the slowest requests.
func (c *Collector) countTail(w *rows) {
	if w.plain {
		for i := range w.n {
			l, q := w.latency[i], int64(w.queue[i])
			b := &c.tail[indexOf(min(l, HistMax), tailBits)]
			b.n++
			b.queue += q
			b.service += l - q
			if l >= c.slow.least {
				c.slow.offer(w.record(i))
			}
		}
		return
	}
	for i := range w.n {
		if w.outcome[i] != 0 {
			continue
		}
		s := w.steps(i)
		if s.Sum() != time.Duration(w.latency[i]) {
			if c.brokenSteps == 0 {
				c.brokenSample = w.record(i)
			}
			c.brokenSteps++
		}
		c.tail[indexOf(min(w.latency[i], HistMax), tailBits)].add(&s)
		if w.latency[i] >= c.slow.least {
			c.slow.offer(w.record(i))
		}
	}
}

// countParts counts what only some runs have: tokens, tenants, classes, services.
func (c *Collector) countParts(w *rows) {
	for i := range c.groups {
		g := &c.groups[i]
		slots := g.slots(w)
		for k, slot := range slots[:w.n] {
			m := &g.members[slot]
			m.n++
			if w.ok(k) {
				m.hist.Record(w.latency[k])
			}
			m.good += int64(boolInt(c.meets(w, k)))
		}
	}
	if c.service != nil {
		for i := range w.n {
			if w.ok(i) {
				c.service[w.service[i]].Record(w.latency[i])
			}
		}
	}
	if c.ttft != nil && !w.plain {
		for i := range w.n {
			if w.outcome[i] == 0 {
				c.ttft.recordKnown(w.ttft[i])
				c.tpot.recordKnown(w.tpot[i])
			}
		}
	}
}

// cut counts rows in their slices, those that follow each other in one in one go.
func (c *Collector) cut(w *rows) {
	for from := 0; from < w.n; {
		at, to := c.sliceOf(w.request[from], w.arrived[from]), from+1
		for to < w.n && c.sliceOf(w.request[to], w.arrived[to]) == at {
			to++
		}
		c.addSlice(&c.slices[at], w, from, to)
		from = to
	}
}

func (c *Collector) addSlice(s *slice, w *rows, from, to int) {
	t := s.tally
	t.n += int64(to - from)
	t.good += c.goodOf(w, from, to)
	for i := from; i < to; i++ {
		if t.first < 0 || w.arrived[i] < t.first {
			t.first = w.arrived[i]
		}
	}
	if w.plain {
		t.done += int64(to - from)
		for i := from; i < to; i++ {
			t.sum += float64(w.latency[i])
			t.work += w.latency[i] - int64(w.queue[i])
		}
	} else {
		for i := from; i < to; i++ {
			if w.outcome[i] == 0 {
				t.done++
				t.sum += float64(w.latency[i])
				t.work += int64(w.serving[i])
			}
		}
	}
	s.tally = t
	if s.hist == nil {
		return
	}
	s.hist.recordAll(w.served(from, to, &c.room))
	if w.plain {
		s.outcomes[0] += int64(to - from)
		return
	}
	for i := from; i < to; i++ {
		s.outcomes[w.outcome[i]]++
		if s.ttft != nil && w.outcome[i] == 0 {
			s.ttft.recordKnown(w.ttft[i])
			s.tpot.recordKnown(w.tpot[i])
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
