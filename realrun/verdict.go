package realrun

import (
	"fmt"
	"runtime"
	"time"

	"taillab/policies/flow"
	"taillab/reports"
	"taillab/scenarios"
)

// cpuTime measures the process's own CPU time over a stretch of real time.
type cpuTime struct{ cpu, wall time.Duration }

var started = time.Now() // the origin of cpuTime's wall clock

func (c *cpuTime) begin() { c.cpu, c.wall = -usage(), -time.Since(started) }
func (c *cpuTime) end()   { c.cpu, c.wall = c.cpu+usage(), c.wall+time.Since(started) }

// share is the CPU used, as a share of all cores.
func (c *cpuTime) share() float64 {
	if c.wall <= 0 {
		return 0
	}
	return float64(c.cpu) / float64(c.wall) / float64(runtime.GOMAXPROCS(0))
}

// soundness is what the verdict on a live measurement is made of.
type soundness struct {
	scheduled     int64
	from, until   time.Duration // first and last measured arrival
	before, after flow.Counters
	cpu           cpuTime
	hash          string // of the workload
}

// judge lists what makes the measurement unsound; nothing when it is sound. A client
// that emulates its backends shares its cores with them, so its CPU says nothing.
func (d *drive) judge(s *soundness, l scenarios.Validity, p50 time.Duration) []reports.Warning {
	var out []reports.Warning
	note := func(code, format string, args ...any) {
		out = append(out, reports.Warning{Code: code, Message: fmt.Sprintf(format, args...)})
	}
	allowed := max(l.Lag, time.Duration(l.LagShare*float64(p50)))
	if lag := time.Duration(d.lags.Quantile(990)); d.lags.Count() > 0 && lag > allowed {
		note("client-late", "P99 of the lateness of sends is %v, allowed %v: the client or its machine was too slow", lag.Round(time.Microsecond), allowed.Round(time.Microsecond))
	}
	if n := d.notSent.Load(); s.scheduled > 0 && float64(n) > l.NotSent*float64(s.scheduled) {
		note("client-saturated", "%d of %d requests were not sent: the limit of %d in flight was reached", n, s.scheduled, d.fuse)
	}
	if s.scheduled > 0 && float64(s.scheduled-d.notSent.Load()) < l.Sent*float64(s.scheduled) {
		note("rate-missed", "%.2f%% of the schedule was sent, asked %.2f%%", 100*float64(s.scheduled-d.notSent.Load())/float64(s.scheduled), 100*l.Sent)
	}
	if c := s.cpu.share(); !d.emulated && c > l.CPU {
		note("client-saturated", "the client used %.0f%% of its cores, allowed %.0f%%", 100*c, 100*l.CPU)
	}
	return out
}

// hand closes the collector and gives everything away.
func (d *drive) hand(rec reports.Recorder, num int, s *soundness, fl *fleet, unsound func(int, []reports.Warning)) error {
	if d.records != s.scheduled {
		return fmt.Errorf("requests are not conserved: %d scheduled, %d records", s.scheduled, d.records)
	}
	end := reports.End{MeasuredTime: s.until - s.from, WorkloadHash: s.hash, Wall: d.clock.now()}
	if d.lags.Count() > 0 {
		ms := float64(d.lags.Quantile(990)) / 1e6
		end.Lateness = &ms
	}
	var p50 time.Duration
	if h := d.col.Live(); h.Count() > 0 {
		p50 = time.Duration(h.Quantile(500))
	}
	why := d.judge(s, d.run.Cell.Setup.Live.Validity, p50)
	m := s.after.Sub(s.before)
	end.Messages = []reports.Count{{Name: "probe", N: int64(m.Probe)}, {Name: "ask", N: int64(m.Ask)},
		{Name: "withdraw", N: int64(m.Withdraw)}, {Name: "tell", N: int64(m.Tell)}, {Name: "report", N: d.heardCount.Load()}}
	d.col.Close(end)
	for _, w := range why {
		rec.Warn(num, w.Code, w.Message)
	}
	if len(why) > 0 && unsound != nil {
		unsound(num, why)
	}
	for _, f := range d.fronts {
		if f.tape != nil {
			rec.Tape(num, fmt.Sprintf("frontend/%d.%d", f.index, f.gen), f.tape.Bytes())
		}
	}
	for _, h := range fl.halves {
		rec.Tape(num, "replicas/"+h.service, h.tape.Bytes())
	}
	rec.Done(num)
	return nil
}
