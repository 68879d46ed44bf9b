package theory_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/cmd/taillab/internal/theory"
)

// Values of textbooks, and by hand.
func TestKnownValues(t *testing.T) {
	t.Parallel()
	require.InEpsilon(t, 10*math.Log(100), theory.MM1(.9).Quantile(.99), 1e-12)
	// Erlang's tables: 10 trunks offered 5 erlang lose 1.8385%; 2 erlang on 3 wait with chance 4/9.
	require.InDelta(t, .018385, theory.ErlangB(10, 5), 5e-7)
	require.InEpsilon(t, 4.0/9, theory.ErlangC(3, 2), 1e-12)
	// M/M/1/1: half of what comes at load 1 is turned away, and nobody waits.
	loss := theory.MMCK(1, 1, 1)
	require.InEpsilon(t, .5, loss.Blocked, 1e-12)
	require.InEpsilon(t, 1, loss.Mean, 1e-12)
	require.InEpsilon(t, math.Log(2), loss.Quantile(.5), 1e-9)
	// M/M/1/2 at load 1: found 0 or 1 with equal chance.
	require.InEpsilon(t, 1.5, theory.MMCK(1, 1, 2).Mean, 1e-12)
	// M/D/1 at ½: P(W = 0) = ½, P(W ≤ t) = ½e^(t/2) for t < 1.
	md1 := theory.MD1(.5)
	require.InEpsilon(t, .5, md1.Tail(1), 1e-12)
	require.InEpsilon(t, 1-.5*(math.Exp(.5*.4)), md1.Tail(1.4), 1e-12)
	// Processor sharing with exponential service: variance (2+ρ)/((2−ρ)(1−ρ)²).
	for _, rho := range []float64{.3, .8} {
		l := theory.PSExp(rho)
		second := 0.0 // E[R²] = ∫ 2t·P(R > t) dt
		const step = .02
		for x := step / 2; x < 400/(1-rho); x += step {
			second += 2 * x * l.Tail(x) * step
		}
		variance := second - l.Mean*l.Mean
		require.InEpsilon(t, (2+rho)/((2-rho)*(1-rho)*(1-rho)), variance, 2e-4, "ρ %g", rho)
	}
	// Round robin over two at ½: σ² has the golden ratio.
	require.InEpsilon(t, math.Phi, theory.RoundRobin(.5, 2).Mean, 1e-9)
}

// Where two models are one, two programs must agree.
func TestModelsThatCoincide(t *testing.T) {
	t.Parallel()
	exp, det := service(t, "exp"), service(t, "det")
	batch := func(rho float64) theory.Law {
		l, busy := theory.Batching{A: .4, B: .6, Most: 1, Rate: rho}.Law()
		require.InEpsilon(t, rho, busy, 1e-6)
		return l
	}
	jiq := func(rho, r float64) theory.Law { l, _ := theory.JIQ(rho, r); return l }
	for _, c := range []struct {
		name   string
		a, b   theory.Law
		within float64
	}{
		{"M/M/1 = M/M/c, c 1", theory.MM1(.7), theory.MMC(.7, 1), 1e-9},
		{"M/M/1 = M/M/1/K, K large", theory.MM1(.7), theory.MMCK(.7, 1, 200), 1e-9},
		{"M/M/c = M/M/c/K, K large", theory.MMC(.8, 7), theory.MMCK(.8, 7, 300), 1e-9},
		{"M/M/c where θ is 1", theory.MMC(.5, 2), theory.MMC(.5+1e-6, 2), 1e-5},
		{"M/M/1 = M/G/1", theory.MM1(.6), theory.MG1(.6, exp), 1e-4},
		{"M/D/1 = M/G/1", theory.MD1(.8), theory.MG1(.8, det), 1e-4},
		{"M/D/1 = batches of one", theory.MD1(.85), batch(.85), 2e-5},
		{"hyperexponential, cv → 1", theory.MM1(.5), theory.MG1(.5, service(t, "hyper1.00001")), 2e-3},
		{"lognormal, cv small", theory.MD1(.8), theory.MG1(.8, service(t, "logn0.051")), 1e-2},
		{"one choice is random", theory.MM1(.7), theory.Supermarket(.7, 1), 1e-9},
		{"round robin over one", theory.MM1(.7), theory.RoundRobin(.7, 1), 1e-8},
		{"a fresh board is the present", theory.Supermarket(.6, 2), theory.Board(.6, 2, 1e-3), 1e-3},
		{"one entry of a board is random", theory.MM1(.6), theory.Board(.6, 1, 3), 1e-6},
		{"either queue is random", theory.MM1(.7), theory.Two(.7, .5), 1e-6},
		{"many dispatchers: nobody knows", theory.MM1(.5), jiq(.5, .001), 1e-2},
	} {
		require.InEpsilon(t, c.a.Mean, c.b.Mean, c.within, c.name)
		for _, p := range []float64{.3, .5, .9, .99, .999} {
			require.InEpsilon(t, c.a.Quantile(p), c.b.Quantile(p), c.within, "%s: P%g", c.name, 100*p)
		}
	}
}

