package verify

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim"
)

// wrong simulates something else than it is asked for.
type wrong func(c *scenarios.Cell)

func (f wrong) Run(ctx context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	list := make([]scenarios.Run, len(runs))
	for i, r := range runs {
		c := *r.Cell
		f(&c)
		r.Cell = &c
		list[i] = r
	}
	return sim.Host{}.Run(ctx, list, rec)
}

func nothing(*scenarios.Cell) {}

// ofRate multiplies the rate of arrivals.
func ofRate(factor float64) wrong { return func(c *scenarios.Cell) { c.RateRPS *= factor } }

// ofPolicy takes another balancer.
func ofPolicy(name string) wrong {
	return func(c *scenarios.Cell) {
		e, ok := balance.Catalog().Find("balance", name)
		if !ok {
			panic("no balancer called " + name)
		}
		c.Balancers = []scenarios.Policy{{Make: func() balance.Balancer { return e.New().(balance.Balancer) }}}
	}
}

// verify runs points with few requests.
func verify(t *testing.T, h wrong, seed uint64, requests float64, points ...Point) []*reports.TheoryCheck {
	t.Helper()
	w := &Work{o: Options{Seed: seed, Confidence: 0.99, Correction: reports.CorrectionHolm, Catalog: balance.Catalog()},
		effort: effort{requests: requests, seeds: seeds}}
	for _, p := range points {
		x, err := prepare(p, w.effort, w.o.Catalog)
		require.NoError(t, err)
		w.list = append(w.list, x)
	}
	checks, err := w.Run(context.Background(), h, nil)
	require.NoError(t, err)
	return checks
}

func failures(checks []*reports.TheoryCheck) (out []string) {
	for _, c := range checks {
		if c.Verdict == reports.Fail {
			out = append(out, fmt.Sprintf("%s %s: theory %g, simulated %g, t %g, p %g", c.Label, c.Metric, c.Theory, c.Simulated, c.T, c.Adjusted))
		}
	}
	return out
}

func point(name string, edit func(p *Point)) Point {
	p := find(name).points(true)[0]
	edit(&p)
	return p
}

// One point of every case that is cheap, none of them on the grid. A false alarm has a
// chance of 1e-4 on a change of streams: it must fail twice at 1 %.
func TestSimulatorAgreesWithTheory(t *testing.T) {
	t.Parallel()
	checks := verify(t, nothing, 3, 600,
		point("mm1", func(p *Point) { p.Rho, p.N = .35, 3 }),
		point("mmc", func(p *Point) { p.Rho, p.N = .6, 7 }),
		point("mmck", func(p *Point) { p.Rho, p.N, p.Room = 1.7, 3, 8 }),
		point("md1", func(p *Point) { p.Rho = .4 }),
		point("mg1", func(p *Point) { p.Rho, p.Service = .45, "hyper1.5" }),
		point("mg1ps", func(p *Point) { p.Rho, p.Service = .5, "exp" }),
		point("rr_gim1", func(p *Point) { p.Rho, p.N = .55, 5 }),
		point("jsq_n2", func(p *Point) { p.Rho = .45 }),
		point("jsq_n2_replacement", func(p *Point) { p.Rho = .45 }),
		point("jsqd_limit", func(p *Point) { p.Rho, p.N, p.Choices = .4, 100, 3 }),
		point("jiq_mf", func(p *Point) { p.Rho, p.N, p.Dispatchers = .4, 100, 25 }),
		point("stale_periodic", func(p *Point) { p.Rho, p.N, p.Every = .4, 100, .7 }),
		point("batching", func(p *Point) { p.Rho, p.Room, p.Service = .5, 6, "3ms+500us" }),
	)
	require.Empty(t, failures(checks))
	seen := map[string]bool{}
	for _, c := range checks {
		seen[c.Case] = true
		require.Equal(t, seeds, c.Seeds)
		require.NotNil(t, c.CI, c.Label)
	}
	require.Len(t, seen, len(Models()), "a case is left out")
}

