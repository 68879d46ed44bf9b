package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"taillab/policies/balance"
)

// match compares the services with the scenario that calls them.
func (l *targetLoader) match(list *node, out *Targets) {
	p := l.opt.Plan
	if p == nil || len(p.Cells) == 0 {
		l.agents(list, out)
		return
	}
	called := p.Cells[0].Setup.Services // every point of the sweep has the same
	var names []string
	for _, s := range called {
		names = append(names, s.Name)
	}
	excused := l.unknownServices(list, names)
	for i := range called {
		name := called[i].Name
		t := out.Service(name)
		switch {
		case t != nil:
			l.matchService(list, t, i)
			out.note(t, &called[i])
		case list.get(name) == nil && !excused[name]:
			l.ps.at(list, join("services", name), "add it", "the scenario calls service %q, the file has %s", name, keysOf(list))
		}
	}
	l.agents(list, out)
}

// unknownServices reports services that the scenario does not have. Those that
// were probably meant are not reported as missing as well.
func (l *targetLoader) unknownServices(list *node, names []string) map[string]bool {
	excused := map[string]bool{}
	for _, k := range list.keys {
		if slices.Contains(names, k.text) {
			continue
		}
		hint := Suggest(k.text, names, "")
		l.ps.at(k, join("services", k.text), hint, "the scenario has no service %q", k.text)
		for _, n := range names {
			if near(k.text, []string{n}) != "" {
				excused[n] = true
			}
		}
	}
	return excused
}

func keysOf(n *node) string {
	var out []string
	for _, k := range n.keys {
		out = append(out, k.text)
	}
	return strings.Join(out, ", ")
}

// note says what differs from the simulated twin without being wrong.
func (t *Targets) note(s *TargetService, twin *Service) {
	if n := twin.Replicas(); s.Source.Kind == SourceStatic && n != len(s.Targets) {
		t.Notes = append(t.Notes, fmt.Sprintf("%s has %d targets, the scenario simulates %d replicas", s.Name, len(s.Targets), n))
	}
}

// matchService checks service i of the plan against its targets.
func (l *targetLoader) matchService(list *node, t *TargetService, i int) {
	if t.Reporter == "" {
		t.Reporter = l.opt.Plan.Cells[0].Setup.Services[i].Reporter
	}
	at, path := list.get(t.Name), join("services", t.Name)
	switch {
	case t.Reporter == "":
		for _, name := range halved(l.opt.Plan, i) {
			l.ps.at(at, join(path, "reporter"), "agent, replica, or inferred with one front end", "%s needs a replica half", name)
		}
	case t.ownReporter:
		l.inferred(at.get("reporter"), join(path, "reporter"), t.Reporter)
	}
	if l.opt.Live {
		l.capacity(at, path, t)
		l.faultsOf(at, path, t, i)
	}
}

// halved names the balancers of service i that have a replica half, each once.
func halved(p *Plan, i int) []string {
	var out []string
	for _, c := range p.Cells {
		if !c.RunsLive() {
			continue
		}
		for _, l := range stack(c.Balancers[i]) {
			h, ok := l.bal.(balance.Halved)
			if ok && h.Reporter() != nil && !slices.Contains(out, l.name) {
				out = append(out, l.name)
			}
		}
	}
	return out
}

// layer is a balancer under its catalogue name.
type layer struct {
	name string
	bal  balance.Balancer
}

// stack is a balancer and what it decorates, outermost first.
func stack(p Policy) []layer {
	out := []layer{{p.Type, p.Make()}}
	for params := p.Params; ; {
		top := &out[len(out)-1]
		w, ok := top.bal.(balance.Wrapper)
		if !ok || w.Unwrap().Bal == nil {
			return out
		}
		name := top.name
		if params, _ = params["inner"].(map[string]any); params != nil {
			name, _ = params["name"].(string)
		}
		out = append(out, layer{name, w.Unwrap().Bal})
	}
}

