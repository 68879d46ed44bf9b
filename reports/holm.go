package reports

import (
	"cmp"
	"slices"
)

// Holm adjusts p-values for their number by the step-down method of Holm (1979):
// the i-th smallest of m is multiplied by m − i + 1, and no adjusted value lies
// below one of a smaller p. The order of ps is kept.
func Holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ps[a], ps[b]) })
	out := make([]float64, len(ps))
	floor := 0.0
	for i, k := range order {
		floor = max(floor, min(1, ps[k]*float64(len(ps)-i)))
		out[k] = floor
	}
	return out
}

// holmGates turns a fail whose adjusted p does not reach (1 − confidence)/2 into
// inconclusive. All gates with an interval count, whatever came out: leaving out
// those that passed would adjust for fewer looks than were taken. Nothing becomes
// a pass.
func holmGates(gates []Gate, confidence float64) {
	var judged []int
	var ps []float64
	for i := range gates {
		if gates[i].p != nil {
			judged, ps = append(judged, i), append(ps, *gates[i].p)
		}
	}
	for k, p := range Holm(ps) {
		g := &gates[judged[k]]
		if g.Verdict == Fail && p > (1-confidence)/2 {
			g.Verdict, g.Reason = Inconclusive, text(joinNotes("holm: not beyond doubt among so many gates", *orText(g.Reason)))
		}
	}
}

func orText(s *string) *string {
	if s == nil {
		return new(string)
	}
	return s
}
