package reports

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

// served is a record whose whole latency is service.
func served(id uint64, latency time.Duration) Record {
	return Record{Request: id, Arrived: time.Duration(id) * ms, Latency: latency, TTFT: -1, TPOT: -1,
		Steps: Steps{Service: latency}, Replica: 3, Attempt: 1}
}

func addAll(c *Collector, records []Record) *Collector {
	for i := range records {
		c.Add(&records[i])
	}
	return c
}

func TestTailGolden(t *testing.T) {
	t.Parallel()
	records := []Record{}
	for i := range 100 {
		records = append(records, served(uint64(i), ms))
	}
	slow := []Record{served(100, 100*ms), served(101, 100*ms)}
	slow[0].Steps = Steps{Queue: 90 * ms, Service: 10 * ms}
	slow[1].Steps = Steps{Network: 40 * ms, Batch: 50 * ms, Service: 10 * ms}
	records = append(records, slow...)

	c := addAll(NewCollector(Setup{}), records)
	require.InEpsilon(t, 100e6, c.Live().Quantile(990), resolution)
	c.Close(End{})
	require.NoError(t, c.Err())
	got := tailFrom([]packedTail{c.result.tail}, c.result.latency.Hist().Quantile(990), false)
	require.Equal(t, []float64{0, 0, 20, 45, 25, 10}, flat(got))

	for i := range 100 { // 202 requests: P99 is 1 ms, the tail is the mean over all
		records = append(records, served(uint64(200+i), ms))
	}
	c = addAll(NewCollector(Setup{}), records)
	require.InEpsilon(t, 1e6, c.Live().Quantile(990), resolution)
	c.Close(End{})
	got = tailFrom([]packedTail{c.result.tail}, 1e6, false)
	require.InDeltaSlice(t, []float64{0, 0, 40. / 202, 90. / 202, 50. / 202, 220. / 202}, flat(got), 1e-12)

	opaque := tailFrom([]packedTail{c.result.tail}, 1e6, true)
	require.Nil(t, opaque.QueueMS)
	require.NotNil(t, opaque.ServiceMS)
	require.Nil(t, tailFrom(nil, 1e6, false))
}

func flat(t *Tail) []float64 {
	return []float64{*t.HeldMS, *t.QuotaMS, *t.NetworkMS, *t.QueueMS, *t.BatchMS, *t.ServiceMS}
}

func TestStepsMustSumToLatency(t *testing.T) {
	t.Parallel()
	c := NewCollector(Setup{Seed: 7})
	r := served(12, 5*ms)
	r.Steps.Queue = ms
	c.Add(&r)
	require.ErrorContains(t, c.Err(), "1 records of seed 7: first request 12")
}

func TestSlowestAreKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		latencies := rapid.SliceOfN(rapid.IntRange(0, 20), 0, 60).Draw(t, "latencies")
		var all []Record
		for i, l := range latencies {
			all = append(all, served(uint64(i), time.Duration(l)))
		}
		var h slowHeap
		for _, i := range rapid.Permutation(indices(len(all))).Draw(t, "order") {
			h.offer(all[i])
		}
		slices.SortStableFunc(all, func(a, b Record) int { return int(b.Latency - a.Latency) })
		want := all[:min(len(all), 10)]
		require.Equal(t, len(want), len(h.sorted()))
		for i, r := range h.sorted() {
			require.Equal(t, want[i], r)
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestHashSeesEveryField(t *testing.T) {
	t.Parallel()
	sum := func(rs ...Record) string {
		return addAll(NewCollector(Setup{Services: []string{"a", "b"}, Outcomes: []string{"ok", "lost"}}), rs).closed0().Part().ResultHash
	}
	a, b := served(1, 5*ms), served(2, 6*ms)
	base := sum(a, b)
	require.Len(t, base, 16)
	require.Equal(t, base, sum(a, b))
	require.NotEqual(t, base, sum(b, a), "order of completion counts")
	for _, change := range []func(*Record){
		func(r *Record) { r.Service = 1 }, func(r *Record) { r.Request = 3 },
		func(r *Record) { r.Latency++; r.Steps.Service++ }, func(r *Record) { r.Outcome = 1 },
	} {
		c := b
		change(&c)
		require.NotEqual(t, base, sum(a, c))
	}
	r := b
	r.Replica = 9
	require.Equal(t, base, sum(a, r), "only service, request, latency and outcome are hashed")
}

// closed0 closes a collector with an empty End.
func (c *Collector) closed0() *Collector { c.Close(End{MeasuredTime: time.Second}); return c }

func TestCountsGroupsAndGoodput(t *testing.T) {
	t.Parallel()
	c := NewCollector(Setup{
		Services: []string{"main"}, Tenants: []string{"zoe", "amy", "other"}, Classes: []string{"chat"},
		Outcomes: []string{"ok", "rejected", "unfinished"}, SLO: SLO{Latency: 50 * ms, TTFT: 10 * ms}, Streaming: true, Seed: 4,
	})
	for i := range 100 {
		r := served(uint64(i), time.Duration(i+1)*ms)
		r.Tenant, r.TTFT, r.TPOT = uint16(i%2), 5*ms, ms
		if i < 10 {
			r.TTFT = 11 * ms // too late for the SLO
		}
		if i >= 90 {
			r.Outcome = uint8(1 + i%2)
		}
		c.Add(&r)
	}
	gpu := 12.5
	c.Close(End{MeasuredTime: 2 * time.Second, BusySlotTime: time.Second, ProvisionedSlotTime: 4 * time.Second,
		GPUSeconds: &gpu, Messages: []Count{{"probe", 150}, {"report", 50}}, Metrics: []Metric{{"jain", nil}}})
	p := c.Part()
	require.Equal(t, int64(100), p.Requests)
	require.Equal(t, int64(90), p.Completed)
	require.Equal(t, map[string]int64{"rejected": 5, "unfinished": 5}, p.Errors)
	require.Equal(t, 0.1, *p.ErrorRate)
	require.Equal(t, 45.0, p.ThroughputRPS)
	require.Equal(t, 20.0, *p.GoodputRPS) // 11…50 ms
	require.Equal(t, 0.25, *p.Utilization)
	require.Equal(t, 2.0, p.MessagesPerRequest)
	require.Equal(t, 1.5, *p.Metrics["messages_probe"])
	require.Contains(t, p.Metrics, "jain")
	require.Nil(t, p.Metrics["jain"])
	require.Equal(t, 12.5, *p.GPUSec)
	require.Equal(t, 45.5, *p.MeanMS)
	require.Equal(t, 90.0, *p.MaxMS)
	require.InEpsilon(t, 45.0, *p.P50MS, 0.001)
	require.Nil(t, p.P99MS, "90 completed are too few")
	require.InEpsilon(t, 5.0, *p.TTFTP50MS, 0.001)

	require.Len(t, p.Groups, 3) // kinds with one member have no groups
	require.Equal(t, []string{"amy", "other", "zoe"}, []string{p.Groups[0].Name, p.Groups[1].Name, p.Groups[2].Name})
	require.Equal(t, int64(50), p.Groups[0].Requests)
	require.Nil(t, p.Groups[1].ErrorRate)
	require.InDelta(t, 0.1, *p.Groups[2].ErrorRate, 1e-12)
	require.Equal(t, *p.GoodputRPS, *p.Groups[0].GoodputRPS+*p.Groups[2].GoodputRPS)

	tags := []string{}
	for _, h := range c.Hists() {
		tags = append(tags, h.Tag)
	}
	require.Equal(t, []string{"latency", "ttft", "tpot", "failure"}, tags)
	require.Equal(t, int64(5), c.Hists()[3].Hist.Count(), "unfinished requests have no time to failure")
	require.Panics(t, func() { c.Close(End{}) })
}

func TestSlicesByNumberAndByTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(21, 1<<33).Draw(t, "n")
		first := rapid.Uint64Range(0, 1<<40).Draw(t, "first")
		c := NewCollector(Setup{Requests: n, First: first})
		k := rapid.Int64Range(0, n-1).Draw(t, "k")
		require.Equal(t, int(k*20/n), c.sliceOf(first+uint64(k), 0))
		require.Equal(t, 19, c.sliceOf(first+uint64(n), 0))
	})
	c := NewCollector(Setup{Start: time.Second, Window: 10 * time.Second})
	for at, want := range map[time.Duration]int{time.Second: 0, 1500 * ms: 1, 10999 * ms: 19, 11 * time.Second: 19, 0: 0} {
		require.Equal(t, want, c.sliceOf(0, at), at.String())
	}
}

