package capacity

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// solveWith answers all questions of a search by measure, and counts seeds.
func solveWith(t require.TestingT, s *Search, measure func(point, seeds int) Answer) (r Result, seeds int) {
	best := map[int]int{}
	for asked := 0; ; asked++ {
		require.Less(t, asked, 4*s.n+40, "the search does not end")
		p, n, ok := s.Next()
		if !ok {
			break
		}
		require.True(t, p >= 0 && p < s.n, "setting %d of %d", p, s.n)
		s.Add(p, n, measure(p, n))
		best[p] = max(best[p], n)
	}
	for _, n := range best {
		seeds += n
	}
	return s.Result(), seeds
}

// exact is a measurement whose interval reaches wide settings to both sides of the
// truth: settings up to edge meet the bound.
func exact(edge, wide int) func(int, int) Answer {
	return func(p, _ int) Answer {
		a := Answer{Below: p <= edge}
		switch {
		case p <= edge-wide:
			a.Side = Met
		case p > edge+wide:
			a.Side = Missed
		}
		return a
	}
}

// Without noise the search finds exactly what looking at every setting finds.
func TestSearchAgreesWithASweep(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		edge, wide := rapid.IntRange(-3, n+2).Draw(t, "edge"), rapid.IntRange(0, n).Draw(t, "wide")
		few := rapid.IntRange(2, 10).Draw(t, "few")
		measure := exact(edge, wide)
		want := Result{Passes: -1, Fails: n, Cross: -1, Done: true}
		for p := n - 1; p >= 0; p-- {
			a := measure(p, 0)
			if a.Side == Met {
				want.Passes = max(want.Passes, p)
			}
			if a.Side == Missed {
				want.Fails = p
			}
			if a.Below {
				want.Cross = max(want.Cross, p)
			}
		}
		got, _ := solveWith(t, New(n, few, 2*few), measure)
		require.Equal(t, want, got)
	})
}

func TestSearchIsCheap(t *testing.T) {
	t.Parallel()
	_, seeds := solveWith(t, New(199, 5, 20), exact(180, 2))
	require.LessOrEqual(t, seeds, 8*5+8*20, "8 settings to look at, 8 more to decide; a sweep has 199")
}

// Seeds scatter by a tenth; the curve rises as that of a queue. The interval should
// hold the true threshold in 95% of the searches. 400 searches, seeds fixed: with
// exact coverage fewer than 365 has a probability below 0.1%.
func TestIntervalCovers(t *testing.T) {
	t.Parallel()
	const n, searches, sigma, z = 199, 400, 0.1, 1.96
	curve := func(p int) float64 { return -math.Log(1 - (float64(p)+1)/200) } // ln P99, bound at ln 10
	truth := 0
	for curve(truth) <= math.Log(10) {
		truth++
	}
	truth-- // the hardest setting that truly meets the bound
	covered, tangled := 0, 0
	for k := range searches {
		chance := rand.New(rand.NewPCG(uint64(k), 7))
		common := make([]float64, 40) // every seed is off by the same everywhere: common random numbers
		for i := range common {
			common[i] = sigma * chance.NormFloat64()
		}
		r, _ := solveWith(t, New(n, 10, 40), func(p, seeds int) Answer {
			sum := 0.0
			for _, e := range common[:seeds] {
				sum += e
			}
			gap, half := curve(p)+sum/float64(seeds)-math.Log(10), z*sigma/math.Sqrt(float64(seeds))
			a := Answer{Below: gap <= 0}
			if math.Abs(gap) > half {
				a.Side = map[bool]Side{true: Met, false: Missed}[gap < 0]
			}
			return a
		})
		require.True(t, r.Passes <= r.Cross && r.Cross < r.Fails)
		if r.Passes <= truth && truth < r.Fails {
			covered++
		}
		if r.Tangled {
			tangled++
		}
	}
	require.GreaterOrEqual(t, covered, 365)
	require.Zero(t, tangled, "a curve that rises never contradicts itself under common random numbers")
}

func TestTangled(t *testing.T) {
	t.Parallel()
	s := New(100, 2, 4)
	r, _ := solveWith(t, s, func(p, _ int) Answer {
		if p > 40 && p < 45 || p > 90 {
			return Answer{Side: Missed}
		}
		return Answer{Side: Met, Below: true}
	})
	require.Equal(t, 90, r.Passes)
	s.Add(42, 4, Answer{Side: Missed})
	require.True(t, s.Result().Tangled)
}

// A search that was interrupted says what it knows.
func TestPartial(t *testing.T) {
	t.Parallel()
	s := New(100, 2, 4)
	require.Equal(t, Result{Passes: -1, Fails: 100, Cross: -1}, s.Result())
	measure := exact(70, 0)
	for range 3 {
		p, n, _ := s.Next()
		s.Add(p, n, measure(p, n))
	}
	r := s.Result()
	require.False(t, r.Done)
	require.Equal(t, 61, r.Cross, "after 49, 74 and 61")
}
