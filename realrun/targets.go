package realrun

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"taillab/policies/balance"
	"taillab/realrun/source"
	"taillab/realrun/wire"
	"taillab/scenarios"
)

// Table is what front ends know of real targets before the run: the targets are the
// fleet, whatever the scenario simulates. Where they come from a name or a file there
// are numbers to spare for those that come later.
func Table(t *scenarios.TargetService) *balance.Table {
	out := &balance.Table{N: len(t.Targets)}
	if t.Source.Kind != scenarios.SourceStatic {
		out.Later = max(spareNumbers, out.N)
		out.N += out.Later
	}
	uniform, plain := true, true
	for i := range t.Targets {
		uniform = uniform && t.Targets[i].Weight == 1
		plain = plain && len(t.Targets[i].Labels) == 0
	}
	for i := range t.Targets {
		u := &t.Targets[i]
		out.Slots = append(out.Slots, int32(max(1, u.Slots)))
		if !uniform {
			out.Weights = append(out.Weights, u.Weight)
		}
		if !plain {
			out.Labels = append(out.Labels, u.Labels)
		}
	}
	for range out.Later { // as the members that a source names: of weight 1, without labels
		out.Slots = append(out.Slots, int32(max(1, t.Slots)))
	}
	return out
}

// Resolve reads the members of services whose targets come from a name or a file:
// every run begins with them and goes on to follow the source. It tells what it found
// in words.
func Resolve(ctx context.Context, t *scenarios.Targets) (notes []string, err error) {
	for i := range t.Services {
		s := &t.Services[i]
		if s.Source.Kind == scenarios.SourceStatic {
			continue
		}
		if s.Targets, err = source.List(ctx, s); err != nil {
			return nil, fmt.Errorf("service %s: %w", s.Name, err)
		}
		notes = append(notes, fmt.Sprintf("%s has %d members now", s.Name, len(s.Targets)))
	}
	return notes, nil
}

// reach asks every real target whether it is there, and returns the members by
// service; nil where the backends are emulated.
func (s *session) reach(ctx context.Context, runs []scenarios.Run) ([]*balance.Table, error) {
	if s.h.Targets == nil {
		return nil, nil
	}
	var tables []*balance.Table
	for i := range runs[0].Cell.Setup.Services {
		name := runs[0].Cell.Setup.Services[i].Name
		t := s.h.Targets.Service(name)
		switch {
		case t == nil:
			return nil, fmt.Errorf("service %s has no targets", name)
		case len(t.Targets) == 0:
			return nil, fmt.Errorf("service %s has no members: Resolve finds those of its source", name)
		}
		if err := s.ready(ctx, t); err != nil {
			return nil, err
		}
		table := Table(t)
		for k := range runs {
			if err := fits(&runs[k].Cell.Balancers[i], table, name); err != nil {
				return nil, err
			}
		}
		tables = append(tables, table)
	}
	return tables, nil
}

// fits lets a policy that is configured per replica see who the replicas are.
func fits(p *scenarios.Policy, table *balance.Table, service string) error {
	c, ok := balance.Inside[balance.TableChecker](p.Make())
	if !ok {
		return nil
	}
	if list := c.CheckTable(table); len(list) > 0 {
		return fmt.Errorf("%s does not fit the targets of %s: %s %s", p.Type, service, list[0].Path, list[0].Msg)
	}
	return nil
}

