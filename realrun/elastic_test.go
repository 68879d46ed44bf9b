package realrun

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/realrun/actuator"
	"taillab/realrun/emulator"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/scenarios/scenariotest"
	"taillab/sim/gpu"
)

// elasticCell loads a scenario whose fleet changes its size: lines replace those of the
// base with the same key.
func elasticCell(t testing.TB, lines ...string) *scenarios.Cell {
	t.Helper()
	base := []string{
		"version: 1", "name: elastic",
		"workload: {arrivals: {poisson: {rate: 20/s}}, demand: 20ms}",
		"fleet: {replicas: {start: 4, min: 0, max: 8}, lifecycle: {bind: 1s, image: 2s, model: {bytes: 14GB, read: 7GB/s, init: 3s}, drain_grace: 30s}}",
		"discovery: {delay: 500ms}",
		"policies: {balance: least-outstanding}",
		"measure: {horizon: 60s, warmup: 0%, slo: {latency: 2s}}",
		"live: {pacing: coarse}",
	}
	return scenariotest.Cell(t, base, lines...)
}

// site is a fleet of fake backends under a pool in virtual time.
type site struct {
	d    *drive
	keep *keep
	base time.Time

	mu   sync.Mutex
	pods []*standIn // in order of their making
}

// standIn is one pod: a backend that a pool can end. What is inside when it is killed
// is reset.
type standIn struct {
	backend
	url  string
	done chan struct{}
	end  sync.Once
}

func (p *standIn) URL() string           { return p.url }
func (p *standIn) Stop()                 { p.Kill() }
func (p *standIn) Done() <-chan struct{} { return p.done }
func (p *standIn) Kill() {
	p.end.Do(func() { p.down.Store(true); close(p.done) })
}

// onSite drives a cell in virtual time on a pool of stand-ins that serve for a fixed
// time.
func onSite(t *testing.T, c *scenarios.Cell, service time.Duration, prepare func(s *site)) *site {
	t.Helper()
	s := &site{keep: &keep{}}
	synctest.Test(t, func(t *testing.T) {
		s.base = time.Now()
		s.d = newDrive(t.Context(), &scenarios.Run{Cell: c, Seed: chance.RunSeed(1, 0)}, c.Setup.Live, place{base: s.base, emulated: true})
		e := s.d.services[0].elastic
		if s.d.services[0].half {
			s.d.services[0].inferred = s.d.infer(0)
		}
		byURL := map[string]*standIn{}
		p, err := actuator.NewPool(t.Context(), actuator.PoolConfig{Slots: len(e.pods), Start: e.cfg.Start, Lifecycle: e.cfg.Lifecycle,
			Make: func(_ int, name string) (actuator.Server, error) {
				x := &standIn{backend: backend{base: s.base, service: service}, url: name, done: make(chan struct{})}
				x.ends = x.done
				s.mu.Lock()
				defer s.mu.Unlock()
				s.pods, byURL[name] = append(s.pods, x), x
				return x, nil
			}})
		require.NoError(t, err)
		e.act = p
		e.dial = func(url string) (Transport, func(), error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return byURL[url], func() {}, nil
		}
		require.NoError(t, e.adopt())
		if prepare != nil {
			prepare(s)
		}
		s.d.tick = func(row reports.TimelineRow) { s.keep.Tick(0, row) }
		through(t, s.d, s.keep)
		require.NoError(t, p.Close())
	})
	return s
}

// row is the timeline at a second.
func (s *site) row(t *testing.T, second int) reports.TimelineRow {
	t.Helper()
	for _, r := range s.keep.rows {
		if r.At == time.Duration(second)*time.Second {
			return r
		}
	}
	require.FailNow(t, "no row", "%d s", second)
	return reports.TimelineRow{}
}

// TestLiveLifeOfAReplica: the same counts as in the simulator: a replica is ready bind +
// image + load + init after it was asked for, and leaves when it drains.
func TestLiveLifeOfAReplica(t *testing.T) {
	t.Parallel()
	c := scenariotest.Scripted(elasticCell(t, "fleet: {replicas: {start: 2, min: 1, max: 8}, lifecycle: {bind: 1s, image: 2s, model: {bytes: 14GB, read: 7GB/s, init: 3s}, warmup: 2s}}"),
		scenariotest.At(0, 2), scenariotest.At(10*time.Second, 4), scenariotest.At(30*time.Second, 1))
	s := onSite(t, c, 20*time.Millisecond, nil)
	var ready []int
	for _, second := range []int{18, 19, 21, 22} {
		ready = append(ready, s.row(t, second).Replicas)
	}
	require.Equal(t, []int{2, 2, 4, 4}, ready, "10 s after it was asked for at 10 s")
	require.Equal(t, []int{2, 4, 4, 2}, []int{s.row(t, 9).Created, s.row(t, 11).Created, s.row(t, 11).Desired, s.row(t, 11).Replicas})
	require.Equal(t, []int{1, 1}, []int{s.row(t, 35).Replicas, s.row(t, 35).Created})
	p := s.keep.col.Part()
	require.Equal(t, p.Requests, p.Completed)
	require.InDelta(t, 2, metric(t, s.keep, "cold_starts"), 0)
	require.InDelta(t, 1, metric(t, s.keep, "oscillations")*60/3600, 1e-2, "up, then down")
	gpu := 2*60.0 + 2*(30-11) - 30 // two more from the bind at 11 s to 30 s, one less from then on
	require.InDelta(t, gpu, *p.GPUSec, 1.5)
}

