package realrun

import (
	"fmt"
	"math"
	"time"

	"taillab/policies"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/reports"
	"taillab/workloads"
)

// maxDrain bounds the wait for the last answers where the scenario does not.
const maxDrain = 60 * time.Second

// maxTenants is how many tenants a report shows by name.
const maxTenants = 32

// plan prepares the schedule, and says what a collector of it must expect.
func (d *drive) plan() (reports.Setup, error) {
	c := d.run.Cell
	src, err := c.Setup.Workload.Source(d.run.Seed, c.RateRPS)
	if err != nil {
		return reports.Setup{}, err
	}
	d.rows = &arrivals{src: src, buf: make([]workloads.Request, chunk)}
	s := reports.Setup{SLO: c.Setup.Measure.SLO, Seed: d.run.Rep + 1, Opaque: !d.emulated, Streaming: d.streaming, Classes: c.Setup.Workload.Classes(), Sections: true}
	names := policies.OutcomeNames()
	s.Outcomes = names[:]
	for i := range c.Setup.Services {
		s.Services = append(s.Services, c.Setup.Services[i].Name)
	}
	s.Tenants, d.tenants = c.Setup.Workload.Shown(maxTenants)
	return s, nil
}

// whole is the window of a run that is measured in one piece.
func (d *drive) whole(s *reports.Setup) window {
	m := &d.run.Cell.Setup.Measure
	skip, length := m.Warmup()
	if m.Horizon > 0 {
		s.Start, s.Window = length, m.Horizon-length
		return window{measured: between(length, m.Horizon), past: func(r *workloads.Request) bool { return r.At >= m.Horizon },
			share: func(r *workloads.Request) float64 { return min(1, float64(r.At)/float64(m.Horizon)) }}
	}
	first, last := uint64(skip), uint64(m.Requests)
	s.First, s.Requests = first, int64(last-first)
	return window{past: func(r *workloads.Request) bool { return r.ID >= last },
		measured: func(r *workloads.Request) bool { return r.ID >= first && r.ID < last && r.At >= length },
		share:    func(r *workloads.Request) float64 { return min(1, float64(r.ID)/float64(max(1, last))) }}
}

// begin starts the front ends, and whatever goes by the run's clock. It ends with end.
func (d *drive) begin() {
	for _, f := range d.fronts {
		d.wg.Go(func() { f.timers.Run(d.ctx) })
	}
	for i := range d.services {
		if h := d.services[i].inferred; h != nil {
			h.Start(d.services[i].first())
		}
	}
	for _, f := range d.fronts {
		f.start()
	}
	d.wg.Go(func() { d.agenda.Run(d.ctx) }) // no front end hears of a change before it has started
	d.addFaults()
	d.addChecks()
	for i := range d.services {
		if e := d.services[i].elastic; e != nil {
			e.settle()
			e.start()
		}
	}
	if d.tick != nil {
		d.tickAt(0)
	}
}

// end gives up what is open and waits for everything under way.
func (d *drive) end() {
	d.over.Store(true)
	for _, f := range d.fronts {
		f.stop()
	}
	d.stop()
	d.wg.Wait()
}

// fail ends the run: it gives no result.
func (d *drive) fail(why error) {
	d.mu.Lock()
	if d.broken == nil {
		d.broken = why
	}
	d.mu.Unlock()
	d.stop()
}

// interrupted is why the run ended before its time, nil when it did not.
func (d *drive) interrupted() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	return d.ctx.Err()
}

// single drives a run that is measured in one piece.
func (d *drive) single(rec reports.Recorder) error {
	setup, err := d.plan()
	if err != nil {
		return err
	}
	w := d.whole(&setup)
	d.col = rec.Begin(d.num, setup)
	d.begin()
	st := d.follow(rec, w)
	err = d.interrupted()
	d.end()
	if err != nil {
		return err
	}
	return d.close(st)
}

