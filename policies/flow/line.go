package flow

import (
	"time"

	"taillab/policies"
)

// denied does with a denied request what the scenario says.
func (q *quotaStage) denied(i uint32, r *policies.Request, in time.Duration) {
	f, st, c := q.fe, &q.fe.stages[i], &q.cfg.OnDenied
	if in <= 0 {
		in = soonest
	}
	switch {
	case c.Kind == DeniedRetry && int(st.asks) <= c.Max:
		back := c.Backoff << min(st.asks-1, 30)
		back = time.Duration(float64(back) * (0.5 + 0.5*q.env.Rand.Float64()))
		st.phase = phaseRetry
		q.wake(f.now+max(in, back), wakeRetry|r.ID&(1<<48-1))
	case c.Kind == DeniedWait && f.now-st.since < c.WaitMax:
		l := &q.lines[r.Group]
		if l.n > 0 && l.peek() == r.ID { // the head stays where it is
			st.phase, l.asking = phaseWaiting, false
		} else {
			q.wait(i, r)
		}
		if !l.waking {
			l.waking = true
			q.wake(f.now+in, wakeLine|uint64(r.Group))
		}
	default:
		q.served(r.Group, r.ID)
		group := r.Group
		f.close(i, policies.Rejected)
		q.next(group)
	}
}

// wait puts a request at the end of its group's line.
func (q *quotaStage) wait(i uint32, r *policies.Request) {
	st := &q.fe.stages[i]
	st.phase = phaseWaiting
	q.lines[r.Group].push(r.ID)
	q.wake(st.since+q.cfg.OnDenied.WaitMax, wakeTired|r.ID&(1<<48-1))
}

// served takes a request out of its line if it is the head.
func (q *quotaStage) served(group uint32, req uint64) {
	if l := &q.lines[group]; l.n > 0 && l.peek() == req {
		l.pop()
		l.asking = false
	}
}

// next asks for the head of a line, unless its time is set or its answer out.
func (q *quotaStage) next(group uint32) {
	l := &q.lines[group]
	for l.n > 0 && !l.asking && !l.waking {
		i, ok := q.fe.ids.get(l.peek())
		if !ok || q.fe.stages[i].phase != phaseWaiting { // it has left
			l.pop()
			continue
		}
		l.asking = true
		q.decide(i)
	}
}
