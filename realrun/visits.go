package realrun

import (
	"math"
	"slices"
	"time"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/reports"
)

// work is a request in the eyes of its service's autoscaler; under its lock.
type work struct {
	class  uint32
	began  bool // it was in a slot, or never will be
	closed bool
}

// visit is an attempt at a replica. Which of them are served and which wait is what the
// driver can tell of backends that do not say: the first so many, by slots, are served.
type visit struct {
	ref   policies.Ref
	work  *work
	runs  bool
	since time.Duration
}

// arrived books a request.
func (e *elastic) arrived(class uint16) *work {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.came++
	e.books.Arrived(uint32(class))
	return &work{class: uint32(class)}
}

// closed books the end of a request.
func (e *elastic) closed(w *work) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	e.books.Closed()
	e.began(w)
}

// began books a request that is in a slot for the first time. mu is held.
func (e *elastic) began(w *work) {
	if !w.began {
		w.began = true
		e.books.Began(w.class)
	}
}

// sent books an attempt that a front end sends, under that front end's lock: once it
// has learned that a pod drains, nothing of its is unbooked.
func (e *elastic) sent(ref policies.Ref, w *work) *visit {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := &visit{ref: ref, work: w}
	p := &e.pods[ref.ID]
	if p.inc != ref.Inc || p.backend == nil {
		return v // it will be refused
	}
	p.inside = append(p.inside, v)
	e.books.Accepted(ref.ID)
	e.moved(ref.ID)
	return v
}

// left books the end of an attempt.
func (e *elastic) left(v *visit, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &e.pods[v.ref.ID]
	if ok && v.runs {
		e.books.Finished(v.work.class, e.now()-v.since)
	}
	if i := slices.Index(p.inside, v); i >= 0 {
		p.inside = slices.Delete(p.inside, i, i+1)
		e.moved(v.ref.ID)
		e.drained(v.ref.ID)
	}
}

// moved follows a change of what is inside a replica. mu is held.
func (e *elastic) moved(r uint32) {
	p, now := &e.pods[r], e.now()
	running := min(len(p.inside), e.slots)
	for _, v := range p.inside[:running] {
		if !v.runs {
			v.runs, v.since = true, now
			e.began(v.work)
		}
	}
	e.books.Pass(r, now, running, len(p.inside)-running)
	if p.holds {
		e.still(p, running == 0)
	}
}

// killed tells whether an attempt that ended as reset or refused did so because its pod
// was ended: it drained, or is known to be gone, at the latest a second after.
func (e *elastic) killed(x suspect) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, over := e.over[x.ref]
	return x.draining || over && at <= x.at+time.Second
}

// suspect is a request that may have ended because its pod did.
type suspect struct {
	svc      int
	ref      policies.Ref
	at       time.Duration
	draining bool
}

// draining tells whether a life of a replica is one that front ends are leaving.
func (e *elastic) draining(ref policies.Ref) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &e.pods[ref.ID]
	return p.inc == ref.Inc && p.phase == autoscale.Draining
}

// tick fills in a row of the timeline. The P99 is of the measured requests completed
// since the row before.
func (e *elastic) tick(row *reports.TimelineRow) {
	row.Held = e.held()
	e.mu.Lock()
	defer e.mu.Unlock()
	row.Replicas, row.Desired = e.ready, e.spec
	for r := range e.pods {
		if e.pods[r].phase != autoscale.Gone {
			row.Created++
		}
	}
	row.Arrived, e.came = e.came, 0
	if n := len(e.done); n > 0 {
		slices.Sort(e.done)
		row.P99 = e.done[int(math.Ceil(0.99*float64(n)))-1]
		e.done = e.done[:0]
	}
}

// latency notes a measured request that was served.
func (e *elastic) latency(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = append(e.done, d)
}

// provided is the time for which GPUs were held, and that of those which ran nothing.
func (e *elastic) provided() (held, idle time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	return e.nodes.Until(now), e.idle.Until(now)
}