// A simulator that is wrong is found out: too many arrivals, another policy.
func TestWrongSimulationsAreDetected(t *testing.T) {
	t.Parallel()
	mm1 := point("mm1", func(p *Point) { p.Rho = .6 })
	many := point("jsqd_limit", func(p *Point) { p.Rho, p.N = .6, 100 })
	for name, c := range map[string]struct {
		host  wrong
		point Point
		want  string
	}{
		"5% more arrivals":     {ofRate(1.05), mm1, "mm1 rho=0.6 mean"},
		"5% fewer arrivals":    {ofRate(.95), mm1, "mm1 rho=0.6 mean"},
		"random for p2c":       {ofPolicy("random"), many, "jsqd_limit n=100 d=2 rho=0.6 p99"},
		"all queues for p2c":   {ofPolicy("least-outstanding"), many, "jsqd_limit n=100 d=2 rho=0.6 p50"},
		"a fifth of the tail":  {func(c *scenarios.Cell) { c.Setup = fasterAt(c.Setup) }, mm1, "mm1 rho=0.6 p99"},
		"nobody turned away":   {ofPolicy("central-queue"), point("mmck", func(p *Point) { p.Rho = .95 }), "blocked"},
		"the longer queue too": {ofPolicy("random"), point("jsq_n2", func(p *Point) { p.Rho = .5 }), "jsq_n2 rho=0.5 mean"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(failures(verify(t, c.host, 3, 1500, c.point)), "\n")
			require.Contains(t, got, c.want)
		})
	}
}

// fasterAt is a fleet whose replicas are 10% faster than they should be.
func fasterAt(s *scenarios.Setup) *scenarios.Setup {
	out := *s
	out.Services = append([]scenarios.Service{}, s.Services...)
	svc := &out.Services[0]
	svc.Groups = append([]scenarios.Group{}, svc.Groups...)
	svc.Groups[0].Speed *= 1.1
	return &out
}

// What fails by chance is simulated again before it counts: with a confidence so low
// that every second command would cry, the second look clears most.
func TestDoubtfulChecksAreRepeated(t *testing.T) {
	t.Parallel()
	w := &Work{o: Options{Seed: 11, Confidence: 0.01, Correction: reports.CorrectionNone, Catalog: balance.Catalog()},
		effort: effort{requests: 500, seeds: seeds}}
	x, err := prepare(point("mm1", func(p *Point) { p.Rho = .5 }), w.effort, w.o.Catalog)
	require.NoError(t, err)
	w.list = []*experiment{x}
	checks, err := w.Run(context.Background(), sim.Host{}, nil)
	require.NoError(t, err)
	repeated := 0
	for _, c := range checks {
		if c.Repeated {
			repeated++
			require.GreaterOrEqual(t, c.Requests, int64(repeatTimes*x.size.measured))
		}
	}
	require.Positive(t, repeated)
	require.Less(t, len(failures(checks)), repeated, "a second look cleared none")
}

// The result depends on the seed, not on the number of goroutines.
func TestJobsChangeNothing(t *testing.T) {
	t.Parallel()
	run := func(jobs int, seed uint64) []*reports.TheoryCheck {
		w := &Work{o: Options{Seed: seed, Jobs: jobs, Confidence: .99, Correction: reports.CorrectionHolm, Catalog: balance.Catalog()},
			effort: effort{requests: 300, seeds: 4}}
		x, err := prepare(point("jsq_n2", func(p *Point) { p.Rho = .3 }), w.effort, w.o.Catalog)
		require.NoError(t, err)
		w.list = []*experiment{x}
		checks, err := w.Run(context.Background(), sim.Host{}, nil)
		require.NoError(t, err)
		return checks
	}
	require.Equal(t, run(1, 5), run(3, 5))
	require.NotEqual(t, run(1, 5), run(1, 6))
}

func TestPoints(t *testing.T) {
	t.Parallel()
	labels := func(w Want) (out []string) {
		points, err := w.Points(true)
		require.NoError(t, err)
		for _, p := range points {
			out = append(out, p.Label())
		}
		return out
	}
	require.Equal(t, []string{"mm1 rho=0.2", "mm1 rho=0.4"}, labels(Want{Cases: []string{"mm1"}, Rho: []float64{.2, .4}}))
	require.Equal(t, []string{"mg1 det rho=0.7", "mg1ps det rho=0.7"}, labels(Want{Cases: []string{"mg1", "mg1ps"}, Service: []string{"det"}}))
	require.Equal(t, []string{"mmck n=8 K=14 rho=0.9"}, labels(Want{Cases: []string{"mmck"}, N: []int{8}}), "as much room to wait")
	require.Equal(t, []string{"jiq_mf n=200 m=20 rho=0.7"}, labels(Want{Cases: []string{"jiq-mf"}, N: []int{200}}), "as many replicas each")
	require.Equal(t, []string{"jsqd_limit n=500 d=4 rho=0.7", "stale_periodic n=500 d=4 T=1 rho=0.7"}, labels(Want{Choices: []int{4}}), "the cases that take it")
	require.Len(t, labels(Want{Rho: []float64{.3}}), len(Models()))
	full, err := (&Want{}).Points(false)
	require.NoError(t, err)
	quick, err := (&Want{}).Points(true)
	require.NoError(t, err)
	require.Greater(t, len(full), 2*len(quick))
	for _, p := range append(full, quick...) {
		require.NoError(t, find(p.Case).check(p), p.Label())
	}
}

