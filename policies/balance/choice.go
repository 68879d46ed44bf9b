package balance

import "taillab/policies"

// Kind of a choice.
type Kind uint8

// The kinds of a choice; the zero Choice is KindNone.
const (
	KindNone Kind = iota
	KindTo
	KindLater
	KindShed
)

// Reason says why a request was shed. Reasons from ReasonOwn are a policy's own.
type Reason uint8

// The common reasons.
const (
	ReasonOverload Reason = iota + 1
	ReasonQueueFull
	ReasonBudget
	ReasonPolicy
	ReasonOwn Reason = 16
)

// Choice is a balancer's answer: 12 B, returned in registers.
type Choice struct {
	Ref    policies.Ref
	kind   Kind
	reason Reason
}

// To sends the request to a replica now.
func To(r policies.Ref) Choice { return Choice{Ref: r, kind: KindTo} }

// Later postpones the decision to Env.Resolve in a later call.
func Later() Choice { return Choice{kind: KindLater} }

// Shed rejects the request; it ends as class shed.
func Shed(r Reason) Choice { return Choice{kind: KindShed, reason: r} }

// None says that nothing is eligible.
func None() Choice { return Choice{} }

// Kind tells which of To, Later, Shed and None made the choice.
func (c Choice) Kind() Kind { return c.kind }

// Reason tells why a request was shed.
func (c Choice) Reason() Reason { return c.reason }
