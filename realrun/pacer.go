package realrun

import (
	"context"
	"sync/atomic"
	"time"
)

// clock is the time of one run, monotonic: negative until begin's lead has passed,
// then since the first instant of the schedule. It stands still while another arm of
// a comparison has its turn. The wire counts from base.
type clock struct {
	base  time.Time
	state atomic.Pointer[clockState]
}

type clockState struct {
	zero time.Duration // of the run, since base
	held bool
	at   time.Duration // where it stands when held
}

func (c *clock) get() clockState {
	if s := c.state.Load(); s != nil {
		return *s
	}
	return clockState{}
}

func (c *clock) now() time.Duration {
	s := c.get()
	if s.held {
		return s.at
	}
	return time.Since(c.base) - s.zero
}

// begin makes the present plus a lead the start of the run. Nothing reads the clock
// before.
func (c *clock) begin(lead time.Duration) {
	c.state.Store(&clockState{zero: time.Since(c.base) + lead})
}

// hold stops the clock, run lets it go on from where it stands.
func (c *clock) hold() {
	s := c.get()
	c.state.Store(&clockState{zero: s.zero, held: true, at: c.now()})
}

func (c *clock) run() {
	if s := c.get(); s.held {
		c.state.Store(&clockState{zero: time.Since(c.base) - s.at})
	}
}

func (c *clock) held() bool { return c.get().held }

// local converts an instant of the wire; negative ones mean never and stay so.
func (c *clock) local(at time.Duration) time.Duration {
	if at < 0 {
		return -1
	}
	return at - c.get().zero
}

// pacer waits for instants of the schedule. It never computes a gap: late is sent
// at once, and nothing is skipped or shifted.
type pacer interface {
	// wait returns when the instant has come, or false when ctx has ended.
	wait(ctx context.Context, until time.Duration) bool
	close()
}

// coarse sleeps with the runtime's timers, which an idle process serves to about a
// millisecond.
type coarse struct {
	clock *clock
	timer *time.Timer
}

func newCoarse(c *clock) *coarse { return &coarse{clock: c, timer: time.NewTimer(time.Hour)} }

func (p *coarse) wait(ctx context.Context, until time.Duration) bool {
	for {
		d := until - p.clock.now()
		if d <= 0 {
			return ctx.Err() == nil
		}
		p.timer.Reset(d)
		select {
		case <-ctx.Done():
			return false
		case <-p.timer.C:
		}
	}
}

func (p *coarse) close() { p.timer.Stop() }

// Pacing modes of live.pacing.
const (
	PacingAuto   = "auto"
	PacingCoarse = "coarse"
	PacingFine   = "fine"
)

// newPacer chooses by mode; auto is fine where the system can and the rate leaves
// time for it.
func newPacer(mode string, c *clock, rate float64) (p pacer, name string) {
	if mode == PacingFine || mode != PacingCoarse && rate < 10_000 {
		if f, ok := newFine(c); ok {
			return f, PacingFine
		}
	}
	return newCoarse(c), PacingCoarse
}
