package proxy

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"taillab/policies/balance"
	"taillab/scenarios"
)

// fixed is what a targets file says beside members and routes: it holds as long as the
// proxy runs.
type fixed struct {
	tape      scenarios.ProxyTape
	listen    string
	reporters map[string]string // by service
}

func fixedOf(t *scenarios.Targets) fixed {
	f := fixed{tape: t.Proxy.Tape, listen: t.FrontEndListen, reporters: map[string]string{}}
	for i := range t.Services {
		f.reporters[t.Services[i].Name] = t.Services[i].Reporter
	}
	return f
}

// differs names the first key that is not the same, "" if all are.
func (f *fixed) differs(other fixed) string {
	switch {
	case f.tape != other.tape:
		return "proxy.tape"
	case f.listen != other.listen:
		return "frontends.listen"
	}
	for _, list := range []map[string]string{f.reporters, other.reporters} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			was, here := f.reporters[name]
			is, there := other.reporters[name]
			switch {
			case here != there:
				return "services." + name
			case was != is:
				return "services." + name + ".reporter"
			}
		}
	}
	return ""
}

// Reload takes a targets file over: all of it or, with an error, nothing. Routes and
// limits count from the next request on, members through discovery.
func (p *Proxy) Reload(t *scenarios.Targets) error {
	if what := p.fixed.differs(fixedOf(t)); what != "" {
		return fmt.Errorf("%s has changed: that needs a restart", what)
	}
	p.change.Lock()
	defer p.change.Unlock()
	plans := make([]*turn, 0, len(p.services))
	for _, s := range p.services {
		spec := t.Service(s.name)
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
