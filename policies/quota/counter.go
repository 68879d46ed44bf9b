package quota

import (
	"math"
	"time"
)

// tiny is how much of a unit rounding may cost: a retry after RetryIn, which is whole
// nanoseconds, must find the units it was promised.
const tiny = 1e-9

// counter is what a rate limit remembers: a token bucket, kept as tokens or, with
// gcra, as the theoretical arrival time of ITU-T I.371 (TAT). Both say the same but for
// rounding; times are of the clock that advance is given.
type counter struct {
	gcra        bool
	rate, burst float64 // units/s and units
	tok         float64 // below 0: debt
	at          time.Duration
	tat         time.Duration
}

// newCounter is a full counter.
func newCounter(rate, burst float64, gcra bool) counter {
	return counter{gcra: gcra, rate: rate, burst: burst, tok: burst}
}

// nanos is the time in which the rate gives n units, rounded up.
func nanos(n, rate float64) time.Duration {
	x := math.Ceil(n/rate*1e9 - 1e-3) // a thousandth of a nanosecond is rounding
	if !(x < math.MaxInt64) {
		return math.MaxInt64
	}
	return time.Duration(x)
}

// advance gives the counter the units of the time since the last call.
func (c *counter) advance(now time.Duration) {
	if c.gcra {
		c.tat = max(c.tat, now)
		return
	}
	if dt := now - c.at; dt > 0 {
		c.tok, c.at = min(c.burst, c.tok+dt.Seconds()*c.rate), now
	}
}

// left is how many units there are; negative: debt.
func (c *counter) left(now time.Duration) float64 {
	c.advance(now)
	if c.gcra {
		return c.burst - (c.tat-now).Seconds()*c.rate
	}
	return c.tok
}

// has tells whether n units are there, and if not, in what time they will be.
func (c *counter) has(now time.Duration, n float64) (bool, time.Duration) {
	c.advance(now)
	if c.gcra {
		wait := c.tat + c.span(n) - now - c.span(c.burst)
		return wait <= 0, max(wait, 0)
	}
	if c.tok >= n-tiny {
		return true, 0
	}
	return false, nanos(n-c.tok, c.rate)
}

// span is n·T of gcra, to the nearest nanosecond.
func (c *counter) span(n float64) time.Duration {
	x := math.Round(n / c.rate * 1e9)
	if !(math.Abs(x) < math.MaxInt64) {
		return math.MaxInt64 / 4
	}
	return time.Duration(x)
}

// take books n units, whatever there is.
func (c *counter) take(now time.Duration, n float64) {
	c.advance(now)
	if c.gcra {
		c.tat += c.span(n)
		return
	}
	c.tok -= n
}

// give books d units back; a negative d is a further charge.
func (c *counter) give(now time.Duration, d float64) {
	c.advance(now)
	if c.gcra {
		c.tat = max(now, c.tat-c.span(d))
		return
	}
	c.tok = min(c.burst, c.tok+d)
}

// rerate changes what is given from now on.
func (c *counter) rerate(now time.Duration, rate, burst float64) {
	c.advance(now)
	c.rate, c.burst = rate, burst
	c.tok = min(c.tok, burst)
}
