package balance

import (
	"math/bits"
	"strings"
	"time"
)

// hedgeDelay reads a delay: a duration above 0, or a percentile such as p95 as the
// share 0.95.
func hedgeDelay(s string) (fixed time.Duration, q float64, ok bool) {
	if p, found := strings.CutPrefix(s, "p"); found {
		x, err := time.ParseDuration(p + "s") // digits and a point only, so seconds are a plain number
		return 0, x.Seconds() / 100, err == nil && strings.Trim(p, "0123456789.") == "" && x >= time.Second && x <= 99900*time.Millisecond
	}
	d, err := time.ParseDuration(s)
	return d, 0, err == nil && d > 0
}

// recent is a quantile of the latencies in the last complete window: a histogram
// with bins of at most 3%, 32 per octave, from 1 µs to 5 h.
//
// A latency ends at the first answer of any attempt. Copies leave its distribution
// below the delay alone, so the quantile that sets the delay is not moved by them.
type recent struct {
	q      float64
	window time.Duration
	end    time.Duration // of the window under way
	last   time.Duration // quantile of the last window that had enough; 0 = none yet
	n      int
	bins   []uint32
}

const (
	binsPerOctave = 32
	lowestOctave  = 10 // 1 µs
	octaves       = 34
	fewest        = 20 // latencies that a window needs to count (our choice)
)

// add books a latency.
func (r *recent) add(now, latency time.Duration) {
	if r.q == 0 {
		return
	}
	r.turn(now)
	if r.bins == nil {
		r.bins = make([]uint32, octaves*binsPerOctave)
	}
	r.bins[bin(latency)]++
	r.n++
}

// value is the quantile; 0 while no window is complete.
func (r *recent) value(now time.Duration) time.Duration {
	r.turn(now)
	return r.last
}

// turn ends the window when its time is over.
func (r *recent) turn(now time.Duration) {
	if now < r.end {
		return
	}
	if r.n >= fewest {
		r.last = r.quantile()
	}
	if r.n > 0 {
		clear(r.bins)
		r.n = 0
	}
	r.end = now - now%r.window + r.window
}

// quantile is the upper end of the bin that holds it.
func (r *recent) quantile() time.Duration {
	need := r.q * float64(r.n)
	sum := 0.0
	for i, c := range r.bins {
		if sum += float64(c); sum >= need {
			return binEnd(i)
		}
	}
	return binEnd(len(r.bins) - 1)
}

func bin(d time.Duration) int {
	v := uint64(max(d, 1<<lowestOctave))
	octave := bits.Len64(v) - 1
	i := (octave-lowestOctave)*binsPerOctave + int(v>>(octave-5))&(binsPerOctave-1)
	return min(i, octaves*binsPerOctave-1)
}

func binEnd(i int) time.Duration {
	octave, sub := i/binsPerOctave+lowestOctave, i%binsPerOctave
	return time.Duration(1)<<octave + time.Duration(sub+1)<<(octave-5)
}
