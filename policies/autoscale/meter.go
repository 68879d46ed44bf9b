package autoscale

import "time"

// meter integrates what a replica's server can tell of itself.
type meter struct {
	at              time.Duration
	running, queued int
	inside, waiting time.Duration // requests · time
	active          time.Duration // with anything running
	accepted        int64
	base            time.Duration // slot time worked in earlier lives, as the host tells it
	before          time.Duration // the same, as the meter has it: what ran · time
}

func (m *meter) pass(now time.Duration, running, queued int) {
	dt := now - m.at
	m.inside += time.Duration(m.running+m.queued) * dt
	m.waiting += time.Duration(m.queued) * dt
	if m.running > 0 {
		m.active += dt
	}
	m.at, m.running, m.queued = now, running, queued
}

// gauge is one query of the autoscaler and what was gathered for it.
type gauge struct {
	q       Query
	marks   []mark   // by slot
	newest  []Sample // by slot
	stable  *Window  // nil: no totals
	panicky *Window
}

// mark is what a meter read at the last scrape of a life.
type mark struct {
	epoch    uint32
	at       time.Duration
	sum      time.Duration
	accepted int64
}

// note books a total.
func (g *gauge) note(now time.Duration, total float64) {
	if g.stable != nil {
		g.stable.Add(now, total)
		g.panicky.Add(now, total)
	}
}

// sample reads one pod: the mean of the metric since the last reading, or since it
// became ready.
func (b *Books) sample(g *gauge, slot uint32, now time.Duration) float64 {
	l, m, last := &b.lives[slot], &b.meters[slot], &g.marks[slot]
	m.pass(now, m.running, m.queued)
	next := b.mark(g, slot, now)
	if last.epoch != l.epoch {
		*last = mark{epoch: l.epoch, at: l.since}
	}
	window := now - last.at
	if window <= 0 {
		return 0
	}
	value := float64(next.sum-last.sum) / float64(window)
	if g.q.Metric == Rate {
		value = float64(m.accepted-last.accepted) / window.Seconds()
	}
	s := Sample{Pod: l.number, At: now, Window: window, Value: int64(1000*value + 0.5)}
	switch g.q.Metric {
	case Utilization:
		s.Request = 1000 * int64(b.slots)
	case Duty:
		s.Request = 1000
	}
	*last, g.newest[slot] = next, s
	return value
}

// mark reads a meter.
func (b *Books) mark(g *gauge, slot uint32, now time.Duration) mark {
	m := &b.meters[slot]
	out := mark{epoch: b.lives[slot].epoch, at: now, accepted: m.accepted}
	switch g.q.Metric {
	case Concurrency:
		out.sum = m.inside
	case Queue:
		out.sum = m.waiting
	case Utilization:
		out.sum = b.worked(slot, now) - m.base
	case Duty:
		out.sum = m.active
	}
	return out
}

// classWork is the work of one class of requests since the last call.
type classWork struct {
	waiting        int
	arrivals, done int64
	service        time.Duration // in slots, of those done
}

// Area is a count integrated over time.
type Area struct {
	N   int
	at  time.Duration
	sum time.Duration
}

// Add changes the count at an instant; instants must not decrease.
func (a *Area) Add(now time.Duration, by int) {
	a.sum, a.at = a.Until(now), now
	a.N += by
}

// Until is the integral up to an instant, in count · time.
func (a *Area) Until(now time.Duration) time.Duration {
	return a.sum + time.Duration(a.N)*(now-a.at)
}
