package flowtest

import (
	"time"

	"taillab/policies"
	"taillab/policies/balance"
)

// classes order events of one instant.
const (
	classCompletion uint8 = iota
	classArrival
	classMessage
	classTimer
	classScript
)

type kind uint8

const (
	evScript     kind = iota
	evArrive          // a request meets its front end
	evAccept          // an attempt meets its replica
	evDone            // a replica has served an attempt
	evEnded           // the end of an attempt meets the front end
	evHeard           // a report meets the front end
	evTold            // a message meets the replica half
	evProbe           // a probe meets the replica
	evReplied         // its answer meets the front end
	evWoke            // a wake of a front end
	evAwake           // a wake of a replica half
	evMembership      // news of discovery meets a front end
)

type event struct {
	at    time.Duration
	seq   uint64
	class uint8
	kind  kind

	front   int
	req     uint64
	ref     policies.Ref
	job     job
	outcome policies.Outcome
	msg     balance.Msg
	load    balance.Load
	token   uint64
	change  balance.Change
	call    func()
}

// agenda is a binary heap by time, class and sequence.
type agenda struct {
	heap     []event
	seq      uint64
	arrivals int
}

func (a *agenda) less(i, j int) bool {
	x, y := &a.heap[i], &a.heap[j]
	switch {
	case x.at != y.at:
		return x.at < y.at
	case x.class != y.class:
		return x.class < y.class
	}
	return x.seq < y.seq
}

func (a *agenda) put(e event) {
	a.seq++
	e.seq = a.seq
	if e.kind == evArrive {
		a.arrivals++
	}
	a.heap = append(a.heap, e)
	for i := len(a.heap) - 1; i > 0 && a.less(i, (i-1)/2); i = (i - 1) / 2 {
		a.heap[i], a.heap[(i-1)/2] = a.heap[(i-1)/2], a.heap[i]
	}
}

func (a *agenda) take() event {
	e := a.heap[0]
	if e.kind == evArrive {
		a.arrivals--
	}
	last := len(a.heap) - 1
	a.heap[0] = a.heap[last]
	a.heap[last] = event{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			return e
		}
		if c+1 < last && a.less(c+1, c) {
			c++
		}
		if !a.less(c, i) {
			return e
		}
		a.heap[i], a.heap[c] = a.heap[c], a.heap[i]
		i = c
	}
}
