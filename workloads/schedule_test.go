package workloads

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
)

// busy is a workload that draws from every stream.
func busy() Spec {
	s := NewSpec()
	s.Arrivals = with("gamma", func(a *Arrivals) { a.Rate, a.CV = 1000, 2 })
	s.Input = Dist{Kind: "quantiles", Preset: "azure-conv"}
	s.Output = lognormal(180, 1.5)
	s.Demand = Dist{Kind: "exponential", Mean: 1e6}
	s.Deadline = Dist{Kind: "exponential", Mean: 1e9}
	own := int8(5)
	s.Tenants.List = []Tenant{
		{Name: "chat", Share: .7, Class: "interactive", Group: "gold"},
		{Name: "batch", Share: .3, Priority: &own, Input: lognormal(4000, 1), Output: Constant(7)},
	}
	s.Models = []Model{{Name: "a", Weight: 3}, {Name: "b", Weight: 1, Service: "second"}}
	s.Modulate = []Modulation{{Burst: &Burst{At: time.Second, Factor: 5, For: time.Second}}}
	s.Frontends = Frontends{Count: 10, Split: "skewed", Skew: 1}
	return s
}

func busyOptions() Options { return Options{Services: []string{"main", "second"}} }

func TestChunksChangeNothing(t *testing.T) {
	t.Parallel()
	c := compile(t, busy(), busyOptions())
	all := draw(t, c, 1, 0, 10_000, 10_000)
	for _, chunk := range []int{1, 7, 4096} {
		require.Equal(t, all, draw(t, c, 1, 0, 10_000, chunk), "chunks of %d", chunk)
	}
	require.NotEqual(t, all[0].At, draw(t, c, 2, 0, 1, 1)[0].At, "another seed")
	require.Equal(t, all[:100], draw(t, c, 1, 0, 100, 100), "a longer run extends a shorter one")
}

// The hash of a fixed schedule: a change here is a change of results.
func TestWorkloadHash(t *testing.T) {
	t.Parallel()
	rs := draw(t, compile(t, busy(), busyOptions()), 1, 0, 5000, 5000)
	var whole, parts Hasher
	whole.Add(rs)
	parts.Add(rs[:1])
	parts.Add(rs[1:4097])
	parts.Add(rs[4097:])
	require.Equal(t, whole.Sum(), parts.Sum())
	require.Len(t, whole.Sum(), 16)
	for i, change := range []func(*Request){
		func(r *Request) { r.At++ }, func(r *Request) { r.Input++ }, func(r *Request) { r.Output++ }, func(r *Request) { r.Demand++ },
		func(r *Request) { r.Tenant++ }, func(r *Request) { r.FrontEnd++ }, func(r *Request) { r.Service++ },
	} {
		one := append([]Request(nil), rs...)
		change(&one[2500])
		var h Hasher
		h.Add(one)
		require.NotEqual(t, whole.Sum(), h.Sum(), "change %d", i)
	}
}

// column extracts one column of a schedule.
func column[T any](rs []Request, f func(Request) T) []T {
	out := make([]T, len(rs))
	for i, r := range rs {
		out[i] = f(r)
	}
	return out
}

func TestPurposesAreIndependent(t *testing.T) {
	t.Parallel()
	base := NewSpec()
	base.Arrivals.Rate = 100
	base.Input, base.Output = lognormal(1000, 1), lognormal(200, 1)
	rs := draw(t, compile(t, base, Options{}), 1, 0, 2000, 512)
	at := func(r Request) time.Duration { return r.At }
	in := func(r Request) uint32 { return r.Input }
	out := func(r Request) uint32 { return r.Output }

	more := base
	more.Tenants = Tenants{N: 20, Zipf: 1}
	more.Frontends = Frontends{Count: 10, Split: "uniform"}
	more.Models = []Model{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}}
	more.Deadline = Dist{Kind: "exponential", Mean: 1e9}
	moved := draw(t, compile(t, more, Options{}), 1, 0, 2000, 512)
	require.Equal(t, column(rs, at), column(moved, at), "arrivals")
	require.Equal(t, column(rs, in), column(moved, in), "input")
	require.Equal(t, column(rs, out), column(moved, out), "output")

	other := base
	other.Input = Dist{Kind: "pareto", Mean: 500, Alpha: 2.5}
	moved = draw(t, compile(t, other, Options{}), 1, 0, 2000, 512)
	require.Equal(t, column(rs, at), column(moved, at))
	require.Equal(t, column(rs, out), column(moved, out), "another input law moves no output")
	require.NotEqual(t, column(rs, in), column(moved, in))
}

