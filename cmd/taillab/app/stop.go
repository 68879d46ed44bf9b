package app

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
)

// code is an exit code that a signal sets while the work goes on.
type code struct{ v atomic.Int32 }

func (c *code) get() int { return int(c.v.Load()) }

// watch turns signals into the end of the work: the first cancels it, and what is
// finished is kept; the second ends the process at once. The answer is closed when
// nobody watches any more, after done at the latest.
func (s *session) watch(cancel context.CancelFunc, done <-chan struct{}) <-chan struct{} {
	ended := make(chan struct{})
	if s.Signals == nil {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case sig := <-s.Signals:
				c := exitInterrupted
				if sig == syscall.SIGTERM {
					c = exitTerminated
				}
				if s.stopped.get() != 0 {
					s.Exit(c)
					return
				}
				s.stopped.v.Store(int32(c))
				cancel()
			}
		}
	}()
	return ended
}

// Interruptions are the signals that Process.Signals should deliver.
func Interruptions() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// brokenPipe tells whether the reader of an output has gone.
func brokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) }
