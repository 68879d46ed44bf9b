package proxy

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
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

// Reload takes a targets file over: all of it or, with an error, nothing. Routes and
// limits count from the next request on, members through discovery.
func (p *Proxy) Reload(t *scenarios.Targets) error {
	p.change.Lock()
	defer p.change.Unlock()
	plans := make([]*turn, 0, len(p.services))
	for _, s := range p.services {
		spec := t.Service(s.name)
		if spec == nil {
			return fmt.Errorf("service %s is gone: services need a restart", s.name)
		}
		urls := spec.Targets
		if spec.Source.Kind != scenarios.SourceStatic {
			if !reflect.DeepEqual(spec.Source, s.spec.Source) {
				return fmt.Errorf("service %s has another source: that needs a restart", s.name)
			}
			urls = s.listed()
		}
		turn, err := s.plan(*spec, urls)
		if err != nil {
			for _, done := range plans {
				done.drop()
			}
			return err
		}
		plans = append(plans, turn)
	}
	for i, turn := range plans {
		p.apply(i, turn)
	}
	p.publish()
	p.rules.Store(p.compile(t))
	return nil
}

// listed are the targets that are there now.
func (s *service) listed() []scenarios.TargetURL {
	var out []scenarios.TargetURL
	for _, m := range s.members {
		if m.here {
			out = append(out, m.target)
		}
	}
	return out
}

// turn is a change of one service's members, prepared.
type turn struct {
	spec    scenarios.TargetService
	members []*member
	fresh   []*member // made for it
	added   []*member
	gone    []*member
}

func (t *turn) drop() {
	for _, m := range t.fresh {
		m.close()
	}
}

// plan prepares a change: a target keeps its number, and comes back to it as a new
// life.
func (s *service) plan(spec scenarios.TargetService, urls []scenarios.TargetURL) (*turn, error) {
	t := &turn{spec: spec, members: append([]*member(nil), s.members...)}
	rebuilt := !sameSettings(spec, s.spec)
	byURL := map[string]*member{}
	for _, m := range s.members {
		byURL[m.target.URL] = m
	}
	wanted := map[string]bool{}
	fail := func(err error) (*turn, error) { t.drop(); return nil, err }
	for _, u := range urls {
		wanted[u.URL] = true
		id, inc, was := uint32(len(t.members)), uint32(0), byURL[u.URL]
		if was != nil {
			id, inc = was.id, was.inc
		}
		if int(id) >= s.table.N {
			return fail(fmt.Errorf("service %s has room for %d targets since it was started: more need a restart", s.name, s.table.N))
		}
		if !s.fits(id, &u) {
			return fail(fmt.Errorf("target %s: another weight, labels or slots need a restart", u.URL))
		}
		if was != nil && was.here && !rebuilt && was.target.Agent == u.Agent {
			continue
		}
		if was != nil && !was.here {
			inc++
		}
		m, err := newMember(s.base, &spec, u, id, inc)
		if err != nil {
			return fail(err)
		}
		t.fresh = append(t.fresh, m)
		if was == nil {
			t.members = append(t.members, m)
		} else {
			t.members[id] = m
		}
		if was == nil || !was.here {
			t.added = append(t.added, m)
		}
	}
	for _, m := range s.members {
		if m.here && !wanted[m.target.URL] {
			left := *m
			left.here = false
			t.members[m.id] = &left
			t.gone = append(t.gone, &left)
		}
	}
	return t, nil
}

// fits tells whether a target is what the table says of its number.
func (s *service) fits(id uint32, u *scenarios.TargetURL) bool {
	weight, labels := 1.0, map[string]string(nil)
	if s.table.Weights != nil {
		weight = s.table.Weights[id]
	}
	if s.table.Labels != nil {
		labels = s.table.Labels[id]
	}
	return u.Weight == weight && maps.Equal(u.Labels, labels) && int32(u.Slots) == s.table.Slots[id]
}

// sameSettings tells whether targets are talked to in the same way.
func sameSettings(a, b scenarios.TargetService) bool {
	same := a.Key.Reveal() == b.Key.Reveal()
	a.Targets, b.Targets, a.Key, b.Key = nil, nil, scenarios.Secret{}, scenarios.Secret{}
	return same && reflect.DeepEqual(a, b)
}

// apply carries a change out; Proxy.change is held.
func (p *Proxy) apply(service int, t *turn) {
	s := p.services[service]
	for _, m := range t.members {
		if old := s.memberAt(m.id); old != nil && old.forward != m.forward {
			old.close() // what is under way ends by itself
		}
	}
	s.spec, s.members = t.spec, t.members
	for _, m := range t.gone {
		p.announce(service, balance.Change{Kind: balance.ChangeDraining, Ref: m.ref()})
		m.close()
	}
	for _, m := range t.added {
		p.work.Go(func() { p.welcome(service, m, t.spec.Ready) })
	}
}

func (s *service) memberAt(id uint32) *member {
	if int(id) < len(s.members) {
		return s.members[id]
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
