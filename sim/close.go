package sim

import (
	"fmt"
	"time"

	"taillab/policies"
	"taillab/policies/flow"
	"taillab/reports"
)

// closed books a request that its front end has closed.
func (l *lab) closed(k int, a *flow.Action) {
	i := l.fronts[k].slots[a.Slot]
	q := &l.reqs[i]
	class := policies.Outcome(a.Arg)
	l.settled(k, a.Slot, i)
	if q.measured() {
		l.book(i, class, a.N)
	}
	l.release(i)
}

// release gives a request's memory back, once the attempts that are still out have
// ended too.
func (l *lab) release(i uint32) {
	q := &l.reqs[i]
	q.flags, q.slot = q.flags&^isOpen, 0
	for k := q.first; k != 0; {
		a := &l.atts[k-1]
		next := a.older
		if a.over {
			l.dropAttempt(k - 1)
		} else {
			a.gone = true
			q.slot++
		}
		k = next
	}
	if e := l.svcs[q.service].elastic; e != nil {
		e.closed(i)
	}
	if q.slot == 0 {
		l.dropRequest(i)
	}
	if q.measured() {
		l.win.open--
		l.check()
	}
}

// check ends the run once every measured request has ended.
func (l *lab) check() {
	if l.win.closed && l.win.open == 0 {
		l.eng.Stop()
	}
}

// book records a measured request with the steps of the attempt that answered.
func (l *lab) book(i uint32, class policies.Outcome, n uint8) {
	q := &l.reqs[i]
	now := l.now()
	rec := &l.record
	rec.Request, rec.Arrived, rec.Latency, rec.TTFT, rec.TPOT = q.id, q.at, now-q.at, -1, -1
	rec.Steps, rec.Replica, rec.Attempt = reports.Steps{}, reports.NoReplica, 0
	rec.Service, rec.Tenant, rec.Class, rec.Outcome = q.service, q.tenant, q.class, uint8(class)
	if q.direct() {
		rec.Replica, rec.Attempt = q.first, 1
		l.col.Add(rec)
		return
	}
	for k := q.first; k != 0; k = l.atts[k-1].older {
		a := &l.atts[k-1]
		rec.Attempt++
		if a.n != n {
			continue
		}
		rec.Replica = a.ref.ID
		if class == policies.OK {
			l.steps(rec, i, k-1)
		}
	}
	l.col.Add(rec)
	if l.scale != nil {
		l.judge(q, rec, n)
	}
}

// steps fills in where the latency went: it ends at the first success, attempt k of
// request i.
func (l *lab) steps(rec *reports.Record, i, k uint32) {
	q, a, extra := &l.reqs[i], &l.atts[k], time.Duration(0)
	if int(q.front) == l.shared {
		extra = l.extra[i]
	}
	limit, back, st := l.quota.inQuota()+l.ops.lockWait(i), a.ended-a.finished, &rec.Steps
	rec.Latency = a.ended - q.at
	st.Quota, st.Held = limit, a.sent-q.at-extra-limit
	st.Network = extra + a.reached - a.sent + back
	st.Queue, st.Service = a.queue, a.finished-a.reached-a.queue
	s := &l.svcs[a.svc]
	if s.due == nil {
		return
	}
	more := &l.stays[k]
	st.Batch = more.batch
	st.Service -= more.batch
	if !s.pool.Model(a.ref.ID).Streams() {
		return
	}
	rec.TTFT = more.first + back - q.at
	if out := l.needs[i].output; out > 1 {
		rec.TPOT = (a.finished - more.first) / time.Duration(out-1)
	}
}

// lose closes a request that no front end knows: it or its front end is gone.
func (l *lab) lose(i uint32) {
	if l.reqs[i].measured() {
		l.book(i, policies.Lost, 0)
	}
	l.release(i)
}

// snapshot is what counts up, at one instant.
type snapshot struct {
	at       time.Duration
	messages flow.Counters
	busy     time.Duration
	gpu      time.Duration // that replicas held a GPU, likewise from fixed fleets' start
	slots    time.Duration // of slots that existed
	idle     time.Duration // GPUs held without anything running, of fleets that change their size
	elastic  time.Duration // GPUs held by these
}

func (l *lab) snap() snapshot {
	s := snapshot{at: l.now(), messages: l.past}
	for k := range l.fronts {
		s.messages = s.messages.Add(l.fronts[k].fe.Counters())
	}
	for i := range l.svcs {
		svc := &l.svcs[i]
		if svc.half != nil {
			s.messages = s.messages.Add(svc.half.Counters())
		}
		for r := range uint32(svc.pool.Len()) {
			s.busy += svc.pool.BusySlotTime(r, l.now())
		}
		svc.provided(&s)
	}
	return s
}

// maxDrain bounds the drain where the scenario does not.
const maxDrain = 60 * time.Second

