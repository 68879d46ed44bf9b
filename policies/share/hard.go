package share

// Hard gives every tenant its weighted part of the capacity and nobody more: what a
// tenant leaves is lost.
type Hard struct{ out []float64 }

// Divide implements Divider.
func (h *Hard) Divide(capacity float64, claims []Claim) []float64 {
	h.out = zeros(h.out, len(claims))
	weights := 0.0
	for _, c := range claims {
		weights += c.Weight
	}
	for i, c := range claims {
		h.out[i] = min(c.Demand, capacity*c.Weight/weights)
	}
	return h.out
}