// inferred wants one front end: another one's requests could not be inferred.
func (l *targetLoader) inferred(n *node, path, reporter string) {
	if m := mostFrontEnds(l.opt.Plan); reporter == ReporterInferred && m > 1 {
		l.ps.at(n, path, "", "%s", inferredMessage(m))
	}
}

func inferredMessage(frontends int) string {
	return fmt.Sprintf("reporter inferred needs one front end, the scenario has %d: use agent or replica", frontends)
}

func mostFrontEnds(p *Plan) int {
	most := 1
	for _, c := range p.Cells {
		most = max(most, c.Setup.FrontEnds.Count)
	}
	return most
}

// capacity wants a profile where the scenario offers a load: of real backends
// nothing else says what they can do.
func (l *targetLoader) capacity(at *node, path string, t *TargetService) {
	i := slices.IndexFunc(l.opt.Plan.Cells, func(c *Cell) bool { return c.Load != nil })
	if i >= 0 && t.Profile == "" {
		l.ps.at(at, join(path, "profile"), "name a profile (taillab calibrate writes one), or give the scenario a rate",
			"the scenario offers load %s, and nothing says what %s can do", numberText(*l.opt.Plan.Cells[i].Load), t.Name)
	}
}

// agents wants an agent at every target where the replica halves run there.
func (l *targetLoader) agents(list *node, out *Targets) {
	for i := range out.Services {
		t := &out.Services[i]
		at, path := list.get(t.Name), join("services", t.Name)
		if t.Reporter != ReporterAgent {
			continue
		}
		if t.Source.Kind != SourceStatic {
			l.ps.at(at.get("source"), join(path, "source"), "list the targets, or reporter: replica", "members of a %s source have no agent, and reporter is agent", t.Source.Kind)
		}
		for j := range t.Targets {
			item := at.get("targets").items[j]
			if item.get("agent") == nil && (item.kind == scalarNode || item.kind == mapNode) {
				l.ps.ofPath(item, join(index(join(path, "targets"), j), "agent"), "add it, or reporter: replica", "is missing, and reporter is agent")
			}
		}
	}
}

// faultsOf wants a hook for every fault that real replicas of service i are to have.
func (l *targetLoader) faultsOf(at *node, path string, t *TargetService, i int) {
	seen := map[string]bool{}
	for _, c := range l.opt.Plan.Cells {
		for _, f := range c.Setup.Faults {
			if f.Service != i || f.Fronts != nil || f.Shards != nil {
				continue
			}
			if t.Source.Kind != SourceStatic {
				l.ps.at(at.get("source"), join(path, "source"), "list the targets, or run --live emulator", "the scenario %s %s, and only listed targets have hooks", f.does("replicas"), f.when())
				continue
			}
			l.hooked(at.get("targets"), join(path, "targets"), t, f, seen)
		}
	}
}

// hooked checks one fault against the targets that it hits; seen holds what was
// reported already: a hook is missing once, however often it is needed.
func (l *targetLoader) hooked(list *node, path string, t *TargetService, f Fault, seen map[string]bool) {
	hit := f.Replicas
	if hit == nil {
		hit = allOf(len(t.Targets))
	}
	for _, r := range hit {
		where := join(index(path, r), join("hooks", f.Kind))
		if seen[where] || r < len(t.Targets) && len(t.Targets[r].Hooks[f.Kind]) > 0 {
			continue
		}
		seen[where] = true
		if r >= len(t.Targets) {
			l.ps.at(list, path, "list more targets, or run --live emulator", "the scenario %s %s, the list has %d targets, numbered from 0", f.does(fmt.Sprintf("replica %d", r)), f.when(), len(t.Targets))
			continue
		}
		l.ps.at(list.items[r], where, "add the hook, or run --live emulator", "the scenario %s %s", f.does("this replica"), f.when())
	}
}

