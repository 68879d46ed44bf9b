package quota

import "time"

// demand is how much a tenant asked for in the last window: the part of the window
// before that still counts, and this one (a sliding window of two counters).
type demand struct {
	start     time.Duration // of the present window
	prev, cur float64       // units
}

// turn brings the windows up to date.
func (d *demand) turn(now, window time.Duration) {
	if k := (now - d.start) / window; k > 0 {
		if d.prev = d.cur; k > 1 {
			d.prev = 0
		}
		d.cur, d.start = 0, d.start+k*window
	}
}

// ask books n units.
func (d *demand) ask(now, window time.Duration, n float64) {
	d.turn(now, window)
	d.cur += n
}

// sum is the units asked for in the window that ends now.
func (d *demand) sum(now, window time.Duration) float64 {
	d.turn(now, window)
	part := float64(now-d.start) / float64(window)
	return d.prev*(1-part) + d.cur
}
