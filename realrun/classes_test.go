package realrun

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/scenarios"
)

// always is a balancer with one answer.
type always balance.Choice

func (a *always) Pick(*balance.Env, *policies.Request) balance.Choice { return balance.Choice(*a) }

func answering(c balance.Choice) func() balance.Balancer {
	return func() balance.Balancer { return (*always)(&c) }
}

// Each class that the driver itself sets follows from one fault or one answer of a
// policy. Those of the wire are in package wire's test of the same name; what is left
// belongs to parts that no live run has.
func TestEveryClassOfTheDriver(t *testing.T) {
	t.Parallel()
	cases := map[policies.Outcome]struct {
		policy  func() balance.Balancer
		change  func(c *scenarios.Cell)
		slow    time.Duration // of the backends; 0 = 20 ms
		partial bool          // other requests complete
	}{
		policies.OK:        {policy: policy("random"), partial: true},
		policies.Shed:      {policy: answering(balance.Shed(1))},
		policies.NoReplica: {policy: answering(balance.None())},
		policies.Stuck:     {policy: answering(balance.Later())},
		policies.Lost: {policy: policy("random"), partial: true, change: func(c *scenarios.Cell) {
			c.Setup.Faults = []scenarios.Fault{{At: time.Second, Kind: scenarios.FaultCrash, Fronts: []int{0}}}
		}},
		policies.NotSent: {policy: policy("random"), change: func(c *scenarios.Cell) { c.Setup.Live.MaxInFlight = 1 }, partial: true},
		policies.Unfinished: {policy: policy("random"), slow: time.Hour,
			change: func(c *scenarios.Cell) { c.Setup.Measure.Drain = time.Second }},
	}
	seen := map[policies.Outcome]bool{policies.DeadlineHit: true} // TestDeadlinesEndRequests
	for class, x := range cases {
		seen[class] = true
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			c := cellOf(t, 2, 1, 200, 60, x.policy)
			if x.change != nil {
				x.change(c)
			}
			b := inBubble(t, c, func(b *bubble) {
				for _, backend := range b.list {
					if x.slow > 0 {
						backend.service = x.slow
					}
				}
			})
			errs := conserved(t, b.keep)
			if class == policies.OK {
				require.Empty(t, errs)
				return
			}
			require.Len(t, errs, 1, errs)
			require.Positive(t, errs[class.String()], errs)
			require.Equal(t, x.partial, b.keep.col.Part().Completed > 0)
		})
	}
	for _, o := range []policies.Outcome{policies.QueueFull, policies.TooLong, policies.Refused, policies.Reset, policies.Cancelled,
		policies.HTTP429, policies.HTTP503, policies.HTTP5xx, policies.HTTP4xx, policies.DialTimeout, policies.DNS, policies.TLS,
		policies.HeaderTimeout, policies.Stall, policies.ShortRead, policies.Malformed} {
		seen[o] = true // of the wire
	}
	for _, o := range []policies.Outcome{policies.Rejected, policies.HoldTimeout, policies.GRPC} {
		require.False(t, seen[o], "%s can be set by now: show it", o)
		seen[o] = true
	}
	for o := range policies.Outcome(policies.Outcomes) {
		require.True(t, seen[o], "nothing shows %s", o)
	}
}
