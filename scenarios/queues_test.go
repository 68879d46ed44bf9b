package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeparate(t *testing.T) {
	t.Parallel()
	separate := func(edits ...string) []bool {
		var out []bool
		for _, c := range plan(t, with(append(edits, "workload: {demand: 10ms}", "sweep: {load: 0.5}")...)).Cells {
			out = append(out, c.Separate())
		}
		return out
	}
	fleet := "fleet: {groups: [{replicas: 2, slots: 4}, {replicas: 2, slots: 3}]}"
	require.Equal(t, []bool{true, true, false, false}, separate(fleet, "policies: {balance: [random, round-robin, p2c, jiq]}"))
	require.Equal(t, []bool{true, false}, separate(fleet, "policies: {balance: [{name: retry, inner: smooth-wrr}, {name: retry, as: b, inner: jiq}]}"))
	require.Equal(t, []bool{true}, separate("fleet: {replicas: 1}", "policies: {balance: jiq}"), "a single replica is a queue of its own")
	require.Equal(t, 3, plan(t, with("workload: {demand: 10ms}", fleet, "sweep: {load: 0.5}")).Cells[0].Setup.ReplicaSlots())
}

func TestNoCapacity(t *testing.T) {
	t.Parallel()
	none := func(edits ...string) bool {
		return plan(t, with(edits...)).Cells[0].Setup.NoCapacity()
	}
	require.False(t, none("workload: {demand: 10ms}", "fleet: {replicas: 2, slots: 8}"))
	require.True(t, none("workload: {demand: 10ms}", "fleet: {replicas: 2, queue: ps}"))
	require.True(t, none("workload: {input: 1}", "fleet: {replicas: 2, gpu: {kind: affine, a: 5ms, b: 1ms, max_batch: 8}}"))
	require.True(t, none("workload: {demand: 10ms, arrivals: {poisson: {rate: 40/s}}}", "-sweep",
		"fleet: {replicas: {start: 2, min: 1, max: 8}}", "policies: {balance: p2c, autoscale: hpa}"))
}
