package realrun

import (
	"time"

	"go.uber.org/ratelimit"
)

// The guard's limits.
const (
	guardTimes = 10                   // the most the driver sends, in units of its planned rate,
	guardLeast = 1000                 // and at least so many per second
	guardLate  = 5 * time.Millisecond // later than this a request is part of a backlog
)

// guard keeps a driver that was held up from throwing its whole backlog at the
// backends in one instant. It is no pacer: a request that is on time never waits for
// it, bursts of the schedule among them, and what does wait keeps its intended
// instant, so the wait counts as lateness.
type guard struct{ limiter ratelimit.Limiter }

func newGuard(rate float64) *guard {
	most := guardLeast + int(min(guardTimes*max(rate, 0), 1e8))
	return &guard{ratelimit.New(most, ratelimit.WithSlack(max(10, int(rate/100))))}
}

// hold waits where a request is late; the limiter's permits are most/s apart.
func (g *guard) hold(late time.Duration) {
	if g != nil && late > guardLate {
		g.limiter.Take()
	}
}
