package realrun

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/emulator"
	"taillab/realrun/telemetry"
	"taillab/reports"
	"taillab/scenarios"
)

// gpus is a sampler made of one function.
type gpus func() telemetry.GPU

func (g gpus) Sample(context.Context) ([]telemetry.GPU, error) { return []telemetry.GPU{g()}, nil }

// A throttled GPU is seen beside the run and leaves no verdict; the readings are
// handed over, on the clock of the run.
func TestThrottledGPU(t *testing.T) {
	t.Parallel()
	for reasons, want := range map[uint64]bool{0: false, 1: false, telemetry.ReasonThermal | telemetry.ReasonPowerCap: true} {
		hot := gpus(func() telemetry.GPU {
			return telemetry.GPU{Utilisation: 0.5, PowerW: 700, EnergyJ: math.NaN(), Reasons: reasons, ReasonsKnown: true}
		})
		c := cellOf(t, 1, 1, 40, 200, policy("random"))
		told := false
		var seen []telemetry.Result
		k := &drove{}
		h := Host{Targets: at(standing(t, emulator.Config{}, 1)...), samplers: []telemetry.Named{{Name: "rig", Sampler: hot}},
			Watched: func(r telemetry.Result) { seen = append(seen, r) },
			Unsound: func(_ int, why []reports.Warning) {
				told = slices.ContainsFunc(why, func(w reports.Warning) bool { return w.Code == "throttled" })
			}}
		require.NoError(t, h.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: 1}}, k))
		require.True(t, k.done)
		require.Equal(t, want, told, "reasons %d", reasons)
		require.Len(t, seen, 1)
		require.Equal(t, want, seen[0].Throttled)
		rig := slices.DeleteFunc(seen[0].Rows, func(r telemetry.Row) bool { return r.Source != "rig" })
		require.GreaterOrEqual(t, len(rig), 2, "at the start and at the end")
		require.Less(t, rig[0].At, time.Duration(0), "before the first request")
		require.Greater(t, rig[len(rig)-1].At, time.Duration(0))
		if want {
			require.Contains(t, k.warns, "throttled: a GPU was slowed down (power cap, software thermal slowdown): latencies are those of its cooling or power supply, not of the policy")
		}
	}
}

// A live run has a timeline: of real backends the queue is unknown.
func TestLiveTimeline(t *testing.T) { // not beside others: it goes by real time
	for _, targets := range []*scenarios.Targets{nil, at(standing(t, emulator.Config{}, 2)...)} {
		k := &drove{}
		c := cellOf(t, 2, 1, 60, 50, policy("random"))
		require.NoError(t, Host{Targets: targets}.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: 1}}, k))
		require.GreaterOrEqual(t, len(k.rows), 2)
		for i, r := range k.rows {
			require.Equal(t, time.Duration(i)*time.Second, r.At)
			require.Equal(t, targets != nil, r.Queued < 0)
			require.Equal(t, 2, r.Replicas)
			require.GreaterOrEqual(t, min(r.InFlight, r.Held), 0)
		}
	}
}

// prober probes the one replica at every pick, and keeps what it was told.
type prober struct{ answered chan<- balance.Load }

func (p *prober) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	env.Probe(env.Fleet.Ref(0), time.Second)
	return balance.To(env.Fleet.Ref(0))
}
func (p *prober) Replied(_ *balance.Env, r balance.Reply) { p.answered <- r.Load }
func (p *prober) Lost(*balance.Env, balance.ProbeID)      {}
func (p *prober) Board(*balance.Env, []balance.BoardRow)  {}

// A backend that tells its load on a page only, as vLLM does, answers probes by what
// was last read there; a page that says nothing leaves the load unknown.
func TestBackendPagesAnswerProbes(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]int32{"vllm:num_requests_running 3\nvllm:num_requests_waiting 4\n": 3, "other 1\n": -1} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/metrics":
				fmt.Fprint(w, page)
			case "/probe":
				http.NotFound(w, r)
			}
		}))
		targets := at(srv.URL)
		targets.Services[0].Targets[0].Metrics = srv.URL + "/metrics"
		answered := make(chan balance.Load, 1_000)
		c := cellOf(t, 1, 1, 40, 100, func() balance.Balancer { return &prober{answered: answered} })
		k := &drove{}
		require.NoError(t, Host{Targets: targets}.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: 1}}, k))
		srv.Close()
		close(answered)
		n := 0
		for l := range answered {
			require.Equal(t, balance.Load{Running: want, Queued: 4}, l)
			n++
		}
		require.Equal(t, want >= 0, n > 0)
	}
}