func TestPaceFoldsWithoutLosingCounts(t *testing.T) {
	t.Parallel()
	p := newPace()
	for i := range 10_000 {
		at := time.Duration(i) * ms
		w := rows{n: 1, plain: true}
		w.arrived[0], w.latency[0] = at, int64(5*ms)
		p.add(&w, -1)
	}
	arrivals, ends := p.secondHalf()
	require.InDelta(t, 5000, arrivals, 60)
	require.InDelta(t, arrivals, ends, 10)
}

// queueRun is a closed M/M/1 run by Lindley's recursion, mean service 10 ms.
func queueRun(t *testing.T, rho float64, n int, seed int, sections bool) *Collector {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(seed), 99))
	c := NewCollector(Setup{Seed: seed, Requests: int64(n), Sections: sections, Services: []string{"main"}})
	at, wait := 0.0, 0.0
	for i := range n {
		gap := -math.Log(1-rng.Float64()) / rho * 1e7
		demand := -math.Log(1-rng.Float64()) * 1e7
		at += gap
		wait = max(wait-gap, 0)
		w, d := time.Duration(wait), time.Duration(demand)
		c.Add(&Record{Request: uint64(i), Arrived: time.Duration(at), Latency: w + d, TTFT: -1, TPOT: -1,
			Steps: Steps{Queue: w, Service: d}, Attempt: 1})
		wait += demand
	}
	c.Close(End{MeasuredTime: time.Duration(at), ProvisionedSlotTime: time.Duration(at),
		WorkloadHash: hex64(uint64(seed)), Events: int64(2 * n)})
	require.NoError(t, c.Err())
	return c
}

func TestAddAllocatesNothing(t *testing.T) {
	c := NewCollector(Setup{Tenants: []string{"a", "b"}, Classes: []string{"x", "y"}, Services: []string{"s", "t"},
		Requests: 1000, Sections: true, SLO: SLO{Latency: ms}, Streaming: true})
	r := served(5, 3*ms)
	r.TTFT, r.TPOT = ms, ms
	for range 30 {
		c.Add(&r)
	}
	require.Zero(t, testing.AllocsPerRun(200, func() { c.Add(&r) }))
}

func TestPartsMarshalWithoutNull(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(NewCollector(Setup{}).closed0().Part())
	require.NoError(t, err)
	require.Contains(t, string(data), `"errors":{}`)
	require.Contains(t, string(data), `"groups":[]`)
}

func BenchmarkCollectorAdd(b *testing.B) {
	c := NewCollector(Setup{Services: []string{"main"}, Tenants: []string{"a", "b"}, Requests: 1 << 40})
	r := served(5, 3*ms)
	v := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		v = v*6364136223846793005 + 1442695040888963407
		d := time.Duration(v >> 38)
		r.Request++
		r.Arrived += 1000
		r.Latency, r.Steps.Service, r.Tenant = d, d, uint16(v>>63)
		c.Add(&r)
	}
}
