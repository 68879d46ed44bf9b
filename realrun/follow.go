package realrun

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/source"
	"taillab/realrun/wire"
	"taillab/scenarios"
)

// spareNumbers is how many more replicas than at the start a service whose members come
// from a name or a file can come to have, at least: tables of members have a fixed length.
const spareNumbers = 16

// recheck is the time between two ready checks of a new member.
const recheck = time.Second

// follower keeps the members of one service as its source tells them. A URL keeps its
// number, and comes back to it as a new life.
type follower struct {
	s       *session
	service int
	spec    *scenarios.TargetService
	clients []Transport // by number, those of all arms

	numbers map[string]int // by URL
	wanted  map[string]bool
	said    string // the latest complaint about the source
	wg      sync.WaitGroup

	mu   sync.Mutex
	left map[string]context.CancelFunc // members on their way in, and those in: ends their stay
	made []*wire.Client
}

// follow begins to follow the members of all services that have a source. What it
// began ends with the session.
func (s *session) follow(ctx context.Context) {
	if s.h.Targets == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var all []*follower
	for i := range s.arms[0].services {
		spec := s.h.Targets.Service(s.arms[0].services[i].name)
		if spec.Source.Kind == scenarios.SourceStatic {
			continue
		}
		f := &follower{s: s, service: i, spec: spec, clients: s.arms[0].services[i].backends, numbers: map[string]int{}, wanted: map[string]bool{}, left: map[string]context.CancelFunc{}}
		for r := range spec.Targets {
			f.numbers[spec.Targets[r].URL], f.wanted[spec.Targets[r].URL] = r, true
		}
		f.wg.Go(func() { f.run(ctx) })
		all = append(all, f)
	}
	stop := func() {
		cancel()
		for _, f := range all {
			f.wg.Wait()
		}
	}
	s.ends = append([]func(){stop}, s.ends...)
	s.ends = append(s.ends, func() {
		for _, f := range all {
			for _, c := range f.made {
				c.Close()
			}
		}
	})
}

// run reads the source again and again. What cannot be read changes nothing.
func (f *follower) run(ctx context.Context) {
	for {
		urls, err := source.List(ctx, f.spec)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != f.said: // once, not every second
			f.said = err.Error()
			f.s.note(fmt.Sprintf("the members of %s stay as they are: %v", f.spec.Name, err))
		case err == nil:
			f.said = ""
			f.update(ctx, urls)
		}
		if !pause(ctx, f.spec.Source.Every) {
			return
		}
	}
}

// pause waits; false when ctx ends meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// update lets members go that are not listed any more, and others come.
func (f *follower) update(ctx context.Context, urls []scenarios.TargetURL) {
	listed := map[string]bool{}
	for _, u := range urls {
		listed[u.URL] = true
	}
	var gone []string
	for url := range f.wanted {
		if !listed[url] {
			gone = append(gone, url)
		}
	}
	slices.Sort(gone)
	for _, url := range gone {
		delete(f.wanted, url)
		f.leave(url)
	}
	for _, u := range urls {
		if f.wanted[u.URL] {
			continue
		}
		f.wanted[u.URL] = true
		if err := f.welcome(ctx, u.URL); err != nil {
			f.s.note(fmt.Sprintf("%s of %s stays out: %v", u.URL, f.spec.Name, err))
		}
	}
}

// leave takes a member out: front ends send nothing there any more once they know.
func (f *follower) leave(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if end := f.left[url]; end != nil {
		end()
	}
	r, known := f.numbers[url]
	if !known {
		return // there was no room for it
	}
	told := false
	for _, d := range f.s.arms {
		told = d.departs(f.service, r) || told
	}
	if told {
		f.s.note(fmt.Sprintf("%s leaves: replica %d of %s drains", url, r, f.spec.Name))
	}
}

