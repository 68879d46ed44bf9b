package realrun

import "taillab/policies"

// crash drops the front end: what it held is lost, its attempts are cancelled.
func (f *front) crash() {
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	lost := f.dropAll(policies.Lost)
	f.down = true
	f.mu.Unlock()
	f.d.bookAll(lost)
}

// restart puts a fresh front end in place of one that crashed: its members come in
// one bulk reset, then by service what has changed since.
func (f *front) restart(known []changes) {
	f.mu.Lock()
	if !f.down || f.d.over.Load() {
		f.mu.Unlock()
		return
	}
	f.down = false
	f.past = f.past.Add(f.fe.Counters())
	f.fresh()
	f.last = max(f.last, f.d.clock.now(), 0)
	f.fe.Start(f.last, &f.out)
	for service, c := range known {
		if f.fe.Fleet(service) == nil {
			continue
		}
		for _, ch := range c.list {
			f.fe.Membership(f.last, service, ch, &f.out)
		}
		if c.hold {
			f.fe.SetHold(f.last, service, true, &f.out)
		}
	}
	list := f.take()
	f.mu.Unlock()
	f.execute(list)
}