// Dynamic batching against an independent event-by-event model in another language,
// mean of 5 runs of 200,000 (ms; batches of at most 32, no delay): P50 P90 P99 P99.9
// within what such runs vary by.
func TestBatchingAgainstAnotherModel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b, rate float64
		want       [4]float64
	}{
		{1.19, .95, .30389, [4]float64{2.85, 5.11, 7.16, 9.17}},
		{1.19, .95, .60779, [4]float64{5.45, 9.59, 14.44, 19.1}},
		{1.19, .95, .81038, [4]float64{9.90, 18.5, 28.8, 37.9}},
		{1.19, .95, .91168, [4]float64{16.8, 32.3, 49.8, 64.1}},
		{.887, .134, 1.85507, [4]float64{1.89, 2.51, 3.04, 3.45}},
		{.887, .134, 3.71014, [4]float64{2.79, 3.91, 4.94, 5.77}},
		{.887, .134, 4.94686, [4]float64{4.13, 5.95, 7.69, 9.04}},
		{.887, .134, 5.56522, [4]float64{5.48, 8.02, 10.35, 12.2}},
	} {
		m := theory.Batching{A: c.a, B: c.b, Most: 32, Rate: c.rate}
		l, busy := m.Law()
		require.Greater(t, busy, m.Load())
		for i, p := range []float64{.5, .9, .99, .999} {
			require.InEpsilon(t, c.want[i], l.Quantile(p), []float64{.005, .01, .02, .02}[i], "λ %g P%g", c.rate, 100*p)
		}
	}
}

// Every law is one: its tail falls from 1 to 0, its mean is the area under it, and it
// grows with the load.
func TestLawsAreLaws(t *testing.T) {
	t.Parallel()
	for name, law := range map[string]func(rho float64) theory.Law{
		"MM1": theory.MM1, "MD1": theory.MD1, "PSExp": theory.PSExp,
		"MMC":         func(rho float64) theory.Law { return theory.MMC(rho, 5) },
		"MMCK":        func(rho float64) theory.Law { return theory.MMCK(rho, 3, 9) },
		"MG1 logn":    func(rho float64) theory.Law { return theory.MG1(rho, service(t, "logn1.5")) },
		"MG1 bimodal": func(rho float64) theory.Law { return theory.MG1(rho, service(t, "bimodal")) },
		"RoundRobin":  func(rho float64) theory.Law { return theory.RoundRobin(rho, 6) },
		"Supermarket": func(rho float64) theory.Law { return theory.Supermarket(rho, 3) },
		"JIQ":         func(rho float64) theory.Law { l, _ := theory.JIQ(rho, 10); return l },
		"Two":         func(rho float64) theory.Law { return theory.Two(rho, .75) },
		"Board":       func(rho float64) theory.Law { return theory.Board(rho, 2, 1.5) },
		"Batching": func(rho float64) theory.Law {
			l, _ := theory.Batching{A: .5, B: .5, Most: 7, Rate: rho * 7 / 4}.Law()
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := 0.0
			for _, rho := range []float64{.05, .5, .93} {
				l := law(rho)
				require.Greater(t, l.Mean, before)
				before = l.Mean
				at, last, area := 0.0, 1.0, 0.0
				step := l.Mean / 200
				for ; last > 1e-6; at += step {
					tail := l.Tail(at + step/2)
					require.LessOrEqual(t, tail, last+1e-9, "ρ %g at %g", rho, at)
					area, last = area+tail*step, tail
				}
				require.InEpsilon(t, l.Mean, area, 3e-3, "ρ %g", rho)
				require.LessOrEqual(t, l.Quantile(.5), l.Quantile(.9))
			}
		})
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		cv     float64
		m3     float64
		demand string
	}{
		{"exp", 1, 6, "{exponential: {mean: 10ms}}"},
		{"det", 0, 1, "10ms"},
		{"bimodal", 1.5, 16.75, "{bimodal: [{p: 0.9, value: 5ms}, {p: 0.1, value: 55ms}]}"},
		{"logn2", 2, 125, "{lognormal: {mean: 10ms, cv: 2}}"},
		{"hyper2", 2, 60, ""},
	} {
		s := service(t, c.name)
		require.InEpsilon(t, 1+c.cv*c.cv, s.M2, 1e-12, c.name)
		require.InEpsilon(t, c.m3, s.M3, 1e-9, c.name)
		if c.demand != "" {
			require.Equal(t, c.demand, s.Demand)
		}
		// E[min(S, x)] is the area under P(S > x), and 1 in the end.
		area, step := 0.0, .001
		for x := step / 2; x < 30; x += step {
			area += (1 - s.CDF(x)) * step
		}
		require.InDelta(t, area, s.Short(30), 1e-3, c.name)
		require.InDelta(t, 1, s.Short(1e5), 1e-9, c.name)
		require.Zero(t, s.Short(0), c.name)
	}
	for _, bad := range []string{"", "logn", "logn0", "hyper0.5", "lognNaN", "hyperInf", "gamma"} {
		_, err := theory.ParseService(bad)
		require.Error(t, err, bad)
	}
}

func Example() {
	l := theory.MMC(.9, 10)
	fmt.Printf("mean %.4f P99 %.4f\n", l.Mean, l.Quantile(.99))
	// Output: mean 1.6687 P99 6.2499
}
