package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/sim/gpu"
)

// Exact points of a bend give its four parameters back.
func TestSmoothMaxExact(t *testing.T) {
	t.Parallel()
	want := []float64{10, 2, 0.05, 3}
	var points []Point
	for x := 8.0; x <= 4096; x *= 2 {
		p := Point{Items: 1, Tokens: x}
		p.MS = bendAt(p, want)
		points = append(points, p)
	}
	s, r, err := Fit(gpu.SmoothMax, points, Options{})
	require.NoError(t, err)
	require.InEpsilon(t, 10e6, float64(s.F), 1e-3)
	require.InEpsilon(t, 2e6, float64(s.O), 1e-2)
	require.InEpsilon(t, 0.05e6, float64(s.S), 1e-3)
	require.InEpsilon(t, 3.0, s.P, 1e-2)
	require.Less(t, r.MAPE, 0.01)
	require.Less(t, r.LOO, 1.0)
	require.Empty(t, r.Warnings)
	_, problems := gpu.New(s)
	require.Empty(t, problems)

	_, _, err = Fit(gpu.SmoothMax, points[:3], Options{})
	require.ErrorContains(t, err, "3 measured points for 4 parameters")
	flat := points[:0:0]
	for _, p := range points {
		flat = append(flat, Point{Items: 1, Tokens: p.Tokens, MS: 7})
	}
	_, _, err = Fit(gpu.SmoothMax, flat, Options{})
	require.ErrorContains(t, err, "no bend")
}

// Repeated sizes are averaged by weight, falling neighbours pooled.
func TestTableOfPoints(t *testing.T) {
	t.Parallel()
	s, r, err := Fit(gpu.TableKind, []Point{{Items: 4, MS: 8}, {Items: 1, MS: 2}, {Items: 2, MS: 4}, {Items: 1, MS: 2}}, Options{})
	require.NoError(t, err)
	require.Equal(t, gpu.Table{X: []float64{1, 2, 4}, Y: []gpu.Nanos{2e6, 4e6, 8e6}, Axis: gpu.AxisItems}, s.Table)
	require.InDelta(t, 0, r.MAPE, 1e-12)
	require.InDelta(t, 0, r.LOO, 1e-12, "the curve is a straight line, beyond its ends as well")
	require.Empty(t, r.Warnings)
	_, problems := gpu.New(s)
	require.Empty(t, problems)

	s, _, err = Fit(gpu.TableKind, []Point{{Tokens: 10, MS: 1}, {Tokens: 20, MS: 4}, {Tokens: 30, MS: 2}}, Options{Weight: Root})
	require.NoError(t, err)
	require.Equal(t, gpu.AxisTokens, s.Table.Axis)
	pooled := (4*0.25 + 2*0.5) / 0.75 // weights 1/y
	require.InDeltaSlice(t, []float64{1e6, pooled * 1e6, pooled * 1e6}, []float64{float64(s.Table.Y[0]), float64(s.Table.Y[1]), float64(s.Table.Y[2])}, 1)
	_, _, err = Fit(gpu.TableKind, nil, Options{})
	require.ErrorIs(t, err, errNoPoints)
}

// Dividing by √y lets the long times count for more.
func TestWeights(t *testing.T) {
	t.Parallel()
	points := sized(3, 4, 5, 12)
	relative, _, err := Fit(gpu.Affine, points, Options{})
	require.NoError(t, err)
	root, _, err := Fit(gpu.Affine, points, Options{Weight: Root})
	require.NoError(t, err)
	require.Greater(t, root.B, relative.B, "the last point is the one above the line")
}

// law is the TPOT of a full closed loop of a tokens model, by its definition.
func law(a, b, c, s float64, l Loop) float64 {
	return a + b*l.Concurrency + c*l.Concurrency*(l.Input+l.Output/2) + s*(l.Concurrency-1)*l.Input/l.Output
}