// does says what the fault does to whom: "freezes this replica".
func (f Fault) does(whom string) string {
	switch f.Kind {
	case FaultCrash:
		return "crashes " + whom
	case FaultFreeze:
		return "freezes " + whom
	case FaultSlow:
		return "slows " + whom
	case FaultDrop:
		return "drops reports of " + whom
	case FaultDelay:
		return "delays reports of " + whom
	case FaultError:
		return "makes errors at " + whom
	case FaultRefuse:
		return "refuses connections at " + whom
	case FaultReset:
		return "resets connections at " + whom
	}
	return "has the fault " + f.Kind + " at " + whom
}

func (f Fault) when() string {
	if f.Every > 0 {
		return "every " + durationText(f.Every)
	}
	return "at " + durationText(f.At)
}

// CheckLive says what in a plan cannot run against real backends, or against the
// emulated ones when t is nil: policies that read what no front end can see, and
// reporters that the front ends rule out. Each problem stands once, where the
// scenario says it. Cells that a live run leaves out are not judged.
func CheckLive(p *Plan, t *Targets) []Problem {
	var list problemList
	for _, c := range p.Cells {
		if !c.RunsLive() {
			continue
		}
		if c.Setup.Measure.WarmupAuto {
			q := c.Setup.warmupAt
			q.Message, q.Hint = "measure.warmup is auto: that takes a pilot, which a live run has not", "--set measure.warmup=10% for the live run, or a duration"
			list.add(q)
		}
		for _, f := range c.Setup.Faults {
			if f.Update != nil || f.Lock != nil {
				q := f.place
				q.Message = "a " + f.Kind + " is simulated only: a live run has one process for all front ends; leave it out"
				list.add(q)
			}
			if why := c.Setup.refusedShards(f); why != "" {
				q := f.place
				q.Message = why
				list.add(q)
			}
		}
		frontends := c.Setup.FrontEnds.Count
		for i, b := range c.Balancers {
			if msg := refusedLive(b, frontends); msg != "" {
				q := b.place
				q.Message = msg
				list.add(q)
			}
			s := &c.Setup.Services[i]
			if s.Elastic != nil {
				for _, q := range refusedElastic(c, i, t != nil) {
					list.add(q)
				}
			}
			if s.Reporter != ReporterInferred || frontends < 2 || t.overrides(s.Name) {
				continue
			}
			q := s.reporterAt
			q.Message = inferredMessage(frontends)
			list.add(q)
		}
	}
	return list.sorted()
}

// refusedShards says why no live run can crash the shards of a fault, "" when it can.
func (s *Setup) refusedShards(f Fault) string {
	if len(f.Shards) == 0 {
		return ""
	}
	live := &s.Quota.Store.Live
	if len(live.Redis) > 0 {
		return fmt.Sprintf("the servers of quota.store.live.redis are not ours to crash; use {spawn: %d}", s.Quota.Store.Shards)
	}
	if last := slices.Max(f.Shards); live.Spawn > 0 && last >= live.Spawn {
		return fmt.Sprintf("there is no shard %d: quota.store.live starts %d; use {spawn: %d}", last, live.Spawn, s.Quota.Store.Shards)
	}
	return ""
}

// overrides says whether the targets file names a reporter of its own.
func (t *Targets) overrides(service string) bool {
	if t == nil {
		return false
	}
	s := t.Service(service)
	return s != nil && s.ownReporter
}

// refusedLive says why no live front end can run a balancer, "" when it can.
func refusedLive(p Policy, frontends int) string {
	for _, l := range stack(p) {
		if o, ok := l.bal.(balance.Oracle); ok {
			return fmt.Sprintf("balancer %q reads %s, which no live dispatcher can see; use least-outstanding or p2c", l.name, o.NeedsTruth())
		}
		if _, ok := l.bal.(balance.Shared); ok && frontends > 1 {
			return fmt.Sprintf("balancer %q is one instance behind all front ends, which %d live dispatchers cannot share; use jiq, or one front end", l.name, frontends)
		}
	}
	return ""
}
