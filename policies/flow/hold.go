package flow

import (
	"time"

	"taillab/policies"
)

// Hold configures the hold stage of a service: where requests wait, first in first
// out, while there is no replica to send them to.
type Hold struct {
	Capacity int           // requests that may wait at one front end
	Timeout  time.Duration // > 0: how long one may wait
	Zero     bool          // the service may have no replica at all
}

// hold is the hold stage of one service at one front end.
type hold struct {
	cfg   Hold
	on    bool // the autoscaler asked that all requests pass here
	line  fifo // request numbers; those that left are skipped
	n     int  // requests held
	slots int  // of the eligible replicas; −1 = to be counted anew
}

// takes tells whether a request enters the stage.
func (h *hold) takes(in *instance) bool {
	return h.on || h.cfg.Zero && in.book.Fleet.Len() == 0 && in.book.Up() == 0
}

// put holds a request, or lets it through where nobody is before it.
func (h *hold) put(in *instance, i uint32) {
	f := in.fe
	if h.n == 0 && h.on && h.room(in) > 0 {
		f.move(i, phasePast)
		f.pick(i, in)
		return
	}
	if h.n >= h.cfg.Capacity {
		f.move(i, phasePast)
		f.close(i, policies.Shed)
		return
	}
	f.move(i, phaseHeld)
	req := f.slots[i].req
	h.line.push(req)
	h.n++
	in.wake(f.now+h.cfg.Timeout, internal<<56|wakeHold|req&(1<<48-1))
}

// room is how many held requests may go now.
func (h *hold) room(in *instance) int {
	fleet := &in.book.Fleet
	if !h.on {
		if fleet.Len() == 0 {
			return 0
		}
		return h.n
	}
	if h.slots < 0 {
		h.slots = 0
		for i := range fleet.Len() {
			h.slots += fleet.Slots(i)
		}
	}
	each := (h.slots + in.fe.cfg.Count - 1) / in.fe.cfg.Count
	return each - fleet.OutstandingSum()
}

// release lets those go whose turn has come.
func (h *hold) release(in *instance) {
	f := in.fe
	for room := h.room(in); room > 0 && h.n > 0; {
		i, ok := f.ids.get(h.line.pop())
		if !ok || f.stages[i].phase != phaseHeld {
			continue
		}
		room--
		h.n--
		f.move(i, phasePast)
		f.pick(i, in)
	}
}

// expire ends the wait of a request whose time is up.
func (h *hold) expire(in *instance, req uint64) {
	f := in.fe
	if i, ok := f.ids.get(req); ok && f.stages[i].phase == phaseHeld {
		h.n--
		f.close(i, policies.HoldTimeout)
	}
}

// SetHold tells that the autoscaler's wish to hold all requests of a service, or its
// end, has reached this front end. The service must have a hold stage.
func (f *FrontEnd) SetHold(now time.Duration, service int, on bool, out *Actions) {
	f.begin(now, out, inHold)
	if f.tape != nil {
		f.tape.uints(uint64(service), uint64(bit(on)))
	}
	in := &f.services[service]
	in.hold.on = on
	in.hold.release(in)
	f.end()
}

// Held is how many requests wait in the hold stage of a service.
func (f *FrontEnd) Held(service int) int {
	if h := f.services[service].hold; h != nil {
		return h.n
	}
	return 0
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// fifo is a queue of numbers in a ring that grows.
type fifo struct {
	buf     []uint64 // length 0 or a power of two
	head, n int
}

func (q *fifo) push(x uint64) {
	if q.n == len(q.buf) {
		grown := make([]uint64, max(16, 2*q.n))
		for i := range q.n {
			grown[i] = q.buf[(q.head+i)&(q.n-1)]
		}
		q.buf, q.head = grown, 0
	}
	q.buf[(q.head+q.n)&(len(q.buf)-1)] = x
	q.n++
}

func (q *fifo) pop() uint64 {
	x := q.buf[q.head]
	q.head = (q.head + 1) & (len(q.buf) - 1)
	q.n--
	return x
}

func (q *fifo) peek() uint64 { return q.buf[q.head] }
