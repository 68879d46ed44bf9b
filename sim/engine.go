package sim

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// Time is an instant in nanoseconds since the run began.
type Time int64

// Never is later than every instant of a run.
const Never Time = math.MaxInt64

// At converts a duration since the run began; it is free.
func At(d time.Duration) Time { return Time(d) }

// Duration converts back; it is free.
func (t Time) Duration() time.Duration { return time.Duration(t) }

// Class orders events of equal instants: completions, sources, messages, timers.
type Class uint8

// The classes. Completion: the end of a service, batch or step, and the response
// that brings it. Source: arrivals; not for Register. Message: every other
// delivery. Timer: batching delays, wakes, ticks, faults.
const (
	Completion Class = iota
	source
	Message
	Timing
)

// HandlerID names a registered handler.
type HandlerID uint16

// Handler handles the events of one kind; arg is an index into the owner's pools.
type Handler interface{ Handle(e *Engine, arg uint64) }

// Source is a stream of occurrences in order of time, merged and never queued.
// Fire is called at an occurrence, e.Now(), and returns the following one, which
// must not be earlier, or Never.
type Source interface{ Fire(e *Engine) Time }

// Config holds hints for sizes and for panic texts.
type Config struct {
	Pending int    // events pending at a time
	Gap     Time   // between one event and the next, on average; 0 = not known
	Seed    uint64 // shown when an invariant breaks
	Heap    bool   // keep all events in one heap: slower, in the same order, for comparison
}

// pollEvery is how many events lie between two looks at the interrupt flag.
const pollEvery = 1 << 14

// stalled is the number of polls without progress that count as a livelock, and
// patience how many events per pending one do beyond that: at the start, every
// replica may ask several front ends at one instant.
const (
	stalled  = 64
	patience = 64
)

// maxSeq is the last sequence number that fits beside class and handler.
const maxSeq = 1<<46 - 1

// Engine is the kernel: a clock and an agenda. It is not safe for concurrent use;
// only Interrupt may come from another goroutine.
type Engine struct {
	now      Time
	agenda   agenda
	soon     soon
	lanes    lanes
	calm     Time // nothing in the agenda is earlier
	seq      uint64
	events   uint64
	handlers []registered
	sources  []attached
	next     Time // of the earliest source
	nextSrc  int
	timers   timers
	limit    Time
	running  bool
	stopped  bool
	seed     uint64
	stalled  int // polls

	interrupted atomic.Bool
}

type registered struct {
	h   Handler
	key uint64 // of its events, without the sequence
}

type attached struct {
	at Time
	s  Source
}

// New makes an engine at time 0.
func New(c Config) *Engine {
	e := &Engine{seed: c.Seed, stalled: stalled + patience*c.Pending/pollEvery, next: Never, nextSrc: -1, handlers: make([]registered, 1)} // 0 marks timers
	e.agenda.init(c.Pending, c.Gap)
	e.lanes.init(0, 0)
	if c.Heap {
		e.agenda.cursor = heapOnly
	}
	return e
}

// Register makes a handler known; at most 65,535. Class is Completion, Message or Timing.
func (e *Engine) Register(h Handler, c Class) HandlerID {
	if len(e.handlers) >= math.MaxUint16 || c == source || c > Timing {
		panic(fmt.Sprintf("sim: cannot register handler %d of class %d (seed %d)", len(e.handlers), c, e.seed))
	}
	id := len(e.handlers)
	e.handlers = append(e.handlers, registered{h, uint64(c)<<62 | uint64(id)})
	return HandlerID(id)
}

// Attach adds a source whose first occurrence is given. Sources of equal instants
// fire in order of Attach.
func (e *Engine) Attach(first Time, s Source) {
	if first < e.now {
		e.broken("source attached in the past", first, -1)
	}
	e.sources = append(e.sources, attached{first, s})
	e.earliest()
}

func (e *Engine) earliest() {
	e.next, e.nextSrc = Never, -1
	for i := range e.sources {
		if e.sources[i].at < e.next {
			e.next, e.nextSrc = e.sources[i].at, i
		}
	}
}

// Schedule files an event. It fires after everything of its class already queued
// for that instant.
func (e *Engine) Schedule(at Time, h HandlerID, arg uint64) {
	if at < e.now || at == Never {
		e.broken("scheduled in the past or never", at, int(h))
	}
	ev := event{int64(at), e.key(h), arg}
	if at == e.now && Class(ev.key>>62) == Message {
		e.soon.push(ev)
		return
	}
	e.push(ev)
}

// push puts an event into the agenda.
func (e *Engine) push(ev event) {
	e.calm = min(e.calm, Time(ev.at))
	e.agenda.push(ev)
}

// Lanes makes n places for events of one handler, which must be a Completion: of each
// lane one event is pending at most. The handler is called with the number of the
// lane, and must set it again. Call it once, before Run.
func (e *Engine) Lanes(n int, h HandlerID) { e.lanes.init(n, h) }

// SetLane files the event of a lane, in place of the one before, as Schedule would
// file it; Never leaves the lane empty.
func (e *Engine) SetLane(lane uint32, at Time) {
	if at < e.now {
		e.broken("lane set in the past", at, int(e.lanes.handler))
	}
	key := uint64(0)
	if at != Never {
		key = e.key(e.lanes.handler)
	}
	e.lanes.set(int(lane), int64(at), key)
}

// key takes the next sequence number: class 2 bits | sequence 46 | handler 16.
func (e *Engine) key(h HandlerID) uint64 {
	if e.seq++; e.seq > maxSeq {
		e.broken("more than 2^46 events", e.now, int(h))
	}
	return e.handlers[h].key | e.seq<<16
}

