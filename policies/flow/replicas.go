package flow

import (
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
)

// Replicas runs the replicas' half of one policy for all replicas of one service:
// one Reporter, with the state and the dice of each replica in columns. It is pure
// and single-threaded, as a FrontEnd is.
type Replicas struct {
	rep     balance.Reporter
	want    balance.ReplicaMask
	env     *balance.ReplicaEnv
	service uint16
	state   [][4]uint32
	inc     []uint32   // by replica: the life that state is of
	dice    []rand.PCG // stream reporter/<service>/<replica>
	cur     *rand.PCG
	drawn   uint64
	sent    Counters
	woke    bool
	out     *Actions
	tape    *Tape
}

// NewReplicas makes the replica half of a policy (of what it decorates, for a
// decorator), nil when the policy has none.
// dice holds one stream per replica and is kept.
func NewReplicas(b balance.Balancer, service, dispatchers int, dice []rand.PCG, tape *Tape) *Replicas {
	h, ok := balance.Inside[balance.Halved](b)
	if !ok {
		return nil
	}
	rep := h.Reporter()
	if rep == nil {
		return nil
	}
	r := &Replicas{rep: rep, want: balance.ReplicaAll, service: uint16(service),
		state: make([][4]uint32, len(dice)), inc: make([]uint32, len(dice)), dice: dice, tape: tape}
	if w, ok := rep.(balance.ReplicaWants); ok {
		r.want = w.Wants()
	}
	r.env = balance.NewReplicaEnv(rand.New(r), r, dispatchers)
	return r
}

// Uint64 implements rand.Source: the stream of the replica whose turn it is.
func (r *Replicas) Uint64() uint64 { r.drawn++; return r.cur.Uint64() }

// Wants tells whether events of a kind are asked for.
func (r *Replicas) Wants(k balance.ReplicaKind) bool { return r.want&k.Bit() != 0 }

// Event tells the Reporter what happened at a replica; load is after the event.
// ReplicaStarted clears the replica's state and begins a new life: what comes for
// an earlier one, such as a wake that it asked for, is left out.
func (r *Replicas) Event(now time.Duration, self policies.Ref, ev balance.ReplicaEvent, load balance.Load, out *Actions) {
	r.out = out
	if r.tape != nil {
		r.tape.begin(now, inReplica, out)
		r.tape.replica(self, &ev, &load)
	}
	if ev.Kind == balance.ReplicaStarted {
		r.state[self.ID], r.inc[self.ID] = [4]uint32{}, self.Inc
	}
	if r.want&ev.Kind.Bit() != 0 && self.Inc == r.inc[self.ID] {
		r.cur = &r.dice[self.ID]
		r.woke = ev.Kind == balance.ReplicaWoke
		e := r.env
		e.Now, e.Self, e.Load, e.State = now, self, load, &r.state[self.ID]
		r.rep.Report(e, ev)
	}
	if r.tape != nil {
		r.tape.end(out, r.drawn, r.Hash)
	}
}

// WakeAt implements policies.Waker.
func (r *Replicas) WakeAt(at time.Duration, _ uint8, token uint64) {
	r.out.List = append(r.out.List, Action{Kind: ActWake, Service: r.service, Ref: r.env.Self, At: at, Arg: token})
}

// TellDispatcher implements balance.ReplicaHost.
func (r *Replicas) TellDispatcher(dispatcher int, m balance.Msg) {
	m.Inc = r.env.Self.Inc
	r.sent.count(m.Kind, r.woke)
	r.out.List = append(r.out.List, Action{Kind: ActReport, Service: r.service, Slot: uint32(dispatcher),
		Ref: r.env.Self, Arg: r.out.msg(m)})
}

// Counters returns the messages sent so far.
func (r *Replicas) Counters() Counters { return r.sent }

// Hash digests the replicas' states.
func (r *Replicas) Hash() uint64 {
	h := uint64(14695981039346656037)
	for i := range r.state {
		for _, w := range r.state[i] {
			h = (h ^ uint64(w)) * 1099511628211
		}
	}
	return h
}