// ready makes the ready check of every target at once. Those that do not answer are
// listed; that none does is an error.
func (s *session) ready(ctx context.Context, t *scenarios.TargetService) error {
	list := wireTargets(t)
	answers := make([]bool, len(list))
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() {
			c, err := wire.New(list[i], s.base, 1)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.Close()
			answers[i] = c.Ready(ctx, t.Ready)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var silent []string
	for i, ok := range answers {
		if !ok {
			silent = append(silent, t.Targets[i].URL)
		}
	}
	switch {
	case len(silent) == len(list):
		return fmt.Errorf("none of the %d targets of %s answered GET %s within 5s: %s; nothing was sent", len(list), t.Name, t.Ready, strings.Join(silent, ", "))
	case len(silent) > 0:
		s.note(fmt.Sprintf("%d of the %d targets of %s did not answer GET %s: %s", len(silent), len(list), t.Name, t.Ready, strings.Join(silent, ", ")))
	}
	return nil
}

func wireTargets(t *scenarios.TargetService) []wire.Target {
	var out []wire.Target
	for i := range t.Targets {
		out = append(out, wireTarget(t, t.Targets[i].URL))
	}
	return out
}

func wireTarget(t *scenarios.TargetService, url string) wire.Target {
	return wire.Target{URL: url, Transport: t.Transport, Path: t.Path, Model: t.Model, Body: t.Body, Engine: t.Engine,
		Ready: t.Ready, Headers: t.Headers, Key: t.Key.Reveal(), HTTP: t.HTTP, TLS: wire.TLS(t.TLS), Timeouts: wire.Timeouts(t.Timeouts)}
}

// beside is a backend whose replica half runs beside it: requests go to the backend,
// messages and probes to the agent.
type beside struct {
	Transport
	agent *wire.Client
}

func (b beside) Probe(ctx context.Context) (balance.Load, bool) { return b.agent.Probe(ctx) }

func (b beside) Tell(ctx context.Context, e wire.Envelope) error { return b.agent.Tell(ctx, e) }

func (b beside) Begin(ctx context.Context, s wire.Start) error { return b.agent.Begin(ctx, s) }

// real makes the clients of real targets and their replica halves.
func (s *session) real(ctx context.Context, d *drive) error {
	for i := range d.services {
		svc := &d.services[i]
		t := s.h.Targets.Service(svc.name)
		var err error
		if svc.backends, err = s.clients(ctx, d, wireTargets(t)); err != nil {
			return err
		}
		for r := range t.Targets {
			if t.Reporter != scenarios.ReporterAgent || t.Targets[r].Agent == "" {
				continue
			}
			agent := wireTarget(t, t.Targets[r].Agent)
			agent.Path, agent.Key, agent.Headers = "", "", nil // what the backend wants is not the agent's business
			if agent.Transport == wire.HTTPJSON {
				agent.Body = ""
			}
			c, err := wire.New(agent, s.base, 16)
			if err != nil {
				return err
			}
			s.ends = append(s.ends, c.Close)
			svc.backends[r] = beside{svc.backends[r], c}
		}
		svc.backends = append(svc.backends, make([]Transport, svc.table.Later)...)
		for r := range t.Targets {
			if t.Targets[r].Metrics != "" {
				svc.backends[r] = s.telling(svc.backends[r], backendName(svc.name, r))
			}
		}
	}
	return s.share(d, nil)
}

// share gives a drive the clients of real targets, which all arms have in common
// (nil: it has them already), and starts the replica halves of its policies.
func (s *session) share(d *drive, clients [][]Transport) error {
	for i := range d.services {
		svc := &d.services[i]
		if clients != nil {
			svc.backends = clients[i]
		}
		t := s.h.Targets.Service(svc.name)
		svc.ready = t.Ready
		d.streaming = d.streaming || t.Transport == scenarios.TransportChat || t.Transport == scenarios.TransportCompletions
		svc.fault = func(r int, f *scenarios.Fault, length time.Duration, begin bool) {
			if begin {
				d.wg.Go(func() { d.hook(&t.Targets[r], f, length) })
			}
		}
		switch {
		case !svc.half:
		case d.inferring(t.Reporter):
			svc.inferred = d.infer(i)
		default:
			svc.remote = true
			if err := d.beginHalves(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// beginHalves tells the halves beside the backends of service i their run. A target
// that is not there cannot be told: it is one of those that the ready check listed.
func (d *drive) beginHalves(i int) error {
	svc := &d.services[i]
	var errs []error
	var wg sync.WaitGroup
	d.fmu.Lock()
	for r, here := range d.registry.here[i] {
		if !here {
			continue
		}
		errs = append(errs, nil)
		at, start := len(errs)-1, d.startOf(i, r, d.registry.inc[i][r])
		wg.Go(func() {
			err := svc.backends[r].Begin(d.ctx, start)
			d.fmu.Lock()
			errs[at] = err
			d.fmu.Unlock()
		})
	}
	d.fmu.Unlock()
	wg.Wait()
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	switch {
	case failed == len(errs):
		return fmt.Errorf("%s needs a replica half, and no target of %s took it: %w; use reporter: inferred with one front end, or an agent", d.run.Cell.Balancers[i].Type, svc.name, errs[0])
	case failed > 0:
		d.note(fmt.Sprintf("%d of %d replica halves of %s did not take their run: %v", failed, len(errs), svc.name, errors.Join(errs...)))
	}
	return nil
}