func TestBadPoints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want Want
		err  string
	}{
		{Want{Cases: []string{"mm2"}}, `there is no case "mm2"`},
		{Want{Cases: []string{"mm1"}, Rho: []float64{1}}, "case mm1: --rho is 1: it must lie in (0, 0.99]"},
		{Want{Cases: []string{"mmck"}, Rho: []float64{0}}, "case mmck: --rho is 0: it must lie in (0, 5]"},
		{Want{Cases: []string{"jsq_n2"}, N: []int{3}}, "case jsq_n2 has no --n: it takes --rho"},
		{Want{Cases: []string{"mm1"}, Service: []string{"det"}}, "case mm1 has no --service: it takes --rho --n"},
		{Want{Cases: []string{"jsqd_limit"}, N: []int{10}}, "case jsqd_limit: --n is 10: it must lie in [100, 20000]: the law is the limit of many replicas"},
		{Want{Cases: []string{"jiq_mf"}, Dispatchers: []int{501}}, "case jiq_mf: --dispatchers is 501: it must lie in [10, 500]"},
		{Want{Cases: []string{"mmck"}, Room: []int{3}}, "case mmck: --room is 3: it must lie in [4, 1004]"},
		{Want{Cases: []string{"batching"}, Room: []int{0}}, "case batching: --room is 0: it must lie in [1, 256]: the largest batch"},
		{Want{Cases: []string{"stale_periodic"}, Every: []float64{0}}, "case stale_periodic: --every is 0: it must lie in [0.01, 100] mean service times"},
		{Want{Room: []int{3}, Every: []float64{1}}, "no case takes --every --room together"},
	} {
		_, err := c.want.Points(true)
		require.ErrorContains(t, err, c.err)
	}
	for _, c := range []struct {
		point Point
		err   string
	}{
		{point("mg1", func(p *Point) { p.Service = "logn9" }), "service logn9: the cv is 9: it must lie in (0.05, 4]"},
		{point("mg1", func(p *Point) { p.Service = "hyper1" }), "it must lie in (1, 4]"},
		{point("mg1", func(p *Point) { p.Service = "lognormal" }), "write logn and its cv, e.g. logn2"},
		{point("mg1", func(p *Point) { p.Service = "erlang" }), `no service law called "erlang"`},
		{point("batching", func(p *Point) { p.Service = "3ms" }), "write A+B"},
		{point("batching", func(p *Point) { p.Service = "-1ms+2ms" }), "A must lie in [0, 10s]"},
		{point("mm1", func(p *Point) { p.Rho, p.N = .99, 20_000 }), "would need"},
	} {
		_, err := Prepare([]Point{c.point}, Options{Catalog: balance.Catalog()})
		require.ErrorContains(t, err, c.err)
	}
}

// Every scenario is one that a user could have written.
func TestScenariosLoad(t *testing.T) {
	t.Parallel()
	points, err := (&Want{}).Points(true)
	require.NoError(t, err)
	w, err := Prepare(points, Options{Catalog: balance.Catalog()})
	require.NoError(t, err)
	for _, x := range w.list {
		require.InDelta(t, x.pred.Rate, x.cell.RateRPS*unitOf(x).Seconds(), 1e-5*x.pred.Rate, x.point.Label())
		require.Less(t, x.size.warm, 4*x.size.measured, x.point.Label())
	}
	var none policies.Catalog
	_, err = Prepare(points[:1], Options{Catalog: none})
	require.ErrorContains(t, err, "the scenario made for it is wrong")
}
