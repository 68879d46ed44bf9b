package gpu

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
)

func curveOf(scale string, x []float64, y ...Nanos) curve {
	return newCurve(&Table{X: x, Y: y, Scale: scale})
}

func TestTableGoldens(t *testing.T) {
	t.Parallel()
	x := []float64{1, 2, 4}
	for _, scale := range []string{Linear, LogLog} {
		c := curveOf(scale, x, 2, 4, 8)
		for at, want := range map[float64]float64{1: 2, 2: 4, 3: 6, 4: 8} {
			y, outside := c.at(at)
			require.InDelta(t, want, y, 1e-12)
			require.False(t, outside)
		}
		y, outside := c.at(8)
		require.InDelta(t, 16, y, 1e-12)
		require.True(t, outside)
		y, outside = c.at(.5)
		require.InDelta(t, 1, y, 1e-12)
		require.True(t, outside)
	}
	require.Equal(t, []float64{2, 4.5, 4.5, 8}, curveOf(Linear, []float64{1, 2, 3, 4}, 2, 5, 4, 8).y)
	require.Equal(t, .5, curveOf(Linear, []float64{1, 2, 3, 4}, 2, 5, 4, 8).moved)
	require.Equal(t, []float64{2, 4.5, 4.5, 8}, curveOf(Linear, []float64{4, 3, 1, 2}, 8, 4, 2, 5).y, "any order of points")
	require.Equal(t, []float64{1, 2.5, 2.5, 4}, Monotone([]float64{1, 3, 2, 4}, nil))
	require.Equal(t, []float64{1, 2.25, 2.25, 4}, Monotone([]float64{1, 3, 2, 4}, []float64{1, 1, 3, 1}))

	falling := false
	raw := newCurve(&Table{X: []float64{1, 2}, Y: []Nanos{9, 1}, Monotone: &falling})
	require.Equal(t, []float64{9, 1}, raw.y)
	y, _ := raw.at(10)
	require.Zero(t, y, "never below 0")
	one := curveOf(Linear, []float64{3}, 7)
	for _, at := range []float64{0, 3, 10} {
		y, outside := one.at(at)
		require.Equal(t, 7.0, y)
		require.True(t, outside)
	}
}

func TestExtrapolationIsCounted(t *testing.T) {
	t.Parallel()
	for _, maxBatch := range []int{1, 8} {
		s := Defaults(TableKind)
		s.MaxBatch = maxBatch
		s.Table = Table{X: []float64{100, 200}, Y: []Nanos{1e6, 2e6}, Axis: AxisTokens}
		h := newHost(t, s)
		h.play([]arrival{{0, Item{ID: 0, Input: 150}}, {10 * ms, Item{ID: 1, Input: 400}}, {20 * ms, Item{ID: 2, Input: 10}}})
		require.Equal(t, []float64{1.5, 14, 20.1}, h.ends(3))
		n, m, x := h.pool.Extrapolated()
		require.Equal(t, uint64(2), n)
		require.Equal(t, 400.0, x)
		require.Same(t, h.pool.Model(h.r), m)
		require.False(t, m.Strict())
	}
	s := tokenSpec(2, Inline)
	s.Prefill = Prefill{Table: Table{X: []float64{100, 200}, Y: []Nanos{20e6, 50e6}}}
	h := newHost(t, s)
	h.play(at(Item{Input: 150, Output: 10}, 0))
	require.Equal(t, []float64{85}, h.ends(1)) // 35 + 10 steps of 5
	require.Equal(t, 35+5*10.0, millis(model(t, s).Best(Mix{Input: 150, Output: 10}))-35-10)
}

