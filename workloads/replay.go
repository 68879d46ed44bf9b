package workloads

import (
	"math"
	"time"

	"taillab/policies/chance"
)

// replay goes through the rows of a trace: from a drawn row on when it rotates,
// round and round, with the mean gap at the seam.
type replay struct {
	t      *Trace
	scale  float64
	start  uint64 // the row of the first request
	row    int
	rounds int           // rounds left to begin; < 0 = no end
	base   time.Duration // trace time at which the present round began, less the first row's
	until  time.Duration // run time; 0 = no end
	offset time.Duration // keep_offset: stamp of the first request
}

func newReplay(c *Compiled, scale float64, runSeed uint64) *replay {
	spec := c.arrivals.Trace
	r := &replay{t: c.trace, scale: scale}
	switch {
	case c.trace.meanGap() == 0: // going round would stand still for ever
	case spec.Rotate || spec.Loop.Forever:
		r.rounds = -1
	case spec.Loop.Until > 0:
		r.rounds, r.until = -1, spec.Loop.Until
	default:
		r.rounds = max(spec.Loop.Times, 1) - 1
	}
	if spec.Rotate && c.trace.meanGap() > 0 {
		dice := chance.Stream(runSeed, "rotate")
		r.row = int(chance.Below(&dice, uint64(c.trace.Len())))
		r.start = uint64(r.row)
	}
	if spec.KeepOffset {
		r.offset = c.trace.offset
	}
	r.base = -c.trace.At[r.row]
	return r
}

// next returns the instant and the row of the next request; false at the end.
func (r *replay) next() (time.Duration, int32, bool) {
	n := r.t.Len()
	if r.row == n {
		if r.rounds == 0 {
			return 0, 0, false
		}
		if r.rounds > 0 {
			r.rounds--
		}
		r.row = 0
		r.base += r.t.Span() + r.t.meanGap()
	}
	at := r.scaled(r.base + r.t.At[r.row] + r.offset)
	if at >= horizon || r.base >= horizon || r.until > 0 && at >= r.until {
		return 0, 0, false
	}
	r.row++
	return at, int32(r.row - 1), true
}

// scaled divides by the time scale and rounds the absolute time, half up.
func (r *replay) scaled(t time.Duration) time.Duration {
	if r.scale == 1 {
		return t
	}
	return time.Duration(math.Floor(min(float64(t)/r.scale, horizon) + 0.5))
}