func TestTenantsHaveTheirOwnSizes(t *testing.T) {
	t.Parallel()
	c := compile(t, busy(), busyOptions())
	require.Equal(t, []string{"chat", "batch"}, c.Tenants())
	require.Equal(t, []string{"", "interactive"}, c.Classes())
	require.Equal(t, []string{"default", "gold"}, c.Groups())
	require.Equal(t, []string{"a", "b"}, c.Models())
	require.InDeltaSlice(t, []float64{.75, .25}, c.ServiceShares(2), 1e-12)
	const n = 100_000
	rs := draw(t, c, 1, 0, n, 4096)
	batch, second, sums := 0, 0, Moments{}
	for _, r := range rs {
		if r.Tenant == 1 {
			batch++
			require.Equal(t, []any{uint32(7), int8(5), uint16(0), uint32(0)}, []any{r.Output, r.Priority, r.Class, r.Group})
		} else {
			require.Equal(t, []any{int8(0), uint16(1), uint32(1)}, []any{r.Priority, r.Class, r.Group})
		}
		second += int(r.Service)
		require.Greater(t, r.Deadline, r.At)
		require.Equal(t, uint64(r.Tenant), r.Key)
		sums.Input += float64(r.Input) / n
		sums.InputOutput += float64(r.Input) * float64(r.Output) / n
	}
	require.InDelta(t, .3*n, batch, 4*math.Sqrt(.21*n))
	require.InDelta(t, .25*n, second, 4*math.Sqrt(.1875*n))
	require.InEpsilon(t, c.Moments().Input, sums.Input, 0.02)
	require.InEpsilon(t, c.Moments().InputOutput, sums.InputOutput, 0.04)
	require.Equal(t, []int{0, 1}, c.TopTenants(32), "by demand, which is the same for all")
	s := busy()
	s.Demand = Dist{}
	require.Equal(t, []int{1, 0}, compile(t, s, busyOptions()).TopTenants(32), "0.3 · 4007 tokens are more than 0.7 · 1378")
}

func TestTenantRates(t *testing.T) {
	t.Parallel()
	s := NewSpec()
	s.Arrivals.Rate = 90
	s.Tenants.List = []Tenant{{Name: "a", Share: .5}, {Name: "b", Share: .5}, {Name: "own", Rate: 10}}
	c := compile(t, s, Options{})
	require.InDelta(t, 100, c.Rate(), 1e-9)
	require.InDeltaSlice(t, []float64{.45, .45, .1}, c.Shares(), 1e-12)
	require.True(t, c.Rated())

	s.Arrivals.Rate = 0
	_, ps := Compile(s, Options{})
	require.Len(t, ps, 1)
	s.Tenants.List = []Tenant{{Name: "a", Rate: 30}, {Name: "b", Rate: 10}}
	require.InDelta(t, 40, compile(t, s, Options{}).Rate(), 1e-9)
}

func TestZipfShares(t *testing.T) {
	t.Parallel()
	s := NewSpec()
	s.Arrivals.Rate = 1000
	s.Tenants = Tenants{N: 100, Zipf: 1.1}
	c := compile(t, s, Options{})
	n := make([]float64, 100)
	const total = 400_000
	for _, r := range draw(t, c, 9, 0, total, 4096) {
		n[r.Tenant]++
	}
	chi := 0.0
	for i, share := range c.Shares() {
		d := n[i] - share*total
		chi += d * d / (share * total)
	}
	require.Less(t, chi, 148.2, "χ² with 99 degrees of freedom at 0.1 %")
	require.Equal(t, 32, len(c.TopTenants(32)))
	require.Equal(t, 0, c.TopTenants(1)[0])
}

