package sim

import (
	"slices"
	"time"

	"taillab/policies"
	"taillab/policies/chance"
	"taillab/workloads"
)

// chunk is how many rows of the schedule are pulled at a time: few enough to stay
// in the nearer caches.
const chunk = 512

// window is what is measured: requests by number, or by arrival with a horizon.
type window struct {
	first, last uint64        // measured requests: first ≤ id < last; last 0 with a horizon
	from, until time.Duration // horizon: measured arrivals in [from, until)

	opened, closed bool
	open           int // measured requests under way
	begin, end     time.Duration
	seen           int64 // measured arrivals
	before, after  snapshot
}

// has tells whether a request is measured.
func (w *window) has(id uint64, at time.Duration) bool {
	if w.until > 0 {
		return at >= w.from && at < w.until
	}
	return id >= w.first && id < w.last
}

// share tells how much of the measured arrivals have come.
func (w *window) share(id uint64, at time.Duration) float64 {
	if w.until > 0 {
		return min(1, float64(at)/float64(w.until))
	}
	return min(1, float64(id+1)/float64(max(w.last, 1)))
}

// past tells whether a request comes after all measured ones.
func (w *window) past(id uint64, at time.Duration) bool {
	if w.until > 0 {
		return at >= w.until
	}
	return id >= w.last
}

// workload is the schedule as a Source of the engine.
type workload struct {
	l       *lab
	src     workloads.Source
	buf     []workloads.Request
	i, n    int
	hash    workloads.Hasher
	names   []string // tenants as the report shows them
	tenants []uint16 // number of the shown tenant, by tenant
}

// maxTenants is how many tenants a report shows by name.
const maxTenants = 32

func (w *workload) init(l *lab) (err error) {
	c, m := l.rep.Cell, &l.rep.Cell.Setup.Measure
	w.l, w.buf = l, make([]workloads.Request, chunk)
	w.names, w.tenants = c.Setup.Workload.Shown(maxTenants)
	rate := c.RateRPS
	if w.src, err = c.Setup.Workload.Source(l.rep.Seed, rate); err != nil {
		return err
	}
	switch {
	case m.Horizon > 0:
		l.win.until, l.win.from = m.Horizon, m.WarmupTime
		if m.WarmupTime == 0 {
			l.win.from = time.Duration(m.WarmupShare * float64(m.Horizon))
		}
	case m.WarmupTime > 0:
		l.win.last = uint64(m.Requests)
		l.win.first = w.before(m.WarmupTime, l.win.last)
		if w.src, err = c.Setup.Workload.Source(l.rep.Seed, rate); err != nil {
			return err
		}
	default:
		l.win.last = uint64(m.Requests)
		l.win.first = uint64(m.WarmupShare * float64(m.Requests))
	}
	w.pull()
	return nil
}

// before counts the arrivals of the warm-up, at most all but one.
func (w *workload) before(t time.Duration, all uint64) uint64 {
	var n uint64
	for {
		k := w.src.Next(w.buf)
		for _, r := range w.buf[:k] {
			if r.At >= t || n+1 >= all {
				return n
			}
			n++
		}
		if k == 0 {
			return n
		}
	}
}

func (w *workload) pull() {
	if w.n > 0 {
		w.l.rec.Progress(w.l.num, w.l.win.share(w.buf[w.n-1].ID, w.buf[w.n-1].At))
	}
	w.i, w.n = 0, w.src.Next(w.buf)
	n := 0
	for n < w.n && !w.l.win.past(w.buf[n].ID, w.buf[n].At) {
		n++
	}
	w.hash.Add(w.buf[:n])
}

// first is the first arrival.
func (w *workload) first() Time {
	if w.n == 0 {
		return Never
	}
	return At(w.buf[0].At)
}

// Fire implements Source: one arrival.
func (w *workload) Fire(*Engine) Time {
	r := &w.buf[w.i]
	w.l.arrive(r)
	if w.i++; w.i == w.n {
		w.pull()
		if w.n == 0 {
			w.l.closeWindow()
			return Never
		}
	}
	return At(w.buf[w.i].At)
}