// Run handles events until none is left, Stop or Interrupt.
func (e *Engine) Run() { e.run(Never) }

// RunUntil handles every event up to and including t; then Now is t. It may be
// called again.
func (e *Engine) RunUntil(t Time) {
	e.run(t)
	if !e.stopped && !e.interrupted.Load() && t > e.now {
		e.now = t
	}
}

func (e *Engine) run(limit Time) {
	if e.running {
		panic(fmt.Sprintf("sim: Run inside a handler at t=%v (seed %d)", e.now.Duration(), e.seed))
	}
	e.running, e.stopped, e.limit = true, false, limit
	defer func() { e.running = false }()
	last, polls := e.now-1, 0
	for !e.interrupted.Load() {
		if !e.batch() {
			return
		}
		if e.now != last {
			last, polls = e.now, 0
		} else if polls++; polls >= e.stalled {
			e.broken("no progress", e.now, -1)
		}
	}
}

// batch handles up to pollEvery events and tells whether there is more to do.
func (e *Engine) batch() bool {
	for range pollEvery {
		if e.stopped {
			return false
		}
		if t := Time(e.lanes.tree[1].at); e.soon.n == 0 && min(t, e.next) < e.calm { // the agenda's turn is later
			if min(t, e.next) > e.limit {
				return false
			}
			if t <= e.next {
				e.fireLane()
			} else {
				e.fire()
			}
			continue
		}
		var ev event
		switch {
		case e.lanes.handler != 0 && e.laneFirst():
			if Time(e.lanes.first().at) > e.limit {
				return false
			}
			e.fireLane()
			continue
		case e.soon.n > 0 && e.soonFirst():
			ev = e.soon.pop()
		case e.fromSource():
			if e.next > e.limit || e.next == Never {
				return false
			}
			e.fire()
			continue
		default:
			if Time(e.agenda.near.root().at) > e.limit {
				return false
			}
			ev = e.agenda.pop()
			e.now = Time(ev.at)
		}
		h := HandlerID(ev.key)
		if h == 0 {
			e.due(ev)
			continue
		}
		e.events++
		e.handlers[h].h.Handle(e, ev.arg)
	}
	return true
}

// laneFirst tells whether the next thing is in a lane, and looks how far the agenda
// is calm.
func (e *Engine) laneFirst() bool {
	f := e.lanes.first()
	if e.agenda.near.n > 0 || e.agenda.open(min(e.next, e.limit, Time(f.at))) {
		e.calm = Time(e.agenda.near.root().at)
	} else {
		e.calm = e.agenda.bound()
	}
	if Time(f.at) == Never || Time(f.at) > e.next || e.soon.n > 0 && Time(f.at) > e.now {
		return false
	}
	if e.agenda.near.n == 0 {
		return true
	}
	r := e.agenda.near.root()
	return f.at < r.at || f.at == r.at && e.lanes.keys[f.num] < r.key
}

func (e *Engine) fireLane() {
	f := e.lanes.first()
	e.now = Time(f.at)
	e.events++
	e.handlers[e.lanes.handler].h.Handle(e, f.num)
}

// fromSource tells whether the next thing is a source, or nothing: it comes before
// messages and timers of its instant and after completions.
func (e *Engine) fromSource() bool {
	if e.agenda.near.n == 0 && !e.agenda.open(min(e.next, e.limit)) {
		return true
	}
	r := e.agenda.near.root()
	return int64(e.next) < r.at || (int64(e.next) == r.at && Class(r.key>>62) > source)
}

// soonFirst tells whether the first message of this instant is next: nothing in the
// agenda and no source of the instant comes before it. What is not near is later:
// the bucket of the present is open.
func (e *Engine) soonFirst() bool {
	if e.next == e.now {
		return false
	}
	return e.agenda.near.n == 0 || !e.agenda.near.root().before(e.soon.first())
}

func (e *Engine) fire() {
	i := e.nextSrc
	e.now = e.next
	e.events++
	at := e.sources[i].s.Fire(e)
	if at < e.now {
		e.broken("a source went back", at, -1)
	}
	e.sources[i].at = at
	if len(e.sources) == 1 {
		e.next = at
		return
	}
	e.earliest()
}

// Stop, called by a handler, ends the run after the current event.
func (e *Engine) Stop() { e.stopped = true }

// Interrupt ends the run soon; it may come from any goroutine.
func (e *Engine) Interrupt() { e.interrupted.Store(true) }

// Interrupted tells whether Interrupt was called.
func (e *Engine) Interrupted() bool { return e.interrupted.Load() }

// Now is the present instant.
func (e *Engine) Now() Time { return e.now }

// Pending is the number of events filed, armed timers included, sources not.
func (e *Engine) Pending() int { return e.agenda.n + e.soon.n + e.lanes.pending - e.timers.dead }

// Events is the number of events handled, occurrences of sources included.
func (e *Engine) Events() uint64 { return e.events }

// Idle tells whether nothing is left: no event, no source.
func (e *Engine) Idle() bool { return e.Pending() == 0 && e.next == Never }

// Clear makes the engine as new, keeping its memory and handlers.
func (e *Engine) Clear() {
	e.now, e.seq, e.events, e.stopped = 0, 0, 0, false
	e.interrupted.Store(false)
	e.agenda.clear()
	e.lanes.clear()
	e.calm = 0
	e.soon.n, e.soon.head = 0, 0
	e.sources = e.sources[:0]
	e.next, e.nextSrc = Never, -1
	e.timers.clear()
}

func (e *Engine) broken(what string, at Time, handler int) {
	panic(fmt.Sprintf("sim: %s: at=%v t=%v event=%d handler=%d seed=%d", what, at.Duration(), e.now.Duration(), e.events, handler, e.seed))
}
