package sim

import (
	"time"

	"taillab/policies"
	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
)

// update is a rolling update under way: batches of front ends leave, restart with the
// new build and, with a readiness gate, come back when they are ready. A bad build shows
// itself until the next batch is due, and is then noticed with some probability; a build
// that is never ready is noticed when its check times out. Then every updated front end
// goes back, newest first.
type update struct {
	cfg     *scenarios.Update
	fronts  []int
	updated int // how many have the new build, in order of fronts
	back    bool
	steps   int
	exposed int // most front ends that took requests with a bad build at once
}

// operations is what rolling updates and stalling locks do to the front ends of a run;
// nil where the scenario has neither.
type operations struct {
	updates []*update
	locks   []lock // by front end; nil without lock faults
	waited  []time.Duration
	retried []bool // by request: has left a lock once
	out     int    // front ends that take no requests
	most    int    // most of them at once

	requests, exposed, stalled int // measured
	evictions                  int
}

// stages of an update event, in the upper half of its argument: which of updates it is
// about stands in the lower half.
const (
	updateStep uint64 = iota << 32
	updateRestart
	updateReady
	updateJudge
)

// beginUpdate starts the rolling update of fault i.
func (l *lab) beginUpdate(f *scenarios.Fault) {
	o := l.ops
	o.updates = append(o.updates, &update{cfg: f.Update, fronts: f.Fronts})
	l.updateEvent(updateStep | uint64(len(o.updates)-1))
}

// batch is the front ends of the step under way.
func (u *update) batch() []int {
	n := u.cfg.Batch
	if u.back {
		return u.fronts[max(0, u.updated-n):u.updated]
	}
	return u.fronts[u.updated:min(u.updated+n, len(u.fronts))]
}

func (l *lab) updateEvent(arg uint64) {
	u := l.ops.updates[uint32(arg)]
	again := func(d time.Duration, stage uint64) {
		l.eng.Schedule(At(l.now()+d), l.id.update, stage|uint64(uint32(arg)))
	}
	if arg>>32<<32 == updateJudge {
		u.back = u.cfg.Build != scenarios.BuildGood && l.dice("faults/update") < u.cfg.Detect
		again(0, updateStep)
		return
	}
	list := u.batch()
	if len(list) == 0 {
		return
	}
	switch arg >> 32 << 32 {
	case updateStep:
		if !u.back {
			u.steps++
		}
		l.leave(list)
		again(u.cfg.Restart, updateRestart)
	case updateRestart:
		build := u.cfg.Build
		if u.back {
			build = scenarios.BuildGood
		}
		for _, k := range list {
			l.replace(k, build != scenarios.BuildGood)
		}
		if build == scenarios.BuildUnready && u.cfg.Readiness {
			again(u.cfg.ReadyTimeout, updateReady)
			return
		}
		l.joined(u, list, again)
	case updateReady: // never ready: not one of them takes a request
		u.updated += len(list)
		u.back = true
		again(0, updateStep)
	}
}

// joined ends a step: the batch takes requests again.
func (l *lab) joined(u *update, list []int, again func(time.Duration, uint64)) {
	for _, k := range list {
		l.enterService(k)
	}
	if u.back {
		if u.updated -= len(list); u.updated > 0 {
			again(0, updateStep)
		}
		return
	}
	u.updated += len(list)
	if u.cfg.Build != scenarios.BuildGood {
		u.exposed = max(u.exposed, u.updated)
	}
	again(u.cfg.Gap-u.cfg.Restart, updateJudge)
}

// leave takes front ends out of service: requests go to others, and those that are open
// go on until the restart.
func (l *lab) leave(list []int) {
	for _, k := range list {
		if f := &l.fronts[k]; !f.away {
			f.away = true
			l.ops.out++
		}
	}
	l.ops.most = max(l.ops.most, l.ops.out)
}

func (l *lab) enterService(k int) {
	if f := &l.fronts[k]; f.away {
		f.away = false
		l.ops.out--
	}
}

// replace restarts a front end with another build: what it still holds is lost.
func (l *lab) replace(k int, bad bool) {
	f := &l.fronts[k]
	if f.down { // it has crashed meanwhile
		return
	}
	l.faultFront(k, true)
	l.faultFront(k, false)
	f.bad = bad
}

// divert is the front end that a request meets: its own or, by its number, any that is
// in service. −1: there is none.
func (l *lab) divert(q *request) int {
	if !l.fronts[q.front].away {
		return int(q.front)
	}
	m := l.rep.Cell.Setup.FrontEnds.Count
	first := int(chance.Mix(q.id) % uint64(m))
	for step := range m {
		if to := (first + step) % m; !l.fronts[to].away && !l.fronts[to].down {
			return to
		}
	}
	return -1
}

// failed closes a request that met a front end of a bad build.
func (l *lab) failed(i uint32, class policies.Outcome) {
	if l.reqs[i].measured() {
		l.book(i, class, 0)
	}
	l.release(i)
}

// metrics are those of the operations; none without.
func (o *operations) metrics(fronts int) []reports.Metric {
	if o == nil {
		return nil
	}
	var out []reports.Metric
	add := func(name string, v float64) { out = append(out, reports.Metric{Name: name, Value: &v}) }
	share := func(n int) float64 { return float64(n) / float64(max(o.requests, 1)) }
	if len(o.updates) > 0 {
		exposed, steps := 0, 0
		for _, u := range o.updates {
			exposed, steps = max(exposed, u.exposed), steps+u.steps
		}
		add("exposed", float64(exposed)/float64(fronts))
		add("exposed_requests", share(o.exposed))
		add("update_steps", float64(steps))
	}
	if o.locks != nil {
		add("stalled_requests", share(o.stalled))
		add("evictions", float64(o.evictions))
	}
	add("frontends_up", 1-float64(o.most)/float64(fronts))
	return out
}
