package policies

import (
	"math/rand/v2"
	"time"
)

// Ref names one life of one replica of a service. Inc grows with each restart,
// so that whatever is remembered of an earlier life can be told apart.
type Ref struct {
	ID  uint32 // dense number of the replica within its service, from 0
	Inc uint32 // incarnation, from 0
}

// Waker takes wake-up requests of a policy instance. The flow core implements it.
type Waker interface {
	WakeAt(at time.Duration, level uint8, token uint64)
}

// MaxToken bounds the tokens of Env.Wake: the upper byte of the word carries the
// decorator level.
const MaxToken = 1 << 56

// Env is lent to a policy for one call. Now is the time since the run began, in
// nanoseconds, and never decreases between calls of one instance. Rand is this
// instance's own stream of chance.
type Env struct {
	Now  time.Duration
	Rand *rand.Rand

	waker Waker
	level uint8
}

// NewEnv makes the one persistent Env of a policy instance; hosts and the flow
// core call it, policies do not. Level is the depth of a decorator, 0 outermost.
func NewEnv(r *rand.Rand, w Waker, level uint8) Env { return Env{Rand: r, waker: w, level: level} }

// Wake asks for one Woke(token) at the given time, never early; equal times are
// delivered in the order they were asked for. It panics on a token of 2⁵⁶ or more.
func (e *Env) Wake(at time.Duration, token uint64) {
	if token >= MaxToken {
		panic("policies: wake token is 2^56 or more")
	}
	e.waker.WakeAt(max(at, e.Now), e.level, token)
}

// Request is what a front end can see of a request: 64 B without pointers, lent
// read-only for one call. Names are interned numbers of the plan.
type Request struct {
	ID       uint64        // number in the schedule, from 0
	Key      uint64        // affinity key (session, else tenant)
	Arrived  time.Duration // intended arrival since the run began
	Deadline time.Duration // since the run began; 0 = none

	Service   uint32 // service index of the plan
	Tenant    uint32
	Group     uint32 // quota group
	Model     uint32
	Input     uint32 // tokens
	MaxTokens uint32 // the client's bound on output tokens; 0 = not given
	Cold      uint32 // the host's index of what few requests have; 0 = nothing

	Class    uint16
	Priority int8
	Attempt  uint8
}
