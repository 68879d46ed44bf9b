package share

import "time"

// Divider shares a capacity among claims, in units of the capacity (units, or units/s
// of a rate). The answer has one share per claim and is reused by the next call; the
// claims are left as they are.
//
// Σ shares ≤ capacity, no share is above its demand, and raising one's demand never
// lowers one's own share.
type Divider interface {
	Divide(capacity float64, claims []Claim) []float64
}

// Claim is what one tenant wants.
type Claim struct {
	Demand float64 // same unit as the capacity, ≥ 0
	Weight float64 // relative, above 0
}

// Undivided is a Divider that guarantees nobody anything: limiters then keep one
// counter per group, and whoever comes takes.
type Undivided interface{ Undivided() }

// Windowed is a Divider that depends on demand: Window is how long a request counts as
// demand of its tenant.
type Windowed interface{ Window() time.Duration }

// zeros returns a slice of n zeros in the memory of buf.
func zeros(buf []float64, n int) []float64 {
	if cap(buf) < n {
		buf = make([]float64, n)
	}
	buf = buf[:n]
	clear(buf)
	return buf
}
