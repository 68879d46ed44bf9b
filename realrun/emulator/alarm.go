package emulator

import (
	"sync"
	"time"
)

// alarm wakes one goroutine at an instant that may be moved at any time.
type alarm interface {
	// set makes wait return in d from now, in place of what was set before; a
	// negative d sets nothing. Not after close.
	set(d time.Duration)
	// wait returns true when it is time, now and then too early, and false once the
	// alarm is closed.
	wait() bool
	close()
}

// coarse is the runtime's timer: an idle process serves it to about a millisecond.
type coarse struct {
	timer *time.Timer
	done  chan struct{}
	once  sync.Once
}

func newCoarse() *coarse {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &coarse{timer: t, done: make(chan struct{})}
}

func (a *coarse) set(d time.Duration) {
	if d < 0 {
		a.timer.Stop()
		return
	}
	a.timer.Reset(d)
}

func (a *coarse) wait() bool {
	select {
	case <-a.timer.C:
		return true
	case <-a.done:
		return false
	}
}

func (a *coarse) close() { a.once.Do(func() { close(a.done); a.timer.Stop() }) }
