package realrun

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// alarm is a wake that a front end has asked for.
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

// timers delivers alarms in order of time, then of asking, never early. One
// goroutine serves one front end.
type timers struct {
	clock *clock
	kick  chan struct{}

	mu   sync.Mutex
	heap alarms
	seq  uint64
}

func newTimers(c *clock) *timers { return &timers{clock: c, kick: make(chan struct{}, 1)} }

// set asks for a call at an instant.
func (t *timers) set(at time.Duration, do func()) {
	t.mu.Lock()
	t.seq++
	heap.Push(&t.heap, alarm{at: at, seq: t.seq, do: do})
	first := t.heap[0].seq == t.seq
	t.mu.Unlock()
	if first {
		t.look()
	}
}

// look makes run look at its clock again, which may have been held or let go.
func (t *timers) look() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// run serves alarms until ctx ends.
func (t *timers) run(ctx context.Context) {
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
func (t *timers) due() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 || t.heap[0].at > t.clock.now() {
		return nil
	}
	return heap.Pop(&t.heap).(alarm).do
}

func (t *timers) sleep() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 || t.clock.held() {
		return time.Hour
	}
	return max(0, t.heap[0].at-t.clock.now())
}
