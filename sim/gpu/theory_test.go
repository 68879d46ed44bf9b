package gpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
)

// sample is what a stream of Poisson arrivals met.
type sample struct {
	stays   []float64 // ms, in order of completion, the first 5 % left out
	batches int       // Settle calls that finished something
	done    int
}

// poisson sends n requests to one replica; draw makes a request.
func poisson(t testing.TB, s Spec, n int, rate float64, seed uint64, draw func(*rand.PCG) Item) sample {
	t.Helper()
	p := NewPool(1, 1024)
	p.SkipBegan = true
	r := p.Add(model(t, s), 1, chance.Stream(chance.RunSeed(seed, 0), "noise/main/0"))
	gaps := chance.Stream(chance.RunSeed(seed, 0), "arrivals")
	sizes := chance.Stream(chance.RunSeed(seed, 0), "sizes")
	out := sample{stays: make([]float64, 0, n)}
	var ev Events
	due, exact := Due{At: Never}, 0.0
	step := func() {
		ev.List = ev.List[:0]
		if due.Timer {
			due = p.Expire(due.At, r, &ev)
			return
		}
		due = p.Settle(due.At, r, &ev)
		if len(ev.List) > 0 {
			out.batches++
		}
		for _, e := range ev.List {
			if out.done++; out.done > n/20 {
				out.stays = append(out.stays, millis(e.Queue+e.Batch+e.Service))
			}
		}
	}
	for i := range n {
		exact += chance.Exp(&gaps) * 1e9 / rate
		at := time.Duration(exact + .5)
		for due.At < at || due.At == at && !due.Timer {
			step()
		}
		it := draw(&sizes)
		it.ID = uint32(i)
		due = p.Accept(at, r, &it, &ev)
	}
	for due.At != Never {
		step()
	}
	require.Equal(t, n, out.done)
	return out
}

func (s *sample) mean() float64 {
	sum := 0.0
	for _, x := range s.stays {
		sum += x
	}
	return sum / float64(len(s.stays))
}

func fixed(it Item) func(*rand.PCG) Item { return func(*rand.PCG) Item { return it } }

// M/D/1: mean stay = s + ρs/(2(1−ρ)), within 1 % at a million requests (the
// standard error at ρ .8 is about .2 %, so a false alarm is beyond five of them).
func TestMD1(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rho, want float64 }{{.6, 5.25}, {.8, 9}} {
		t.Run(fmt.Sprint(c.rho), func(t *testing.T) {
			t.Parallel()
			s := poisson(t, affine(2*ms, ms, 1, 0), 1_000_000, c.rho/.003, 7, fixed(Item{}))
			require.InEpsilon(t, c.want, s.mean(), .01)
		})
	}
}

// The dynamic batching oracle of the specification (Poisson, max_batch 32, one
// slot): P50, P90, P99, P99.9 in ms and the mean batch, 5 runs of 200,000.
// Tolerances are the specification's; run to run the mean of five moves by less
// than half of them, so a false alarm at these fixed seeds is a change of code.
func TestBatchingOracle(t *testing.T) {
	t.Parallel()
	t4 := [2]time.Duration{1190 * time.Microsecond, 950 * time.Microsecond}
	a100 := [2]time.Duration{887 * time.Microsecond, 134 * time.Microsecond}
	for _, c := range []struct {
		gpu    string
		ab     [2]time.Duration
		rho    float64
		rate   float64
		delay  time.Duration
		want   [4]float64
		batch  float64
		always bool // also in short mode
	}{
		{"t4", t4, .3, 303.89, 0, [4]float64{2.85, 5.11, 7.16, 9.17}, 1.21, true},
		{"t4", t4, .3, 303.89, 2 * ms, [4]float64{4.76, 6.04, 8.10, 10.1}, 1.65, true},
		{"t4", t4, .6, 607.79, 0, [4]float64{5.45, 9.59, 14.44, 19.1}, 2.14, false},
		{"t4", t4, .6, 607.79, 2 * ms, [4]float64{6.14, 10.10, 14.93, 19.6}, 2.77, false},
		{"t4", t4, .8, 810.38, 0, [4]float64{9.90, 18.5, 28.8, 37.9}, 4.43, false},
		{"t4", t4, .8, 810.38, 2 * ms, [4]float64{10.16, 18.7, 29.0, 38.3}, 4.96, false},
		{"t4", t4, .9, 911.68, 0, [4]float64{16.8, 32.3, 49.8, 64.1}, 8.25, false},
		{"a100", a100, .3, 1855.07, 0, [4]float64{1.89, 2.51, 3.04, 3.45}, 2.34, false},
		{"a100", a100, .3, 1855.07, 2 * ms, [4]float64{2.92, 3.69, 4.09, 4.36}, 4.71, true},
		{"a100", a100, .6, 3710.14, 0, [4]float64{2.79, 3.91, 4.94, 5.77}, 6.56, false},
		{"a100", a100, .6, 3710.14, 2 * ms, [4]float64{3.38, 4.36, 5.25, 6.05}, 8.80, false},
		{"a100", a100, .8, 4946.86, 0, [4]float64{4.13, 5.95, 7.69, 9.04}, 13.04, false},
		{"a100", a100, .9, 5565.22, 0, [4]float64{5.48, 8.02, 10.35, 12.2}, 19.45, false},
	} {
		t.Run(fmt.Sprintf("%s/%g/%v", c.gpu, c.rho, c.delay), func(t *testing.T) {
			t.Parallel()
			if (testing.Short() || raceOn) && !c.always {
				t.Skip("short or under the race detector: three rows of the oracle stand for all")
			}
			const seeds, n = 5, 200_000
			var got [4]float64
			batch := 0.0
			for seed := range uint64(seeds) {
				s := poisson(t, affine(c.ab[0], c.ab[1], 32, c.delay), n, c.rate, seed+1, fixed(Item{}))
				slices.Sort(s.stays)
				for i, q := range []float64{.5, .9, .99, .999} {
					got[i] += s.stays[int(q*float64(len(s.stays)))] / seeds
				}
				batch += n / float64(s.batches) / seeds
			}
			eps := [4]float64{.02, .02, .02, .05}
			batchEps := .02
			if c.rho == .9 {
				eps, batchEps = [4]float64{.05, .05, .05, .05}, .05
			}
			for i := range got {
				require.InEpsilon(t, c.want[i], got[i], eps[i], "got %v", got)
			}
			require.InEpsilon(t, c.batch, batch, batchEps)
		})
	}
}

