package realrun

import (
	"context"
	"fmt"
	"sync"
	"time"

	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/emulator"
	"taillab/realrun/spool"
	"taillab/realrun/telemetry"
	"taillab/realrun/wire"
	"taillab/reports"
	"taillab/scenarios"
)

// Host runs plans against real backends, or against emulated ones when Targets is
// nil. A live measurement shares its machine with nothing else: one call at a time.
type Host struct {
	Targets *scenarios.Targets
	// Unsound is told of each run that was not soundly measured: its gates must not
	// be judged.
	Unsound func(run int, why []reports.Warning)
	// Note is told what is worth a line to the user and changes no verdict.
	Note func(text string)
	// Lags is told how late the measured sends of a run were, in ns.
	Lags func(run int, lags *reports.Hist)
	// Tape gives the writer of the tape of a run that is recorded, whose Close tells that
	// the run is over; nil hands the tapes to the recorder at the end.
	Tape func(run int) (TapeWriter, error)
	// Watched is told once per call what telemetry saw of the machines.
	Watched func(telemetry.Result)

	samplers []telemetry.Named // further GPUs
}

// lead is how long before the first instant of the schedule everything is ready.
const lead = 200 * time.Millisecond

// Run drives one run, or interleaves several: the arms of one comparison, of which
// each gives one collector per block. It returns ctx's error when it was interrupted;
// the runs then give no result.
func (h Host) Run(ctx context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	if len(runs) == 0 {
		return nil
	}
	s, err := h.open(ctx, runs)
	if err != nil {
		return fmt.Errorf("policy %q: %w", runs[0].Cell.Policy, err)
	}
	defer s.close()
	for _, d := range s.arms {
		d.tick = func(row reports.TimelineRow) { rec.Tick(d.num, row) }
	}
	s.watch(ctx)
	s.follow(ctx)
	var why []reports.Warning
	if len(runs) == 1 {
		err = s.arms[0].single(rec)
	} else {
		why, err = s.compare(rec)
	}
	if err != nil {
		return fmt.Errorf("policy %q: %w", runs[0].Cell.Policy, err)
	}
	why = append(why, s.watched()...)
	s.close() // the tapes of the replica halves are whole from here on
	others := s.load.end()
	for _, d := range s.arms {
		d.sound.others = others
		if h.Lags != nil {
			h.Lags(d.num, d.sound.lags)
		}
		d.hand(rec, why, h.Unsound)
	}
	return nil
}

// session is one call of Run: its arms over common backends. Emulated backends are
// each arm's own, since the replica half of its policy runs inside them.
type session struct {
	h     Host
	base  time.Time
	arms  []*drive
	ear   *listener
	load  *hostLoad
	seen  *telemetry.Run
	mu    sync.Mutex // of notes
	ends  []func()
	ended bool
}

