package realrun

import (
	"context"
	"slices"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/realrun/wire"
	"taillab/scenarios"
	"taillab/workloads"
)

// registry is what the driver knows of the members: how often they were restarted,
// and what the health checks of each front end have found.
type registry struct {
	inc    [][]uint32 // by service, replica
	here   [][]bool   // is a member now
	been   [][]bool   // is one, or was
	down   [][]int    // crashes in force
	checks [][][]health
}

// health is what the checks of one front end say of one replica.
type health struct {
	misses  int
	removed bool
}

func newRegistry(d *drive) registry {
	var g registry
	for i := range d.services {
		n := d.services[i].table.N
		g.inc, g.down = append(g.inc, make([]uint32, n)), append(g.down, make([]int, n))
		here := make([]bool, n)
		for r := range d.services[i].members() {
			here[r] = true
		}
		g.here, g.been = append(g.here, here), append(g.been, slices.Clone(here))
	}
	for range d.fronts {
		g.checks = append(g.checks, d.unchecked())
	}
	return g
}

// unchecked is what a front end knows before its first check.
func (d *drive) unchecked() [][]health {
	var out [][]health
	for i := range d.services {
		out = append(out, make([]health, d.services[i].table.N))
	}
	return out
}

// notices is the way of membership notices to the front ends of a service. Only where
// the backends are emulated is it made late; otherwise it takes the time it takes.
type notices struct {
	law  *workloads.Sampler
	loss float64
}

func noticesOf(s *scenarios.Service) (notices, error) {
	n := notices{loss: s.Network.Membership.Loss}
	if s.Network.Membership.Delay.Kind == "" {
		return n, nil
	}
	law, err := workloads.NewSampler(s.Network.Membership.Delay)
	n.law = &law
	return n, err
}

// crashed notes that a replica went down, or that the last of its crashes is over: it
// is back as its next incarnation, and front ends learn of it as of any planned change.
func (d *drive) crashed(service, r int, begin bool) {
	d.fmu.Lock()
	down := &d.registry.down[service][r]
	if begin {
		*down++
		d.fmu.Unlock()
		return
	}
	*down--
	if *down > 0 {
		d.fmu.Unlock()
		return
	}
	d.registry.inc[service][r]++
	ref := policies.Ref{ID: uint32(r), Inc: d.registry.inc[service][r]}
	d.fmu.Unlock()
	svc := &d.services[service]
	switch {
	case svc.inferred != nil:
		svc.inferred.Restarted(ref)
	case svc.remote:
		d.wg.Go(func() { d.renew(svc, service, r, ref.Inc) })
	}
	d.announce(service, func(f *front) {
		f.change(service, balance.Change{Kind: balance.ChangeAdded, Ref: ref})
	})
}

// announcement draws how long a planned change takes to one front end. fmu is held.
func (d *drive) announcement(service int) time.Duration {
	s, n := &d.run.Cell.Setup.Services[service], &d.services[service].notices
	wait := s.Discovery.Delay
	if j := s.Discovery.Jitter; j > 0 {
		wait += time.Duration(chance.Float(d.stream("discovery/"+s.Name)) * float64(j))
	}
	if !d.emulated {
		return wait
	}
	dice := d.stream("net/" + s.Name + "/membership")
	draw := func() time.Duration {
		if n.law == nil {
			return 0
		}
		return max(0, n.law.Draw(dice))
	}
	wait += draw()
	for n.loss > 0 && chance.Float(dice) < n.loss { // a lost notice is sent again after the period
		wait += max(s.Discovery.Period, 1) + draw()
	}
	return wait
}

// restartFront brings a front end back: the registry it starts from knows which
// incarnation of each replica runs.
func (d *drive) restartFront(k int) {
	d.fmu.Lock()
	d.registry.checks[k] = d.unchecked()
	known := make([]changes, len(d.services))
	for i, list := range d.registry.inc {
		first := d.services[i].members()
		for r, inc := range list {
			here := d.registry.here[i][r]
			if inc == 0 && here == (r < first) {
				continue
			}
			c := balance.Change{Kind: balance.ChangeAdded, Ref: policies.Ref{ID: uint32(r), Inc: inc}}
			if !here {
				c.Kind = balance.ChangeRemoved
			}
			known[i].list = append(known[i].list, c)
		}
	}
	d.fmu.Unlock()
	for i := range d.services {
		if e := d.services[i].elastic; e != nil {
			known[i].list, known[i].hold = e.catchUp()
		}
	}
	d.fronts[k].restart(known)
}

