package reports

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAgreeMean(t *testing.T) {
	t.Parallel()
	c := &TheoryCheck{Theory: 10, Slack: .1}
	c.AgreeMean([]float64{10.4, 10.6, 10.2, 10.8}, .95)
	require.InDelta(t, 10.5, c.Simulated, 1e-12)
	require.InDelta(t, .4/(.258199/2), c.T, 1e-4) // s/√n = .1291
	require.InDelta(t, .0533, c.P, 1e-3)          // t 3.098 with 3 degrees of freedom
	c.AgreeMean([]float64{10.05, 9.95, 10, 10}, .95)
	require.Zero(t, c.T)
	require.InDelta(t, 1, c.P, 0)
	// Values that do not vary: any difference beyond the slack is certain.
	c.AgreeMean([]float64{10.2, 10.2}, .95)
	require.InDelta(t, maxT, c.T, 0)
	require.Less(t, c.P, 1e-5)
	c.AgreeMean([]float64{10.05, 10.05}, .95)
	require.InDelta(t, 1, c.P, 0)
}

func TestAgreeQuantile(t *testing.T) {
	t.Parallel()
	q := []float64{4, 4, 4}
	c := &TheoryCheck{Theory: 4}
	c.AgreeQuantile(.9, q, []float64{.88, .89, .90}, []float64{.90, .91, .92}, .95)
	require.Zero(t, c.T, "the percentile lies within the slack")
	c.AgreeQuantile(.9, q, []float64{.92, .93, .94}, []float64{.93, .94, .95}, .95)
	require.InDelta(t, .03/(.01/math.Sqrt(3)), c.T, 1e-9, "too many are faster: it lies below")
	c.AgreeQuantile(.9, q, []float64{.8, .81, .82}, []float64{.86, .87, .88}, .95)
	require.InDelta(t, .03/(.01/math.Sqrt(3)), c.T, 1e-9, "too few are: it lies above")
	// An atom at the percentile: nobody below, all at it.
	c.AgreeQuantile(.9, q, []float64{0, 0, 0}, []float64{1, 1, 1}, .95)
	require.Zero(t, c.T)
}

// Holm's promise, kept by the whole judgement: with theory true, at most 1 % of
// commands report a disagreement, whether their checks are independent or resemble
// each other as those of one run do. 3,000 commands of 60 checks each; the bound is
// 1 % and four standard errors.
func TestFamilyWiseFalseAlarms(t *testing.T) {
	t.Parallel()
	const commands, family, seeds = 3000, 60, 20
	for _, shared := range []float64{0, .9} {
		dice := rand.New(rand.NewPCG(7, 9))
		alarms, uncorrected := 0, 0
		for range commands {
			common := make([]float64, seeds)
			for i := range common {
				common[i] = dice.NormFloat64()
			}
			checks := make([]*TheoryCheck, family)
			for k := range checks {
				values := make([]float64, seeds)
				for i := range values {
					values[i] = math.Sqrt(shared)*common[i] + math.Sqrt(1-shared)*dice.NormFloat64()
				}
				checks[k] = &TheoryCheck{}
				checks[k].AgreeMean(values, .99)
			}
			if alarmed(checks, CorrectionHolm) {
				alarms++
			}
			if alarmed(checks, CorrectionNone) {
				uncorrected++
			}
		}
		bound := .01 + 4*math.Sqrt(.01*.99/commands)
		require.LessOrEqual(t, float64(alarms)/commands, bound, "shared %g", shared)
		if shared == 0 {
			require.Positive(t, alarms, "a test that never fails tests nothing")
			require.Greater(t, float64(uncorrected)/commands, .3, "1 − .99⁶⁰ = .45 without a correction")
		}
	}
}

func alarmed(checks []*TheoryCheck, correction string) bool {
	JudgeTheory(checks, .99, correction)
	return NewTheory(append([]*TheoryCheck{}, checks...), .99, correction).Verdict == Fail
}