// welcome lets a member in once it is ready, unless it leaves again before.
func (f *follower) welcome(ctx context.Context, url string) error {
	r, known := f.numbers[url]
	if !known {
		r = len(f.numbers)
		if r >= len(f.clients) {
			return fmt.Errorf("there is room for %d members since the start of the run", len(f.clients))
		}
		d := f.s.arms[0]
		c, err := wire.New(wireTarget(f.spec, url), f.s.base, int(d.fuse))
		if err != nil {
			return err
		}
		f.numbers[url], f.clients[r], f.made = r, c, append(f.made, c)
	}
	ctx, end := context.WithCancel(ctx)
	f.mu.Lock()
	f.left[url] = end
	f.mu.Unlock()
	f.wg.Go(func() {
		for !f.clients[r].Ready(ctx, f.spec.Ready) {
			if !pause(ctx, recheck) {
				return
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		for _, d := range f.s.arms {
			d.arrives(f.service, r)
		}
		f.s.note(fmt.Sprintf("%s joins %s as replica %d", url, f.spec.Name, r))
	})
	return nil
}

// arrives makes a number a member: front ends learn of it as of any planned change. One
// that was a member before begins its next life.
func (d *drive) arrives(service, r int) {
	d.fmu.Lock()
	g, svc := &d.registry, &d.services[service]
	if g.been[service][r] {
		g.inc[service][r]++
	}
	g.here[service][r], g.been[service][r] = true, true
	for k := range g.checks {
		g.checks[k][service][r] = health{}
	}
	ref := policies.Ref{ID: uint32(r), Inc: g.inc[service][r]}
	d.fmu.Unlock()
	switch {
	case svc.inferred != nil:
		svc.inferred.Restarted(ref)
	case svc.remote && !d.clock.held(): // other arms' halves begin with their next turn
		d.renew(svc, service, r, ref.Inc)
	}
	d.announce(service, func(f *front) {
		f.change(service, balance.Change{Kind: balance.ChangeAdded, Ref: ref})
	})
}

// departs ends a membership; false when there was none.
func (d *drive) departs(service, r int) bool {
	d.fmu.Lock()
	was := d.registry.here[service][r]
	d.registry.here[service][r] = false
	ref := policies.Ref{ID: uint32(r), Inc: d.registry.inc[service][r]}
	d.fmu.Unlock()
	if was {
		d.announce(service, func(f *front) { f.drain(service, ref) })
	}
	return was
}

// announce tells every front end of a planned change, each when discovery has it.
func (d *drive) announce(service int, tell func(*front)) {
	d.fmu.Lock()
	now := d.clock.now()
	at := make([]time.Duration, len(d.fronts))
	for k := range at {
		at[k] = now + d.announcement(service)
	}
	d.fmu.Unlock()
	for k, f := range d.fronts {
		d.agenda.Set(at[k], func() { tell(f) })
	}
}

// leaver is a replica that a front end sends nothing to any more.
type leaver struct {
	service int
	ref     policies.Ref
}

// drain lets what is under way at a replica end; after the last attempt it is removed.
func (f *front) drain(service int, ref policies.Ref) {
	f.input(func(now time.Duration) {
		if f.fe.Fleet(service) == nil {
			return
		}
		f.fe.Membership(now, service, balance.Change{Kind: balance.ChangeDraining, Ref: ref}, &f.out)
		if f.leaving == nil {
			f.leaving = map[leaver]bool{}
		}
		f.leaving[leaver{service, ref}] = true
		f.drained(now, service, ref)
	})
}

// drained removes a leaving replica that has nothing left to do. The lock is held.
func (f *front) drained(now time.Duration, service int, ref policies.Ref) {
	if !f.leaving[leaver{service, ref}] {
		return
	}
	for i := range f.reqs {
		p := &f.reqs[i]
		if p.open && slices.ContainsFunc(p.tries, func(a attempt) bool { return !a.over && a.ref == ref }) {
			return
		}
	}
	delete(f.leaving, leaver{service, ref})
	f.fe.Membership(now, service, balance.Change{Kind: balance.ChangeRemoved, Ref: ref}, &f.out)
}
