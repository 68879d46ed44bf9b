package realrun

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/realrun/wire"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/workloads"
)

func TestMain(m *testing.M) {
	if os.Getenv("TAILLAB_KIND") != "" { // the hook of a fault runs this program
		os.Exit(actAsHook(os.Args[1:]))
	}
	if len(os.Args) == 3 && os.Args[1] == "replica" { // the server of a pool runs this program
		os.Exit(actAsReplica(os.Args[2]))
	}
	// a server that closes a connection lingers for half a second by itself
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// backend is a Transport in virtual time: it serves a fixed time, first come first
// served, and can be told to misbehave.
type backend struct {
	base    time.Time
	service time.Duration
	fate    func(call *wire.Call) policies.Outcome // nil: always OK

	ends     chan struct{} // closed: what is inside is reset; nil = never
	parallel time.Duration // above 0: all are served at once, so long

	down   atomic.Bool // refuses, and resets what is inside
	silent atomic.Bool // answers no health check

	mu   sync.Mutex
	free time.Time
	n    int
	last time.Time // of the sends
}

func (b *backend) Do(ctx context.Context, call *wire.Call, first func(time.Duration)) wire.Result {
	r := wire.Result{Sent: time.Since(b.base), FirstByte: -1, FirstToken: -1}
	if b.down.Load() {
		r.Outcome, r.Done = policies.Refused, r.Sent
		return r
	}
	b.mu.Lock()
	b.n++
	start := b.free
	if now := time.Now(); start.Before(now) {
		start = now
	}
	b.last = time.Now()
	b.free = start.Add(b.service)
	end := b.free.Add(b.parallel)
	b.mu.Unlock()
	select {
	case <-ctx.Done():
		r.Outcome = policies.Cancelled
	case <-time.After(time.Until(end)):
	case <-b.ends:
		r.Outcome, r.Done = policies.Reset, time.Since(b.base)
		return r
	}
	if b.fate != nil {
		r.Outcome = b.fate(call)
	}
	if first != nil {
		first(time.Since(b.base))
	}
	r.Done = time.Since(b.base)
	return r
}

func (b *backend) Probe(context.Context) (balance.Load, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return balance.Load{Running: int32(max(0, time.Until(b.free)/b.service)), Slots: 1}, true
}

func (b *backend) Tell(context.Context, wire.Envelope) error { return nil }
func (b *backend) Begin(context.Context, wire.Start) error   { return nil }

func (b *backend) Ready(ctx context.Context, _ string) bool {
	if b.silent.Load() {
		<-ctx.Done()
		return false
	}
	return !b.down.Load()
}

// keep is a Recorder that keeps everything of its runs.
type keep struct {
	col   *reports.Collector // of the last run or block
	cols  map[int][]*reports.Collector
	tapes map[string][]byte
	rows  []reports.TimelineRow
	warns []string
	done  bool
}

func (k *keep) Begin(num int, s reports.Setup) *reports.Collector {
	if k.cols == nil {
		k.cols = map[int][]*reports.Collector{}
	}
	k.col = reports.NewCollector(s)
	k.cols[num] = append(k.cols[num], k.col)
	return k.col
}
func (k *keep) Progress(int, float64)               {}
func (k *keep) Tick(_ int, row reports.TimelineRow) { k.rows = append(k.rows, row) }
func (k *keep) Tape(_ int, stream string, data []byte) {
	if k.tapes == nil {
		k.tapes = map[string][]byte{}
	}
	k.tapes[stream] = data
}
func (k *keep) Warn(_ int, code, message string) { k.warns = append(k.warns, code+": "+message) }
func (k *keep) Done(int)                         { k.done = true }

func cellOf(t *testing.T, n, m, requests int, rate float64, mk func() balance.Balancer) *scenarios.Cell {
	t.Helper()
	w := workloads.NewSpec()
	w.Demand = workloads.Constant(20e6)
	w.Frontends.Count = m
	return cellFrom(t, w, n, requests, rate, mk)
}

func cellFrom(t *testing.T, w workloads.Spec, n, requests int, rate float64, mk func() balance.Balancer) *scenarios.Cell {
	t.Helper()
	c, ps := workloads.Compile(w, workloads.Options{Services: []string{"main"}})
	require.Empty(t, ps)
	model, ps := gpu.New(gpu.Defaults(gpu.Service))
	require.Empty(t, ps)
	live := scenarios.DefaultLive()
	live.Pacing = PacingCoarse // the kernel's timers know nothing of virtual time
	return &scenarios.Cell{Policy: "p", PolicyType: "p", Family: "balance", RateRPS: rate, Balancers: []scenarios.Policy{{Make: mk}},
		Setup: &scenarios.Setup{
			Services:  []scenarios.Service{{Name: "main", Groups: []scenarios.Group{{Replicas: n, Model: model, Speed: 1, Weight: 1}}}},
			FrontEnds: w.Frontends, Workload: c, Live: live,
			Measure: scenarios.Measure{Requests: requests, WarmupShare: .1}}}
}

func policy(name string) func() balance.Balancer {
	return func() balance.Balancer {
		e, ok := balance.Catalog().Find("balance", name)
		if !ok {
			panic("no balancer called " + name)
		}
		return e.New().(balance.Balancer)
	}
}

// bubble is a drive in virtual time against fake backends.
type bubble struct {
	d    *drive
	list []*backend
	keep *keep
	bad  []reports.Warning // what made it unsound
}

// inBubble drives a cell inside a bubble of virtual time; prepare may change what is
// there before.
func inBubble(t *testing.T, c *scenarios.Cell, prepare func(b *bubble)) *bubble {
	t.Helper()
	b := &bubble{keep: &keep{}}
	synctest.Test(t, func(t *testing.T) {
		b.d = newDrive(t.Context(), &scenarios.Run{Cell: c, Seed: chance.RunSeed(1, 0)}, c.Setup.Live, place{base: time.Now(), emulated: true})
		b.list = fakes(b.d)
		if prepare != nil {
			prepare(b)
		}
		b.bad = through(t, b.d, b.keep)
	})
	return b
}

// through drives a run from its start to its end, inside a bubble of virtual time, and
// returns what made it unsound.
func through(t *testing.T, d *drive, k *keep) (bad []reports.Warning) {
	t.Helper()
	d.clock.begin(lead)
	d.pacer = newCoarse(d.clock)
	defer d.pacer.close()
	require.NoError(t, d.single(k))
	d.unwound()
	d.hand(k, nil, func(_ int, why []reports.Warning) { bad = why })
	require.True(t, k.done)
	return bad
}

// fakes gives a drive fake backends that serve 20 ms, one at a time.
func fakes(d *drive) (list []*backend) {
	for i := range d.services {
		for range d.services[i].table.N {
			b := &backend{base: d.clock.base, service: 20 * time.Millisecond}
			list = append(list, b)
			d.services[i].backends = append(d.services[i].backends, b)
		}
	}
	return list
}

func virtual(t *testing.T, c *scenarios.Cell, fate func(*wire.Call) policies.Outcome) (*keep, []*backend) {
	t.Helper()
	b := inBubble(t, c, func(b *bubble) {
		for _, x := range b.list {
			x.fate = fate
		}
	})
	return b.keep, b.list
}

// An hour at ten requests a second in virtual time: every request is sent at its
// instant, none is lost, and latencies are exact.
func TestAnHourIsExact(t *testing.T) {
	c := cellOf(t, 4, 2, 36_000, 10, policy("round-robin"))
	k, _ := virtual(t, c, nil)
	p := k.col.Part()
	require.Equal(t, int64(32_400), p.Requests)
	require.Equal(t, p.Requests, p.Completed)
	require.InDelta(t, 20, *p.P50MS, 0.01)
	require.GreaterOrEqual(t, *p.MeanMS, 20.0)
	require.Empty(t, k.warns)
}

// The tape of every policy that can run live, replayed through fresh front ends,
// gives the same actions.
func TestLiveTapesReplayIdentically(t *testing.T) {
	for _, e := range balance.Catalog() {
		b, ok := e.New().(balance.Balancer)
		if _, oracle := b.(balance.Oracle); oracle || !ok || e.Name == "static" {
			continue
		}
		if _, wraps := b.(balance.Wrapper); wraps {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			m := 2
			if _, shared := b.(balance.Shared); shared {
				m = 1
			}
			c := cellOf(t, 3, m, 2000, 100, policy(e.Name))
			k, _ := virtual(t, c, nil)
			require.Len(t, k.tapes, m)
			for f := range m {
				svc := flow.Service{Name: "main", Balancer: c.Balancers[0].Make(), Table: c.Setup.Services[0].Table(),
					Dice: chance.NewDice(chance.RunSeed(1, 0), "balance/main/"+string(rune('0'+f)))}
				res, err := flow.Replay(k.tapes["frontend/"+string(rune('0'+f))+".1"],
					flow.Replayed{FrontEnd: flow.New(flow.Config{Index: f, Count: m, Services: []flow.Service{svc}})})
				require.NoError(t, err)
				require.Nil(t, res.First)
				require.Greater(t, res.Calls, uint64(1000))
			}
		})
	}
}

