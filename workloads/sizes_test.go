package workloads

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
)

// ksUniform is the Kolmogorov–Smirnov distance to the uniform law.
func ksUniform(u []float64) float64 {
	slices.Sort(u)
	d, n := 0.0, float64(len(u))
	for i, x := range u {
		d = max(d, math.Abs(x-float64(i)/n), math.Abs(float64(i+1)/n-x))
	}
	return d
}

func bound(v float64) *float64 { return &v }

func lognormal(mean, cv float64) Dist { return Dist{Kind: "lognormal", Mean: mean, CV: cv} }

// The drawn mean lies within 4 standard errors of the computed one, the drawn
// mean square too; so clamps, rounding and partial integrals agree.
func TestMomentsAreThoseOfTheDraws(t *testing.T) {
	t.Parallel()
	inner := lognormal(200, 1)
	cases := map[string]struct {
		d Dist
		q Quantity
	}{
		"constant":             {Constant(512), Tokens},
		"exponential tokens":   {Dist{Kind: "exponential", Mean: 180}, Tokens},
		"short tokens":         {Dist{Kind: "exponential", Mean: 2}, Tokens},
		"exponential duration": {Dist{Kind: "exponential", Mean: 5e6}, Durations},
		"lognormal":            {lognormal(180, 1.2), Tokens},
		"lognormal clamped":    {Dist{Kind: "lognormal", Mean: 180, CV: 1.5, Min: bound(20), Max: bound(400)}, Tokens},
		"long lognormal":       {Dist{Kind: "lognormal", Mean: 9000, CV: 0.7, Max: bound(20000)}, Tokens},
		"lognormal by log":     {Dist{Kind: "lognormal", Mu: math.Log(0.019), Sigma: .45}, Durations},
		"pareto":               {Dist{Kind: "pareto", Mean: 100, Alpha: 5}, Tokens},
		"pareto capped":        {Dist{Kind: "pareto", Xm: 1e6, Alpha: 1.5, Cap: 1e9}, Durations},
		"pareto alpha 2":       {Dist{Kind: "pareto", Xm: 1e6, Alpha: 2, Cap: 1e8}, Durations},
		"mixture":              {Dist{Kind: "bimodal", Parts: []Part{{P: .9, Value: 10}, {P: .1, Dist: &inner}}, Max: bound(500)}, Tokens},
		"quantiles":            {Dist{Kind: "quantiles", Preset: "azure-conv"}, Tokens},
		"quantiles inline":     {Dist{Kind: "quantiles", Points: []Point{{50, 1e6}, {90, 2e6}, {99, 9e6}}}, Durations},
		"histogram":            {Dist{Kind: "empirical", Histogram: []Bar{{10, 1}, {20, 0}, {30, 2}}}, Tokens},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, c.d.Check(c.q))
			z, err := newSizer(c.d, sizing{quantity: c.q, role: "input"})
			require.NoError(t, err)
			mean, square := z.moments()
			const n = 1_000_000
			p := chance.Stream(11, name)
			var s1, s2, s4 float64
			for range n {
				x := z.value(&p)
				s1, s2, s4 = s1+x, s2+x*x, s4+x*x*x*x
			}
			s1, s2, s4 = s1/n, s2/n, s4/n
			require.InDelta(t, mean, s1, 4*math.Sqrt(max(0, s2-s1*s1)/n)+1e-9*mean, "mean")
			require.InDelta(t, square, s2, 4*math.Sqrt(max(0, s4-s2*s2)/n)+1e-9*square, "mean square")
		})
	}
}

func TestClosedForms(t *testing.T) {
	t.Parallel()
	z, err := newSizer(lognormal(180, 1.2), sizing{quantity: Durations})
	require.NoError(t, err)
	mean, square := z.moments()
	require.InDelta(t, 180, mean, 1e-9)
	require.InDelta(t, 180*180*(1+1.2*1.2), square, 1e-6)
	require.InDelta(t, 180, z.excess(0), 1e-9)

	z, err = newSizer(Dist{Kind: "exponential", Mean: 1000}, sizing{quantity: Durations})
	require.NoError(t, err)
	require.InDelta(t, 1000*math.Exp(-.5), z.excess(500), 1e-9)

	z, err = newSizer(Dist{Kind: "pareto", Mean: 100, Alpha: 3}, sizing{quantity: Durations})
	require.NoError(t, err)
	mean, square = z.moments()
	xm := 200.0 / 3
	require.InDelta(t, 100, mean, 1e-9)
	require.InDelta(t, 3*xm*xm, square, 1e-6)
}

func TestQuantileTableInverts(t *testing.T) {
	t.Parallel()
	z := newTable([]Point{{10, 5}, {50, 20}, {100, 100}})
	for u, want := range map[float64]float64{0.01: 5, 0.1: 5, 0.3: 12.5, 0.5: 20, 0.75: 60, 1: 100} {
		require.InDelta(t, want, z.at(u), 1e-12, "u = %g", u)
	}
}

