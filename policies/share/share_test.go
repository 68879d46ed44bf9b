package share_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies/share"
)

func claims(demand []float64, weight ...float64) []share.Claim {
	out := make([]share.Claim, len(demand))
	for i, d := range demand {
		out[i] = share.Claim{Demand: d, Weight: 1}
		if len(weight) > 0 {
			out[i].Weight = weight[i]
		}
	}
	return out
}

func divider(t require.TestingT, name string) share.Divider {
	e, ok := share.Catalog().Find("share", name)
	require.True(t, ok, name)
	d, ok := e.New().(share.Divider)
	require.True(t, ok, name)
	return d
}

func TestDivide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, policy string
		capacity     float64
		claims       []share.Claim
		want         []float64
	}{
		{"four demands", "maxmin", 10, claims([]float64{2, 2.6, 4, 5}), []float64{2, 2.6, 2.7, 2.7}},
		{"weights", "maxmin", 12, claims([]float64{10, 10}, 1, 2), []float64{4, 8}},
		{"a group of four", "hard", 8, claims([]float64{10, 1, 1, 1}), []float64{2, 1, 1, 1}},
		{"a group of four", "maxmin", 8, claims([]float64{10, 1, 1, 1}), []float64{5, 1, 1, 1}},
		{"a group of four", "drf", 8, claims([]float64{10, 1, 1, 1}), []float64{5, 1, 1, 1}},
		{"a group of four", "fcfs", 8, claims([]float64{10, 1, 1, 1}), []float64{80. / 13, 8. / 13, 8. / 13, 8. / 13}},
		{"more than enough", "fcfs", 20, claims([]float64{10, 1}), []float64{10, 1}},
		{"nobody wants", "maxmin", 8, claims([]float64{0, 0}), []float64{0, 0}},
		{"whole units in order", "drf", 5, claims([]float64{9, 9, 9}), []float64{2, 2, 1}},
		{"nobody is there", "maxmin", 8, nil, []float64{}},
	} {
		got := divider(t, c.policy).Divide(c.capacity, c.claims)
		t.Logf("%-20s %-6s of %v: %.3g", c.name, c.policy, c.capacity, got)
		require.InDeltaSlice(t, c.want, got, 1e-9, "%s by %s", c.name, c.policy)
	}
}

// Eight units for demands 10, 1, 1 and 1 in random order: what fcfs calls its shares
// is the mean over many orders.
func TestFCFSIsTheMeanOfRandomOrders(t *testing.T) {
	t.Parallel()
	const orders = 4000
	r := rand.New(rand.NewPCG(1, 2))
	units := []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}
	got := make([]float64, 4)
	for range orders {
		r.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
		for _, tenant := range units[:8] {
			got[tenant] += 1. / orders
		}
	}
	require.InDeltaSlice(t, (&share.FCFS{}).Divide(8, claims([]float64{10, 1, 1, 1})), got, 0.2)
}

// The example of Ghodsi et al. 2011, figure 3: both dominant shares are 2/3.
func TestFill(t *testing.T) {
	t.Parallel()
	tasks := []share.Task{{Need: []float64{1, 4}, Most: math.Inf(1), Weight: 1}, {Need: []float64{3, 1}, Most: math.Inf(1), Weight: 1}}
	require.Equal(t, []int{3, 2}, share.Fill([]float64{9, 18}, tasks))
	tasks[0].Most = 1
	require.Equal(t, []int{1, 2}, share.Fill([]float64{9, 18}, tasks), "a tenant that wants no more")
	require.Equal(t, []int{0}, share.Fill([]float64{9}, []share.Task{{Need: []float64{0}, Most: math.Inf(1), Weight: 1}}), "a task that needs nothing")
}

func TestDividersKeepTheirPromises(t *testing.T) {
	t.Parallel()
	for _, e := range share.Catalog() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(r *rapid.T) {
				d := divider(r, e.Name)
				n := rapid.IntRange(1, 8).Draw(r, "tenants")
				capacity := rapid.Float64Range(0.5, 200).Draw(r, "capacity")
				c := claims(make([]float64, n))
				weights := 0.0
				for i := range c {
					c[i].Demand = rapid.Float64Range(0, 100).Draw(r, "demand")
					c[i].Weight = rapid.Float64Range(0.1, 10).Draw(r, "weight")
					weights += c[i].Weight
				}
				got := append([]float64(nil), d.Divide(capacity, c)...)
				sum := 0.0
				for i, x := range got {
					sum += x
					require.GreaterOrEqual(r, x, 0.0)
					require.LessOrEqual(r, x, c[i].Demand+1e-9, "a share is above its demand")
					_, undivided := d.(share.Undivided)
					if !undivided && x < c[i].Demand-1e-9 {
						require.GreaterOrEqual(r, x, capacity*c[i].Weight/weights-slack(e.Name, c), "tenant %d wants more and has less than its equal part", i)
					}
				}
				require.LessOrEqual(r, sum, capacity*(1+1e-9))
				k := rapid.IntRange(0, n-1).Draw(r, "who asks for more")
				c[k].Demand *= 2
				require.GreaterOrEqual(r, d.Divide(capacity, c)[k], got[k]-1e-9, "asking for more gave less")
			})
		})
	}
}

// slack is what whole units cost: with unequal weights each step of another tenant may
// come first.
func slack(policy string, c []share.Claim) float64 {
	if policy == "drf" {
		return float64(len(c))
	}
	return 1e-6
}
