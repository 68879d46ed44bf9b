package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/inferred"
	"taillab/realrun/source"
	"taillab/realrun/wire"
	"taillab/scenarios"
)

type ref = policies.Ref

// spare is how many more replicas than at the start a service can come to have, at
// least: the table of a front end has a fixed length.
const spare = 16

// recheck is the time between two ready checks of a new member.
const recheck = time.Second

// service is the backends of one service. What a change of membership touches is
// under Proxy.change.
type service struct {
	name      string
	table     *balance.Table
	first     int // replicas at the start
	discovery scenarios.Discovery
	policy    scenarios.Policy
	half      bool           // the policy has a replica half
	inferred  *inferred.Half // which runs here; nil: not here
	base      time.Time

	spec    scenarios.TargetService
	members []*member // by number; some may be gone
	limit   time.Duration
}

// member is one target under its number. It is replaced, never changed.
type member struct {
	id, inc uint32
	target  scenarios.TargetURL
	forward *wire.Forwarder
	agent   *wire.Client // where its replica half and its probe are
	here    bool         // listed now
}

// newService numbers the targets and makes their clients.
func newService(ctx context.Context, base time.Time, s *scenarios.Service, spec scenarios.TargetService, pol scenarios.Policy) (*service, error) {
	out := &service{name: s.Name, discovery: s.Discovery, policy: pol, half: isHalved(pol.Make()), base: base, spec: spec, limit: spec.Timeouts.Total}
	urls, err := source.List(ctx, &spec)
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", s.Name, err)
	}
	for i, t := range urls {
		m, err := newMember(base, &spec, t, uint32(i), 0)
		if err != nil {
			out.close()
			return nil, err
		}
		out.members = append(out.members, m)
	}
	out.first = len(urls)
	out.table = tableOf(urls, &spec)
	s.Know(out.table)
	return out, nil
}

// tableOf is what front ends know of the targets, with numbers to spare.
func tableOf(urls []scenarios.TargetURL, spec *scenarios.TargetService) *balance.Table {
	n := len(urls)
	t := &balance.Table{N: n + max(spare, n), Later: max(spare, n)}
	even, plain := true, true
	for i := range urls {
		even = even && urls[i].Weight == 1
		plain = plain && len(urls[i].Labels) == 0
	}
	for i := range t.N {
		u := scenarios.TargetURL{Weight: 1, Slots: spec.Slots}
		if i < n {
			u = urls[i]
		}
		t.Slots = append(t.Slots, int32(u.Slots))
		if !even {
			t.Weights = append(t.Weights, u.Weight)
		}
		if !plain {
			t.Labels = append(t.Labels, u.Labels)
		}
	}
	return t
}

// newMember makes the clients of a target. Their instants count from base, the start
// of the proxy.
func newMember(base time.Time, spec *scenarios.TargetService, t scenarios.TargetURL, id, inc uint32) (*member, error) {
	target := wire.Target{URL: t.URL, Transport: wire.HTTPJSON, Engine: spec.Engine, Ready: spec.Ready, Headers: spec.Headers,
		Key: spec.Key.Reveal(), HTTP: spec.HTTP, TLS: wire.TLS(spec.TLS), Timeouts: wire.Timeouts(spec.Timeouts)}
	f, err := wire.NewForwarder(target, base, 1024)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", t.URL, err)
	}
	m := &member{id: id, inc: inc, target: t, forward: f, agent: f.Client(), here: true}
	if t.Agent != "" {
		if m.agent, err = wire.New(wire.Target{URL: t.Agent, Timeouts: target.Timeouts}, base, 16); err != nil {
			return nil, fmt.Errorf("agent %s: %w", t.Agent, err)
		}
	}
	return m, nil
}

func (m *member) close() {
	m.forward.Client().Close()
	m.agent.Close()
}

func (m *member) ref() ref { return ref{ID: m.id, Inc: m.inc} }

func (s *service) close() {
	for _, m := range s.members {
		m.close()
	}
}

// total is the longest time of an attempt, as at the start of the proxy.
func (s *service) total() time.Duration { return s.limit }

// publish shows the members to the front ends; Proxy.change is held, or nothing runs.
func (p *Proxy) publish() {
	list := make([][]*member, len(p.services))
	for i, s := range p.services {
		list[i] = append(list[i], s.members...)
	}
	p.known.Store(&list)
}

// member finds the target of a replica, nil without one.
func (p *Proxy) member(service int, r ref) *member {
	list := (*p.known.Load())[service]
	if int(r.ID) >= len(list) {
		return nil
	}
	return list[r.ID]
}

// firstMembers asks every target once whether it is ready, all at a time.
func (p *Proxy) firstMembers() error {
	type answer struct {
		m  *member
		ok bool
	}
	n := 0
	answers := make(chan answer)
	for _, s := range p.services {
		for _, m := range s.members {
			n++
			p.work.Go(func() { answers <- answer{m, m.forward.Client().Ready(p.ctx, s.spec.Ready)} })
		}
	}
	ready := 0
	for range n {
		a := <-answers
		if a.ok {
			ready++
			continue
		}
		p.log.Warn("a target does not answer its ready check", "target", a.m.target.URL)
	}
	if ready == 0 {
		return ErrNoTarget
	}
	return nil
}

// welcome adds a member once it is ready, unless it has gone again by then.
func (p *Proxy) welcome(service int, m *member, ready string) {
	for !m.forward.Client().Ready(p.ctx, ready) {
		p.log.Info("a new target is not ready yet", "target", m.target.URL)
		if !p.sleep(recheck) {
			return
		}
		if now := p.member(service, m.ref()); now == nil || !now.here || now.inc != m.inc {
			return
		}
	}
	switch s := p.services[service]; {
	case s.inferred != nil:
		s.inferred.Restarted(m.ref())
	case s.half:
		if err := p.beginHalf(service, m); err != nil {
			p.log.Warn("a replica half was not started", "err", err)
		}
	}
	p.change.Lock()
	defer p.change.Unlock()
	if now := p.member(service, m.ref()); now == nil || !now.here || now.inc != m.inc {
		return
	}
	p.announce(service, balance.Change{Kind: balance.ChangeAdded, Ref: m.ref()})
}

// announce tells every front end of a change, as late as discovery has it.
func (p *Proxy) announce(service int, c balance.Change) {
	d := p.services[service].discovery
	for _, f := range p.fronts {
		late := d.Delay
		if d.Jitter > 0 {
			late += rand.N(d.Jitter)
		}
		if late == 0 {
			f.member(service, c)
			continue
		}
		f.clock.Set(p.now()+late, func() { f.member(service, c) })
	}
}

// sleep waits; false when the proxy ends meanwhile.
func (p *Proxy) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
