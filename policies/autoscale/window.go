package autoscale

import (
	"math"
	"time"
)

// bucket is the granularity of a Window.
const bucket = time.Second

// Window averages a value over a trailing time in buckets of a second, as Knative's
// autoscaler does: over the buckets since the first write, those after the last write
// left out, empty ones in between counted as 0, rounded to 1e-6 [knative/serving
// pkg/autoscaler/aggregation]. The zero Window must be made by NewWindow.
type Window struct {
	ring        []float64
	first, last int64 // numbers of buckets; first > last: nothing written
	keep        float64
}

// NewWindow makes an empty window of a length ≥ 1 s. A weighted one weighs the newest
// bucket c, the one before c(1−c), and so on, where c lets the whole window carry
// 99.99 % and is at least 0.2; the weights are not renormalised.
func NewWindow(length time.Duration, weighted bool) *Window {
	n := max(1, int((length+bucket-1)/bucket))
	w := &Window{ring: make([]float64, n), first: 1}
	if weighted {
		w.keep = 1 - max(1-math.Pow(1-0.9999, 1/float64(n)), 0.2)
	}
	return w
}

// Add books a value at an instant; values of one bucket add up. Instants must not
// decrease.
func (w *Window) Add(now time.Duration, v float64) {
	b, n := int64(now/bucket), int64(len(w.ring))
	if w.first > w.last || b-w.last >= n { // nothing that still counts
		clear(w.ring)
		w.first, w.last = b, b
	}
	for w.last < b {
		w.last++
		w.ring[w.last%n] = 0
	}
	w.ring[b%n] += v
}

// Average is the mean over the window that ends now; not OK when nothing was written
// within it.
func (w *Window) Average(now time.Duration) Average {
	n := int64(len(w.ring))
	oldest := max(int64(now/bucket)-n+1, w.first)
	if w.first > w.last || oldest > w.last {
		return Average{}
	}
	sum, weight := 0.0, 1.0
	for b := w.last; b >= oldest; b-- {
		if w.keep > 0 {
			weight *= w.keep
		}
		sum += w.ring[b%n] * weight
	}
	if w.keep > 0 {
		sum *= (1 - w.keep) / w.keep
	} else {
		sum /= float64(w.last - oldest + 1)
	}
	return Average{Value: math.Round(sum*1e6) / 1e6, OK: true}
}

// SampleSize is how many of n pods are read so that their mean is within the margin
// that Knative asks for: all up to three, else n·X/(n+X−1) with X = (1.96·0.2/0.1)² =
// 15.3664, rounded up [knative/serving pkg/autoscaler/metrics].
func SampleSize(n int) int {
	const x = 15.3664
	if n <= 3 {
		return n
	}
	return int(math.Ceil(float64(n) * x / (float64(n) + x - 1)))
}

// history keeps recommendations for a while.
type history struct{ list []recommendation }

type recommendation struct {
	at    time.Duration
	count int
}

// add books a recommendation and forgets those older than keep.
func (h *history) add(now time.Duration, count int, keep time.Duration) {
	h.prune(now, keep)
	h.list = append(h.list, recommendation{now, count})
}

func (h *history) prune(now, keep time.Duration) {
	k := 0
	for _, r := range h.list {
		if now-r.at <= keep {
			h.list[k] = r
			k++
		}
	}
	h.list = h.list[:k]
}

// highest is the largest of n and the recommendations no older than window.
func (h *history) highest(now time.Duration, n int, window time.Duration) int {
	for _, r := range h.list {
		if now-r.at <= window {
			n = max(n, r.count)
		}
	}
	return n
}

// clock keeps the period of a policy that may also be called in between.
type clock struct {
	next time.Duration
	last Decision
}

// early tells that a call comes before the period is over, and what to answer.
func (c *clock) early(now time.Duration) (Decision, bool) {
	if now >= c.next {
		return Decision{}, false
	}
	d := c.last
	d.Next = c.next - now
	return d, true
}

// decide books an answer that holds for a period.
func (c *clock) decide(now time.Duration, d Decision) Decision {
	c.last, c.next = d, now+d.Next
	return d
}