func TestHingeAndAffineTokens(t *testing.T) {
	t.Parallel()
	s := Defaults(Hinge)
	s.F, s.S, s.K, s.MaxBatch = Of(10*ms), 35_000, 128, 4
	h := newHost(t, s)
	h.play([]arrival{{0, Item{ID: 0, Input: 100}}, {ms, Item{ID: 1, Input: 100}}, {ms, Item{ID: 2, Input: 128}}})
	require.Equal(t, []float64{10, 23.5, 23.5}, h.ends(3)) // 228 tokens: 10 + 100·.035

	s = Defaults(AffineTokens)
	s.A, s.B, s.C, s.MaxBatch = Of(ms), 1000, .9, 4
	h = newHost(t, s)
	h.play([]arrival{{0, Item{ID: 0, Input: 100}}, {0, Item{ID: 1, Input: 100, Factor: 1.5}}, {0, Item{ID: 2, Input: 200, Factor: .5}}})
	require.Equal(t, 1.109, millis(h.got[0].At))
	require.Equal(t, 1.109+1.345, millis(h.got[1].At), "the factors' mean is 1: 1 + .3 + .0009·50")
	require.Equal(t, h.got[1].At, h.got[2].At)
	require.Equal(t, (1+.4+.036)/4, millis(model(t, s).Best(Mix{Input: 100})))
	require.Equal(t, (1+.4+.0036*20)/4, millis(model(t, s).Best(Mix{Input: 100, InputSq: 20_000})))
}

// Far from the bend the larger side rules, at it both are equal and the time is
// 2^(1/p) of them; a longer batch never takes less.
func TestSmoothMax(t *testing.T) {
	t.Parallel()
	s := Defaults(SmoothMax)
	require.Equal(t, 4.0, s.P)
	s.F, s.O, s.S, s.MaxBatch = 10e6, 2e6, 50_000, 4
	h := newHost(t, s)
	h.play([]arrival{{0, Item{ID: 0, Input: 160}}, {ms, Item{ID: 1, Input: 800}}, {ms, Item{ID: 2, Input: 800}}})
	bend := 10 * math.Pow(2, .25) // o + s·160 = f
	require.InDelta(t, bend, millis(h.got[0].At), 1e-6)
	require.InDelta(t, bend+82*math.Pow(1+math.Pow(10.0/82, 4), .25), millis(h.got[1].At), 1e-6)
	for _, p := range []float64{1, 4, 64} {
		s.P = p
		m, last := model(t, s), 0.0
		for n := range 2000 {
			y, outside := m.batchTime(1, float64(n), 0)
			require.False(t, outside)
			require.GreaterOrEqual(t, y, max(last, 10e6))
			last = y
		}
		require.InEpsilon(t, 2e6+50_000*1e9, SmoothMaximum(10e6, 2e6+50_000*1e9, p), 1e-4)
	}
	require.Zero(t, SmoothMaximum(0, 0, 4))
	require.Equal(t, 5.0, SmoothMaximum(2, 3, 1))
}

func TestBest(t *testing.T) {
	t.Parallel()
	require.Equal(t, 7*ms, model(t, Defaults(Service)).Best(Mix{Demand: 7 * ms}))
	require.Equal(t, 1500*time.Microsecond, model(t, affine(2*ms, ms, 4, 0)).Best(Mix{}))
	s := tokenSpec(2, Parallel)
	s.Prefill.Knee = 100
	m := model(t, s)
	half := func(f func(float64) float64) float64 { return (f(0) + f(200)) / 2 }
	require.Equal(t, 10*ms+60*ms, m.Best(Mix{Input: 100, Output: 10}), "the knee at the mean")
	require.Equal(t, 15*ms+60*ms, m.Best(Mix{Input: 100, Output: 10, MeanOver: half}), "over the distribution")
	s.Step.PerKV = 1000 // K̄ = E[output·(input + output/2)]/E[output] = (1000 + 200)/10
	require.Equal(t, 10*ms+60*ms+10*240*time.Microsecond, model(t, s).Best(Mix{Input: 100, Output: 10, OutputSq: 400}))
}

func TestRequestFactor(t *testing.T) {
	t.Parallel()
	s := Defaults(Tokens)
	s.Step.Base, s.Noise.Sigma, s.Straggler.Prob = 1e6, .5, .25
	m := model(t, s)
	require.True(t, m.RequestNoise())
	require.False(t, m.BatchNoise())
	require.InDelta(t, math.Exp(.5*1.2-.125), m.RequestFactor(1.2, .25), 1e-15)
	require.InDelta(t, 10*math.Exp(.5*1.2-.125), m.RequestFactor(1.2, .2499), 1e-14)
	dice := rand.NewPCG(1, 2)
	sum := 0.0
	const n = 400_000
	for range n {
		sum += m.RequestFactor(chance.Normal(dice), chance.Float(dice))
	}
	require.InEpsilon(t, 1+.25*9, sum/n, .01) // standard error .2 %
	require.Equal(t, 1.0, model(t, Defaults(Service)).RequestFactor(3, 0))
}

