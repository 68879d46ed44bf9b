package realrun

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/realrun/emulator"
	"taillab/realrun/wire"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// standing starts emulated replicas that a test then treats as anybody's servers.
func standing(t *testing.T, c emulator.Config, n int) []string {
	t.Helper()
	model, ps := gpu.New(gpu.Defaults(gpu.Service))
	require.Empty(t, ps)
	c.Replicas = slices.Repeat([]emulator.Replica{{Model: model}}, n)
	c.Demand = workloads.Constant(2e6)
	f, err := emulator.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f.URLs()
}

// at is a targets file that lists urls.
func at(urls ...string) *scenarios.Targets {
	s := scenarios.TargetService{Name: "main", Transport: scenarios.TransportHTTP, Path: "/", Ready: "/health", HTTP: 1, Slots: 1,
		Source:   scenarios.MemberSource{Kind: scenarios.SourceStatic},
		Timeouts: scenarios.Timeouts{Dial: time.Minute, Header: time.Minute, Stall: time.Minute, Total: 2 * time.Minute}} // for a busy machine
	for _, u := range urls {
		s.Targets = append(s.Targets, scenarios.TargetURL{URL: u, Weight: 1, Slots: 1})
	}
	return &scenarios.Targets{Services: []scenarios.TargetService{s}}
}

// drove is what a run against real sockets gave.
type drove struct {
	keep
	mu    sync.Mutex
	notes []string
}

func against(t *testing.T, targets *scenarios.Targets, c *scenarios.Cell) (*drove, error) {
	t.Helper()
	k := &drove{}
	c.Setup.Live.Warm = 4
	patient(c)
	h := Host{Targets: targets, Note: func(text string) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.notes = append(k.notes, text)
	}}
	return k, h.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: chance.RunSeed(1, 0)}}, k)
}

// patient lets a busy machine finish what it has begun.
func patient(c *scenarios.Cell) {
	if c.Setup.Measure.Drain == 0 {
		c.Setup.Measure.Drain = time.Minute
	}
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	return s.URL
}

func TestNoTargetAnswers(t *testing.T) {
	t.Parallel()
	k, err := against(t, at(nobody(t), nobody(t)), cellOf(t, 2, 1, 100, 100, policy("p2c")))
	require.ErrorContains(t, err, "none of the 2 targets of main answered GET /health within 5s: http://127.0.0.1")
	require.ErrorContains(t, err, "nothing was sent")
	require.Nil(t, k.col)
}

// The targets are the fleet: their number, slots, weights and labels count, not the
// scenario's. One that does not answer is listed and stays a member.
func TestTargetsAreTheFleet(t *testing.T) {
	t.Parallel()
	targets := at(append(standing(t, emulator.Config{}, 2), nobody(t))...)
	s := &targets.Services[0]
	s.Targets[0].Weight, s.Targets[1].Slots, s.Targets[1].Labels = 3, 8, map[string]string{"gpu": "h100"}
	require.Equal(t, &balance.Table{N: 3, Slots: []int32{1, 8, 1}, Weights: []float64{3, 1, 1}, Labels: []map[string]string{nil, {"gpu": "h100"}, nil}}, Table(s))
	k, err := against(t, targets, cellOf(t, 7, 1, 300, 600, policy("round-robin")))
	require.NoError(t, err)
	require.Len(t, k.notes, 1)
	require.Contains(t, k.notes[0], "1 of the 3 targets of main did not answer GET /health: "+s.Targets[2].URL)
	errs := conserved(t, &k.keep)
	require.Positive(t, errs["refused"])
	require.Len(t, errs, 1)
	require.True(t, k.done)
}

// Where backends have no room for a replica half, the driver runs it, fed from the
// own attempts of the one front end; its tape replays like any other.
func TestTheReplicaHalfIsInferred(t *testing.T) {
	t.Parallel()
	targets := at(standing(t, emulator.Config{}, 3)...)
	targets.Services[0].Reporter = scenarios.ReporterInferred
	c := cellOf(t, 3, 1, 300, 500, policy("jiq"))
	k, err := against(t, targets, c)
	require.NoError(t, err)
	require.Empty(t, conserved(t, &k.keep))
	require.Positive(t, *k.col.Part().Metrics["messages_report"], "some requests leave a replica idle behind them")
	dice := make([]rand.PCG, 3)
	for r := range dice {
		dice[r] = chance.Stream(chance.RunSeed(1, 0), "reporter/main/"+string(rune('0'+r)))
	}
	half := flow.NewReplicas(c.Balancers[0].Make(), 0, 1, dice, nil)
	res, err := flow.Replay(k.tapes["replicas/main"], flow.Replayed{Replicas: half})
	require.NoError(t, err)
	require.Nil(t, res.First)
	require.Greater(t, res.Calls, uint64(500))
}

