package realrun

import (
	"fmt"
	"runtime"
	"time"

	"taillab/reports"
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

// soundness is what the verdict on a live measurement is made of, over all of it.
type soundness struct {
	scheduled, unsent int64
	gaps              int64         // between measured sends
	active            time.Duration // from the first measured send to the last, of every stretch
	cpu               cpuTime
	lags, latency     *reports.Hist
	undrained         int      // blocks that did not drain
	others            *float64 // share of the host that others took; nil = unknown
}

func newSoundness() soundness {
	return soundness{lags: reports.NewHist(reports.HistBits), latency: reports.NewHist(reports.HistBits)}
}

// add takes in a stretch that is over, and its lags. d.mu is held.
func (s *soundness) add(d *drive, st *stretch) {
	unsent := d.notSent.Load() - st.unsent
	s.scheduled += st.scheduled
	s.unsent += unsent
	if sent := st.scheduled - unsent; sent > 1 {
		s.gaps += sent - 1
		s.active += st.sentAt[1] - st.sentAt[0]
	}
	s.lags.Merge(d.lags)
	d.lags.Reset()
	s.latency.Merge(d.col.Live())
}

// rate is the realised one, requests per second; 0 = unknown.
func (s *soundness) rate() float64 {
	if s.active <= 0 {
		return 0
	}
	return float64(s.gaps) / s.active.Seconds()
}

// hostLoadWarned is the share of the host that others may take without a warning.
const hostLoadWarned = 0.05

// judge lists what makes the measurement unsound, nothing when it is sound, and what
// is worth a warning beside it. A client that emulates its backends shares its cores
// with them, so its CPU says nothing.
func (d *drive) judge() (unsound, notes []reports.Warning) {
	s, l := &d.sound, d.run.Cell.Setup.Live.Validity
	note := func(code, format string, args ...any) {
		unsound = append(unsound, reports.Warning{Code: code, Message: fmt.Sprintf(format, args...)})
	}
	var p50 time.Duration
	if s.latency.Count() > 0 {
		p50 = time.Duration(s.latency.Quantile(500))
	}
	allowed := l.LagLimit(p50)
	if lag := time.Duration(s.lags.Quantile(990)); s.lags.Count() > 0 && lag > allowed {
		note("client-late", "P99 of the lateness of sends is %v, allowed %v: the client or its machine was too slow", lag.Round(time.Microsecond), allowed.Round(time.Microsecond))
	}
	n := float64(s.scheduled)
	if float64(s.unsent) > l.NotSent*n {
		note("client-saturated", "%d of %d requests were not sent: the limit of %d in flight was reached", s.unsent, s.scheduled, d.fuse)
	}
	if sent := n - float64(s.unsent); sent < l.Sent*n {
		note("rate-missed", "%.2f%% of the schedule was sent, asked %.2f%%", 100*sent/n, 100*l.Sent)
	}
	if c := s.cpu.share(); !d.emulated && c > l.CPU {
		note("client-saturated", "the client used %.0f%% of its cores, allowed %.0f%%", 100*c, 100*l.CPU)
	}
	if s.undrained > 0 {
		note("unfinished", "%d blocks still had requests under way %v after their end: what they left behind lengthens the next block", s.undrained, drainCap)
	}
	if d.spool != nil && d.spool.Err() != nil {
		note("tape-cut", "the tape ends before the run does: %v", d.spool.Err())
	}
	if s.others == nil {
		return unsound, notes
	}
	text := fmt.Sprintf("other work took %.0f%% of this machine while it measured, allowed %.0f%%", 100**s.others, 100*l.Steal)
	switch {
	case *s.others > l.Steal:
		note("host-load", "%s", text)
	case *s.others > hostLoadWarned:
		notes = append(notes, reports.Warning{Code: "host-load", Message: text})
	}
	return unsound, notes
}

// hand gives the verdict and the tapes of a run that is complete. why is what the
// comparison as a whole found.
func (d *drive) hand(rec reports.Recorder, why []reports.Warning, told func(int, []reports.Warning)) {
	unsound, notes := d.judge()
	unsound = append(unsound, why...)
	for _, w := range append(notes, unsound...) {
		rec.Warn(d.num, w.Code, w.Message)
	}
	for _, x := range d.run.Cell.Setup.Live.Validity.Loosened() {
		d.note("the measurement was held to a looser limit than the standard: " + x)
	}
	if len(unsound) > 0 && told != nil {
		told(d.num, unsound)
	}
	if d.spool == nil {
		for _, t := range d.tapes() {
			rec.Tape(d.num, t.stream, t.tape.Bytes())
		}
		d.desires(func(stream string, data []byte) { rec.Tape(d.num, stream, data) })
	}
	rec.Done(d.num)
}
