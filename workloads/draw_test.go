package workloads

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/internal/alarm"
)

// compile fails the test on any problem.
func compile(t testing.TB, s Spec, opt Options) *Compiled {
	t.Helper()
	c, ps := Compile(s, opt)
	require.Empty(t, ps)
	return c
}

// draw pulls n requests in chunks.
func draw(t testing.TB, c *Compiled, seed uint64, rate float64, n, chunk int) []Request {
	t.Helper()
	src, err := c.Source(seed, rate)
	require.NoError(t, err)
	out := make([]Request, n)
	for at := 0; at < n; {
		got := src.Next(out[at:min(at+chunk, n)])
		if got == 0 {
			return out[:at]
		}
		at += got
	}
	return out
}

// stamps draws n arrivals of a process.
func stamps(t testing.TB, a Arrivals, rate float64, n int, mods ...Modulation) []time.Duration {
	t.Helper()
	s := NewSpec()
	s.Arrivals, s.Modulate = a, mods
	out := make([]time.Duration, 0, n)
	for _, r := range draw(t, compile(t, s, Options{}), 7, rate, n, 4096) {
		out = append(out, r.At)
	}
	require.Len(t, out, n)
	require.IsNonDecreasing(t, out)
	return out
}

func with(kind string, set func(*Arrivals)) Arrivals {
	a := NewArrivals(kind)
	if set != nil {
		set(&a)
	}
	return a
}

func TestConstantRoundsTheAbsoluteTime(t *testing.T) {
	t.Parallel()
	require.Equal(t, []time.Duration{333333333, 666666667, 1000000000}, stamps(t, NewArrivals("constant"), 3, 3))
	require.Equal(t, []time.Duration{2, 3, 5, 6, 8, 9}, stamps(t, NewArrivals("constant"), 1e9/1.5, 6), "gaps of 1.5 ns")
	require.Equal(t, []time.Duration{1e7, 2e7, 3e7}, stamps(t, NewArrivals("constant"), 100, 3))
	late := with("constant", func(a *Arrivals) { a.Phase = 5 * time.Millisecond })
	require.Equal(t, []time.Duration{15e6, 25e6}, stamps(t, late, 100, 2))

	at := stamps(t, NewArrivals("constant"), 3e8, 3_000_000)
	require.InDelta(t, 1e7, float64(at[len(at)-1]), 1, "3·10⁶ arrivals at 3·10⁸/s take 10 ms")
	at = stamps(t, NewArrivals("constant"), 1e9, 1000)
	require.Equal(t, time.Duration(1000), at[999])
}

// The last stamp of n Poisson arrivals has mean n/rate and deviation √n/rate.
func TestPoissonKeepsTheRate(t *testing.T) {
	t.Parallel()
	const n = 400_000
	for _, rate := range []float64{1e3, 1e6, 9.5e6, 9.5e7, 1e9} {
		at := stamps(t, NewArrivals("poisson"), rate, n)
		require.InDelta(t, n/rate*1e9, float64(at[n-1]), 4*math.Sqrt(n)/rate*1e9+1, "%g/s", rate)
	}
}

func TestRenewalMoments(t *testing.T) {
	t.Parallel()
	const n, rate = 1_000_000, 1000.0
	for _, c := range []struct {
		kind string
		cv   float64
	}{{"poisson", 1}, {"gamma", 0.5}, {"gamma", 2}, {"weibull", 0.5}, {"weibull", 2}} {
		at := stamps(t, with(c.kind, func(a *Arrivals) { a.CV = c.cv }), rate, n)
		mean, cv := meanCV(differences(at))
		require.InDelta(t, 1e9/rate, mean, 4*c.cv*1e9/rate/math.Sqrt(n), "%s cv %g", c.kind, c.cv)
		require.InEpsilon(t, c.cv, cv, 0.02, "%s", c.kind)
	}
}

func TestDispersionOfCounts(t *testing.T) {
	t.Parallel()
	at := stamps(t, NewArrivals("poisson"), 100, 1_000_000)
	require.InDelta(t, 1, *idc(at, time.Second, 0).IDC, 0.05, "10⁴ windows: deviation of the index .014")
	at = stamps(t, with("gamma", func(a *Arrivals) { a.CV = 2 }), 100, 1_000_000)
	require.InDelta(t, 4, *idc(at, 10*time.Second, 0).IDC, 0.55, "cv² in the long run; 10³ windows: deviation .18")
}

// Kolmogorov–Smirnov of the gaps against the exponential law, 1 % false alarms.
func TestPoissonGapsAreExponential(t *testing.T) {
	t.Parallel()
	alarm.Rate(t, .01)
	at := stamps(t, NewArrivals("poisson"), 1, 20_000)
	gaps := differences(at)
	u := make([]float64, len(gaps))
	for i, g := range gaps {
		u[i] = -math.Expm1(-g / 1e9)
	}
	require.Less(t, ksUniform(u), 1.628/math.Sqrt(float64(len(u))))
}

func TestMMPPStationaryRate(t *testing.T) {
	t.Parallel()
	a := with("mmpp", func(a *Arrivals) {
		a.States = []State{{100, time.Second}, {10, 3 * time.Second}, {0, 2 * time.Second}}
		a.Transition = [][]float64{{0, .5, .5}, {1, 0, 0}, {0, 1, 0}}
	})
	// Jump chain: π = (2/5, 2/5, 1/5) by hand; time shares 2 : 6 : 2.
	require.InDeltaSlice(t, []float64{.2, .6, .2}, stationary(a.States, a.Transition), 1e-12)
	require.InDelta(t, 26, a.meanRate(), 1e-9)
	at := stamps(t, a, 0, 400_000)
	require.InEpsilon(t, 26, 400_000/seconds(at[len(at)-1]), 0.03)

	on := with("onoff", func(a *Arrivals) { a.OnRate, a.OnMean, a.OffMean = 20, 10*time.Second, 20*time.Second })
	require.InDelta(t, 20.0/3, on.meanRate(), 1e-9)
	at = stamps(t, on, 0, 200_000)
	require.InEpsilon(t, 20.0/3, 200_000/seconds(at[len(at)-1]), 0.05)
}

