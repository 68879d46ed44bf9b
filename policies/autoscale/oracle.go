package autoscale

import (
	"math"
	"time"

	"taillab/policies"
)

// Foresight knows the work that arrives within the time that a replica takes to start,
// and asks for what it needs: the bound of what any forecast can give.
type Foresight struct {
	Rho    float64       `yaml:"rho" about:"utilization to aim at" above:"0" max:"1"`
	Smooth time.Duration `yaml:"smooth" about:"arrivals are averaged over this" min:"1s"`
	Period time.Duration `yaml:"period" about:"time between decisions" min:"100ms"`
}

// NeedsTruth implements Oracle.
func (o *Foresight) NeedsTruth() string { return "the requests still to come" }

// FromZero implements Waker.
func (o *Foresight) FromZero() bool { return true }

// Desire implements Autoscaler: the highest mean over Smooth between now and when a
// replica asked for in the next period would be ready.
func (o *Foresight) Desire(_ *policies.Env, m *Metrics) Decision {
	smooth := max(1, int(o.Smooth/time.Second))
	reach := int((m.Lead+o.Period+time.Second-1)/time.Second) + smooth
	ahead := m.Ahead[:min(reach, len(m.Ahead))]
	sum, most := 0.0, 0.0
	for i, x := range ahead {
		sum += x
		if i >= smooth {
			sum -= ahead[i-smooth]
		}
		if i >= smooth-1 || i == len(ahead)-1 {
			most = max(most, sum/float64(min(i+1, smooth)))
		}
	}
	n := int(math.Ceil(most/o.Rho - 1e-9))
	if m.Held > 0 {
		n = max(n, 1)
	}
	return Decision{Count: m.clamp(n), Next: o.Period}
}
