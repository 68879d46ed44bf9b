package sim

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/scenarios"
)

// crashing is a scenario of 20 s whose shard 0 crashes at 5 s for 2 s, and the share of
// the groups that it keeps.
func crashing(t *testing.T, keys string) (*scenarios.Cell, float64) {
	t.Helper()
	c := planOf(t, fmt.Sprintf(limited, keys+`
faults: [{at: 5s, for: 2s, target: {shard: 0}, kind: crash}]`)).Cells[0]
	q, lost := c.Setup.Quota, 0.0
	for i := range q.Groups {
		if q.Store.Placement.Shard(q.Groups[i].Name, q.Store.Shards) == 0 {
			lost += 1 / float64(len(q.Groups))
		}
	}
	return c, lost
}

// A shard that has crashed decides nothing, leaves nobody waiting, and is back at once;
// the other goes on.
func TestShardCrashes(t *testing.T) {
	t.Parallel()
	for _, again := range []string{"", ", {at: 6s, for: 500ms, target: {shard: all}, kind: crash}"} { // inside the first; of both
		c, lost := crashing(t, `
quota: {group_limit: {rate: 1000/s, burst: 1000}, groups: {n: 30}, on_store_loss: closed, store: {shards: 2, rtt: 1ms, service: 2ms}}
policies: {quota: central}`)
		if again != "" {
			c.Setup.Faults = append(c.Setup.Faults, scenarios.Fault{At: 6e9, ForLo: 5e8, ForHi: 5e8, Kind: scenarios.FaultCrash, Shards: []int{0, 1}})
			lost += (1 - lost) * .25
		}
		k := runCell(t, c)
		share := lost * 2 / 20
		require.InDelta(t, share, k.of("fallback_share"), 4*.0035, "four standard errors of 6,000 requests")
		require.InDelta(t, 1-share, k.of("admitted_of_ideal"), 4*.0035)
		require.Less(t, k.of("p999_decision_ms"), 60.0, "a queue of 0.3 erlang; nobody waits for the crash to end")
	}
}

// With its process a shard's counters are gone: a bucket that hardly fills is full again.
func TestCrashForgets(t *testing.T) {
	t.Parallel()
	c, _ := crashing(t, `
quota: {group_limit: {rate: 0.001/s, burst: 100}, on_store_loss: closed, store: {rtt: 1ms}}
policies: {quota: central}`)
	require.Equal(t, int64(200), runCell(t, c).cols[0].Part().Completed)
}

// A limiter that asks nobody does not notice.
func TestCrashWithoutAStore(t *testing.T) {
	t.Parallel()
	c, _ := crashing(t, `
quota: {group_limit: {rate: 1000/s, burst: 1000}}
policies: {quota: static}`)
	k := runCell(t, c)
	require.InDelta(t, 1, k.of("admitted_of_ideal"), 1e-9)
}
