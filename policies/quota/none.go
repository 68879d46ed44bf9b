package quota

import "taillab/policies"

// None admits every request: what a limit is compared with.
type None struct{}

// Admit implements Limiter.
func (*None) Admit(*Env, *policies.Request, float64) Verdict { return Verdict{Outcome: Admitted} }

// Observe implements Limiter.
func (*None) Observe(*Env, *Event) {}
