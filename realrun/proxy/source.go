package proxy

import (
	"slices"

	"taillab/policies/balance"
	"taillab/realrun/source"
	"taillab/scenarios"
)

// watch begins what goes on beside the requests: reading sources again, and health
// checks.
func (p *Proxy) watch() {
	for i, s := range p.services {
		if s.spec.Source.Kind != scenarios.SourceStatic {
			p.work.Go(func() { p.follow(i) })
		}
		if s.discovery.Detect == scenarios.DetectHealth {
			p.work.Go(func() { p.check(i) })
		}
	}
}

// follow reads a source again and again. What cannot be read changes nothing.
func (p *Proxy) follow(service int) {
	s := p.services[service]
	p.change.Lock()
	every := s.spec.Source.Every // another source needs a restart
	p.change.Unlock()
	var last string
	for p.sleep(every) {
		p.change.Lock()
		spec := s.spec
		p.change.Unlock()
		urls, err := source.List(p.ctx, &spec)
		if err == nil {
			err = p.members(service, urls)
		}
		said := ""
		if err != nil && p.ctx.Err() == nil {
			p.stats.sources.Add(1)
			if said = err.Error(); said != last { // once, not every second
				p.log.Warn("the members stay as they are", "service", s.name, "err", err)
			}
		}
		last = said
	}
}

// members makes urls the members of a service.
func (p *Proxy) members(service int, urls []scenarios.TargetURL) error {
	p.change.Lock()
	defer p.change.Unlock()
	s := p.services[service]
	t, err := s.plan(s.spec, urls)
	if err != nil {
		return err
	}
	p.apply(service, t)
	p.publish()
	return nil
}

// check asks every member for its health. One that misses often enough is removed,
// and added as a new life when it answers again.
func (p *Proxy) check(service int) {
	s := p.services[service]
	missed := map[uint32]int{}
	for p.sleep(s.discovery.Period) {
		p.change.Lock()
		members, ready := slices.Clone(s.members), s.spec.Ready
		p.change.Unlock()
		type verdict struct {
			m  *member
			ok bool
		}
		verdicts := make(chan verdict, len(members))
		asked := 0
		for _, m := range members {
			if m.here {
				asked++
				p.work.Go(func() { verdicts <- verdict{m, m.forward.Client().Ready(p.ctx, ready)} })
			}
		}
		for range asked {
			v := <-verdicts
			if p.ctx.Err() == nil {
				p.judge(service, v.m, v.ok, missed)
			}
		}
	}
}

// judge books one health check.
func (p *Proxy) judge(service int, m *member, ok bool, missed map[uint32]int) {
	s := p.services[service]
	p.change.Lock()
	defer p.change.Unlock()
	if now := s.memberAt(m.id); now == nil || !now.here || now.inc != m.inc {
		delete(missed, m.id)
		return
	}
	switch n := missed[m.id]; {
	case !ok:
		if missed[m.id]++; n+1 == s.discovery.Misses {
			p.announce(service, balance.Change{Kind: balance.ChangeRemoved, Ref: m.ref()})
		}
	case n >= s.discovery.Misses:
		back := *m
		back.inc++
		s.members[m.id] = &back
		p.publish()
		delete(missed, m.id)
		if s.inferred != nil {
			s.inferred.Restarted(back.ref())
		}
		p.announce(service, balance.Change{Kind: balance.ChangeAdded, Ref: back.ref()})
	default:
		delete(missed, m.id)
	}
}

// beginHalves starts the replica halves of all members.
func (p *Proxy) beginHalves() error {
	for i, s := range p.services {
		for _, m := range s.members {
			if !s.remote() {
				continue
			}
			if err := p.beginHalf(i, m); err != nil {
				return err
			}
		}
	}
	return nil
}