func TestFormula(t *testing.T) {
	t.Parallel()
	s := h100(64)
	s.Noise.Sigma = .03
	require.Equal(t, "t = prefill(input) + output·step(n, K), prefill(I) = 19.6us·I, step(n, K) = 6.4ms + 50ns·K, "+
		"prompts inline; slots 64; ×exp(σZ − σ²/2) per request, σ 0.03", model(t, s).Formula())
	require.Contains(t, model(t, affine(2*ms, ms, 4, 5*ms)).Formula(), "t(B) = 2ms + 1ms·B; slots 1, max_batch 4, max_delay 5ms")
	s = Defaults(Hinge)
	s.F, s.S, s.K = 1e6, 50, 128
	require.Contains(t, model(t, s).Formula(), "t(n) = 1ms + 50ns·max(0, n − 128)")
	s = Defaults(SmoothMax)
	s.F, s.O, s.S = 1e6, 2e6, 50
	require.Contains(t, model(t, s).Formula(), "t(n) = ((1ms)^p + (2ms + 50ns·n)^p)^(1/p), p = 4")
}

func TestRecordsStaySmall(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 64, unsafe.Sizeof(replica{}), "one cache line a replica")
	require.EqualValues(t, 32, unsafe.Sizeof(node{}), "32 B a request of a plain replica")
	require.EqualValues(t, 48, unsafe.Sizeof(Event{}))
}

