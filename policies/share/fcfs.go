package share

// FCFS divides nothing: whoever comes first takes. Its shares are what tenants get in
// the mean when their requests come in random order, in proportion to their demands.
type FCFS struct{ out []float64 }

// Divide implements Divider. Weights do not matter.
func (f *FCFS) Divide(capacity float64, claims []Claim) []float64 {
	f.out = zeros(f.out, len(claims))
	sum := 0.0
	for _, c := range claims {
		sum += c.Demand
	}
	if sum <= 0 {
		return f.out
	}
	part := min(1, capacity/sum)
	for i, c := range claims {
		f.out[i] = c.Demand * part
	}
	return f.out
}

// Undivided implements Undivided.
func (*FCFS) Undivided() {}
