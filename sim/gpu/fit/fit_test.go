package fit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/sim/gpu"
)

func TestNNLSGoldens(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		a       [][]float64
		y, want []float64
	}{
		{[][]float64{{1, 0}, {0, 1}}, []float64{-1, 2}, []float64{0, 2}},
		{[][]float64{{1, 1}, {1, 2}, {1, 3}}, []float64{3, 2, 1}, []float64{2, 0}},
		{[][]float64{{1, 1}, {1, 2}, {1, 3}}, []float64{3, 5, 7}, []float64{1, 2}},
	} {
		got, err := nnls(x.a, x.y)
		require.NoError(t, err)
		require.InDeltaSlice(t, x.want, got, 1e-12)
	}
}

// The method finds what trying every set of parameters that are free finds, and ends
// at a point of Karush, Kuhn and Tucker.
func TestNNLSAgainstAllActiveSets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "n")
		m := rapid.IntRange(n+1, 8).Draw(t, "m")
		number := rapid.Float64Range(-10, 10)
		a, y := make([][]float64, m), make([]float64, m)
		for i := range a {
			a[i] = rapid.SliceOfN(number, n, n).Draw(t, "row")
			y[i] = number.Draw(t, "y")
		}
		got, err := nnls(a, y)
		if err != nil { // columns that depend on each other
			return
		}
		cost := func(x []float64) (sum float64) {
			for i := range a {
				r := y[i]
				for j := range x {
					r -= a[i][j] * x[j]
				}
				sum += r * r
			}
			return sum
		}
		best := cost(make([]float64, n))
		for set := 1; set < 1<<n; set++ {
			passive := make([]bool, n)
			for j := range passive {
				passive[j] = set>>j&1 == 1
			}
			x, err := free(a, y, passive)
			if err != nil {
				return
			}
			ok := true
			for _, v := range x {
				ok = ok && v >= 0
			}
			if ok {
				best = min(best, cost(x))
			}
		}
		require.InDelta(t, best, cost(got), 1e-6*(1+best))
		w := gradient(a, y, got)
		for j := range w {
			require.GreaterOrEqual(t, got[j], 0.0)
			require.LessOrEqual(t, w[j], 1e-8*(1+best))
			if got[j] > 1e-9 {
				require.InDelta(t, 0, w[j], 1e-8*(1+best))
			}
		}
	})
}

func sized(y ...float64) (out []Point) {
	for i, v := range y {
		out = append(out, Point{Items: float64(i + 1), MS: v})
	}
	return out
}

func TestAffineExact(t *testing.T) {
	t.Parallel()
	points := []Point{{Items: 1, MS: 3}, {Items: 2, MS: 4}, {Items: 4, MS: 6}}
	s, r, err := Fit(gpu.Affine, points, Options{})
	require.NoError(t, err)
	require.InDelta(t, 2e6, float64(s.A), 1)
	require.InDelta(t, 1e6, float64(s.B), 1)
	require.InDelta(t, 0, r.MAPE, 1e-9)
	require.InDelta(t, 0, r.LOO, 1e-9)
	require.Equal(t, []string{"3 points for 2 parameters: take 4 or more"}, r.Warnings)
	m, problems := gpu.New(s)
	require.Empty(t, problems)
	require.NotNil(t, m)
}

func TestAffineTokensExact(t *testing.T) {
	t.Parallel()
	var points []Point
	for _, n := range []float64{1, 2, 8} {
		for _, length := range []float64{32, 128, 512} {
			p := Point{Items: n, Tokens: n * length, TokensSq: n * length * length}
			p.MS = 1.5 + 0.002*p.Tokens + 3e-7*p.TokensSq
			points = append(points, p)
		}
	}
	s, r, err := Fit(gpu.AffineTokens, points, Options{})
	require.NoError(t, err)
	require.InEpsilon(t, 1.5e6, float64(s.A), 1e-6)
	require.InEpsilon(t, 2000, float64(s.B), 1e-6)
	require.InEpsilon(t, 0.3, float64(s.C), 1e-6)
	require.InDelta(t, 0, r.MAPE, 1e-6)
	require.Empty(t, r.Warnings)
}

func TestHingeExact(t *testing.T) {
	t.Parallel()
	var points []Point
	for x := 1.0; x <= 16; x++ {
		points = append(points, Point{Items: 1, Tokens: x, MS: 10 + 0.5*max(0, x-4)})
	}
	s, r, err := Fit(gpu.Hinge, points, Options{})
	require.NoError(t, err)
	require.InDelta(t, 10e6, float64(s.F), 1)
	require.InDelta(t, 0.5e6, float64(s.S), 1)
	require.InDelta(t, 4, s.K, 0)
	require.InDelta(t, 0, r.MAPE, 1e-9)
	_, _, err = Fit(gpu.Hinge, points[:2], Options{})
	require.ErrorContains(t, err, "a knee needs at least 3")
}

func TestFitRefuses(t *testing.T) {
	t.Parallel()
	_, _, err := Fit(gpu.Tokens, sized(1, 2), Options{})
	require.ErrorContains(t, err, "no fit for models of kind")
	_, _, err = Fit(gpu.Affine, nil, Options{})
	require.ErrorContains(t, err, "no measured points")
	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		_, _, err = Fit(gpu.Affine, sized(1, bad), Options{})
		require.ErrorContains(t, err, "point 2")
	}
	_, r, err := Fit(gpu.Affine, sized(5, 5, 5), Options{})
	require.NoError(t, err)
	require.Contains(t, r.Warnings, "b is 0: the points do not show it")
	require.Contains(t, r.Warnings, "sizes from 1 to 3: measure over a factor of 4 or more")
	require.Equal(t, 3, r.N)
}
