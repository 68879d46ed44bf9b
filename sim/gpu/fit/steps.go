package fit

import "slices"

// steps counts how many steps a replica has made at any instant, as its requests tell:
// between first and last token each of them sees one step per token, and all that are
// inside see the same ones.
type steps struct{ at, made []float64 }

// rounds are how often the rates between the instants are made to agree with what each
// request saw.
const rounds = 20

// countSteps reconstructs the steps of the replica that served the requests. Rates start
// equal and are scaled, again and again, by how many steps the requests inside should
// have seen over how many they saw, on average (iterative proportional fitting).
func countSteps(run []*Served) steps {
	var s steps
	for _, r := range run {
		s.at = append(s.at, r.begin(), r.Last)
	}
	s.at = distinct(s.at)
	rate, sum, n := make([]float64, len(s.at)), make([]float64, len(s.at)), make([]float64, len(s.at))
	for k := range rate {
		rate[k] = 1
	}
	for range rounds {
		clear(sum)
		clear(n)
		for _, r := range run {
			if r.Output < 2 || r.Last <= r.First {
				continue
			}
			from, _ := slices.BinarySearch(s.at, r.begin())
			to, _ := slices.BinarySearch(s.at, r.Last)
			seen := 0.0
			for k := from; k < to; k++ {
				seen += rate[k] * (s.at[k+1] - s.at[k])
			}
			for k := from; k < to; k++ {
				sum[k] += rate[k] * r.Output / seen
				n[k]++
			}
		}
		for k := range rate {
			if n[k] > 0 {
				rate[k] = sum[k] / n[k]
			}
		}
	}
	s.made = make([]float64, len(s.at))
	for k := 1; k < len(s.at); k++ {
		s.made[k] = s.made[k-1] + rate[k-1]*(s.at[k]-s.at[k-1])
	}
	return s
}

// until is the number of steps made at an instant.
func (s *steps) until(at float64) float64 {
	k, found := slices.BinarySearch(s.at, at)
	switch {
	case found:
		return s.made[k]
	case k == 0:
		return 0
	case k == len(s.at):
		return s.made[k-1]
	}
	share := (at - s.at[k-1]) / (s.at[k] - s.at[k-1])
	return s.made[k-1] + share*(s.made[k]-s.made[k-1])
}
