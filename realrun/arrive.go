package realrun

import (
	"taillab/policies"
	"taillab/workloads"
)

// arrive hands a request of the schedule over. At a front end that is down it is lost.
func (f *front) arrive(r *workloads.Request, z, u float64, measured bool) {
	if measured {
		f.d.open.Add(1)
	}
	var w *work
	e := f.d.services[r.Service].elastic
	if e != nil {
		w = e.arrived(r.Class)
	}
	p := pending{req: *r, z: z, u: u, open: true, measured: measured, work: w}
	slot, gen, list, ok := f.taken(&p)
	if !ok {
		f.lose(&p)
		return
	}
	f.execute(list)
	if r.Deadline > 0 {
		f.expire(gen, slot, r.ID, r.Deadline)
	}
	if e != nil {
		e.poke()
	}
}

// taken puts a request into the front end under the lock, which is free again also
// when a policy panics: what ends the run then needs it. False: the front end is down.
func (f *front) taken(p *pending) (slot, gen uint32, list []todo, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = max(f.last, f.d.clock.now(), 0)
	if f.down {
		return 0, 0, nil, false
	}
	r := &p.req
	view := policies.Request{ID: r.ID, Key: r.Key, Arrived: r.At, Deadline: r.Deadline, Service: r.Service,
		Tenant: r.Tenant, Group: r.Group, Model: r.Model, Input: r.Input, Class: r.Class, Priority: r.Priority}
	slot = f.fe.Arrive(f.last, &view, &f.out)
	for int(slot) >= len(f.reqs) {
		f.reqs = append(f.reqs, pending{})
	}
	p.tries = f.reqs[slot].tries[:0]
	f.reqs[slot] = *p
	return slot, f.gen, f.take(), true
}

// lose books a request that nobody takes.
func (f *front) lose(p *pending) {
	f.mu.Lock()
	lost := f.drop(p, policies.Lost)
	f.mu.Unlock()
	f.d.bookAll(lost)
}