func TestChecks(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, c := range map[string]struct {
		kind  Kind
		edit  func(*Spec)
		paths []string
	}{
		"unknown names":    {"gpu", func(s *Spec) { s.Queue, s.Extrapolate, s.Noise.Per = "x", "y", "z" }, []string{"kind", "queue", "extrapolate", "noise.per"}},
		"negative":         {Affine, func(s *Spec) { s.A, s.B = -1, -1 }, []string{"a", "b"}},
		"zero slope":       {Affine, func(s *Spec) { s.A = 1 }, []string{"b"}},
		"too long":         {Affine, func(s *Spec) { s.A, s.B = 1e11+1, Nanos(nan) }, []string{"a", "b"}},
		"another's":        {Affine, func(s *Spec) { s.B, s.C, s.Prompts, s.Step.Base = 1, 1, Inline, 1 }, []string{"c", "step", "prompts"}},
		"batch":            {Affine, func(s *Spec) { s.B, s.MaxBatch, s.Slots, s.MaxDelay = 1, 0, 65, 11*time.Second }, []string{"slots", "max_batch", "max_delay"}},
		"no batch":         {Service, func(s *Spec) { s.MaxBatch = 2 }, []string{"max_batch"}},
		"ps batches":       {Affine, func(s *Spec) { s.B, s.MaxBatch, s.Queue = 1, 2, PS }, []string{"queue"}},
		"ps noise":         {Affine, func(s *Spec) { s.B, s.Queue, s.Noise.Per = 1, PS, PerBatch }, []string{"noise.per"}},
		"ps tokens":        {Tokens, func(s *Spec) { s.Step.Base, s.Queue = 1, PS }, []string{"queue"}},
		"sjf":              {Service, func(s *Spec) { s.Queue = SJF }, []string{"queue"}},
		"limits":           {Service, func(s *Spec) { s.QueueLimit, s.QueueTimeout = -2, -1 }, []string{"queue_timeout", "queue_limit"}},
		"chance":           {Service, func(s *Spec) { s.Noise.Sigma, s.Straggler.Prob, s.Straggler.Factor = 2.1, nan, .5 }, []string{"noise.sigma", "straggler.prob", "straggler.factor"}},
		"half a straggler": {Service, func(s *Spec) { s.Straggler.FastFor = 1 }, []string{"straggler"}},
		"short straggles":  {Service, func(s *Spec) { s.Straggler.FastFor, s.Straggler.SlowFor = 1, ms }, []string{"straggler"}},
		"tokens": {Tokens, func(s *Spec) {
			s.Prefill, s.Step, s.Prompts, s.Slots = Prefill{Floor: -1, PerToken: 1e9, Knee: nan}, Step{PerSeq: -1, PerKV: 1e7}, "", 4097
		}, []string{"prefill.floor", "prefill.per_token", "prefill.knee", "step.base", "step.per_seq", "step.per_kv", "prompts", "slots"}},
		"tokens per batch": {Tokens, func(s *Spec) { s.Step.Base, s.Noise.Per = 1, PerBatch }, []string{"noise.per"}},
		"idle hinge":       {Hinge, func(*Spec) {}, []string{"f"}},
		"idle smooth-max":  {SmoothMax, func(s *Spec) { s.P, s.K = .5, 3 }, []string{"p", "f", "k"}},
		"empty table":      {TableKind, func(*Spec) {}, []string{"table"}},
		"two y":            {TableKind, func(s *Spec) { s.Table = Table{X: []float64{1, 1}, Y: []Nanos{1, 2}} }, []string{"table.x[1]"}},
		"bad points":       {TableKind, func(s *Spec) { s.Table = Table{X: []float64{nan, 1}, Y: []Nanos{1, -2}} }, []string{"table.x[0]", "table.y[1]"}},
		"log of zero":      {TableKind, func(s *Spec) { s.Table = Table{X: []float64{0, 1}, Y: []Nanos{1, 2}, Scale: LogLog} }, []string{"table.x[0]"}},
		"strict grid": {TableKind, func(s *Spec) {
			s.Table, s.Extrapolate, s.MaxBatch = Table{X: []float64{1, 4}, Y: []Nanos{1, 2}}, ExtrapolateError, 8
		}, []string{"table.x"}},
		"prompt both ways": {Tokens, func(s *Spec) {
			s.Step.Base, s.Prefill = 1, Prefill{Floor: 1, Table: Table{X: []float64{1}, Y: []Nanos{1}}}
		}, []string{"prefill"}},
		"length of a batch": {Affine, func(s *Spec) { s.B, s.MaxModelLen = 1, 10 }, []string{"max_model_len"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Defaults(c.kind)
			c.edit(&s)
			m, problems := New(s)
			require.Nil(t, m)
			var paths []string
			for _, p := range problems {
				paths = append(paths, p.Path)
				require.NotEmpty(t, p.Msg)
			}
			require.ElementsMatch(t, c.paths, paths, "%v", problems)
		})
	}
}

func TestNanos(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"0": 0, "0ms": 0, "0.95ms": .95e6, "19.6us": 19600, "0.9ns": .9, "2.68ns": 2.68, "1e2µs": 1e5, "1.5s": 1.5e9, "2m": 120e9, "-3ms": -3e6,
	} {
		var n Nanos
		require.NoError(t, n.UnmarshalText([]byte(text)), text)
		require.InDelta(t, want, float64(n), math.Abs(want)*1e-12, text)
		var back Nanos
		written, err := n.MarshalText()
		require.NoError(t, err)
		require.NoError(t, back.UnmarshalText(written))
		require.InDelta(t, float64(n), float64(back), math.Abs(want)*1e-9)
	}
	for _, text := range []string{"", "5", "ms", "1.2.3ms", "nanms", "infs", "1e999s", "5 minutes", "0x", "3km", "1ms2", "one ms", "2.68 ns", "1|ms", "1 1ms", "0x1p3ms", "1_0ms"} {
		var n Nanos
		require.Error(t, n.UnmarshalText([]byte(text)), text)
	}
}

func FuzzNanos(f *testing.F) {
	for _, s := range []string{"0.95ms", "1e3us", "", "ns", "-1s", "µs", "1|ms", "%gms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var n Nanos
		if n.UnmarshalText([]byte(s)) == nil {
			require.False(t, math.IsNaN(float64(n)) || math.IsInf(float64(n), 0), "%q", s)
		}
	})
}
