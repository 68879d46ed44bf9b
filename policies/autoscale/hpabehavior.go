package autoscale

import (
	"math"
	"time"
)

// limited bounds what the metrics want by the windows and limits, then by the fleet.
func (h *HPA) limited(now time.Duration, want int, m *Metrics) int {
	if !h.begun { // what there is counts as the first recommendation
		h.begun = true
		h.recs.add(now, m.Spec, max(h.Up.Window, h.Down.Window))
	}
	n := want
	if h.Legacy {
		h.recs.add(now, want, h.Down.Window)
		n = min(h.recs.highest(now, want, h.Down.Window), max(2*m.Spec, 4))
		return m.clamp(n)
	}
	n = h.stabilised(now, want, m.Spec)
	switch {
	case n > m.Spec:
		n = min(n, max(m.Spec, h.bound(now, m.Spec, h.Up, true)))
	case n < m.Spec:
		n = max(n, min(m.Spec, h.bound(now, m.Spec, h.Down, false)))
	}
	n = m.clamp(n)
	switch keep := h.longest(); {
	case n > m.Spec:
		h.added.add(now, n-m.Spec, keep)
	case n < m.Spec:
		h.removed.add(now, m.Spec-n, keep)
	}
	return n
}

// stabilised moves the count as little as the recommendations of the windows allow: up
// to the least of those of the up window, down to the most of those of the down window.
func (h *HPA) stabilised(now time.Duration, want, spec int) int {
	least, most := want, want
	for _, r := range h.recs.list {
		if now-r.at < h.Up.Window {
			least = min(least, r.count)
		}
		if now-r.at < h.Down.Window {
			most = max(most, r.count)
		}
	}
	h.recs.add(now, want, max(h.Up.Window, h.Down.Window))
	return min(max(spec, least), most)
}

// bound is how far the limits of a rule allow the count to go: the most when growing,
// the least when shrinking.
func (h *HPA) bound(now time.Duration, spec int, r Rule, growing bool) int {
	switch {
	case r.Select == selectDisabled:
		return spec
	case len(r.Policies) == 0 && growing:
		return math.MaxInt
	case len(r.Policies) == 0:
		return 0
	}
	highest := (r.Select == selectMax) == growing // max allows the larger change: shrinking, the lower count
	out := 0
	for i, l := range r.Policies {
		n := spec - h.added.sum(now, l.Period) + h.removed.sum(now, l.Period) // at the start of the period
		switch {
		case l.Type == limitPods && growing:
			n += l.Value
		case l.Type == limitPods:
			n -= l.Value
		case growing:
			n = int(math.Ceil(float64(n) * (1 + float64(l.Value)/100)))
		default:
			n = int(float64(n) * (1 - float64(l.Value)/100))
		}
		if i == 0 || (highest && n > out) || (!highest && n < out) {
			out = n
		}
	}
	return out
}

// longest is how long events count.
func (h *HPA) longest() time.Duration {
	var d time.Duration
	for _, r := range []Rule{h.Up, h.Down} {
		for _, l := range r.Policies {
			d = max(d, l.Period)
		}
	}
	return d
}

// sum adds up the counts booked within the window.
func (h *history) sum(now, window time.Duration) int {
	n := 0
	for _, r := range h.list {
		if now-r.at < window {
			n += r.count
		}
	}
	return n
}
