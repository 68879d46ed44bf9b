package realrun

import (
	"context"
	"fmt"
	"time"

	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/emulator"
	"taillab/realrun/wire"
	"taillab/reports"
	"taillab/scenarios"
)

// Host runs plans against real backends, or against emulated ones when Targets is
// nil. Runs are driven one after another: a live measurement shares its machine with
// nothing else.
type Host struct {
	Targets *scenarios.Targets
	// Unsound is told of each run that was not soundly measured: its gates must not
	// be judged.
	Unsound func(run int, why []reports.Warning)
}

// lead is how long before the first instant of the schedule everything is ready.
const lead = 200 * time.Millisecond

// Run drives the runs. It returns ctx's error when it was interrupted; the run under
// way then gives no result.
func (h Host) Run(ctx context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	for i := range runs {
		if err := h.one(ctx, i, &runs[i], rec); err != nil {
			return fmt.Errorf("policy %q: %w", runs[i].Cell.Policy, err)
		}
	}
	return nil
}

func (h Host) one(ctx context.Context, num int, run *scenarios.Run, rec reports.Recorder) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	live := run.Cell.Setup.Live
	d := newDrive(ctx, run, live, h.Targets == nil)
	ear, err := listen(d, h.address())
	if err != nil {
		return err
	}
	defer ear.close()
	fleet, err := h.fleet(ctx, d, ear)
	if err != nil {
		return err
	}
	defer fleet.close()
	d.clock.begin(lead)
	p, name := newPacer(live.Pacing, d.clock, run.Cell.RateRPS)
	defer p.close()
	d.pace = name
	s, err := d.drive(rec, num, p)
	cancel()
	d.wg.Wait()
	fleet.close() // the tapes of the replica halves are whole from here on
	if err != nil {
		return err
	}
	return d.hand(rec, num, s, fleet, h.Unsound)
}

func (h Host) address() string {
	if h.Targets != nil && h.Targets.FrontEndListen != "" {
		return h.Targets.FrontEndListen
	}
	return "127.0.0.1:0"
}

// fleet is the backends of a run.
type fleet struct {
	emulated []*emulator.Fleet // by service; nil with real targets
	clients  []*wire.Client
	halves   []half
}

// half is the tape of a service's replica halves, whole once the fleet is closed.
type half struct {
	service string
	tape    *flow.Tape
}

func (f *fleet) close() {
	for _, c := range f.clients {
		c.Close()
	}
	for _, e := range f.emulated {
		_ = e.Close()
	}
}

// fleet starts or reaches the backends of every service.
func (h Host) fleet(ctx context.Context, d *drive, ear *listener) (*fleet, error) {
	f := &fleet{}
	c := d.run.Cell
	for i := range c.Setup.Services {
		targets, err := h.targets(ctx, d, f, ear, i)
		if err == nil {
			err = d.connect(ctx, f, i, targets)
		}
		if err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

// targets lists the backends of service i, started first when they are emulated.
func (h Host) targets(ctx context.Context, d *drive, f *fleet, ear *listener, i int) ([]wire.Target, error) {
	s := &d.run.Cell.Setup.Services[i]
	if h.Targets != nil {
		t := h.Targets.Service(s.Name)
		if t == nil {
			return nil, fmt.Errorf("service %s has no targets", s.Name)
		}
		return wireTargets(t), nil
	}
	cfg := emulator.Config{Service: s.Name, Seed: d.run.Seed, Run: d.name(), FrontEnds: ear.urls(d.run.Cell.Setup.FrontEnds.Count)}
	if _, ok := d.run.Cell.Balancers[i].Make().(balance.Halved); ok {
		cfg.Half = d.run.Cell.Balancers[i].Make
		if d.run.Cell.Setup.Live.Tape {
			cfg.Tape = &flow.Tape{}
			f.halves = append(f.halves, half{s.Name, cfg.Tape})
		}
	}
	if err := d.disturb(&cfg, s); err != nil {
		return nil, err
	}
	for g := range s.Groups {
		grp := &s.Groups[g]
		d.streaming = d.streaming || grp.Model.Streams()
		for range grp.Replicas {
			cfg.Replicas = append(cfg.Replicas, emulator.Replica{Model: grp.Model, Speed: grp.Speed})
		}
	}
	e, err := emulator.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	f.emulated = append(f.emulated, e)
	var out []wire.Target
	transport := wire.HTTPJSON
	if d.streaming {
		transport = wire.OpenAIChat
	}
	for _, u := range e.URLs() {
		out = append(out, wire.Target{URL: u, Transport: transport, Timeouts: wire.DefaultTimeouts()})
	}
	return out, nil
}

func wireTargets(t *scenarios.TargetService) []wire.Target {
	var out []wire.Target
	for i := range t.Targets {
		u := &t.Targets[i]
		out = append(out, wire.Target{URL: u.URL, Transport: t.Transport, Path: t.Path, Model: t.Model, Body: t.Body, Engine: t.Engine,
			Ready: t.Ready, Headers: t.Headers, Key: t.Key.Reveal(), HTTP: t.HTTP, TLS: wire.TLS(t.TLS), Timeouts: wire.Timeouts(t.Timeouts)})
	}
	return out
}

// connect makes the clients of service i and opens connections before the run.
func (d *drive) connect(ctx context.Context, f *fleet, i int, targets []wire.Target) error {
	var list []Transport
	for _, t := range targets {
		c, err := wire.New(t, d.clock.base, int(d.fuse))
		if err != nil {
			return err
		}
		f.clients = append(f.clients, c)
		list = append(list, c)
		if d.warm > 0 {
			c.Warm(ctx, d.warm)
		}
	}
	d.backends = append(d.backends, list)
	return nil
}

// fuseOf is the limit of requests in flight: the scenario's, else what open files allow.
func fuseOf(limit int) int {
	if limit > 0 {
		return limit
	}
	n := 16_384
	if files := openFiles(); files > 0 {
		n = min(n, int(0.4*float64(files)))
	}
	return max(n, 16)
}
