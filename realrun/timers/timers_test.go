package timers

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// stopwatch is a clock; a held one stands at an instant.
type stopwatch struct {
	mu   sync.Mutex
	base time.Time
	held bool
	at   time.Duration
}

func (s *stopwatch) now() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return s.at
	}
	return time.Since(s.base)
}

func (s *stopwatch) isHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// goOn lets a held clock go on from where it stands.
func (s *stopwatch) goOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.base = false, time.Now().Add(-s.at)
}

// call is a call as it was made.
type call struct {
	what string
	at   time.Duration
}

// running is timers that are served until the end of the test.
func running(t *testing.T, c *stopwatch) *Timers {
	ctx, cancel := context.WithCancel(context.Background())
	tm, done := New(c.now, c.isHeld), make(chan struct{})
	go func() { tm.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return tm
}

func TestInOrderAndNeverEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &stopwatch{base: time.Now()}
		tm := running(t, c)
		got := make(chan call, 10)
		say := func(s string, at time.Duration) { tm.Set(at, func() { got <- call{s, c.now()} }) }
		say("c", 3*time.Second)
		say("a", time.Second)
		say("b1", 2*time.Second)
		say("b2", 2*time.Second)
		for _, want := range []call{{"a", time.Second}, {"b1", 2 * time.Second}, {"b2", 2 * time.Second}, {"c", 3 * time.Second}} {
			require.Equal(t, want, <-got)
		}
	})
}

// What comes due while the clock stands still waits until it goes on.
func TestHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &stopwatch{base: time.Now(), held: true, at: time.Second}
		tm := running(t, c)
		var calls atomic.Int64
		tm.Set(2*time.Second, func() { calls.Add(1) })
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Zero(t, calls.Load())
		c.goOn()
		tm.Look()
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		require.Zero(t, calls.Load())
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 1, calls.Load())
	})
}