func exponential(mean time.Duration) func(*rand.PCG) Item {
	return func(p *rand.PCG) Item { return Item{Demand: time.Duration(chance.Exp(p) * float64(mean))} }
}

// M/M/1 by every discipline that does not look at sizes has the same mean, 1/(μ−λ);
// M/M/1-PS too. M/M/2: Erlang C. Standard error about .5 % at these seeds.
func TestExponentialService(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		queue string
		slots int
		rate  float64
		want  float64
	}{
		{FCFS, 1, 700, 10.0 / 3}, {LIFO, 1, 700, 10.0 / 3}, {PS, 1, 700, 10.0 / 3}, {Priority, 1, 700, 10.0 / 3},
		{FCFS, 2, 1400, 1 / (1 - .49)}, {PS, 2, 1400, 1 / (1 - .49)}, // M/M/2: 1/(μ(1−ρ²))
	} {
		t.Run(fmt.Sprint(c.queue, c.slots), func(t *testing.T) {
			t.Parallel()
			s := Defaults(Service)
			s.Queue, s.Slots = c.queue, c.slots
			got := poisson(t, s, 400_000, c.rate, 11, exponential(ms))
			require.InEpsilon(t, c.want, got.mean(), .02)
		})
	}
}

// sjf beats fcfs by the known mean of M/M/1 under shortest job first at ρ .7,
// E[T] = 1 + ∫ ρ e^(−x) / (1−ρ(1−(1+x)e^(−x)))² dx (Phipps 1956), 2.3122 by
// numerical integration below.
func TestShortestFirst(t *testing.T) {
	t.Parallel()
	const rho = .7
	want := 1.0
	for x := .0005; x < 40; x += .001 {
		e := math.Exp(-x)
		want += .001 * rho * e / sq(1-rho*(1-(1+x)*e))
	}
	s := Defaults(Service)
	s.Queue, s.Oracle = SJF, true
	got := poisson(t, s, 400_000, rho*1000, 11, exponential(ms))
	require.InEpsilon(t, want, got.mean(), .02)
}

// tokens with one slot is M/G/1 FCFS: Pollaczek–Khinchine with the moments of the
// drawn service times.
func TestOneSlotOfTokensIsMG1(t *testing.T) {
	t.Parallel()
	spec := h100(1)
	m := model(t, spec)
	var sum, sum2, n float64
	const rate = 1.2
	got := poisson(t, spec, 200_000, rate, 5, func(p *rand.PCG) Item {
		it := Item{Input: 1 + uint32(chance.Below(p, 2000)), Output: 1 + uint32(chance.Below(p, 150)), Factor: m.RequestFactor(chance.Normal(p), .5)}
		s := it.Factor * (19600*float64(it.Input) + float64(it.Output)*(6.4e6+50*(float64(it.Input)+float64(it.Output)/2))) / 1e6
		sum, sum2, n = sum+s, sum2+s*s, n+1
		return it
	})
	es, es2, lambda := sum/n, sum2/n, rate/1000
	want := es + lambda*es2/(2*(1-lambda*es))
	require.InEpsilon(t, want, got.mean(), .02)
}

// With c = b = 0, parallel prompts and slots for all nobody slows anybody.
func TestFreeTokensDoNotFeelLoad(t *testing.T) {
	t.Parallel()
	s := tokenSpec(4096, Parallel)
	s.Step = Step{Base: Of(5 * ms)}
	got := poisson(t, s, 20_000, 2000, 3, fixed(Item{Input: 100, Output: 10}))
	for _, x := range got.stays {
		require.InDelta(t, 70, x, 1e-6)
	}
}

// At the rate that Best calls load .8 the slots are busy for about that share of
// the time or less, and at 1.2 the queue grows without end: E[work] is the unit
// of load.
func TestBestIsTheUnitOfLoad(t *testing.T) {
	t.Parallel()
	m := model(t, h100(16))
	work := m.Best(Mix{Input: 512, Output: 180})
	for _, c := range []struct {
		load   float64
		stable bool
	}{{.8, true}, {1.2, false}} {
		s := poisson(t, h100(16), 20_000, c.load*16/work.Seconds(), 2, fixed(Item{Input: 512, Output: 180}))
		half := len(s.stays) / 2
		first, second := sample{stays: s.stays[:half]}, sample{stays: s.stays[half:]}
		require.Equal(t, c.stable, second.mean() < 1.5*first.mean(), "load %g: %g then %g", c.load, first.mean(), second.mean())
	}
}

func sq(x float64) float64 { return x * x }