// TestLiveHeldFromZero: requests that find no replica wait in order for the first, and
// the autoscaler is called at once.
func TestLiveHeldFromZero(t *testing.T) {
	t.Parallel()
	lines := []string{
		"workload: {arrivals: {constant: {rate: 5/s, phase: 1s}}, demand: 1ms}", "policies: {balance: random, autoscale: {name: kpa, burst_capacity: 0}}",
		"fleet: {replicas: {start: 0, min: 0, max: 2}, lifecycle: {bind: 1s, image: 2s, model: {bytes: 10.5GB, read: 1GB/s, init: 10s}}}",
		"measure: {requests: 3, warmup: 0%}",
	}
	s := onSite(t, elasticCell(t, lines...), time.Millisecond, nil)
	p := s.keep.col.Part()
	require.EqualValues(t, 3, p.Completed, "%v", p.Errors)
	// the first comes at 1 s, its replica is ready 23.5 s later and known after 0.5 s
	require.InDelta(t, 24e3+3, *p.MaxMS, 3.1, "the three leave together, and reach its one slot in any order")
	require.InDelta(t, 23.8, metric(t, s.keep, "held_mean_s"), 1e-3, "24, 23.8, 23.6 s")
	require.InDelta(t, 3, metric(t, s.keep, "held_requests"), 0)
	require.Equal(t, []int{0, 1}, []int{s.row(t, 0).Desired, s.row(t, 2).Desired})

	s = onSite(t, elasticCell(t, append(lines, "hold: {timeout: 10s}")...), time.Millisecond, nil)
	require.Equal(t, map[string]int64{"hold_timeout": 3}, s.keep.col.Part().Errors)
	s = onSite(t, elasticCell(t, append(lines, "hold: {capacity: 2}")...), time.Millisecond, nil)
	require.Equal(t, map[string]int64{"shed": 1}, s.keep.col.Part().Errors)
}

// TestLiveDrainLosesNothing: every balancer finds the replicas that come, sends nothing
// to one that drains once it was told, and loses no request with it, while the grace is
// longer than the service time.
func TestLiveDrainLosesNothing(t *testing.T) {
	t.Parallel()
	for _, e := range balance.Catalog() {
		b, ok := e.New().(balance.Balancer)
		if _, oracle := b.(balance.Oracle); oracle || !ok {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			policy, fronts := e.Name, 2
			switch e.Name {
			case "static":
				policy = "{name: static, capacity: {a: 5}}"
			case "retry", "hedge":
				policy = "{name: " + e.Name + ", budget: 0%}" // nothing may hide a loss
			}
			_, shared := b.(balance.Shared)
			if shared || hasHalf(b) { // whose half is inferred
				fronts = 1
			}
			c := elasticCell(t, "policies: {balance: "+policy+"}", fmt.Sprintf("frontends: {count: %d}", fronts), "reporter: inferred",
				"workload: {arrivals: {poisson: {rate: 30/s}}, demand: 20ms}",
				"fleet: {labels: {name: a}, replicas: {start: 4, min: 0, max: 8}, lifecycle: {bind: 1s, image: 1s, model: {bytes: 1GB, read: 1GB/s, init: 1s}, drain_grace: 30s}}")
			s := onSite(t, scenariotest.Scripted(c, scenariotest.At(0, 4), scenariotest.At(5*time.Second, 7), scenariotest.At(25*time.Second, 3), scenariotest.At(40*time.Second, 6)), 100*time.Millisecond, nil)
			p := s.keep.col.Part()
			require.Empty(t, p.Errors)
			require.Equal(t, p.Requests, p.Completed)
			require.Zero(t, metric(t, s.keep, "killed_requests"))
			require.Len(t, s.pods, 10, "four, three more, and three after that")
			for _, x := range s.pods {
				require.Positive(t, x.n, "%s came and was not found", x.url)
			}
			for _, x := range s.pods[4:7] { // those that became ready last go first
				require.Less(t, x.last.Sub(s.base)-lead, 25*time.Second+600*time.Millisecond, "%s got requests after front ends had been told", x.url)
			}
		})
	}
}

