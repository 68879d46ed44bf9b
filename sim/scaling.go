package sim

import (
	"math"
	"slices"
	"time"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/reports"
)

// reached takes an attempt off the wire to its pod; false when that life is over.
func (e *elastic) reached(a *attempt) bool {
	r := a.ref.ID
	p := &e.pods[r]
	if a.ref.Inc != e.s.state[r].inc {
		a.killed = p.past
		return false
	}
	p.wire--
	if e.s.state[r].down > 0 {
		a.killed = p.cause
		return false
	}
	return true
}

// noticed counts a front end that has learned that a pod drains.
func (e *elastic) noticed(ref policies.Ref) {
	if e.s.state[ref.ID].inc != ref.Inc {
		return
	}
	e.pods[ref.ID].notices--
	e.drained(ref.ID)
}

// catchUp tells a fresh front end how replica r differs from the table: members of the
// start may be gone, others have come.
func (e *elastic) catchUp(k int, r uint32) {
	p, ref := &e.pods[r], policies.Ref{ID: r, Inc: e.s.state[r].inc}
	ch := balance.Change{Kind: balance.ChangeRemoved, Ref: ref}
	switch p.phase {
	case autoscale.Ready:
		ch.Kind = balance.ChangeAdded
	case autoscale.Draining:
		ch.Kind = balance.ChangeDraining
	}
	e.l.notify(k, e.svc, ch)
	if e.hold && int(r) == len(e.pods)-1 {
		e.l.fronts[k].fe.SetHold(e.l.now(), e.svc, true, &e.l.out)
		e.l.act(k)
	}
}

// sending books an attempt that goes onto the wire to a pod, or with −1 one that is
// lost there.
func (e *elastic) sending(ref policies.Ref, by int) {
	if e.s.state[ref.ID].inc == ref.Inc {
		e.pods[ref.ID].wire += by
	}
}

// began books a request that is in a slot for the first time.
func (e *elastic) began(i uint32) {
	if !e.started[i] {
		e.started[i] = true
		e.books.Began(uint32(e.l.reqs[i].class))
	}
}

// finished books the work of a request that was served.
func (e *elastic) finished(q *request, service time.Duration) {
	e.books.Finished(uint32(q.class), service)
}

// closed books the end of a request. An attempt that lost may still start after it.
func (e *elastic) closed(i uint32) {
	e.books.Closed()
	e.began(i)
}

// judge books a measured request that has ended with what autoscalers are judged by;
// n is the attempt that answered.
func (l *lab) judge(q *request, rec *reports.Record, n uint8) {
	ok := policies.Outcome(rec.Outcome) == policies.OK
	l.scale.Request(q.at, ok && l.rep.Cell.Setup.Measure.SLO.Met(rec))
	if ok {
		l.second = append(l.second, rec.Latency)
	}
	if f := &l.fronts[q.front]; q.gen == f.gen && !f.down {
		if _, held := f.fe.Waited(q.slot); held > 0 {
			l.scale.Held(held)
		}
	}
	if c := policies.Outcome(rec.Outcome); c != policies.Reset && c != policies.Refused {
		return
	}
	for k := q.first; k != 0; k = l.atts[k-1].older {
		if a := &l.atts[k-1]; a.n == n && a.killed != alive {
			l.scale.Killed(a.killed == reclaimed)
			return
		}
	}
}

// provided adds what a service has held up to now.
func (s *service) provided(x *snapshot) {
	if s.elastic == nil {
		for r := range uint32(s.pool.Len()) {
			x.slots += time.Duration(s.pool.Model(r).Slots()) * x.at
		}
		x.gpu += time.Duration(s.pool.Len()) * x.at
		return
	}
	held := s.elastic.nodes.Until(x.at)
	x.slots += time.Duration(s.pool.Model(0).Slots()) * held
	x.gpu += held
	x.elastic += held
	x.idle += s.elastic.idle.Until(x.at)
}

// tick fills in a row of the timeline. The P99 is of the requests of this second that
// have completed.
func (e *elastic) tick(row *reports.TimelineRow) {
	row.Replicas, row.Desired, row.Created, row.Held = e.ready(), e.spec, e.created(), e.l.held(e.svc)
	row.Arrived, e.came = e.came, 0
	if n := len(e.l.second); n > 0 {
		slices.Sort(e.l.second)
		row.P99 = e.l.second[int(math.Ceil(0.99*float64(n)))-1]
		e.l.second = e.l.second[:0]
	}
}
