package sim

import (
	"time"

	"taillab/policies/chance"
	"taillab/scenarios"
)

// Readiness checks and the acquire timeout of a lock that stalls.
const (
	lockProbe      = 5 * time.Second        // between two readiness checks
	lockProbeLimit = time.Second            // after which a check counts as missed
	lockMisses     = 3                      // in a row that take the front end out of service
	lockTimeout    = 200 * time.Millisecond // how long a request waits before it tries elsewhere
)

// lock is the lock of one front end, first come first served: a queue with one server.
// Whoever comes knows when it will have it, so only the end of the line is kept.
type lock struct {
	cfg    *scenarios.Lock
	free   time.Duration // when the last in line lets go
	stall  [2]time.Duration
	flight time.Duration // single flight: the next request waits so long, alone
	start  time.Duration // of the second under way
	now    int           // requests in it
	before int           // and in the one before
	misses int
}

// addLocks makes the locks of all front ends; the fault says whose stalls.
func (l *lab) addLocks() {
	for i := range l.rep.Cell.Setup.Faults {
		f := &l.rep.Cell.Setup.Faults[i]
		if f.Lock == nil {
			continue
		}
		if l.ops.locks == nil {
			l.ops.locks = make([]lock, l.rep.Cell.Setup.FrontEnds.Count)
		}
		for k := range l.ops.locks {
			l.ops.locks[k].cfg = f.Lock
			if f.Lock.Cure == scenarios.CureEvict {
				l.eng.Schedule(At(lockProbe), l.id.lockProbe, uint64(k))
			}
		}
	}
}

// load is the share of the second before in which the lock was held.
func (k *lock) load() float64 { return float64(k.before) * k.cfg.Hold.Seconds() }

// count books a request.
func (k *lock) count(now time.Duration) {
	if s := (now - k.start) / time.Second; s > 0 {
		if k.before = k.now; s > 1 {
			k.before = 0
		}
		k.now, k.start = 0, k.start+s*time.Second
	}
	k.now++
}

// stallLock is the beginning of a stall of length d at front end i. Below the load at
// which stalls begin nothing happens.
func (l *lab) stallLock(i int, d time.Duration) {
	k, now := &l.ops.locks[i], l.now()
	if k.load() <= k.cfg.Above {
		return
	}
	if k.cfg.Cure == scenarios.CureFlight {
		k.flight = d
		return
	}
	begin := max(k.free, now)
	k.free = begin + d
	k.stall = [2]time.Duration{begin, k.free}
}

// acquire leads request i through the lock of its front end.
func (l *lab) acquire(i uint32) {
	q, o, now := &l.reqs[i], l.ops, l.now()
	k := &o.locks[q.front]
	k.count(now)
	wait := max(k.free-now, 0)
	if wait > lockTimeout && k.cfg.Cure == scenarios.CureTimeout && !o.retried[i] && len(o.locks) > 1 {
		o.retried[i] = true
		l.eng.Schedule(At(now+lockTimeout), l.id.elsewhere, uint64(i))
		return
	}
	if q.measured() && wait > 0 && now < k.stall[1] && now+wait > k.stall[0] {
		o.stalled++
	}
	k.free = now + wait + k.cfg.Hold
	at := k.free
	if k.flight > 0 { // it refreshes for all, and lets go of the lock
		at += k.flight
		k.flight = 0
		if q.measured() {
			o.stalled++
		}
	}
	l.eng.Schedule(At(at), l.id.locked, uint64(i))
}

// meetFirst leads a request that has just arrived to a front end in service, and
// through its lock.
func (l *lab) meetFirst(i uint32) {
	o := l.ops
	if l.reqs[i].measured() {
		o.requests++
	}
	l.views = put(l.views, i, l.view)
	o.waited, o.retried = put(o.waited, i, 0), put(o.retried, i, false)
	l.meet(i)
}

// meet leads a request to its front end, or to the next one in service.
func (l *lab) meet(i uint32) {
	q := &l.reqs[i]
	to := l.divert(q)
	if to < 0 {
		l.lose(i)
		return
	}
	q.front = uint32(to)
	if l.fronts[to].bad && q.measured() {
		l.ops.exposed++
	}
	if l.ops.locks == nil {
		l.admit(i)
		return
	}
	l.acquire(i)
}

// lockWait is how long a request took to get through locks; 0 where there are none.
func (o *operations) lockWait(i uint32) time.Duration {
	if o == nil || o.locks == nil {
		return 0
	}
	return o.waited[i]
}

// elsewhere sends a request that has left a lock to another front end.
func (l *lab) elsewhere(i uint32) {
	q := &l.reqs[i]
	m := uint64(len(l.ops.locks))
	q.front = uint32((uint64(q.front) + 1 + chance.Below(l.stream("faults/elsewhere"), m-1)) % m)
	l.view = l.views[i]
	l.meet(i)
}

// locked is the moment at which a request has been through the lock.
func (l *lab) locked(i uint32) {
	l.ops.waited[i] = l.now() - l.reqs[i].at
	l.view = l.views[i]
	l.admit(i)
}

// checkLock is a readiness check of front end i: it has to take the lock, too.
func (l *lab) checkLock(i int) {
	k := &l.ops.locks[i]
	l.eng.Schedule(At(l.now()+lockProbe), l.id.lockProbe, uint64(i))
	if k.free-l.now() <= lockProbeLimit {
		k.misses = 0
		l.enterService(i)
		return
	}
	if k.misses++; k.misses == lockMisses {
		l.ops.evictions++
		l.leave([]int{i})
	}
}