func TestFrontEndSplit(t *testing.T) {
	t.Parallel()
	s := NewSpec()
	s.Arrivals.Rate = 1000
	s.Tenants = Tenants{N: 1000}
	const total = 100_000
	split := func(f Frontends) []float64 {
		s.Frontends = f
		n := make([]float64, f.Count)
		for _, r := range draw(t, compile(t, s, Options{}), 4, 0, total, 4096) {
			n[r.FrontEnd]++
		}
		return n
	}
	for _, x := range split(Frontends{Count: 8, Split: "uniform"}) {
		require.InDelta(t, total/8, x, 4.5*math.Sqrt(total/8))
	}
	harmonic := 1 + 1/2.0 + 1/3.0 + 1/4.0
	for i, x := range split(Frontends{Count: 4, Split: "skewed", Skew: 1}) {
		want := total / float64(i+1) / harmonic
		require.InDelta(t, want, x, 4.5*math.Sqrt(want))
	}
	for _, x := range split(Frontends{Count: 4, Split: "sticky"}) {
		require.InDelta(t, total/4, x, total/16, "1000 tenants spread by hash")
	}
	at := map[uint32]uint32{}
	for _, r := range draw(t, compile(t, s, Options{}), 4, 0, 10_000, 4096) {
		if f, seen := at[r.Tenant]; seen {
			require.Equal(t, f, r.FrontEnd, "a tenant sticks to its front end")
		}
		at[r.Tenant] = r.FrontEnd
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	c := compile(t, NewSpec(), Options{})
	require.Zero(t, c.Rate())
	_, err := c.Source(1, 0)
	require.EqualError(t, err, "the workload has no rate: give arrivals a rate, or a load")
	_, err = c.Source(1, 2e9)
	require.EqualError(t, err, "rate: the arrival rate is 2e+09/s: it must be above 0 and at most 1e9/s")
	_, err = c.Source(1, math.NaN())
	require.Error(t, err)
	require.False(t, c.Rated())
	standard, most := c.Requests(10)
	require.Equal(t, []int{0, 0}, []int{standard, most})
	require.Zero(t, c.TimeScale(5))
	require.InEpsilon(t, 1000/250.0, seconds(draw(t, c, 1, 250, 1000, 100)[999].At), 0.15)
}

func TestSpecProblems(t *testing.T) {
	t.Parallel()
	s := NewSpec()
	s.Arrivals = with("gamma", func(a *Arrivals) { a.Rate, a.CV = -1, 51 })
	s.Input = Constant(-5)
	s.Tenants = Tenants{N: -1, Zipf: 6}
	s.Models = []Model{{Name: "", Weight: -1}}
	s.Modulate = []Modulation{{Step: []Level{{At: -1, Rate: 5}, {At: 10, Rate: 0}}}, {}}
	s.Frontends = Frontends{Count: 0, Split: "round", Skew: 9}
	s.Copula = 1
	_, ps := Compile(s, Options{})
	var paths []string
	for _, p := range ps {
		paths = append(paths, p.Path)
	}
	require.Equal(t, []string{
		"arrivals.gamma.rate", "arrivals.gamma.cv", "input", "copula", "tenants.n", "tenants.zipf", "models[0].name", "models[0].weight",
		"modulate[0].step[0].at", "modulate[0].step[1].rate", "modulate[1]", "frontends.count", "frontends.split", "frontends.skew",
	}, paths)

	for name, c := range map[string]struct {
		a    Arrivals
		want string
	}{
		"unknown":     {NewArrivals("posson"), `no arrival process called "posson"`},
		"closed":      {NewArrivals("closed"), `arrivals of kind "closed" are not available yet`},
		"one state":   {with("mmpp", func(a *Arrivals) { a.States = []State{{1, time.Second}} }), "mmpp.states: an mmpp has 1 states: it needs at least 2"},
		"silent":      {with("mmpp", func(a *Arrivals) { a.States = []State{{0, 1}, {0, 1}} }), "mmpp.states: the rate is 0 in every state: no request would ever come"},
		"unreachable": {with("mmpp", func(a *Arrivals) { a.States = []State{{1, 1}, {1, 1}}; a.Transition = [][]float64{{1, 0}, {1, 0}} }), "mmpp.transition: some state can never be reached from some other"},
		"row sum":     {with("mmpp", func(a *Arrivals) { a.States = []State{{1, 1}, {1, 1}}; a.Transition = [][]float64{{0, .9}, {1, 0}} }), "mmpp.transition[0]: row 1 sums to 0.9: it must sum to 1"},
		"amplitude":   {with("diurnal", func(a *Arrivals) { a.Amplitude = 1 }), "diurnal.amplitude: amplitude is 1: it must lie in [0, 1)"},
		"no file":     {NewArrivals("trace"), "trace.file: the trace has no file"},
		"low weibull": {with("weibull", func(a *Arrivals) { a.CV = .01 }), "weibull.cv: cv is 0.01: a Weibull law of shape 50 or less reaches no lower than 0.025"},
	} {
		got := c.a.Check()
		require.Len(t, got, 1, name)
		require.Equal(t, c.want, got[0].Error(), name)
	}
	s = NewSpec()
	s.Arrivals.Rate, s.Load = 10, .5
	require.Equal(t, "load: load and a rate are both given", s.Check()[0].Error())
	s = NewSpec()
	s.Models = []Model{{Name: "m", Weight: 1, Service: "nowhere"}}
	_, ps = Compile(s, Options{Services: []string{"main"}})
	require.Equal(t, `models[0].service: no service called "nowhere"`, ps[0].Error())
}

// Every key of every kind names a field that exists.
func TestKindsNameTheirFields(t *testing.T) {
	t.Parallel()
	for _, k := range ArrivalKinds() {
		for _, key := range k.Keys {
			require.Contains(t, fieldNames(Arrivals{}), key.Field, "%s.%s", k.Name, key.Name)
		}
	}
	for _, k := range DistKinds() {
		for _, key := range k.Keys {
			require.Contains(t, fieldNames(Dist{}), key.Field, "%s.%s", k.Name, key.Name)
		}
	}
}

func BenchmarkPoissonExponential(b *testing.B) {
	s := NewSpec()
	s.Arrivals.Rate = 1000
	s.Demand = Dist{Kind: "exponential", Mean: 1e6}
	benchmarkSource(b, compile(b, s, Options{}))
}

func BenchmarkEverything(b *testing.B) { benchmarkSource(b, compile(b, busy(), busyOptions())) }

func benchmarkSource(b *testing.B, c *Compiled) {
	src, err := c.Source(1, 0)
	require.NoError(b, err)
	buf := make([]Request, 4096)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n += src.Next(buf)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/request")
}

func BenchmarkTwoExp(b *testing.B) {
	p := chance.Stream(1, "arrivals")
	sum := 0.0
	for b.Loop() {
		for range 4096 {
			sum += chance.Exp(&p) + chance.Exp(&p)
		}
	}
	_ = sum
}

func TestMillionTenants(t *testing.T) {
	t.Parallel()
	s := NewSpec()
	s.Arrivals.Rate = 1000
	s.Tenants = Tenants{N: MaxTenants, Zipf: 1}
	c := compile(t, s, Options{})
	largest := 0
	for _, r := range draw(t, c, 1, 0, 10_000, 4096) {
		require.Less(t, r.Tenant, uint32(MaxTenants))
		if r.Tenant == 0 {
			largest++
		}
	}
	share := c.Shares()[0]
	require.InDelta(t, 10_000*share, largest, 5*math.Sqrt(10_000*share))
}
