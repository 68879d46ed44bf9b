package realrun

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// inferred runs the replica half of a policy in the driver, for backends that have no
// room for it. It knows of each replica what this front end's own attempts tell: those
// out fill the slots, the others queue. It is right as long as nobody else sends
// there, so it needs one front end.
type inferred struct {
	d       *drive
	service int
	slots   func(r uint32) int32

	mu   sync.Mutex
	tape taped
	half *flow.Replicas
	out  flow.Actions
	last time.Duration // Now never goes back
	inc  []uint32
	in   []int32 // own attempts at each replica
}

// newInferred returns nil when the policy has no replica half.
func newInferred(d *drive, service int, tape taped) *inferred {
	svc := &d.services[service]
	n := svc.table.N
	dice := make([]rand.PCG, n)
	for r := range dice {
		dice[r] = chance.Stream(d.run.Seed, fmt.Sprintf("reporter/%s/%d", svc.name, r))
	}
	half := flow.NewReplicas(d.run.Cell.Balancers[service].Make(), service, len(d.fronts), dice, tape.tape)
	if half == nil {
		return nil
	}
	return &inferred{d: d, service: service, tape: tape, half: half, inc: make([]uint32, n), in: make([]int32, n),
		slots: func(r uint32) int32 {
			if svc.table.Slots == nil {
				return 1
			}
			return max(1, svc.table.Slots[r])
		}}
}

// start begins the lives of the first members.
func (h *inferred) start() {
	for r := range h.d.services[h.service].members() {
		h.event(policies.Ref{ID: uint32(r)}, balance.ReplicaEvent{Kind: balance.ReplicaStarted}, 0)
	}
}

// restarted begins the next life of a replica: nothing is inside it.
func (h *inferred) restarted(ref policies.Ref) {
	h.mu.Lock()
	h.inc[ref.ID], h.in[ref.ID] = ref.Inc, 0
	h.mu.Unlock()
	h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaStarted}, 0)
}

// accepted is an attempt that leaves for a replica.
func (h *inferred) accepted(ref policies.Ref, req uint64) {
	n := h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, Req: req}, +1)
	if n <= h.slots(ref.ID) {
		h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaBegan, Req: req}, 0)
	}
}

// finished is an attempt that has ended; the next in the queue takes its slot.
func (h *inferred) finished(ref policies.Ref, req uint64) {
	n := h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaFinished, Req: req}, -1)
	if n >= h.slots(ref.ID) {
		h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaBegan}, 0)
	}
}

// heard is what the front end tells the half.
func (h *inferred) heard(ref policies.Ref, m balance.Msg) {
	h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaHeard, Msg: &m}, 0)
}

// event tells the half and carries out what it asks for, outside the lock. It returns
// how many attempts are at the replica; −1 for one that is another incarnation's.
func (h *inferred) event(ref policies.Ref, ev balance.ReplicaEvent, change int32) int32 {
	h.mu.Lock()
	if ref.Inc != h.inc[ref.ID] {
		h.mu.Unlock()
		return -1
	}
	h.in[ref.ID] += change
	n, slots := h.in[ref.ID], h.slots(ref.ID)
	h.last = max(h.last, h.d.clock.now(), 0)
	h.half.Event(h.last, ref, ev, balance.Load{Running: min(n, slots), Queued: max(0, n-slots), Slots: slots}, &h.out)
	acts := append([]flow.Action(nil), h.out.List...)
	msgs := append([]balance.Msg(nil), h.out.Msgs...)
	h.out.Reset()
	if h.tape.tape != nil {
		h.d.spool.trim(h.tape.stream, h.tape.tape)
	}
	h.mu.Unlock()
	f := h.d.fronts[0]
	for _, a := range acts {
		if a.Kind == flow.ActReport {
			f.heard(h.service, ref, msgs[a.Arg])
			continue
		}
		h.d.agenda.set(a.At, func() { h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: a.Arg}, 0) })
	}
	return n
}
