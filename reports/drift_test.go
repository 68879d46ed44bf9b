package reports

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/internal/alarm"
)

func TestKendallGoldens(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 3.082, kendallZ(96, 20), 0.001)
	require.InDelta(t, 3.147, kendallZ(98, 20), 0.001)
	up := []float64{}
	for i := range 20 {
		up = append(up, float64(i))
	}
	require.InDelta(t, 6.132, mannKendall(up), 0.001)
	down := slices.Clone(up)
	slices.Reverse(down)
	require.Equal(t, -mannKendall(up), mannKendall(down))
	require.Zero(t, mannKendall(make([]float64, 20)))
}

// The signs of instability on M/M/1 queues of 50,000 requests, ten seeds each, fixed:
// none at 60%, no verdict below capacity, all three well above it.
func TestDriftOfQueues(t *testing.T) {
	t.Parallel()
	alarm.Rate(t, .01)
	for _, c := range []struct {
		rho            float64
		unstable, near [2]int // least and most of ten seeds
	}{{.6, [2]int{0, 0}, [2]int{0, 0}}, {.9, [2]int{0, 0}, [2]int{0, 4}}, {.98, [2]int{0, 2}, [2]int{4, 10}}, {1.1, [2]int{10, 10}, [2]int{10, 10}}} {
		unstable, near := 0, 0
		for seed := range 10 {
			d := queueRun(t, c.rho, 50_000, seed+1, false).result.drift
			if d.unstable() {
				unstable++
			}
			if d.near() {
				near++
			}
		}
		require.True(t, c.unstable[0] <= unstable && unstable <= c.unstable[1], "load %v: %d of 10 unstable", c.rho, unstable)
		require.True(t, c.near[0] <= near && near <= c.near[1], "load %v: %d of 10 near critical", c.rho, near)
	}
}

// For renewal arrivals the bound is ρ̂(1 + 3.09·√((cv_A² + cv_S²)/N)): at N = 2·10⁵
// and both cv 1, .98 → .9896. The slices know that without knowing the cv.
func TestLoadBound(t *testing.T) {
	t.Parallel()
	alarm.Rate(t, .007) // 2.7 standard errors of the mean bound
	sum := 0.0
	for seed := range 8 {
		sum += queueRun(t, .98, 200_000, seed+1, false).result.drift.load / 8
	}
	require.InDelta(t, .9896, sum, .003)

	require.Greater(t, queueRun(t, .98, 2000, 1, false).result.drift.load, 1.0, "few requests do not show that the load is below capacity")
	for _, unknown := range []struct {
		setup Setup
		end   End
	}{{Setup{Requests: 100, NoCapacity: true}, End{MeasuredTime: time.Second, ProvisionedSlotTime: time.Second}},
		{Setup{Requests: 100}, End{MeasuredTime: time.Second}}, {Setup{Requests: 100}, End{ProvisionedSlotTime: time.Second}}} {
		c := NewCollector(unknown.setup)
		for i := range 100 {
			r := served(uint64(i), ms)
			c.Add(&r)
		}
		c.Close(unknown.end)
		require.True(t, c.result.drift.known)
		require.Zero(t, c.result.drift.load)
	}
}

// One of two replicas gets more than it can serve, both together less: the load of
// the fleet is 85%, and only the backlog tells.
func TestBacklogOfOneReplica(t *testing.T) {
	t.Parallel()
	c := NewCollector(Setup{Requests: 40_000})
	free := [2]time.Duration{}
	at := time.Duration(0)
	for i := range 40_000 {
		at = time.Duration(i) * ms
		k, demand := 0, 2300*time.Microsecond // every second request
		if i%2 == 1 {
			k, demand = 1, 1100*time.Microsecond
		}
		begin := max(free[k], at)
		free[k] = begin + demand
		c.Add(&Record{Request: uint64(i), Arrived: at, Latency: free[k] - at, TTFT: -1, TPOT: -1,
			Steps: Steps{Queue: begin - at, Service: demand}})
	}
	c.Close(End{MeasuredTime: at, ProvisionedSlotTime: 2 * at})
	require.InDelta(t, .85, c.result.drift.load, .01)
	require.True(t, c.result.drift.unstable())
}
