package emulator

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

// half is the replica half of the policy of one run, for all replicas of the
// service: one object with one lock, as there is one in the simulator. It never
// calls back into a replica but from inside event, so a replica may hold its own
// lock when it comes here.
type half struct {
	run  string
	size int // replicas are numbered below it

	taped func() // after each record; nil for nothing

	mu   sync.Mutex
	r    *flow.Replicas
	out  flow.Actions
	last time.Duration // Now never goes back, though replicas take turns
}

// newHalf returns nil when the policy has no replica half.
func newHalf(b balance.Balancer, run, service string, size, fronts int, seed uint64, tape *flow.Tape) *half {
	dice := make([]rand.PCG, size)
	for i := range dice {
		dice[i] = chance.Stream(seed, fmt.Sprintf("reporter/%s/%d", service, i))
	}
	r := flow.NewReplicas(b, 0, max(fronts, 1), dice, tape)
	if r == nil {
		return nil
	}
	return &half{run: run, size: size, r: r}
}

// event tells the half what happened at a replica; each gets what it asks for.
func (h *half) event(now time.Duration, self policies.Ref, ev balance.ReplicaEvent, load balance.Load, each func(a *flow.Action, m balance.Msg)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = max(h.last, now)
	h.r.Event(h.last, self, ev, load, &h.out)
	for i := range h.out.List {
		a := &h.out.List[i]
		var m balance.Msg
		if a.Kind == flow.ActReport {
			m = h.out.Msgs[a.Arg]
		}
		each(a, m)
	}
	h.out.Reset()
	if h.taped != nil {
		h.taped()
	}
}

// link carries messages from the replicas to the front ends, one way.
type link struct {
	mu    sync.Mutex
	delay func() time.Duration // nil = at once
	loss  float64
	twice float64
	dice  rand.PCG
}

// direct tells whether messages arrive at once and surely.
func (k *link) direct() bool { return k.delay == nil && k.loss == 0 && k.twice == 0 }

// send draws one message's fate: its delay, whether it is lost, and the delay of
// its double, negative when there is none.
func (k *link) send() (d time.Duration, lost bool, double time.Duration) {
	if k.direct() {
		return 0, false, -1
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	d, double = k.draw(), -1
	if k.loss > 0 && chance.Float(&k.dice) < k.loss {
		lost = true
	}
	if k.twice > 0 && chance.Float(&k.dice) < k.twice {
		double = k.draw()
	}
	return d, lost, double
}

func (k *link) draw() time.Duration {
	if k.delay == nil {
		return 0
	}
	return max(0, k.delay())
}
