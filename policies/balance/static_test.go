package balance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

func TestStatic(t *testing.T) {
	t.Parallel()
	tab := &balance.Table{N: 4, Labels: []map[string]string{{"gpu": "h100"}, {"gpu": "a100", "name": "left"}, {"gpu": "a100"}, {"zone": "b"}}}
	s := &balance.Static{Capacity: map[string]float64{"h100": 40, "left": 10, "gpu=a100": 20, "3": 30}, Chooser: "smooth-wrr"}
	require.Empty(t, s.Check())
	require.Empty(t, s.CheckTable(tab))
	h := newBench(t, s, tab, nil)
	require.Equal(t, []int{40, 10, 20, 30}, count(h.picks(100), 4))
	d := newBench(t, &balance.Static{Capacity: s.Capacity, Chooser: "random"}, tab, nil)
	c := count(d.picks(50_000), 4)
	for id, share := range []float64{.4, .1, .2, .3} {
		require.InDelta(t, share, float64(c[id])/50_000, 0.02*share+0.003)
	}
	bad := &balance.Static{Capacity: map[string]float64{"h100": 40, "zone=b": 0}}
	require.Equal(t, []policies.Problem{{Path: "capacity.zone=b", Msg: "0: must be a number above 0"}}, bad.Check())
	require.Equal(t, []policies.Problem{
		{Path: "capacity", Msg: "replica 1 has no entry", Hint: "name its ID or one of its labels"},
		{Path: "capacity", Msg: "replica 2 has no entry", Hint: "name its ID or one of its labels"},
	}, bad.CheckTable(tab))
	require.Len(t, (&balance.Static{}).Check(), 1)
}

func TestStaticGivesTheMeanToNewcomers(t *testing.T) {
	t.Parallel()
	s := &balance.Static{Capacity: map[string]float64{"0": 10, "1": 30}, Chooser: "smooth-wrr"}
	h := newBench(t, s, table(3), nil)
	require.Equal(t, []int{10, 30, 20}, count(h.picks(60), 3))
	var st balance.Stats
	s.Stats(&st)
	require.Equal(t, []balance.PathCount{{Name: "unlisted", N: 1}}, st.Counts)
}