func TestRoundingAndClamping(t *testing.T) {
	t.Parallel()
	z := sizer{law: point(2.5), lo: 1, hi: 10, whole: true}
	require.Equal(t, 3.0, z.shape(2.5), "half up")
	require.Equal(t, 1.0, z.shape(0.2), "the default minimum")
	require.Equal(t, 10.0, z.shape(11))

	s := NewSpec()
	s.Arrivals.Rate = 1
	s.Output = Dist{Kind: "exponential", Mean: 100, Max: bound(100)}
	codes := []string{}
	for _, w := range compile(t, s, Options{}).Warnings() {
		codes = append(codes, w.Code)
	}
	require.Equal(t, []string{"clamped-sizes"}, codes)
	s.Output = Dist{Kind: "pareto", Mean: 100, Alpha: 1.5}
	require.Equal(t, "infinite-variance", compile(t, s, Options{}).Warnings()[0].Code)
}

func TestTokenProducts(t *testing.T) {
	t.Parallel()
	s := NewSpec()
	s.Arrivals.Rate = 1
	s.Input, s.Output = Constant(512), Constant(180)
	c := compile(t, s, Options{})
	require.Equal(t, Moments{Input: 512, InputSq: 512 * 512, Output: 180, OutputSq: 180 * 180, InputOutput: 512 * 180}, c.Moments())
	require.InDelta(t, 180*(512+90.0), c.Moments().Context(), 1e-9)
	require.InDelta(t, 692*692, c.Moments().TokensSq(), 1e-9)
	require.InDelta(t, 212, c.InputExcess(300), 1e-9)

	// A normal pair: the product differs from the product of the means, and
	// the computed one is the drawn one.
	s.Input, s.Output, s.Copula = lognormal(1000, 0.5), lognormal(200, 0.5), -0.8
	c = compile(t, s, Options{})
	sum, sq := 0.0, 0.0
	const n = 400_000
	for _, r := range draw(t, c, 5, 0, n, 4096) {
		x := float64(r.Input) * float64(r.Output)
		sum, sq = sum+x/n, sq+x*x/n
	}
	m := c.Moments()
	require.Less(t, m.InputOutput, 0.9*m.Input*m.Output)
	require.InDelta(t, sum, m.InputOutput, 4*math.Sqrt((sq-sum*sum)/n)+1e-3*sum)
}

func TestDistProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d    Dist
		want []string
	}{
		"unknown":       {Dist{Kind: "normal"}, []string{`no distribution called "normal"`}},
		"negative":      {Constant(-1), []string{"the value is -1: it must be at least 0 and at most 1.073741824e+09"}},
		"NaN":           {Dist{Kind: "exponential", Mean: math.NaN()}, []string{"exponential.mean: mean is NaN: it must be above 0 and at most 1.073741824e+09"}},
		"two of two":    {Dist{Kind: "lognormal", Mean: -1, CV: 0}, []string{"lognormal.mean: mean is -1: it must be above 0 and at most 1.073741824e+09", "lognormal.cv: cv is 0: it must be above 0 and at most 1000"}},
		"neither":       {Dist{Kind: "lognormal"}, []string{"lognormal: a lognormal takes mean and cv, or mu and sigma"}},
		"alpha":         {Dist{Kind: "pareto", Mean: 1, Alpha: 1}, []string{"pareto.alpha: alpha is 1: it must be above 1 (the mean is infinite below) and at most 1000"}},
		"sum":           {Dist{Kind: "bimodal", Parts: []Part{{P: .5, Value: 1}, {P: .4, Value: 2}}}, []string{"bimodal: the parts' p sum to 0.9: they must sum to 1"}},
		"falling":       {Dist{Kind: "quantiles", Points: []Point{{50, 10}, {90, 5}}}, []string{"quantiles: the point 90 % → 5 lies below the one before it"}},
		"one point":     {Dist{Kind: "quantiles", Points: []Point{{50, 10}}}, []string{"quantiles: a quantile table has 1 points: it needs at least 2"}},
		"no such table": {Dist{Kind: "quantiles", Preset: "azure"}, []string{`quantiles: no quantile table called "azure"`}},
		"min above max": {Dist{Kind: "exponential", Mean: 5, Min: bound(10), Max: bound(2)}, []string{"exponential.max: max is 2 and min is 10: max must not be below min"}},
		"no column":     {Dist{Kind: "empirical", File: "x.csv"}, []string{"empirical.column: the column of x.csv is not named"}},
	} {
		var got []string
		for _, p := range c.d.Check(Tokens) {
			got = append(got, p.Error())
		}
		require.Equal(t, c.want, got, name)
	}
	require.NotEmpty(t, Dist{Kind: "quantiles", Preset: "azure-conv"}.Check(Durations), "tokens are no durations")
}

func TestSamplerDrawsDurations(t *testing.T) {
	t.Parallel()
	s, err := NewSampler(Dist{Kind: "exponential", Mean: 1e6})
	require.NoError(t, err)
	p := chance.Stream(1, "net/main/report")
	sum := time.Duration(0)
	for range 100_000 {
		sum += s.Draw(&p)
	}
	require.InEpsilon(t, 1e6, float64(sum)/100_000, 0.02)
	_, fixed := s.Fixed()
	require.False(t, fixed)
	s, err = NewSampler(Constant(250e3))
	require.NoError(t, err)
	v, fixed := s.Fixed()
	require.True(t, fixed)
	require.Equal(t, 250*time.Microsecond, v)
	_, err = NewSampler(Dist{Kind: "empirical", File: "x.csv", Column: "c"})
	require.ErrorContains(t, err, "cannot be read here")
}