// TestLiveKills: where the grace is shorter than the service time, what is inside is
// reset; it is counted, and every request closes once.
func TestLiveKills(t *testing.T) {
	t.Parallel()
	c := elasticCell(t, "fleet: {slots: 40, replicas: {start: 4, min: 0, max: 8}, lifecycle: {drain_grace: 1s}}",
		"workload: {arrivals: {poisson: {rate: 20/s}}, demand: 3s}")
	s := onSite(t, scenariotest.Scripted(c, scenariotest.At(0, 4), scenariotest.At(20*time.Second, 1)), 0, func(s *site) {
		for _, x := range s.pods {
			x.parallel = 3 * time.Second
		}
	})
	p := s.keep.col.Part()
	require.Equal(t, p.Requests, p.Completed+p.Errors["reset"])
	require.Len(t, p.Errors, 1, "%v", p.Errors)
	require.Greater(t, p.Errors["reset"], int64(10))
	require.InDelta(t, float64(p.Errors["reset"]), metric(t, s.keep, "killed_requests"), 0)
}

// TestLiveAutoscalerTape: what the autoscaler was shown, shown to a fresh one, gives the
// same answers; a policy that breaks its contract ends the run.
func TestLiveAutoscalerTape(t *testing.T) {
	t.Parallel()
	for _, e := range autoscale.Catalog() {
		if _, oracle := e.New().(autoscale.Oracle); oracle {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			c := elasticCell(t, "policies: {balance: least-outstanding, autoscale: "+e.Name+"}", "fleet: {replicas: {start: 1, min: 1, max: 8}, lifecycle: {model: {init: 1s}}}",
				"workload: {arrivals: {poisson: {rate: 20/s}}, modulate: [{burst: {at: 20s, factor: 5, for: 20s}}], demand: 20ms}")
			s := onSite(t, c, 50*time.Millisecond, nil)
			var calls []autoscale.Call
			for dec := json.NewDecoder(bytes.NewReader(s.keep.tapes["autoscale/main"])); dec.More(); {
				var x autoscale.Call
				require.NoError(t, dec.Decode(&x))
				calls = append(calls, x)
			}
			n, first := autoscale.Replay(c.Autoscalers[0].Make(), chance.NewDice(chance.RunSeed(1, 0), "autoscale/main"), calls)
			require.Nil(t, first)
			require.NotZero(t, n)
		})
	}
}

// never asks to be called at once, for ever.
type never struct{}

func (never) Desire(*policies.Env, *autoscale.Metrics) autoscale.Decision {
	return autoscale.Decision{Count: 1}
}

func TestLiveAutoscalerThatIsWrong(t *testing.T) {
	t.Parallel()
	c := elasticCell(t)
	c.Autoscalers = []scenarios.Autoscaler{{Make: func() autoscale.Autoscaler { return never{} }}}
	err := Host{}.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: 1}}, &keep{})
	require.ErrorContains(t, err, "asked to be called again after 0s: that must be above 0")
}

// actAsReplica serves an emulated replica at a port until it is asked to end.
func actAsReplica(port string) int {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	m, _ := gpu.New(gpu.Defaults(gpu.Service))
	f, err := emulator.Start(context.Background(), emulator.Config{Listen: "127.0.0.1:" + port, Replicas: []emulator.Replica{{Model: m}},
		Policy: func(name string) func() balance.Balancer { return policy(name) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-asked
	_ = f.Close() // it ends either way
	return 0
}

// TestActuatorsLive drives a short burst over real sockets on every actuator that needs
// no cluster: the count follows, no request is lost, and nothing is left behind.
func TestActuatorsLive(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	for name, key := range map[string]string{
		"pool": "pool", "stub": "kube-stub", "processes": "{command: [" + self + ", replica, '{port}'], loads: true}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scenariotest.Scripted(elasticCell(t, "fleet: {replicas: {start: 1, min: 1, max: 3}, lifecycle: {bind: 0s, image: 0s, model: {init: 300ms}, drain_grace: 5s}}",
				"discovery: {delay: 50ms}", "workload: {arrivals: {poisson: {rate: 50/s}}, demand: 5ms}", "measure: {horizon: 6s, warmup: 0%, slo: {latency: 2s}}",
				"live: {pacing: coarse, actuator: "+key+"}", "policies: {balance: jiq}"),
				scenariotest.At(0, 1), scenariotest.At(time.Second, 3), scenariotest.At(4*time.Second, 1))
			k := emulate(t, c)
			p := k.col.Part()
			require.Empty(t, p.Errors)
			require.Equal(t, p.Requests, p.Completed)
			require.InDelta(t, 2, metric(t, k, "cold_starts"), 0)
			require.NotEmpty(t, k.tapes["autoscale/main"])
		})
	}
}
