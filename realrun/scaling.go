package realrun

import (
	"time"

	"taillab/policies"
	"taillab/reports"
)

// judgement is what a measured request that has ended says of the autoscalers.
type judgement struct {
	svc     int
	arrived time.Duration
	ok      bool
	good    bool
	latency time.Duration
	held    time.Duration
	suspect *suspect
}

// scaling is what a run with fleets that change their size is judged by; under the
// drive's mu.
type scaling struct {
	*reports.Scaling
	last         time.Duration
	opened, shut bool
	held, idle   time.Duration // before the measured window; after its end: within
	suspects     []suspect
}

// judge prepares the judgement of a request, under its front end's lock; nil without
// fleets that change their size.
func (f *front) judge(p *pending, r *reports.Record, slot uint32) *judgement {
	if f.d.scaling == nil {
		return nil
	}
	j := &judgement{svc: int(p.req.Service), arrived: p.req.At, ok: policies.Outcome(r.Outcome) == policies.OK, latency: r.Latency}
	j.good = j.ok && f.d.run.Cell.Setup.Measure.SLO.Met(r)
	_, j.held = f.fe.Waited(slot)
	e := f.d.services[j.svc].elastic
	if c := policies.Outcome(r.Outcome); e != nil && (c == policies.Reset || c == policies.Refused) && len(p.tries) > 0 {
		ref := p.tries[len(p.tries)-1].ref
		j.suspect = &suspect{svc: j.svc, ref: ref, at: f.last, draining: e.draining(ref)}
	}
	return j
}

// judged books a judgement.
func (d *drive) judged(j *judgement) {
	if e := d.services[j.svc].elastic; e != nil && j.ok {
		e.latency(j.latency)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scaling.Request(j.arrived, j.good)
	if j.held > 0 {
		d.scaling.Held(j.held)
	}
	if j.suspect != nil {
		d.scaling.suspects = append(d.scaling.suspects, *j.suspect)
	}
}

// scaled books the counts wanted and ready of all services.
func (d *drive) scaled() {
	desired, ready := 0, 0
	for i := range d.services {
		if e := d.services[i].elastic; e != nil {
			e.mu.Lock()
			desired, ready = desired+e.spec, ready+e.ready
			e.mu.Unlock()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.scaling.now(d)
	d.scaling.Desired(now, desired)
	d.scaling.Ready(now, ready)
}

// now is the run's time, which never goes back. mu is held.
func (s *scaling) now(d *drive) time.Duration {
	s.last = max(s.last, d.clock.now(), 0)
	return s.last
}

// begun books a replica that became ready.
func (d *drive) begun() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scaling.Started()
}

// provided adds up the GPU time of all services.
func (d *drive) provided() (held, idle time.Duration) {
	for i := range d.services {
		if e := d.services[i].elastic; e != nil {
			h, n := e.provided()
			held, idle = held+h, idle+n
		}
	}
	return held, idle
}

// openScaling begins the measured window, closeScaling ends it.
func (d *drive) openScaling() {
	if d.scaling == nil {
		return
	}
	held, idle := d.provided()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scaling.held, d.scaling.idle = held, idle
	d.scaling.opened = true
	d.scaling.Open(d.scaling.now(d))
}

func (d *drive) closeScaling() {
	if d.scaling == nil {
		return
	}
	held, idle := d.provided()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.scaling.opened || d.scaling.shut {
		return
	}
	d.scaling.shut = true
	d.scaling.held, d.scaling.idle = held-d.scaling.held, idle-d.scaling.idle
	d.scaling.Close(d.scaling.now(d))
}

// scalingMetrics are those of the autoscaler family; none without a measured window or
// fleets that change their size. mu is held.
func (d *drive) scalingMetrics(end *reports.End) {
	if d.scaling == nil || !d.scaling.shut {
		return
	}
	for _, x := range d.scaling.suspects {
		if d.services[x.svc].elastic.killed(x) {
			d.scaling.Killed(false)
		}
	}
	held := d.scaling.held.Seconds()
	end.GPUSeconds = &held
	end.Metrics = append(end.Metrics, d.scaling.Metrics(held, d.scaling.idle.Seconds()/held)...)
}
