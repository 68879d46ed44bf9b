package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/reports"
)

// redrawn is two random choices that throws some dice away: other draws, the same law.
type redrawn struct{ dice int }

// Pick implements balance.Balancer.
func (p redrawn) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	for range p.dice {
		env.Rand.Uint64()
	}
	return balance.To(env.Fleet.Ref(env.Fleet.LessLoaded(env.Fleet.DistinctPair(env.Rand))))
}

// A against A: 200 comparisons of five paired seeds each, of one policy with itself
// under other dice. At 95% the words worse and better come together in 5% of them,
// and a gate whose bound is the truth fails in 2.5%. The bounds below are those that
// binomial counts exceed about once in a thousand re-seedings (Σα = .005);
// the seeds are fixed.
func TestAgainstItselfAlarmsAtTheStatedRate(t *testing.T) {
	t.Parallel()
	const pairs, seeds = 200, 5
	var arms [2][]*reports.Collector
	for i := range arms {
		s := spec{n: 4, rho: .7, service: expo(), make: func() balance.Balancer { return redrawn{i} }, requests: 800, warmup: .1, seeds: pairs * seeds}
		arms[i] = s.simulate(t).cols
	}
	strict, errs := reports.ParseGate("mean(a) <= mean(b)")
	require.Empty(t, errs)
	tolerant, errs := reports.ParseGate("p95(a) within 10% of b")
	require.Empty(t, errs)
	alarms, fails, tolerated := map[string]int{}, 0, 0
	for k := range pairs {
		runs := func(label string, cols []*reports.Collector) reports.CellRuns {
			return reports.CellRuns{Policy: label, Runs: cols[k*seeds : (k+1)*seeds]}
		}
		cells, _ := reports.Summarize([]reports.CellRuns{runs("a", arms[0]), runs("b", arms[1])}, reports.Options{})
		for _, metric := range []string{"mean", "p50", "p95"} {
			c := reports.Compare(&cells[1], &cells[0], metric, 0)
			require.False(t, c.Unpaired)
			require.Equal(t, seeds, c.N)
			require.NotEqual(t, reports.Identical, c.Word, "other dice")
			if c.Word != reports.Same {
				alarms[metric]++
			}
		}
		gates, _ := reports.Judge([]reports.PlacedGate{{Expr: strict}, {Expr: tolerant}}, cells, reports.JudgeOptions{})
		if gates[0].Verdict == reports.Fail {
			fails++
		}
		if gates[1].Verdict == reports.Fail {
			tolerated++
		}
	}
	t.Logf("alarms of %d: %v; strict gate failed %d, with a tolerance %d", pairs, alarms, fails, tolerated)
	for metric, n := range alarms {
		require.LessOrEqual(t, n, 20, metric) // Bin(200, .05): P(X > 20) = .0012
		require.Greater(t, n, 1, metric)      // P(X ≤ 1) = .0004
	}
	require.LessOrEqual(t, fails, 13) // Bin(200, .025): P(X > 13) = .0006
	require.Zero(t, tolerated)
}
