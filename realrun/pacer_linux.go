package realrun

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

// prSetTimerslack is the prctl that tightens a thread's timers from the default of
// 50 µs.
const prSetTimerslack = 29

// fine sleeps in the kernel on a thread of its own for the last stretch, with the
// thread's timer slack at 1 ns.
type fine struct {
	coarse *coarse
	locked bool
}

// finish is how long before the instant the thread takes over from the runtime.
const finish = 2 * time.Millisecond

func newFine(c *clock) (pacer, bool) { return &fine{coarse: newCoarse(c)}, true }

func (p *fine) wait(ctx context.Context, until time.Duration) bool {
	if !p.locked {
		p.locked = true
		runtime.LockOSThread()
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerslack, 1, 0) // refused: coarser, not wrong
	}
	if until-p.coarse.clock.now() > finish && !p.coarse.wait(ctx, until-finish) {
		return false
	}
	for {
		d := until - p.coarse.clock.now()
		if d <= 0 {
			return ctx.Err() == nil
		}
		ts := syscall.NsecToTimespec(int64(d))
		_ = syscall.Nanosleep(&ts, nil) // interrupted: the loop looks at the clock again
	}
}

func (p *fine) close() {
	p.coarse.close()
	if p.locked {
		runtime.UnlockOSThread()
	}
}
