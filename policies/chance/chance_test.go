package chance

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGoldens(t *testing.T) {
	t.Parallel()
	// SplitMix64 from state 0: each step adds the gamma to the state.
	require.Equal(t, uint64(0xe220a8397b1dcdaf), Mix(0))
	require.Equal(t, uint64(0x6e789e6aa1b965f4), Mix(0x9e3779b97f4a7c15))
	two := uint64(0x9e3779b97f4a7c15)
	require.Equal(t, uint64(0x06c45d188009454f), Mix(two*2))
	p := rand.NewPCG(1, 2)
	require.Equal(t, []uint64{0xc4f5a58656eef510, 0x9dcec3ad077dec6c, 0xc8d04605312f8088},
		[]uint64{p.Uint64(), p.Uint64(), p.Uint64()})
}

// Each law against its mean, variance and, by Kolmogorov–Smirnov at 1 % with a
// fixed seed, its distribution function.
func TestLaws(t *testing.T) {
	t.Parallel()
	const n = 1_000_000
	cases := []struct {
		name      string
		draw      func(*rand.PCG) float64
		mean, vrc float64
		cdf       func(float64) float64
	}{
		{"exp", Exp, 1, 1, func(x float64) float64 { return 1 - math.Exp(-x) }},
		{"normal", Normal, 0, 1, func(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }},
		{"float", Float, 0.5, 1.0 / 12, func(x float64) float64 { return x }},
		{"gamma 4", func(p *rand.PCG) float64 { return Gamma(p, 4) }, 4, 4, nil},
		{"gamma 0.25", func(p *rand.PCG) float64 { return Gamma(p, 0.25) }, 0.25, 0.25, nil},
		{"below 6", func(p *rand.PCG) float64 { return float64(Below(p, 6)) }, 2.5, 35.0 / 12, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := Stream(RunSeed(1, 0), c.name)
			xs := make([]float64, n)
			sum, sq := 0.0, 0.0
			for i := range xs {
				xs[i] = c.draw(&p)
				sum += xs[i]
				sq += (xs[i] - c.mean) * (xs[i] - c.mean)
			}
			require.InDelta(t, c.mean, sum/n, 4*math.Sqrt(c.vrc/n))
			require.InEpsilon(t, c.vrc, sq/n, 0.02)
			if c.cdf == nil {
				return
			}
			sort.Float64s(xs)
			d := 0.0
			for i, x := range xs {
				f := c.cdf(x)
				d = max(d, f-float64(i)/n, float64(i+1)/n-f)
			}
			require.Less(t, d, 1.628/math.Sqrt(n))
		})
	}
}

func TestExpTailBeyondTheLastLayer(t *testing.T) {
	t.Parallel()
	p := Stream(RunSeed(1, 0), "tail")
	const n = 4_000_000
	hit := 0
	for range n {
		if Exp(&p) > expR {
			hit++
		}
	}
	want := n * math.Exp(-expR)
	require.InDelta(t, want, hit, 4*math.Sqrt(want))
}

func TestStreamsDifferInBothWords(t *testing.T) {
	t.Parallel()
	a, b := Stream(RunSeed(1, 0), "arrivals"), Stream(RunSeed(1, 0), "split")
	require.NotEqual(t, a.Uint64(), b.Uint64())
	require.NotEqual(t, RunSeed(1, 0), RunSeed(1, 1))
	require.Equal(t, RunSeed(7, 3), RunSeed(7, 3))
}