// closeWindow ends the measured window at the last measured arrival and sets the
// drain cap: 10 × P99 so far, at most a minute.
func (l *lab) closeWindow() {
	if l.win.closed {
		return
	}
	l.win.closed, l.win.end = true, l.now()
	l.win.after = l.snap()
	if l.scale != nil {
		l.scale.Close(l.now())
	}
	d := l.rep.Cell.Setup.Measure.Drain
	if d == 0 {
		d = maxDrain
		if h := l.col.Live(); h != nil && h.Count() > 0 {
			d = min(d, 10*time.Duration(h.Quantile(990)))
		}
	}
	l.eng.Schedule(At(l.now()+d), l.id.cap, 0)
	l.check()
}

// tickEvery is the step of the timeline.
const tickEvery = time.Second

func (l *lab) tick() {
	for i := range l.svcs {
		s := &l.svcs[i]
		open := 0
		for k := range l.fronts {
			open += l.fronts[k].fe.Open()
		}
		row := reports.TimelineRow{At: l.now(), Service: i, Queued: s.pool.Waiting(),
			InFlight: s.sent, Held: max(0, open-l.sent()), Replicas: s.up}
		if s.elastic != nil {
			s.elastic.tick(&row)
		}
		l.rec.Tick(l.num, row)
	}
	if l.eng.next != Never || l.win.open > 0 {
		l.eng.Schedule(At(l.now()+tickEvery), l.id.tick, 0)
	}
}

func (l *lab) sent() int {
	n := 0
	for i := range l.svcs {
		n += l.svcs[i].sent
	}
	return n
}

// finish closes what is still under way and hands the run over.
func (l *lab) finish() error {
	l.closeWindow()
	idle := l.eng.next == Never
	for i := range l.reqs {
		q := &l.reqs[i]
		if !q.open() || !q.measured() {
			continue
		}
		class := policies.Unfinished
		f := &l.fronts[q.front]
		if !q.direct() && q.first == 0 && q.gen == f.gen && (f.fe.Stuck(q.slot) || idle && l.eng.Pending() == 0) {
			class = policies.Stuck
		}
		l.book(uint32(i), class, 0)
		q.flags &^= isOpen
		l.win.open--
	}
	if l.win.open != 0 || l.col.Requests() != l.win.seen {
		return fmt.Errorf("policy %q, seed %d: requests are not conserved: %d measured arrivals, %d records, %d open",
			l.rep.Cell.Policy, l.rep.Rep+1, l.win.seen, l.col.Requests(), l.win.open)
	}
	l.col.Close(l.summary())
	if err := l.col.Err(); err != nil {
		return fmt.Errorf("policy %q: %w", l.rep.Cell.Policy, err)
	}
	if err := l.extrapolated(); err != nil {
		return err
	}
	for _, t := range l.tapes {
		l.rec.Tape(l.num, t.name, t.tape.Bytes())
	}
	for i := range l.svcs {
		if e := l.svcs[i].elastic; e != nil && e.taped {
			l.rec.Tape(l.num, "autoscale/"+l.svcs[i].name, e.tape)
		}
	}
	l.rec.Done(l.num)
	return nil
}

func (l *lab) summary() reports.End {
	w := &l.win
	span := w.after.at - w.before.at
	m := w.after.messages.Sub(w.before.messages)
	end := reports.End{MeasuredTime: span, BusySlotTime: w.after.busy - w.before.busy,
		Events: int64(l.eng.Events()), WorkloadHash: l.load.hash.Sum(), Wall: time.Since(l.started)}
	end.ProvisionedSlotTime = w.after.slots - w.before.slots
	gpu := (w.after.gpu - w.before.gpu).Seconds()
	end.GPUSeconds = &gpu
	for _, c := range []reports.Count{{Name: "probe", N: int64(m.Probe)}, {Name: "ask", N: int64(m.Ask)}, {Name: "report", N: int64(m.Report)},
		{Name: "heartbeat", N: int64(m.Heartbeat)}, {Name: "withdraw", N: int64(m.Withdraw)}, {Name: "tell", N: int64(m.Tell)}} {
		end.Messages = append(end.Messages, c)
	}
	end.Metrics = append(l.paths(), l.quota.metrics(l, span)...)
	if l.scale != nil {
		held := (w.after.elastic - w.before.elastic).Seconds()
		end.Metrics = append(end.Metrics, l.scale.Metrics(held, (w.after.idle-w.before.idle).Seconds()/held)...)
	}
	end.Metrics = append(end.Metrics, l.ops.metrics(l.rep.Cell.Setup.FrontEnds.Count)...)
	return end
}

// extrapolated notes readings outside a table's grid; a strict model makes them an error.
func (l *lab) extrapolated() error {
	for i := range l.svcs {
		if n, m, x := l.svcs[i].pool.Extrapolated(); n > 0 {
			if m.Strict() {
				return fmt.Errorf("service %s: the %s model was asked for x = %.4g, outside its table (fleet.extrapolate is error)",
					l.svcs[i].name, m.Kind(), x)
			}
			l.rec.Warn(l.num, "extrapolated", fmt.Sprintf("service %s: %s was read %d times outside its table, first at x = %.4g",
				l.svcs[i].name, m.Kind(), n, x))
		}
	}
	return nil
}
