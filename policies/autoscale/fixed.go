package autoscale

import (
	"time"

	"taillab/policies"
)

// Fixed asks for the same count all the time: provisioned for the peak it is the upper
// bound of what capacity can do for the tail, and of what it costs.
type Fixed struct {
	Count int `yaml:"count" about:"replicas; 0 = those at the start" min:"0"`
}

// fixedEvery is how often Fixed is asked: lost replicas are replaced by the host at
// once, so nothing depends on it.
const fixedEvery = time.Minute

// Desire implements Autoscaler.
func (f *Fixed) Desire(_ *policies.Env, m *Metrics) Decision {
	n := f.Count
	if n == 0 {
		n = m.Spec
	}
	return Decision{Count: m.clamp(n), Next: fixedEvery}
}