func sweep(a, b, c, s, floor, knee float64) (rows []Loop) {
	for _, n := range []float64{1, 4, 16, 64} {
		for _, in := range []float64{128, 256, 512, 2048} {
			for _, out := range []float64{64, 256} {
				l := Loop{Concurrency: n, Input: in, Output: out}
				l.TPOT = law(a, b, c, s, l)
				if n == 1 {
					l.TTFT = floor + s*max(0, in-knee) + law(a, b, c, s, l)
				}
				rows = append(rows, l)
			}
		}
	}
	return rows
}

func TestLoopsExact(t *testing.T) {
	t.Parallel()
	s, r, err := FitLoops(sweep(6.4, 0.1, 5e-5, 0.02, 5, 256), Options{})
	require.NoError(t, err)
	require.InEpsilon(t, 6.4e6, float64(s.Step.Base), 1e-6)
	require.InEpsilon(t, 0.1e6, float64(s.Step.PerSeq), 1e-6)
	require.InEpsilon(t, 50, float64(s.Step.PerKV), 1e-6)
	require.InEpsilon(t, 20_000, float64(s.Prefill.PerToken), 1e-6)
	require.InEpsilon(t, 5e6, float64(s.Prefill.Floor), 1e-6)
	require.InDelta(t, 256, s.Prefill.Knee, 0)
	require.InDelta(t, 0, r.MAPE, 1e-6)
	require.InDelta(t, 0, r.LOO, 1e-6)
	require.Empty(t, r.Warnings)
	_, problems := gpu.New(s)
	require.Empty(t, problems)
}

// Where loops show no prompts, the slope comes from the first tokens; where those are
// not told either, the report says so.
func TestLoopsThatShowLess(t *testing.T) {
	t.Parallel()
	rows := sweep(6, 0, 0, 0, 0, 0)
	for i := range rows {
		if rows[i].TTFT > 0 {
			rows[i].TTFT += 0.03 * rows[i].Input
		}
	}
	s, r, err := FitLoops(rows, Options{})
	require.NoError(t, err)
	require.InEpsilon(t, 30_000, float64(s.Prefill.PerToken), 0.01)
	require.Contains(t, r.Warnings, "prefill.per_token is 0: the points do not show it")
	few := sweep(6, 0.1, 5e-5, 0.02, 0, 0)[8:14] // of one concurrency
	_, r, err = FitLoops(few, Options{})
	require.NoError(t, err)
	require.Contains(t, r.Warnings, "6 loops for 4 parameters: take 8 or more")
	require.Contains(t, r.Warnings, "concurrency from 4 to 4: measure over a factor of 4 or more")
	require.Contains(t, r.Warnings, "no loop of one request tells its TTFT: prefill.floor and prefill.knee stay 0")
	for _, bad := range []Loop{{0, 1, 8, 1, 0}, {1, -1, 8, 1, 0}, {1, 1, 1, 1, 0}, {1, 1, 8, 0, 0}, {1, 1, 8, math.Inf(1), 0}, {1, 1, 8, math.NaN(), 0}} {
		_, _, err = FitLoops(append(sweep(6, 0, 0, 0, 0, 0), bad), Options{})
		require.ErrorContains(t, err, "row 33")
	}
	_, _, err = FitLoops(nil, Options{})
	require.ErrorIs(t, err, errNoPoints)
}

// poisson draws requests for one replica or several, and has a model serve them.
func poisson(t *testing.T, s gpu.Spec, n, replicas int, gap float64) []Served {
	t.Helper()
	dice, at := rand.New(rand.NewPCG(1, 2)), 1e6
	run := make([]Served, n)
	for i := range run {
		at += gap * dice.ExpFloat64()
		run[i] = Served{Replica: i % replicas, Arrival: at, First: at, Last: at,
			Input: float64(50 + dice.IntN(1000)), Output: float64(1 + dice.IntN(400))}
	}
	played, err := Play(s, run)
	require.NoError(t, err)
	return played
}

