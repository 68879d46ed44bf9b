package realrun

import (
	"context"
	"time"

	"taillab/policies"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/reports"
	"taillab/workloads"
)

// chunk is how many rows of the schedule are pulled at a time.
const chunk = 1024

// maxDrain bounds the wait for the last answers where the scenario does not.
const maxDrain = 60 * time.Second

// plan prepares the schedule and tells which requests are measured.
func (d *drive) plan() (*arrivals, reports.Setup, error) {
	c := d.run.Cell
	m := &c.Setup.Measure
	src, err := c.Setup.Workload.Source(d.run.Seed, c.RateRPS)
	if err != nil {
		return nil, reports.Setup{}, err
	}
	a := &arrivals{src: src, buf: make([]workloads.Request, chunk)}
	s := reports.Setup{SLO: m.SLO, Seed: d.run.Rep + 1, Opaque: !d.emulated, Streaming: d.streaming, Classes: c.Setup.Workload.Classes(), Sections: true}
	names := policies.OutcomeNames()
	s.Outcomes = names[:]
	for i := range c.Setup.Services {
		s.Services = append(s.Services, c.Setup.Services[i].Name)
	}
	s.Tenants, d.tenants = c.Setup.Workload.Shown(maxTenants)
	skip, length := m.Warmup()
	if m.Horizon > 0 {
		s.Start, s.Window = length, m.Horizon-length
		a.measured = func(r *workloads.Request) bool { return r.At >= length && r.At < m.Horizon }
		a.past = func(r *workloads.Request) bool { return r.At >= m.Horizon }
		return a, s, nil
	}
	first, last := uint64(skip), uint64(m.Requests)
	s.First, s.Requests = first, int64(last-first)
	a.past = func(r *workloads.Request) bool { return r.ID >= last }
	a.measured = func(r *workloads.Request) bool { return r.ID >= first && r.ID < last && r.At >= length }
	return a, s, nil
}

// maxTenants is how many tenants a report shows by name.
const maxTenants = 32

// drive sends the schedule and waits for the answers. It returns what the validity
// verdict is made of.
func (d *drive) drive(rec reports.Recorder, num int, p pacer) (*soundness, error) {
	a, setup, err := d.plan()
	if err != nil {
		return nil, err
	}
	d.col = rec.Begin(num, setup)
	ctx, stop := context.WithCancel(d.ctx)
	defer stop()
	for _, f := range d.fronts {
		d.wg.Go(func() { f.timers.run(ctx) })
		f.start()
	}
	s := d.follow(ctx, rec, num, a, p)
	s.cpu.end()
	for _, f := range d.fronts {
		for _, r := range f.stop() {
			d.book(&r)
		}
	}
	s.hash = a.hash.Sum()
	return s, d.ctx.Err()
}

// follow sends the schedule to the last measured arrival, and unmeasured requests
// after it until every measured one has ended or the drain cap has passed: a drain
// without arrivals would lighten the tail.
func (d *drive) follow(ctx context.Context, rec reports.Recorder, num int, a *arrivals, p pacer) *soundness {
	s := &soundness{}
	s.cpu.begin()
	limit := time.Duration(1<<63 - 1)
	for r := a.next(); r != nil; r = a.next() {
		if a.past(r) && limit > d.clock.now()+maxDrain {
			s.after = d.counters()
			limit = d.clock.now() + d.cap()
		}
		if a.past(r) && (d.open.Load() == 0 || d.clock.now() > limit) {
			return s
		}
		if !p.wait(ctx, min(r.At, limit)) {
			return s
		}
		d.offer(r, a, s)
		if r.ID%chunk == 0 {
			rec.Progress(num, d.share(r))
		}
	}
	s.after = d.counters()
	d.idle(ctx, d.clock.now()+d.cap())
	return s
}

// offer hands one request to its front end, however late.
func (d *drive) offer(r *workloads.Request, a *arrivals, s *soundness) {
	measured := a.measured(r)
	if measured {
		if s.scheduled == 0 {
			s.from, s.before = r.At, d.counters()
		}
		s.scheduled++
		s.until = r.At
		d.lag(d.clock.now() - r.At)
	}
	z, u := d.draw(r.Service)
	d.fronts[r.FrontEnd].arrive(r, z, u, measured)
}

// idle waits until every measured request has ended, for a trace without further rows.
func (d *drive) idle(ctx context.Context, until time.Duration) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for d.open.Load() > 0 && d.clock.now() < until {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// cap is the longest drain: 10 × P99 so far, at least a second, at most a minute.
func (d *drive) cap() time.Duration {
	if limit := d.run.Cell.Setup.Measure.Drain; limit > 0 {
		return limit
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.col.Live()
	if h.Count() == 0 {
		return maxDrain
	}
	return min(maxDrain, max(time.Second, 10*time.Duration(h.Quantile(990))))
}

func (d *drive) share(r *workloads.Request) float64 {
	m := &d.run.Cell.Setup.Measure
	if m.Horizon > 0 {
		return min(1, float64(r.At)/float64(m.Horizon))
	}
	return min(1, float64(r.ID)/float64(max(1, m.Requests)))
}

func (d *drive) counters() flow.Counters {
	var c flow.Counters
	for _, f := range d.fronts {
		f.mu.Lock()
		c = c.Add(f.fe.Counters())
		f.mu.Unlock()
	}
	return c
}

// draw draws the noise of a request of a service, in order of arrival and from the
// stream the simulator uses, so that both see the same truth.
func (d *drive) draw(service uint32) (z, u float64) {
	if d.noisy[service] == nil {
		return 0, 1
	}
	return chance.Normal(&d.noise), chance.Float(&d.noise)
}

// factor is the noise under the model of one replica; 1 where real backends make
// their own.
func (d *drive) factor(service, replica uint32, z, u float64) float64 {
	models := d.noisy[service]
	if models == nil {
		return 1
	}
	return models[replica].RequestFactor(z, u)
}