// Whatever backends answer, every request closes once and in one class.
func TestConservation(t *testing.T) {
	classes := []policies.Outcome{policies.OK, policies.HTTP503, policies.Reset, policies.Malformed, policies.Stall}
	c := cellOf(t, 4, 2, 4000, 100, policy("p2c"))
	k, _ := virtual(t, c, func(call *wire.Call) policies.Outcome { return classes[call.ID%uint64(len(classes))] })
	p := k.col.Part()
	sum := p.Completed
	for _, n := range p.Errors {
		sum += n
	}
	require.Equal(t, p.Requests, sum)
	require.Equal(t, int64(720), p.Completed)
	require.Equal(t, map[string]int64{"http_503": 720, "reset": 720, "malformed": 720, "stall": 720}, p.Errors)
}

// A request whose deadline passes leaves, wherever it is by then.
func TestDeadlinesEndRequests(t *testing.T) {
	w := workloads.NewSpec()
	w.Demand, w.Deadline = workloads.Constant(20e6), workloads.Constant(100e6)
	c := cellFrom(t, w, 1, 2000, 42, policy("random")) // 84% of what one replica serves: some wait too long
	k, list := virtual(t, c, nil)
	p := k.col.Part()
	require.Equal(t, p.Requests, p.Completed+p.Errors["deadline"])
	require.Greater(t, p.Errors["deadline"], int64(50))
	require.LessOrEqual(t, *p.MaxMS, 100.0)
	require.GreaterOrEqual(t, list[0].n, 2000)
}

// The fuse stops what would be too many in flight, says so, and the run is unsound.
func TestTheFuse(t *testing.T) {
	c := cellOf(t, 1, 1, 500, 1000, policy("random"))
	c.Setup.Live.MaxInFlight = 20
	k, _ := virtual(t, c, nil)
	p := k.col.Part()
	require.Positive(t, p.Errors["not_sent"])
	require.Contains(t, k.warns[0], "were not sent")
}

// An interrupted drive leaves no goroutine and gives no result.
func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := cellOf(t, 2, 1, 100_000, 10, policy("p2c"))
		d := newDrive(ctx, &scenarios.Run{Cell: c, Seed: 1}, c.Setup.Live, place{base: time.Now(), emulated: true})
		for _, b := range fakes(d) {
			b.service = time.Second
		}
		d.clock.begin(lead)
		d.pacer = newCoarse(d.clock)
		defer d.pacer.close()
		time.AfterFunc(time.Minute, cancel)
		require.ErrorIs(t, d.single(&keep{}), context.Canceled)
	})
}
