package gpu

import (
	"math"
	"time"

	"taillab/policies"
)

// Item is what a replica is told about a request: the truth, which no policy sees.
type Item struct {
	ID       uint32        // the host's number; unique among those inside one replica
	Demand   time.Duration // work at speed 1 (kind service)
	Input    uint32        // tokens
	Output   uint32        // tokens; 0 counts as 1
	Deadline time.Duration // since the run began, for discipline edf only; 0 = none
	Class    uint16
	Priority int8    // higher goes first under discipline priority
	Factor   float64 // noise of the request, mean 1; 0 is read as 1
}

// EventKind says what happened to a request.
type EventKind uint8

// The kinds of events.
const (
	Began      EventKind = iota // left the queue: its batch, prompt or service starts
	FirstToken                  // its first token is out (only with Pool.WatchFirst)
	Finished                    // it is done
	Rejected                    // it ended otherwise, as Outcome says
)

// Event is one thing that happened to a request in a replica. Every accepted
// request ends in exactly one Finished or Rejected.
type Event struct {
	Kind    EventKind
	Outcome policies.Outcome // of Rejected: queue_full, too_long, deadline, cancelled, reset
	ID      uint32
	At      time.Duration // since the run began
	First   time.Duration // of Finished: instant of the first token; At where the model has no tokens

	// Of Finished: the parts of the stay. Queue: no slot was free for it. Batch: a
	// slot was free (or its own), but a batching delay or another's prompt stood in
	// the way. They sum to the stay exactly.
	Queue, Batch, Service time.Duration
}

// Events collects what the pool's methods report, in order. The host empties and
// reuses it.
type Events struct{ List []Event }

// add appends an event that ends at its only instant. The fields are written in
// place: a literal is built aside and copied in pieces wider than it was written in,
// which stalls the loads.
func (e *Events) add(kind EventKind, why policies.Outcome, id uint32, at time.Duration) *Event {
	k := len(e.List)
	if k == cap(e.List) {
		e.List = append(e.List, Event{})
	}
	e.List = e.List[:k+1]
	x := &e.List[k]
	x.Kind, x.Outcome, x.ID, x.At, x.First = kind, why, id, at, at
	x.Queue, x.Batch, x.Service = 0, 0, 0
	return x
}

// Never is the instant that does not come.
const Never = time.Duration(math.MaxInt64)

// Due names the next instant at which a replica has something to do. It takes
// the place of every earlier Due of that replica; coming at an earlier one is
// harmless.
type Due struct {
	At    time.Duration // Never when nothing is due
	Timer bool          // deliver by Expire, after completions and arrivals of that instant; else by Settle
}