// arrive makes the request known and hands it to its front end.
func (l *lab) arrive(r *workloads.Request) {
	now := l.now()
	measured := l.win.has(r.ID, r.At)
	if measured && !l.win.opened {
		l.win.opened, l.win.begin = true, now
		l.win.before = l.snap()
		l.quota.open(l)
		if l.scale != nil {
			l.scale.Open(now)
		}
	}
	i := l.newRequest()
	q := &l.reqs[i]
	// Field by field: a literal is built aside and copied in wider pieces than it was
	// written in, which stalls the loads.
	q.id, q.at, q.front, q.first, q.gen, q.slot = r.ID, r.At, r.FrontEnd, 0, 0, 0
	q.service, q.tenant, q.class, q.priority = uint16(r.Service), l.load.tenants[r.Tenant], r.Class, r.Priority
	if q.flags = isOpen; measured {
		q.flags |= isMeasured
	}
	s := &l.svcs[r.Service]
	if s.elastic != nil {
		s.elastic.arrived(i, r.Class)
	}
	if s.noisy { // drawn here, in order of arrival, whatever the policy does
		l.noise = put(l.noise, i, noise{chance.Normal(&s.noise), chance.Float(&s.noise)})
	}
	v := &l.view
	v.ID, v.Key, v.Arrived, v.Deadline = r.ID, r.Key, r.At, r.Deadline
	v.Service, v.Tenant, v.Group, v.Model = r.Service, r.Tenant, r.Group, r.Model
	v.Input, v.Class, v.Priority, v.Cold = r.Input, r.Class, r.Priority, 0
	l.quota.arrived(i, r.Group, r.Tenant)
	if r.Blocks != nil {
		l.blocks = put(l.blocks, i, r.Blocks)
		l.view.Cold = i + 1
	}
	if measured {
		l.win.open++
		l.win.seen++
		if !l.win.closed && l.last(r) {
			l.closeWindow()
		}
	} else if l.win.past(r.ID, r.At) {
		l.closeWindow()
	}
	if s.shared {
		l.need(i, r)
		q.front = uint32(l.shared)
		l.views = put(l.views, i, l.view)
		d, lost, _ := s.request.send()
		if lost {
			l.lose(i)
			return
		}
		l.extra = put(l.extra, i, d)
		l.eng.Schedule(At(now+d), l.id.enter, uint64(i))
		return
	}
	if s.direct && r.Deadline == 0 && l.alone() {
		l.enterDirect(i, r)
		return
	}
	l.need(i, r)
	if l.ops != nil {
		l.meetFirst(i)
		return
	}
	l.admit(i)
}

// need keeps what a request asks of a replica.
func (l *lab) need(i uint32, r *workloads.Request) {
	l.needs = put(l.needs, i, needs{demand: r.Demand, deadline: r.Deadline, input: r.Input, output: r.Output})
}

// put stores x at index i of a column that grows as needed, and touches no more of it.
func put[T any](s []T, i uint32, x T) []T {
	if n := int(i) + 1; n > len(s) {
		s = slices.Grow(s, n-len(s))[:n]
	}
	s[i] = x
	return s
}

// last tells whether r is the last measured request, when that can be known.
func (l *lab) last(r *workloads.Request) bool { return l.win.until == 0 && r.ID+1 == l.win.last }

// enter is the arrival at the front end of a Shared policy.
func (l *lab) enter(i uint32) {
	l.view = l.views[i]
	l.admit(i)
}

// admit hands the request in l.view to its front end.
func (l *lab) admit(i uint32) {
	q := &l.reqs[i]
	f := &l.fronts[q.front]
	if f.down {
		l.lose(i)
		return
	}
	if f.bad {
		l.failed(i, policies.HTTP5xx)
		return
	}
	q.gen = f.gen
	q.slot = f.fe.Arrive(l.now(), &l.view, &l.out)
	f.slots = put(f.slots, q.slot, i)
	if d := l.needs[i].deadline; d > 0 {
		l.post(max(d, l.now()), l.id.deadline, envelope{front: q.front, gen: q.gen, arg: q.id, ref: policies.Ref{ID: i}})
	}
	l.act(int(q.front))
	if e := l.svcs[l.view.Service].elastic; e != nil {
		e.poke()
	}
}

// deadline closes a request whose client gives up.
func (l *lab) deadline(e envelope) {
	q := &l.reqs[e.ref.ID]
	f := &l.fronts[e.front]
	if !q.open() || q.id != e.arg || q.front != e.front || f.gen != e.gen {
		return
	}
	f.fe.Gone(l.now(), q.slot, policies.DeadlineHit, &l.out)
	l.act(int(e.front))
}