// open starts or reaches the backends and makes the arms.
func (h Host) open(ctx context.Context, runs []scenarios.Run) (*session, error) {
	s := &session{h: h, base: time.Now()}
	tables, err := s.reach(ctx, runs)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		run := &runs[i]
		at := place{base: s.base, emulated: h.Targets == nil, tables: tables}
		if len(runs) > 1 {
			at.name = fmt.Sprintf("%016x.%d", run.Seed, i)
		}
		d := newDrive(ctx, run, run.Cell.Setup.Live, at)
		d.num, d.note = i, s.note
		s.arms = append(s.arms, d)
		s.ends = append(s.ends, d.end)
		if h.Tape == nil || !run.Cell.Setup.Live.Tape {
			continue
		}
		to, err := h.Tape(i)
		if err != nil {
			s.close()
			return nil, err
		}
		d.spool = spool.New(to, spool.WaitingBytes, nil)
	}
	if err = s.quotas(ctx); err != nil {
		s.close()
		return nil, err
	}
	if s.ear, err = listen(s.arms, h.address()); err == nil {
		s.ends = append([]func(){s.ear.close}, s.ends...)
		err = s.connect(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	for _, d := range s.arms {
		d.clock.begin(lead)
		d.pacer, _ = newPacer(d.run.Cell.Setup.Live.Pacing, d.clock, d.run.Cell.RateRPS)
		d.guard = newGuard(d.run.Cell.RateRPS)
		s.ends = append(s.ends, d.pacer.close)
		if len(s.arms) > 1 {
			d.clock.hold()
		}
	}
	s.load = newHostLoad()
	return s, nil
}

// close ends everything that open and the runs began: what listens first, then
// attempts, then backends, then tapes.
func (s *session) close() {
	if s.ended {
		return
	}
	s.ended = true
	for _, end := range s.ends {
		end()
	}
	for _, d := range s.arms {
		d.unwound()
	}
}

// note says something to the user, from any goroutine.
func (s *session) note(text string) {
	if s.h.Note == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.h.Note(text)
}

func (h Host) address() string {
	if h.Targets != nil && h.Targets.FrontEndListen != "" {
		return h.Targets.FrontEndListen
	}
	return "127.0.0.1:0"
}

// connect gives every arm its backends.
func (s *session) connect(ctx context.Context) error {
	urls := s.ear.urls(s.arms[0].run.Cell.Setup.FrontEnds.Count)
	var clients [][]Transport
	for i := range s.arms {
		d := s.arms[i]
		d.place.fronts = urls
		var err error
		switch {
		case s.h.Targets == nil:
			err = s.emulate(ctx, d)
		case i == 0:
			if err = s.real(ctx, d); err == nil {
				for k := range d.services {
					clients = append(clients, d.services[k].backends)
				}
			}
		default:
			err = s.share(d, clients)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inferring tells whether the driver itself runs the replica half of a service.
func (d *drive) inferring(reporter string) bool {
	return reporter == scenarios.ReporterInferred && len(d.fronts) == 1
}

// tape makes the tape of a service's replica halves, whole once the backends are
// closed; its tape is nil when nothing is taped.
func (d *drive) tape(service string) taped {
	if !d.run.Cell.Setup.Live.Tape {
		return taped{}
	}
	t := taped{"replicas/" + service, &flow.Tape{}}
	d.halves = append(d.halves, t)
	return t
}

// emulate starts the backends of a drive's own.
func (s *session) emulate(ctx context.Context, d *drive) error {
	for i := range d.services {
		d.streaming = d.streaming || streams(&d.run.Cell.Setup.Services[i])
	}
	for i := range d.services {
		if d.services[i].elastic != nil {
			if err := s.actuate(ctx, d, i); err != nil {
				return fmt.Errorf("service %s: %w", d.services[i].name, err)
			}
			continue
		}
		e, err := d.emulateService(ctx, i)
		if err != nil {
			return err
		}
		var targets []wire.Target
		for _, u := range e.URLs() {
			targets = append(targets, d.emulatedTarget(u))
		}
		svc := &d.services[i]
		svc.backends, err = s.clients(ctx, d, targets)
		s.ends = append(s.ends, func() { _ = e.Close() }) // after its clients
		if err != nil {
			return err
		}
		svc.queued = e.Queued
		svc.fault = func(r int, f *scenarios.Fault, _ time.Duration, begin bool) {
			if err := e.Apply(r, f, begin); err != nil {
				d.note(fmt.Sprintf("the fault %s at replica %d of %s failed: %v", f.Kind, r, svc.name, err))
			}
		}
	}
	return nil
}

// emulatedTarget is the target of an emulated replica.
func (d *drive) emulatedTarget(url string) wire.Target {
	t := wire.Target{URL: url, Transport: wire.HTTPJSON, Timeouts: wire.DefaultTimeouts()}
	if d.streaming {
		t.Transport = wire.OpenAIChat
	}
	return t
}

func streams(s *scenarios.Service) bool {
	for g := range s.Groups {
		if s.Groups[g].Model.Streams() {
			return true
		}
	}
	return false
}

// emulateService starts the backends of service i.
func (d *drive) emulateService(ctx context.Context, i int) (*emulator.Fleet, error) {
	s, svc := &d.run.Cell.Setup.Services[i], &d.services[i]
	cfg := emulator.Config{Service: s.Name, Seed: d.run.Seed, Run: d.name(), FrontEnds: d.place.fronts}
	switch {
	case !svc.half:
	case d.inferring(s.Reporter):
		svc.inferred = d.infer(i)
	default:
		t := d.tape(s.Name)
		cfg.Half, cfg.Tape = d.run.Cell.Balancers[i].Make, t.tape
		cfg.Taped = func() { d.spool.Trim(t.stream, t.tape) }
	}
	if err := d.disturb(&cfg, s); err != nil {
		return nil, err
	}
	var err error
	if svc.notices, err = noticesOf(s); err != nil {
		return nil, err
	}
	for g := range s.Groups {
		grp := &s.Groups[g]
		for range grp.Replicas {
			cfg.Replicas = append(cfg.Replicas, emulator.Replica{Model: grp.Model, Speed: grp.Speed})
		}
	}
	return emulator.Start(ctx, cfg)
}

// clients makes the clients of backends and opens connections before the run.
func (s *session) clients(ctx context.Context, d *drive, targets []wire.Target) ([]Transport, error) {
	var list []Transport
	var warm []*wire.Client
	for _, t := range targets {
		c, err := wire.New(t, s.base, int(d.fuse))
		if err != nil {
			return nil, err
		}
		s.ends = append(s.ends, c.Close)
		list, warm = append(list, c), append(warm, c)
	}
	if d.warm > 0 {
		var wg sync.WaitGroup
		for _, c := range warm {
			wg.Go(func() { c.Warm(ctx, d.warm) })
		}
		wg.Wait()
	}
	return list, nil
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

// hasHalf tells whether a policy has a half beside the replicas.
func hasHalf(b balance.Balancer) bool {
	h, ok := balance.Inside[balance.Halved](b)
	return ok && h.Reporter() != nil
}
