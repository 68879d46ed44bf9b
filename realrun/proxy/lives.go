package proxy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/spool"
)

// life is one instance of a front end, with its tape. Another one takes its place when
// the tape begins anew; it then sees its own requests to their ends.
type life struct {
	fe    *flow.FrontEnd
	tape  *flow.Tape   // nil: not taped
	to    *spool.Spool // where the tape goes; nil: it is forgotten
	slots []*request   // open
}

// stream is the name of a front end's tape, as a replay expects it.
func (f *front) stream() string { return fmt.Sprintf("frontend/%d.1", f.index) }

// begin puts a life in place that is taped to a spool; the lock is held.
func (f *front) begin(to *spool.Spool) {
	f.life = &life{to: to}
	if to != nil {
		f.life.tape = &flow.Tape{}
	}
	f.life.fe = f.fresh(f.life.tape)
}

// renew puts a fresh instance in place of the present one, which is taped no more: the
// members come in one bulk reset, then what has changed since the start. It knows
// nothing of what is under way.
func (f *front) renew(to *spool.Spool) {
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	f.last = max(f.last, f.p.now())
	f.life.to = nil
	f.old = append(f.old, f.life)
	f.begin(to)
	list := f.run(f.life, func(l *life, now time.Duration) {
		l.fe.Start(now, &f.out)
		for service, said := range f.said {
			for _, id := range slices.Sorted(maps.Keys(said)) {
				c := said[id]
				if c.Kind == balance.ChangeDraining { // nothing of this life is inside it
					c.Kind = balance.ChangeRemoved
				}
				l.fe.Membership(now, service, c, &f.out)
			}
		}
	})
	f.retire()
	f.mu.Unlock()
	f.execute(list)
}

// lives are all that still have something to do; the lock is held.
func (f *front) lives() []*life {
	if len(f.old) == 0 {
		return []*life{f.life}
	}
	return append([]*life{f.life}, f.old...)
}

// retire forgets the earlier lives that are over; the lock is held.
func (f *front) retire() {
	f.old = slices.DeleteFunc(f.old, func(l *life) bool {
		over := l.fe.Open() == 0
		if over {
			f.past = f.past.Add(l.fe.Counters())
		}
		return over
	})
}

// counters are the messages of all lives; the lock is held.
func (f *front) counters() flow.Counters {
	sum := f.past
	for _, l := range f.lives() {
		sum = sum.Add(l.fe.Counters())
	}
	return sum
}

// member tells of a change of membership. A draining replica is removed once the last
// attempt at it has ended.
func (f *front) member(service int, c balance.Change) {
	idle := false
	f.news(nil, func(l *life, now time.Duration) {
		f.note(service, c)
		l.fe.Membership(now, service, c, &f.out)
		if c.Kind == balance.ChangeDraining {
			f.drain[service][c.Ref] = true
			idle = f.outs[service][c.Ref] == 0
		}
	})
	if idle {
		f.removed(service, c.Ref)
	}
}

// removed removes a draining replica that has nothing left to do.
func (f *front) removed(service int, ref policies.Ref) {
	c := balance.Change{Kind: balance.ChangeRemoved, Ref: ref}
	f.news(nil, func(l *life, now time.Duration) {
		delete(f.drain[service], ref)
		f.note(service, c)
		l.fe.Membership(now, service, c, &f.out)
	})
}

// note keeps the last change of a replica, for lives to come; the lock is held.
func (f *front) note(service int, c balance.Change) {
	if old, known := f.said[service][c.Ref.ID]; !known || c.Ref.Inc >= old.Ref.Inc {
		f.said[service][c.Ref.ID] = c
	}
}

// start begins the front end's run.
func (f *front) start() {
	f.news(nil, func(l *life, now time.Duration) { l.fe.Start(now, &f.out) })
}

// stop closes what is still open as unfinished; no input does anything any more.
func (f *front) stop() {
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	f.last = max(f.last, f.p.now())
	f.down = true
	var open []ended
	for _, l := range f.lives() {
		for i, q := range l.slots {
			if q != nil {
				l.slots[i] = nil
				open = append(open, ended{q, q.close(policies.Unfinished, len(q.tries), f.last)})
			}
		}
	}
	f.mu.Unlock()
	for i := range open {
		f.p.stats.book(&open[i].rec)
		open[i].q.notify()
	}
}