// A report of idleness comes after the end of the attempt that it follows: a policy that
// counts its own attempts would not believe it before. Of a fleet that is idle nearly
// always, nearly every request finds somebody in the idle queue, and nobody is probed.
func TestInferredIdlenessIsBelieved(t *testing.T) {
	for _, name := range []string{"jiq", "jiq-amnesia"} {
		b := inBubble(t, cellOf(t, 3, 1, 400, 10, policy(name)), func(b *bubble) { b.d.services[0].inferred = b.d.infer(0) })
		c, ok := b.d.fronts[0].fe.Balancer(0).(balance.Counted)
		require.True(t, ok)
		var s balance.Stats
		c.Stats(&s)
		found := map[string]uint64{}
		for _, p := range s.Paths {
			found[p.Name] = p.N
		}
		require.Greater(t, found["idle-queue"], uint64(390), "%s: %v", name, found)
		require.Zero(t, *b.keep.col.Part().Metrics["messages_probe"])
	}
}

// A half in the backend is told its run, its replica's number and where to report.
func TestTheReplicaHalfRunsInTheBackend(t *testing.T) {
	t.Parallel()
	targets := at(standing(t, emulator.Config{Half: policy("jiq")}, 3)...)
	targets.Services[0].Reporter = scenarios.ReporterReplica
	k, err := against(t, targets, cellOf(t, 3, 2, 300, 500, policy("jiq")))
	require.NoError(t, err)
	require.Empty(t, conserved(t, &k.keep))
	require.Empty(t, k.notes)
	require.Positive(t, *k.col.Part().Metrics["messages_report"])
}

func TestNoTargetTakesTheReplicaHalf(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	targets := at(s.URL)
	targets.Services[0].Reporter = scenarios.ReporterReplica
	_, err := against(t, targets, cellOf(t, 1, 1, 10, 100, policy("jiq")))
	require.ErrorContains(t, err, "no target of main took it")
	require.ErrorContains(t, err, "use reporter: inferred")
}

// An agent gets the run, messages and probes; requests go to the backend itself.
func TestAnAgentStandsBeside(t *testing.T) {
	t.Parallel()
	var runs, tells, requests, probes atomic.Int64
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case wire.PathRun:
			runs.Add(1)
			w.WriteHeader(http.StatusNoContent)
		case wire.PathMsg:
			tells.Add(1)
			w.WriteHeader(http.StatusNoContent)
		case wire.PathProbe:
			probes.Add(1)
			w.Header().Set(wire.HeaderLoad, wire.FormatORCA(balance.Load{Running: 1, Slots: 2}, "TEXT"))
		default:
			requests.Add(1)
		}
	}))
	t.Cleanup(agent.Close)
	targets := at(standing(t, emulator.Config{}, 2)...)
	s := &targets.Services[0]
	s.Reporter = scenarios.ReporterAgent
	for i := range s.Targets {
		s.Targets[i].Agent = agent.URL
	}
	for name, mk := range map[string]func() balance.Balancer{
		"probed": func() balance.Balancer {
			return &balance.P2C{Choices: 2, Load: "probed", ProbeTimeout: 50 * time.Millisecond}
		},
		"jiq": func() balance.Balancer { b := policy("jiq")().(*balance.JIQ); b.Reporting = "sq"; return b },
	} {
		c := cellOf(t, 2, 1, 100, 400, mk)
		k, err := against(t, targets, c)
		require.NoError(t, err, name)
		require.Empty(t, conserved(t, &k.keep), name)
	}
	require.Equal(t, int64(2), runs.Load(), "only jiq has a half")
	require.Positive(t, probes.Load())
	require.Zero(t, requests.Load())
}

// A fault of the scenario acts on an emulated fleet at its time, over real sockets.
func TestFaultsActOnAnEmulatedFleet(t *testing.T) {
	t.Parallel()
	w := workloads.NewSpec()
	w.Demand = workloads.Constant(1e6)
	c := cellFrom(t, w, 2, 600, 600, policy("random"))
	c.Setup.Services[0].Discovery = scenarios.Discovery{Detect: scenarios.DetectNever}
	c.Setup.Faults = []scenarios.Fault{
		{At: 300 * time.Millisecond, Kind: scenarios.FaultCrash, Replicas: []int{0}},
		{At: 0, Kind: scenarios.FaultError, Code: 500, Share: 0.5, Replicas: []int{1}}}
	k, err := against(t, nil, c)
	require.NoError(t, err)
	errs := conserved(t, &k.keep)
	require.Positive(t, errs["refused"])
	require.Positive(t, errs["http_5xx"])
	require.Positive(t, k.col.Part().Completed)
	require.Empty(t, k.notes)
}

var _ reports.Recorder = (*drove)(nil)

// Foreign backends behind agents run policies with a replica half, from several front
// ends: requests go through the agents, which tell when a backend is idle.
func TestAgentsCarryForeignBackends(t *testing.T) {
	t.Parallel()
	foreign := standing(t, emulator.Config{}, 3)
	var agents []string
	for _, url := range foreign {
		a, err := emulator.Start(t.Context(), emulator.Config{Half: policy("jiq"),
			Replicas: []emulator.Replica{{Forward: &emulator.Forward{URL: url}}}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, a.Close()) })
		agents = append(agents, a.URLs()...)
	}
	targets := at(agents...)
	targets.Services[0].Reporter = scenarios.ReporterReplica
	k, err := against(t, targets, cellOf(t, 3, 2, 300, 400, policy("jiq")))
	require.NoError(t, err)
	require.Empty(t, conserved(t, &k.keep))
	require.Positive(t, *k.col.Part().Metrics["messages_report"], "agents told of idle backends")
}
