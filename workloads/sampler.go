package workloads

import (
	"math/rand/v2"
	"time"
)

// Sampler draws durations of a Dist outside a schedule: network delays.
type Sampler struct{ z sizer }

// NewSampler prepares a distribution of durations that has passed Check. The error
// says what is wrong with a file it needs.
func NewSampler(d Dist) (Sampler, error) {
	z, err := newSizer(d, sizing{quantity: Durations})
	return Sampler{z}, err
}

// Fixed returns the duration when it is always the same.
func (s *Sampler) Fixed() (time.Duration, bool) {
	v, ok := s.z.fixed()
	return nanoseconds(v), ok
}

// Draw draws one duration, at least 0.
func (s *Sampler) Draw(p *rand.PCG) time.Duration { return nanoseconds(s.z.value(p)) }
