package sim

import (
	"time"

	"taillab/policies"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// The direct way of a request: where nothing can come between a front end's choice
// and the replica, or between the end of a service and the answer, what belongs
// together is done in one go, without actions, messages and events of replicas. The
// same policy is called at the same instants, and instants, draws and order of events
// are those of the general way, so the results are the same to the bit. Requests of
// either way may meet at the same front end and in the same replica.

// direct tells whether requests of a service may take the direct way: links without
// delay and loss, replicas of one slot in order of arrival, front ends that only
// choose, and nobody else who is told or may interfere.
func (l *lab) direct(i int) bool {
	s := &l.svcs[i]
	if l.faulty || l.ops != nil || l.quota != nil || l.scale != nil || s.elastic != nil || s.half != nil ||
		s.truth != nil || s.shared || s.noisy || !s.request.free || !s.response.free || !s.pool.Direct() {
		return false
	}
	for k := range l.fronts {
		if k != l.shared && !l.fronts[k].fe.Direct(i) {
			return false
		}
	}
	return true
}

// addLanes finds out which services take the direct way, and gives each of their
// replicas a lane.
func (l *lab) addLanes() {
	n := 0
	for i := range l.svcs {
		s := &l.svcs[i]
		if s.direct = l.direct(i); s.direct {
			s.lane = uint32(n)
			n += s.pool.Len()
		}
	}
	if l.lanes = n > 0 && n <= MaxLanes; l.lanes {
		l.eng.Lanes(n, l.id.leave)
	}
}

// ending files the end of a service, never for none: in a lane, or in the agenda, where
// the one before stays and is ignored.
func (l *lab) ending(lane uint32, at time.Duration) {
	switch {
	case l.lanes:
		l.eng.SetLane(lane, At(at))
	case at != gpu.Never:
		l.eng.Schedule(At(at), l.id.leave, uint64(lane))
	}
}

// alone tells whether nothing else of this instant can come before the delivery of
// the request at hand: no message is waiting, and the next arrival is later.
func (l *lab) alone() bool {
	w := &l.load
	return l.eng.soon.n == 0 && w.i+1 < w.n && At(w.buf[w.i+1].At) > l.eng.now
}

// directly marks the number of a request that a replica knows by it, not by that of
// an attempt.
const directly = 1 << 31

// enterDirect takes the request in l.view from its front end into the replica. Its
// attempt needs no record: it is sent as the request arrives, and is always answered.
func (l *lab) enterDirect(i uint32, r *workloads.Request) {
	q, now := &l.reqs[i], l.now()
	f := &l.fronts[q.front]
	slot, ref, sent := f.fe.Choose(now, &l.view, &l.out)
	q.gen, q.slot = f.gen, slot
	if !sent {
		l.need(i, r)
		f.slots = put(f.slots, slot, i)
		l.act(int(q.front))
		return
	}
	q.flags |= isDirect
	q.first = ref.ID
	s := &l.svcs[r.Service]
	s.sent++
	l.eng.events++ // the delivery
	if end := s.pool.Enter(now, ref.ID, i|directly, r.Demand); end != gpu.Never {
		l.ending(s.lane+ref.ID, end)
	}
}

// leaveDirect ends the services due in a lane and closes their requests.
func (l *lab) leaveDirect(lane uint32) {
	i := len(l.svcs) - 1
	for !l.svcs[i].direct || l.svcs[i].lane > lane {
		i--
	}
	s, now := &l.svcs[i], l.now()
	r, next := lane-s.lane, now
	if s.pool.Due(r).At != now {
		return // it was filed anew
	}
	for next == now {
		var k uint32
		var queue time.Duration
		var wanted bool
		k, queue, next, wanted = s.pool.Leave(r)
		switch {
		case k&directly != 0:
			l.answered(s, k&^directly, queue)
		case wanted:
			l.atts[k].queue = queue
			l.left(i, r, k, policies.OK)
		}
	}
	l.ending(lane, next)
}

// answered closes request i, which has been served after so long in the queue.
func (l *lab) answered(s *service, i uint32, queue time.Duration) {
	q, now := &l.reqs[i], l.now()
	l.fronts[q.front].fe.Answered(q.slot, int(q.service), policies.Ref{ID: q.first}) // nothing restarts: life 0
	s.sent--
	measured := q.measured()
	q.flags = 0
	if measured {
		l.col.Served(q.id, q.at, now-q.at, queue, q.first, q.service, q.tenant, q.class)
		l.win.open--
		l.check()
	}
	l.dropRequest(i)
}
