package proxy

import (
	"container/heap"
	"sync"
	"time"
)

// alarm is a call that was asked for at an instant.
type alarm struct {
	at  time.Duration
	seq uint64 // order of asking, for equal times
	do  func()
}

// byTime implements heap.Interface.
type byTime []alarm

func (a byTime) Len() int { return len(a) }
func (a byTime) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a byTime) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *byTime) Push(x any)   { *a = append(*a, x.(alarm)) }
func (a *byTime) Pop() any {
	old := *a
	x := old[len(old)-1]
	old[len(old)-1] = alarm{}
	*a = old[:len(old)-1]
	return x
}

// alarms delivers calls in order of time, then of asking, never early and one at a
// time. Without anything to wait for it costs no goroutine.
type alarms struct {
	now func() time.Duration

	mu      sync.Mutex
	heap    byTime
	seq     uint64
	timer   *time.Timer
	running bool
	ended   bool
	idle    sync.WaitGroup // a delivery under way
}

// set asks for a call at an instant.
func (a *alarms) set(at time.Duration, do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.seq++
	heap.Push(&a.heap, alarm{at: at, seq: a.seq, do: do})
	if a.heap[0].seq == a.seq && !a.running {
		a.arm()
	}
}

// arm waits for the first alarm.
func (a *alarms) arm() {
	d := max(0, a.heap[0].at-a.now())
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
		return
	}
	a.timer.Reset(d)
}

// ring delivers what is due.
func (a *alarms) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running || a.ended {
		return
	}
	a.running = true
	a.idle.Add(1)
	for len(a.heap) > 0 && a.heap[0].at <= a.now() && !a.ended {
		x, _ := heap.Pop(&a.heap).(alarm)
		a.mu.Unlock()
		x.do()
		a.mu.Lock()
	}
	a.running = false
	a.idle.Done()
	if len(a.heap) > 0 && !a.ended {
		a.arm()
	}
}

// end drops all alarms and waits for the one being delivered.
func (a *alarms) end() {
	a.mu.Lock()
	a.ended, a.heap = true, nil
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	a.idle.Wait()
}