// changes is how a service differs from what the plan says of it: its members, and
// whether all requests are to be held.
type changes struct {
	list []balance.Change
	hold bool
}

// listed tells whether a number may be a member now: a fleet that changes its size
// keeps a list of its own.
func (d *drive) listed(service, r int) bool {
	d.fmu.Lock()
	defer d.fmu.Unlock()
	return d.services[service].elastic != nil || d.registry.here[service][r]
}

// addChecks files the first health check of every front end at every replica, each
// pair at a phase of its own.
func (d *drive) addChecks() {
	for i := range d.services {
		c := &d.run.Cell.Setup.Services[i].Discovery
		if c.Detect != scenarios.DetectHealth {
			continue
		}
		period := max(c.Period, time.Millisecond)
		for k := range d.fronts {
			for r := range d.services[i].table.N {
				phase := chance.Mix(d.run.Seed^chance.Mix(uint64(k)<<40^uint64(i)<<32^uint64(r))) % uint64(period)
				d.checkAt(time.Duration(phase), period, k, i, r)
			}
		}
	}
}

// checkLimit is the longest wait for the answer to a health check.
const checkLimit = 5 * time.Second

// checkAt files a health check and all that follow it.
func (d *drive) checkAt(at, period time.Duration, k, service, r int) {
	d.agenda.Set(at, func() {
		d.checkAt(at+period, period, k, service, r)
		if !d.listed(service, r) {
			return
		}
		d.wg.Go(func() {
			ctx, cancel := context.WithTimeout(d.ctx, min(period, checkLimit))
			defer cancel()
			svc := &d.services[service]
			if svc.elastic != nil && !svc.elastic.watched(r) {
				return
			}
			ok := svc.at(d.present(service, r)).Ready(ctx, svc.ready)
			if d.ctx.Err() == nil {
				d.checked(k, service, r, ok)
			}
		})
	})
}

// present names the life of a replica that runs now.
func (d *drive) present(service, r int) policies.Ref {
	d.fmu.Lock()
	defer d.fmu.Unlock()
	return policies.Ref{ID: uint32(r), Inc: d.registry.inc[service][r]}
}

// checked takes a check's result: so many misses in a row remove a replica from the
// front end's view, an answer brings it back.
func (d *drive) checked(k, service, r int, ok bool) {
	d.fmu.Lock()
	h := &d.registry.checks[k][service][r]
	ch := balance.Change{Ref: policies.Ref{ID: uint32(r), Inc: d.registry.inc[service][r]}}
	told := false
	switch {
	case d.services[service].elastic == nil && !d.registry.here[service][r]: // it has left meanwhile
	case ok:
		h.misses = 0
		ch.Kind, told = balance.ChangeAdded, h.removed
		h.removed = false
	case h.misses+1 >= max(d.run.Cell.Setup.Services[service].Discovery.Misses, 1):
		ch.Kind, told = balance.ChangeRemoved, !h.removed
		h.removed = true
	default:
		h.misses++
	}
	d.fmu.Unlock()
	if told {
		d.fronts[k].change(service, ch)
	}
}

// renew hands the replica half beside a backend its part in the run, or its next life.
func (d *drive) renew(svc *service, i, r int, inc uint32) {
	ctx, cancel := context.WithTimeout(d.ctx, checkLimit)
	defer cancel()
	if err := svc.backends[r].Begin(ctx, d.startOf(i, r, inc)); err != nil && d.ctx.Err() == nil {
		d.note(err.Error())
	}
}

// startOf is what the half at a replica is told at the beginning of a life.
func (d *drive) startOf(i, r int, inc uint32) wire.Start {
	b := &d.run.Cell.Balancers[i]
	return wire.Start{Run: d.name(), Service: d.services[i].name, Replica: uint32(r), Incarnation: inc,
		Policy: b.Type, Params: b.Params, FrontEnds: d.place.fronts, Seed: d.run.Seed}
}