func known() gpu.Spec {
	s := gpu.Defaults(gpu.Tokens)
	s.Slots = 32
	s.Step = gpu.Step{Base: 8e6, PerSeq: 0.2e6, PerKV: 100}
	s.Prefill = gpu.Prefill{PerToken: 30_000}
	return s
}

// A run that a model has served tells its parameters, and the number of its slots where
// they were full.
func TestServedExact(t *testing.T) {
	t.Parallel()
	run := poisson(t, known(), 600, 2, 70)
	s, r, err := FitServed(run)
	require.NoError(t, err)
	require.InEpsilon(t, 8e6, float64(s.Step.Base), 0.02)
	require.InEpsilon(t, 0.2e6, float64(s.Step.PerSeq), 0.05)
	require.InEpsilon(t, 100, float64(s.Step.PerKV), 0.05)
	require.InEpsilon(t, 30_000, float64(s.Prefill.PerToken), 0.05)
	require.Equal(t, 32, s.Slots)
	require.Less(t, r.MAPE, 0.5)
	require.Less(t, r.LOO, 0.5)
	require.Empty(t, r.Warnings)
	score, err := HoldOut(run)
	require.NoError(t, err)
	require.Equal(t, 400, score.N)
	for _, x := range []Score{score.TTFT, score.TPOT, score.E2E} {
		require.Less(t, math.Abs(x.Worst()), 5.0)
	}
}

func TestServedRefuses(t *testing.T) {
	t.Parallel()
	run := poisson(t, known(), 9, 1, 70)
	for i := range run {
		run[i].Output = 1
	}
	_, _, err := FitServed(run)
	require.ErrorContains(t, err, "0 requests of two or more output tokens")
	run[3].First = run[3].Arrival - 1
	_, _, err = FitServed(run)
	require.ErrorContains(t, err, "request 4")
	_, err = Play(known(), run)
	require.ErrorContains(t, err, "request 4")
	_, err = Play(gpu.Defaults(gpu.Service), nil)
	require.ErrorContains(t, err, "demand")
	_, err = Play(gpu.Defaults(gpu.Tokens), nil)
	require.ErrorContains(t, err, "step.base")
	small := known()
	small.MaxModelLen = 60
	_, err = Play(small, poisson(t, known(), 3, 1, 70))
	require.ErrorContains(t, err, "too_long")
}

// One factor is found again that all times were multiplied by, for slots and for batches.
func TestCalibrateFindsTheFactor(t *testing.T) {
	t.Parallel()
	batches := gpu.Defaults(gpu.AffineTokens)
	batches.A, batches.B, batches.C, batches.MaxBatch = 3e6, 20_000, 1, 8
	for _, s := range []gpu.Spec{known(), batches} {
		c, err := Calibrate(s, poisson(t, Scaled(s, 1.25), 300, 1, 150))
		require.NoError(t, err)
		require.InEpsilon(t, 1.25, c.Scale, 1e-4)
		require.Equal(t, 100, c.From)
		require.Equal(t, 200, c.After.N)
		require.Less(t, math.Abs(c.After.E2E.Worst()), 0.1)
		require.Less(t, c.Before.E2E.Worst(), -15.0)
	}
	_, err := Calibrate(known(), poisson(t, Scaled(known(), 3), 30, 1, 4000))
	require.ErrorContains(t, err, "not a model of this run")
	_, err = Calibrate(known(), nil)
	require.ErrorContains(t, err, "three or more")
}

func TestScaled(t *testing.T) {
	t.Parallel()
	s := gpu.Defaults(gpu.TableKind)
	s.Table = gpu.Table{X: []float64{1, 2}, Y: []gpu.Nanos{3, 5}}
	require.Equal(t, []gpu.Nanos{6, 10}, Scaled(s, 2).Table.Y)
	require.Equal(t, []gpu.Nanos{3, 5}, s.Table.Y)
}
