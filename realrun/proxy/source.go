package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"taillab/policies/balance"
	"taillab/scenarios"
)

// source is where the members of a service come from.
type source struct{ spec *scenarios.TargetService }

func sourceOf(spec *scenarios.TargetService) source { return source{spec} }

// list reads the members. For a source other than the list in the file each has
// weight 1 and the service's slots.
func (s source) list(ctx context.Context) ([]scenarios.TargetURL, error) {
	var urls []string
	switch src := s.spec.Source; src.Kind {
	case scenarios.SourceFile:
		data, err := os.ReadFile(src.File)
		if err != nil {
			return nil, fmt.Errorf("the file of members: %w", err)
		}
		var problems []scenarios.Problem
		if urls, problems = scenarios.LoadMembers(scenarios.Source{Name: src.File, Data: data}); len(problems) > 0 {
			return nil, problems[0]
		}
	case scenarios.SourceDNS:
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", src.Host)
		if err != nil {
			return nil, fmt.Errorf("the name of the members: %w", err)
		}
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		for _, a := range slices.Compact(addrs) {
			urls = append(urls, src.Scheme+"://"+net.JoinHostPort(a.String(), strconv.Itoa(src.Port)))
		}
	default:
		return s.spec.Targets, nil
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("there are no members")
	}
	var out []scenarios.TargetURL
	for _, u := range urls {
		out = append(out, scenarios.TargetURL{URL: u, Weight: 1, Slots: s.spec.Slots})
	}
	return out, nil
}

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
		urls, err := sourceOf(&spec).list(p.ctx)
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
		p.announce(service, balance.Change{Kind: balance.ChangeAdded, Ref: back.ref()})
	default:
		delete(missed, m.id)
	}
}

// beginHalves starts the replica halves of all members.
func (p *Proxy) beginHalves() error {
	for i, s := range p.services {
		for _, m := range s.members {
			if !s.half {
				continue
			}
			if err := p.beginHalf(i, m); err != nil {
				return err
			}
		}
	}
	return nil
}
