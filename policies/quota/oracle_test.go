package quota_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/ratelimit"
	"pgregory.net/rapid"

	"taillab/policies/quota"
)

// oracleClock is a clock of uber-go/ratelimit that stands where it is put. Sleeping
// takes no time, so that Take tells when the permit is due instead of waiting for it.
type oracleClock struct{ now time.Time }

func (c *oracleClock) Now() time.Time      { return c.now }
func (*oracleClock) Sleep(_ time.Duration) {}

// oracleEpoch is not 0, which the library takes for "never used".
var oracleEpoch = time.Unix(1_000_000, 0)

// permitsOf are the instants at which the library lets requests through that come at
// the given instants, in order.
func permitsOf(arrivals []time.Duration, perSecond, slack int) []time.Duration {
	c := &oracleClock{}
	l := ratelimit.New(perSecond, ratelimit.WithClock(c), ratelimit.WithSlack(slack))
	var out []time.Duration
	for _, at := range arrivals {
		c.now = oracleEpoch.Add(at)
		out = append(out, max(at, l.Take().Sub(oracleEpoch))) // a permit caught up was due before
	}
	return out
}

// The pure leaky bucket lets every request through at the very instant at which
// uber-go/ratelimit would, whatever comes when.
func TestLeakyAgainstUber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.IntRange(1, 5000).Draw(t, "rate")
		slack := rapid.SampledFrom([]int{0, 1, 3, 10, 100}).Draw(t, "slack")
		at := time.Duration(0)
		var arrivals []time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			// Bursts, gaps of about a period, and pauses longer than all the slack.
			at += time.Duration(rapid.SampledFrom([]float64{0, 0, 0.3, 1, 1.7, 30, 300}).Draw(t, "gap") / float64(perSecond) * float64(time.Second))
			arrivals = append(arrivals, at)
		}
		r := newRig(t, config{groups: rate(float64(perSecond), 1), make: func() quota.Limiter { return &quota.Leaky{Slack: slack} }})
		for i, at := range arrivals {
			r.at(at, func() { r.ask(uint64(i), 1) })
		}
		r.run(at + time.Hour)
		require.Len(t, r.done, len(arrivals))
		var got []time.Duration
		for _, d := range r.done {
			got = append(got, d.at)
		}
		want := permitsOf(arrivals, perSecond, slack)
		require.True(t, slices.IsSorted(want))
		require.Equal(t, want, got)
	})
}