// stretch is what is measured in one collector.
type stretch struct {
	began         time.Duration
	window        time.Duration // its length; 0 = from the first measured arrival to the last
	scheduled     int64
	records       int64         // booked before it
	from, until   time.Duration // first and last measured arrival
	sentAt        [2]time.Duration
	before, after flow.Counters
	unsent, heard int64 // of the counters when it began
}

// follow sends the schedule to the last measured arrival, and unmeasured requests
// after it until every measured one has ended or the drain cap has passed: a drain
// without arrivals would lighten the tail.
func (d *drive) follow(rec reports.Recorder, w window) *stretch {
	st := d.stretch()
	d.sound.cpu.begin()
	defer d.sound.cpu.end()
	limit, ended := time.Duration(math.MaxInt64), false
	for r := d.rows.next(); r != nil; r = d.rows.next() {
		past := w.past(r)
		if past && !ended {
			ended, st.after = true, d.counters()
			d.closeScaling()
			limit = d.clock.now() + d.cap()
		}
		if past && d.open.Load() == 0 {
			return st
		}
		if !past {
			d.rows.count()
		}
		if !d.pacer.wait(d.ctx, min(r.At, limit)) || r.At > limit {
			return st
		}
		d.offer(r, w.measured(r), st)
		if r.ID%chunk == 0 {
			rec.Progress(d.num, w.share(r))
		}
	}
	st.after = d.counters()
	d.closeScaling()
	d.idle(d.clock.now()+d.cap(), func() bool { return d.open.Load() == 0 })
	return st
}

func (d *drive) stretch() *stretch {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &stretch{began: d.clock.now(), records: d.records, unsent: d.notSent.Load(), heard: d.heardCount.Load()}
}

// offer hands one request to its front end, however late.
func (d *drive) offer(r *workloads.Request, measured bool, st *stretch) {
	late := d.clock.now() - r.At
	d.guard.hold(late)
	if measured {
		now := d.clock.now()
		if st.scheduled == 0 {
			if d.limits != nil {
				d.limits.open(d)
			}
			d.openScaling()
			st.from, st.before, st.sentAt[0] = r.At, d.counters(), now
		}
		st.scheduled++
		st.until, st.sentAt[1] = r.At, now
		d.lag(now - r.At)
	}
	z, u := d.draw(r.Service)
	d.fronts[r.FrontEnd].arrive(r, z, u, measured)
}

// close checks the books of a stretch and closes its collector.
func (d *drive) close(st *stretch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.records - st.records; n != st.scheduled {
		return fmt.Errorf("requests are not conserved: %d scheduled, %d records", st.scheduled, n)
	}
	end := reports.End{MeasuredTime: st.until - st.from, WorkloadHash: d.rows.sum(), Wall: d.clock.now() - st.began}
	if st.window > 0 {
		end.MeasuredTime = st.window
	}
	if d.lags.Count() > 0 {
		ms := float64(d.lags.Quantile(990)) / 1e6
		end.Lateness = &ms
	}
	end.Metrics = d.quotaMetrics(end.MeasuredTime)
	d.scalingMetrics(&end)
	m := st.after.Sub(st.before)
	end.Messages = []reports.Count{{Name: "probe", N: int64(m.Probe)}, {Name: "ask", N: int64(m.Ask)},
		{Name: "withdraw", N: int64(m.Withdraw)}, {Name: "tell", N: int64(m.Tell)}, {Name: "report", N: d.heardCount.Load() - st.heard}}
	d.sound.add(d, st)
	d.col.Close(end)
	return nil
}

// idle waits until done, at most until an instant; false when that came first.
func (d *drive) idle(until time.Duration, done func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		if d.clock.now() >= until {
			return false
		}
		select {
		case <-d.ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
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

func (d *drive) counters() flow.Counters {
	var c flow.Counters
	for _, f := range d.fronts {
		x, _ := f.counters()
		c = c.Add(x)
	}
	return c
}

// quiet tells whether nothing is under way: no attempt, no open request.
func (d *drive) quiet() bool {
	if d.inFlight.Load() > 0 {
		return false
	}
	for _, f := range d.fronts {
		if _, open := f.counters(); open > 0 {
			return false
		}
	}
	return true
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
