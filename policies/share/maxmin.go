package share

import (
	"cmp"
	"slices"
	"time"
)

// MaxMin is weighted max-min fairness by exact water-filling: everyone gets
// level·weight or its demand, whichever is less, and the level is the highest that the
// capacity allows (Bertsekas, Gallager 1992, §6.5.2; the weights as in weighted fair
// queueing). What idle tenants leave is lent to the others. O(k log k).
type MaxMin struct {
	DemandWindow time.Duration `yaml:"demand_window" about:"how long a request counts as demand of its tenant" min:"100ms" max:"1h"`

	out   []float64
	order []int
}

// Window implements Windowed.
func (m *MaxMin) Window() time.Duration { return m.DemandWindow }

// Divide implements Divider: whoever needs the lowest level is served first.
func (m *MaxMin) Divide(capacity float64, claims []Claim) []float64 {
	m.out = zeros(m.out, len(claims))
	m.order = m.order[:0]
	weights := 0.0
	for i, c := range claims {
		m.order = append(m.order, i)
		weights += c.Weight
	}
	slices.SortFunc(m.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(claims[a].Demand/claims[a].Weight, claims[b].Demand/claims[b].Weight), cmp.Compare(a, b))
	})
	for _, i := range m.order {
		c := claims[i]
		m.out[i] = min(c.Demand, capacity*c.Weight/weights)
		capacity -= m.out[i]
		weights -= c.Weight
		if !(weights > 0) { // the last one: rounding may have left a little
			break
		}
	}
	return m.out
}
