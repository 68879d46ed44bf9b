// Package timers makes calls at the instants they were asked for: the wakes of a front
// end or a replica half, and what discovery delivers late.
package timers

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// alarm is a call that was asked for at an instant.
type alarm struct {
	at  time.Duration
	seq uint64 // order of asking, for equal times
	do  func()
}

// alarms implements heap.Interface.
type alarms []alarm

func (a alarms) Len() int { return len(a) }
func (a alarms) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a alarms) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)   { *a = append(*a, x.(alarm)) }
func (a *alarms) Pop() any {
	old := *a
	x := old[len(old)-1]
	old[len(old)-1] = alarm{}
	*a = old[:len(old)-1]
	return x
}

// Timers makes calls in order of time, then of asking, never early and one at a time.
type Timers struct {
	now  func() time.Duration
	held func() bool
	kick chan struct{}

	mu   sync.Mutex
	heap alarms
	seq  uint64
}

// New makes timers that go by a clock, which both functions read: nothing is due while
// it is held, and nothing is called before Run.
func New(now func() time.Duration, held func() bool) *Timers {
	return &Timers{now: now, held: held, kick: make(chan struct{}, 1)}
}

// Set asks for a call at an instant.
func (t *Timers) Set(at time.Duration, do func()) {
	t.mu.Lock()
	t.seq++
	heap.Push(&t.heap, alarm{at: at, seq: t.seq, do: do})
	first := t.heap[0].seq == t.seq
	t.mu.Unlock()
	if first {
		t.Look()
	}
}

// Look makes Run look at its clock again, which may have been held or let go.
func (t *Timers) Look() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// Run makes the calls until ctx ends.
func (t *Timers) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		for a := t.due(); a != nil; a = t.due() {
			a()
		}
		timer.Reset(t.sleep())
		select {
		case <-ctx.Done():
			return
		case <-t.kick:
		case <-timer.C:
		}
	}
}

// due takes the first alarm whose time has come, nil when there is none.
func (t *Timers) due() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 || t.heap[0].at > t.now() {
		return nil
	}
	return heap.Pop(&t.heap).(alarm).do
}

func (t *Timers) sleep() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 || t.held() {
		return time.Hour
	}
	return max(0, t.heap[0].at-t.now())
}