func TestDiurnal(t *testing.T) {
	t.Parallel()
	a := with("diurnal", func(a *Arrivals) { a.Amplitude, a.Period = 0.8, 100*time.Second })
	at := stamps(t, a, 500, 500_000)
	whole := int(at[len(at)-1] / (100 * time.Second))
	for i := range whole {
		x := countsFrom(at, time.Duration(i)*100*time.Second, time.Duration(i+1)*100*time.Second)
		require.InDelta(t, 50_000, x, 5*math.Sqrt(50_000), "a whole period has the base rate")
	}
	// The quarter around the crest: ∫ 1 + .8 sin over [1/8, 3/8] of a period.
	want := 50_000 * (0.25 + 0.8*math.Sqrt2/(2*math.Pi))
	crest := 0
	for _, x := range at {
		if phase := x % (100 * time.Second); x < time.Duration(whole)*100*time.Second && phase >= 12500*time.Millisecond && phase < 37500*time.Millisecond {
			crest++
		}
	}
	periods := float64(whole)
	require.InDelta(t, want*periods, crest, 5*math.Sqrt(want*periods))
}

// countsFrom counts the stamps in [from, to).
func countsFrom(at []time.Duration, from, to time.Duration) int {
	n := 0
	for _, x := range at {
		if x >= from && x < to {
			n++
		}
	}
	return n
}

func TestModulationInvertsTheIntegral(t *testing.T) {
	t.Parallel()
	s := func(x float64) time.Duration { return time.Duration(x * 1e9) }
	step := Modulation{Step: []Level{{s(10), 300}, {s(20), 0}, {s(30), 100}}}
	ramp := Modulation{Ramp: []Level{{s(10), 100}, {s(30), 500}}}
	burst := Modulation{Burst: &Burst{At: s(15), Factor: 3, For: s(10)}}
	cases := []struct {
		name     string
		mods     []Modulation
		from, to float64
		want     float64
	}{
		{"before a step", []Modulation{step}, 0, 10, 1000},
		{"after a step", []Modulation{step}, 10, 20, 3000},
		{"a silent stretch", []Modulation{step}, 20, 30, 0},
		{"after the silence", []Modulation{step}, 30, 50, 2000},
		{"ramp, first half", []Modulation{ramp}, 10, 20, 2000},
		{"ramp, second half", []Modulation{ramp}, 20, 30, 4000},
		{"after the ramp", []Modulation{ramp}, 30, 40, 5000},
		{"burst", []Modulation{burst}, 15, 25, 3000},
		{"burst on a step", []Modulation{step, burst}, 15, 20, 4500},
		{"after the burst", []Modulation{burst}, 25, 45, 2000},
	}
	for _, kind := range []string{"poisson", "constant"} {
		for _, c := range cases {
			at := stamps(t, NewArrivals(kind), 100, 20_000, c.mods...)
			slack := 2.0 // a constant process is off by the seams only
			if kind == "poisson" {
				slack = 5*math.Sqrt(c.want) + 1e-9
			}
			require.InDelta(t, c.want, countsFrom(at, s(c.from), s(c.to)), slack, "%s, %s", kind, c.name)
		}
	}
}

func TestPresetsMeetTheirDefinition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		rate, cv, idc float64 // idc 0: not compared
	}{
		{"mooncake-synthetic", 3.907, 1.01, 1.02},
		{"azure-conv", 61.99 / 11, 0, 12.6},
		{"swim-2009", .0683, 1.2, 0},
		{"diffusion", .0135, 1.15, 0},
	} {
		spec, ok := PresetSpec(c.name)
		require.True(t, ok)
		d, err := compile(t, spec, Options{}).Describe(3, 0)
		require.NoError(t, err)
		require.Equal(t, DrawnRequests, d.Rows)
		require.InEpsilon(t, c.rate, d.RateRPS, 0.01, c.name)
		if c.cv > 0 {
			require.InEpsilon(t, c.cv, d.Gaps.CV, 0.03, c.name)
		}
		if c.idc > 0 {
			require.InEpsilon(t, c.idc, *d.Windows[2].IDC, 0.25, c.name)
		}
	}
	for _, p := range Presets() {
		require.NotEmpty(t, p.About, p.Name)
		require.NotEmpty(t, p.Source, p.Name)
		if p.Arrivals { // a load may rescale every preset
			c := compile(t, Spec{Arrivals: NewArrivals(p.Name), Frontends: NewFrontends()}, Options{})
			require.InEpsilon(t, p.rate, c.Rate(), 1e-9, p.Name)
			rs := draw(t, c, 1, 20, 300_000, 4096)
			if p.rates == nil {
				require.InEpsilon(t, 20, 300_000/seconds(rs[len(rs)-1].At), 0.1, p.Name)
			}
		}
	}
}

func TestPairsPresetKeepsTheRankCorrelation(t *testing.T) {
	t.Parallel()
	spec, _ := PresetSpec("mooncake-synthetic")
	d, err := compile(t, spec, Options{}).Describe(1, 0)
	require.NoError(t, err)
	require.InDelta(t, -.5166, *d.Spearman, 0.01)
	p, _ := preset("mooncake-synthetic")
	require.InEpsilon(t, p.input[4], d.Input.Quantiles[4].Value, 0.03)
	require.InEpsilon(t, p.output[5], d.Output.Quantiles[5].Value, 0.03)
}
