package flow

import (
	"time"

	"taillab/policies"
)

// phase is where a request waits before its balancer has it.
type phase uint8

const (
	phasePast     phase = iota // its balancer has it, or it has none of this
	phasePending               // the limiter's answer is out
	phaseResolved              // it has come and is about to be carried out
	phaseWaiting               // denied: in the line of its group
	phaseRetry                 // denied: asked again at a set time
	phaseHeld                  // in the hold stage of its service
)

// staged is what the stages before the balancer keep of a request, by slot. It is
// there only in a front end that has a quota or a hold stage.
type staged struct {
	since   time.Duration // entered the stage that it is in
	asked   time.Duration // the decision at hand began
	quota   time.Duration // spent in the quota stage
	held    time.Duration // spent in the hold stage
	cost    float64       // of the decision at hand
	charged float64
	actual  float64 // set when the request closes
	output  uint32  // tokens produced, of the attempt that gave most
	phase   phase
	asks    uint8 // decisions so far, at most 255
	booked  bool  // charged is booked with the limiter
}

// stage leads a request through quota and hold to its balancer.
func (f *FrontEnd) stage(i uint32, in *instance, r *policies.Request) {
	for int(i) >= len(f.stages) {
		f.stages = append(f.stages, staged{})
	}
	f.stages[i] = staged{since: f.now}
	if f.slots[i].kept == 0 {
		f.keep(i, r)
	}
	if f.quota != nil {
		f.quota.admit(i)
		return
	}
	f.enter(i, in)
}

// enter hands a request that may go to the hold stage or to its balancer.
func (f *FrontEnd) enter(i uint32, in *instance) {
	if in.hold != nil && in.hold.takes(in) {
		in.hold.put(in, i)
		return
	}
	f.pick(i, in)
}

// pick asks the balancer about a request that is kept.
func (f *FrontEnd) pick(i uint32, in *instance) {
	r := &f.of(i).req
	f.settle(i, in, in.subs.Bal.Pick(in.at(f.now), r), r)
}

// move takes a request from the stage it is in to another and books the time spent.
func (f *FrontEnd) move(i uint32, to phase) {
	st := &f.stages[i]
	switch st.phase {
	case phasePast:
	case phaseHeld:
		st.held += f.now - st.since
		st.since = f.now
	default:
		if to == phasePast || to == phaseHeld {
			st.quota += f.now - st.since
			st.since = f.now
		}
	}
	st.phase = to
}

// leave ends the wait of a request whose client has gone.
func (f *FrontEnd) leave(i uint32, class policies.Outcome) {
	in := &f.services[f.slots[i].service]
	switch f.stages[i].phase {
	case phasePast, phaseResolved:
		return
	case phaseHeld:
		in.hold.n--
	case phasePending:
		f.quota.abandon(i)
	}
	f.close(i, class)
}

// Waited tells how long the request in slot has spent in the quota stage and in the
// hold stage. It may be asked while the actions of an input about that slot are
// carried out, its ActClose included.
func (f *FrontEnd) Waited(slot uint32) (quota, held time.Duration) {
	if int(slot) >= len(f.stages) {
		return 0, 0
	}
	return f.stages[slot].quota, f.stages[slot].held
}

// Cost tells what the decision at hand about the request in slot charges, in units. It
// may be asked as Waited may.
func (f *FrontEnd) Cost(slot uint32) float64 { return f.stages[slot].cost }

// Settlement tells what the request in slot was charged and, once it is closed, what
// it used, in units. It may be asked as Waited may.
func (f *FrontEnd) Settlement(slot uint32) (charged, actual float64) {
	if int(slot) >= len(f.stages) {
		return 0, 0
	}
	return f.stages[slot].charged, f.stages[slot].actual
}
