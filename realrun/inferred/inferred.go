// Package inferred runs the replica half of a policy beside the one front end that
// sends to the replicas, for backends that have no room for it. It knows of each
// replica what the front end's own attempts tell: those out fill the slots, the others
// queue. It is right as long as nobody else sends there.
package inferred

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// Config is what a half is made of, and what it needs of its host.
type Config struct {
	Name    string // of the service: the dice are named after it
	Service int    // its number
	Table   *balance.Table
	Seed    uint64
	Make    func() balance.Balancer // an instance whose half is used

	Now  func() time.Duration
	Hear func(from policies.Ref, m balance.Msg) // hands a message to the front end
	Wake func(at time.Duration, do func())      // asks for a call
}

// Half is the replica half of one service. Its methods may be called from any
// goroutine, but from none of those that hold the front end's lock.
type Half struct {
	cfg Config

	mu   sync.Mutex
	tape *flow.Tape
	trim func(*flow.Tape)
	half *flow.Replicas
	life uint32 // of the half: wakes asked for by an earlier one are nobody's
	out  flow.Actions
	last time.Duration // Now never goes back
	inc  []uint32
	in   []int32 // own attempts at each replica
}

// New makes the half of a policy, which must have one. Where it is taped (tape is not
// nil), trim takes what was taped if that is enough, under the half's lock.
func New(cfg Config, tape *flow.Tape, trim func(*flow.Tape)) *Half {
	n := cfg.Table.N
	h := &Half{cfg: cfg, inc: make([]uint32, n), in: make([]int32, n)}
	h.make(tape, trim)
	return h
}

// make puts a fresh half in place; the lock is held, or nothing runs.
func (h *Half) make(tape *flow.Tape, trim func(*flow.Tape)) {
	dice := make([]rand.PCG, h.cfg.Table.N)
	for r := range dice {
		dice[r] = chance.Stream(h.cfg.Seed, fmt.Sprintf("reporter/%s/%d", h.cfg.Name, r))
	}
	h.life++
	h.tape, h.trim = tape, trim
	h.half = flow.NewReplicas(h.cfg.Make(), h.cfg.Service, 1, dice, tape)
}

// slots is how many attempts a replica serves at a time.
func (h *Half) slots(r uint32) int32 {
	if h.cfg.Table.Slots == nil {
		return 1
	}
	return max(1, h.cfg.Table.Slots[r])
}

// Start begins the lives of the first members.
func (h *Half) Start(members []policies.Ref) {
	h.mu.Lock()
	list := h.begin(members)
	h.mu.Unlock()
	for _, w := range list {
		h.carry(w)
	}
}

// Renew puts a fresh half in place of this one, with a tape of its own, and begins the
// lives of the members anew; what they have inside stays. The old tape is nobody's.
func (h *Half) Renew(members []policies.Ref, tape *flow.Tape, trim func(*flow.Tape)) {
	h.mu.Lock()
	h.make(tape, trim)
	list := h.begin(members)
	h.mu.Unlock()
	for _, w := range list {
		h.carry(w)
	}
}

// begin begins lives; the lock is held.
func (h *Half) begin(members []policies.Ref) (list []wishes) {
	for _, ref := range members {
		_, w := h.tell(ref, balance.ReplicaEvent{Kind: balance.ReplicaStarted}, 0)
		list = append(list, w)
	}
	return list
}

// Tape is what is being taped, nil without a tape. It is the caller's once nothing
// calls the half any more.
func (h *Half) Tape() *flow.Tape {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tape
}

// Restarted begins a life of a replica: nothing is inside it.
func (h *Half) Restarted(ref policies.Ref) {
	h.mu.Lock()
	h.inc[ref.ID], h.in[ref.ID] = ref.Inc, 0
	h.mu.Unlock()
	h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaStarted}, 0)
}

// Accepted is an attempt that leaves for a replica.
func (h *Half) Accepted(ref policies.Ref, req uint64) {
	n := h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, Req: req}, +1)
	if n <= h.slots(ref.ID) {
		h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaBegan, Req: req}, 0)
	}
}

// Finished is an attempt that has ended; the next in the queue takes its slot. The front
// end knows of the end before: else a report of idleness would seem to be older than the
// attempt.
func (h *Half) Finished(ref policies.Ref, req uint64) {
	n := h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaFinished, Req: req}, -1)
	if n >= h.slots(ref.ID) {
		h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaBegan}, 0)
	}
}

// Heard is what the front end tells the half.
func (h *Half) Heard(ref policies.Ref, m balance.Msg) {
	h.event(ref, balance.ReplicaEvent{Kind: balance.ReplicaHeard, Msg: &m}, 0)
}

// Load is what a probe of a replica gives: its counts are exact, as long as nobody else
// sends there. It is false for a life that is over.
func (h *Half) Load(ref policies.Ref) (balance.Load, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.load(ref.ID), ref.Inc == h.inc[ref.ID]
}

// load is what a replica has inside; the lock is held.
func (h *Half) load(r uint32) balance.Load {
	n, slots := h.in[r], h.slots(r)
	return balance.Load{Running: min(n, slots), Queued: max(0, n-slots), Slots: slots}
}

// event tells the half and carries out what it asks for, outside the lock. It returns
// how many attempts are at the replica; −1 for one that is another incarnation's.
func (h *Half) event(ref policies.Ref, ev balance.ReplicaEvent, change int32) int32 {
	h.mu.Lock()
	n, w := h.tell(ref, ev, change)
	h.mu.Unlock()
	h.carry(w)
	return n
}

// wishes is what a half asked for in one call.
type wishes struct {
	ref  policies.Ref
	life uint32
	acts []flow.Action
	msgs []balance.Msg
}

// tell counts an attempt in or out and tells the half; the lock is held.
func (h *Half) tell(ref policies.Ref, ev balance.ReplicaEvent, change int32) (int32, wishes) {
	if ref.Inc != h.inc[ref.ID] {
		return -1, wishes{}
	}
	h.in[ref.ID] += change
	h.last = max(h.last, h.cfg.Now(), 0)
	h.half.Event(h.last, ref, ev, h.load(ref.ID), &h.out)
	w := wishes{ref: ref, life: h.life, acts: slices.Clone(h.out.List), msgs: slices.Clone(h.out.Msgs)}
	h.out.Reset()
	if h.tape != nil {
		h.trim(h.tape)
	}
	return h.in[ref.ID], w
}

// carry carries out what a half asked for.
func (h *Half) carry(w wishes) {
	for _, a := range w.acts {
		if a.Kind == flow.ActReport {
			h.cfg.Hear(w.ref, w.msgs[a.Arg])
			continue
		}
		h.cfg.Wake(a.At, func() { h.woke(w.life, w.ref, a.Arg) })
	}
}

// woke delivers a wake, unless it was another life of the half that asked for it.
func (h *Half) woke(life uint32, ref policies.Ref, token uint64) {
	h.mu.Lock()
	var w wishes
	if h.life == life {
		_, w = h.tell(ref, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: token}, 0)
	}
	h.mu.Unlock()
	h.carry(w)
}
