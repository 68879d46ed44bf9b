package reports

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hardShares gives everybody the same part, or what it wants.
func hardShares(capacity float64, demands, weights []float64) []float64 {
	out := make([]float64, len(demands))
	for i := range out {
		out[i] = min(demands[i], capacity*weights[i]/float64(len(demands)))
	}
	return out
}

// named is a metric by name; nil when it is not there or not known.
func named(list []Metric, name string) *float64 {
	for _, m := range list {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

func TestQuotaMeter(t *testing.T) {
	t.Parallel()
	q := NewQuotaMeter([]QuotaGroup{{Rate: 10, Burst: 10, Tenants: []uint32{0, 1}}, {Tenants: nil}}, 2, hardShares)
	q.Begin(0)
	for i := range 400 { // 40 requests/s for ten seconds; every second one is admitted
		at := time.Duration(i) * 25 * time.Millisecond
		q.Decided(Decision{At: at, Took: time.Duration(i%2) * time.Millisecond, Tenant: uint32(i % 2), Units: 1, First: true, Admitted: i%2 == 0, Measured: true})
	}
	got := q.Metrics(10*time.Second, 10*time.Second)
	for name, want := range map[string]float64{
		"admitted_of_ideal": 200. / 110, "worst_second_rps": 20, "over_admission": 90. / 110, "quota_utilization": 2,
		"denied": .5, "asked_again": 0, "jain": .5,
	} {
		v := named(got, name)
		require.NotNil(t, v, name)
		require.InDelta(t, want, *v, 1e-9, name)
	}
	require.Nil(t, named(got, "p99_decision_ms"), "400 decisions carry no P99")
	require.InDelta(t, 1, *named(got, "p50_decision_ms"), 1.01)
	require.Nil(t, named(got, "debt"), "nothing is settled")
}

// What was charged and not used is no use of the limit; what was denied is taken to
// have wanted as much as what was not.
func TestQuotaMeterSettles(t *testing.T) {
	t.Parallel()
	q := NewQuotaMeter([]QuotaGroup{{Rate: 10, Burst: 10, Tenants: []uint32{0}}}, 1, hardShares)
	q.Begin(0)
	for i := range 40 {
		at := time.Duration(i) * 100 * time.Millisecond
		q.Decided(Decision{At: at, Units: 4, First: true, Admitted: i%4 == 0, Measured: true})
		if i%4 == 0 {
			q.Settled(at, 0, 0, 4, 5, true)
		}
	}
	got := q.Metrics(4*time.Second, 4*time.Second)
	require.InDelta(t, 50./50, *named(got, "admitted_of_ideal"), 1e-9, "the limit gives 10·4 + 10, and 200 were wanted")
	require.InDelta(t, 1.25, *named(got, "settled_of_charged"), 1e-9)
	require.InDelta(t, .25, *named(got, "debt"), 1e-9)
}

// The warm-up spends the first burst: what is left of it belongs to the ideal.
func TestQuotaMeterWarmUp(t *testing.T) {
	t.Parallel()
	q := NewQuotaMeter([]QuotaGroup{{Rate: 10, Burst: 100, Tenants: []uint32{0}}}, 1, hardShares)
	for range 80 {
		q.Decided(Decision{At: 0, Units: 1, First: true, Admitted: true})
	}
	q.Begin(time.Second) // 20 and 10 more are left
	for range 60 {
		q.Decided(Decision{At: time.Second, Units: 1, First: true, Admitted: true, Measured: true})
	}
	require.InDelta(t, 60./40, *named(q.Metrics(2*time.Second, time.Second), "admitted_of_ideal"), 1e-9)
}

// Held units are an integral over time.
func TestQuotaMeterHolds(t *testing.T) {
	t.Parallel()
	q := NewQuotaMeter([]QuotaGroup{{Units: 4, Tenants: []uint32{0}}}, 1, hardShares)
	q.Begin(0)
	q.Decided(Decision{At: 0, Units: 3, First: true, Admitted: true, Measured: true})
	q.Decided(Decision{At: time.Second, Units: 3, First: true, Admitted: true, Measured: true})
	q.Settled(2*time.Second, 0, 0, 3, 3, true)
	got := q.Metrics(4*time.Second, 4*time.Second)
	require.InDelta(t, (3+6+3+3)/16., *named(got, "quota_utilization"), 1e-9)
	require.InDelta(t, .5, *named(got, "over_admission"), 1e-9, "six of four were held")
	require.Nil(t, named(got, "admitted_of_ideal"))
}
