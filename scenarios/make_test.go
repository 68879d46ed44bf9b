package scenarios

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
)

// TestMakeBalancer: parameters survive the way through JSON, as a tape keeps them.
func TestMakeBalancer(t *testing.T) {
	t.Parallel()
	for _, e := range balance.Catalog() {
		p := plan(t, with(Describe(e).Example, "fleet: {gpu: h100-8b, groups: [{replicas: 2, labels: {kind: a}}, {replicas: 2, labels: {kind: b}}]}"))
		params, err := json.Marshal(p.Cells[0].Params)
		require.NoError(t, err)
		made, problems := MakeBalancer(balance.Catalog(), e.Name, params)
		require.Empty(t, problems, e.Name)
		require.Equal(t, p.Cells[0].Params, made.Params)
		require.Equal(t, p.Cells[0].Balancers[0].Make(), made.Make())
	}
	plain, problems := MakeBalancer(balance.Catalog(), "p2c", nil)
	require.Empty(t, problems)
	require.Equal(t, 2, plain.Make().(*balance.P2C).Choices)
	_, problems = MakeBalancer(balance.Catalog(), "p2c", json.RawMessage(`{"choices": 0}`))
	require.Len(t, problems, 1)
	_, problems = MakeBalancer(balance.Catalog(), "p2c", json.RawMessage(`[1]`))
	require.Len(t, problems, 1)
	_, problems = MakeBalancer(balance.Catalog(), "p3c", nil)
	require.Len(t, problems, 1)
}
