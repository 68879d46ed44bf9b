package autoscale

import (
	"math/rand/v2"
	"slices"
	"time"

	"taillab/policies/chance"
)

// Books gathers what an autoscaler is shown of one service: readings of its pods over
// time, totals in windows, the work of each class. A host tells it what happens, in
// order of time, and asks it for Metrics. Replicas are named by their slot, the ID that
// front ends know; the pods that live in a slot one after another by their number.
type Books struct {
	slots   int // of one replica
	worked  func(slot uint32, now time.Duration) time.Duration
	meters  []meter
	lives   []life
	gauges  []gauge
	classes []classWork
	open    int           // requests not answered yet
	gpu     time.Duration // GPU time of the fleet at the last Show
}

// life is what a slot holds.
type life struct {
	number int // of the pod; −1 = none
	ready  bool
	epoch  uint32
	since  time.Duration // when it became ready
}

// NewBooks makes books of n slots whose replicas serve so many requests at a time.
// worked tells the slot time that the replicas of a slot have worked, all their lives;
// nil takes a request that runs for a slot that works.
func NewBooks(n, slots int, worked func(slot uint32, now time.Duration) time.Duration) *Books {
	b := &Books{slots: slots, worked: worked, meters: make([]meter, n), lives: make([]life, n)}
	for i := range b.lives {
		b.lives[i].number = -1
	}
	if worked == nil {
		b.worked = func(slot uint32, now time.Duration) time.Duration {
			m := &b.meters[slot]
			m.pass(now, m.running, m.queued)
			return m.before + m.inside - m.waiting
		}
	}
	return b
}

// Read prepares the queries of a policy that has some.
func (b *Books) Read(p Autoscaler) {
	r, ok := p.(Reader)
	if !ok {
		return
	}
	for _, q := range r.Queries() {
		g := gauge{q: q, marks: make([]mark, len(b.lives)), newest: make([]Sample, len(b.lives))}
		for i := range g.newest {
			g.newest[i].Pod = -1
		}
		if q.Window > 0 {
			g.stable, g.panicky = NewWindow(q.Window, q.Weighted), NewWindow(q.Panic, q.Weighted)
		}
		b.gauges = append(b.gauges, g)
	}
}

// Scrapes lists the periods after which Scrape is to be called, by query.
func (b *Books) Scrapes() []time.Duration {
	out := make([]time.Duration, len(b.gauges))
	for k := range b.gauges {
		out[k] = b.gauges[k].q.Scrape
	}
	return out
}

// Begin lets the pod of a slot be read: it takes requests from now on.
func (b *Books) Begin(slot uint32, number int, now time.Duration) {
	l, m := &b.lives[slot], &b.meters[slot]
	*l = life{number: number, ready: true, epoch: l.epoch + 1, since: now}
	base := b.worked(slot, now)
	*m = meter{at: now, base: base, before: m.before + m.inside - m.waiting}
}

// Drain ends the readings of a slot's pod; the newest still counts.
func (b *Books) Drain(slot uint32) { b.lives[slot].ready = false }

// End forgets the pod of a slot.
func (b *Books) End(slot uint32) { b.lives[slot].ready, b.lives[slot].number = false, -1 }

// Pass tells what runs and waits in a replica from now on.
func (b *Books) Pass(slot uint32, now time.Duration, running, queued int) {
	b.meters[slot].pass(now, running, queued)
}

// Accepted books a request that a replica has taken.
func (b *Books) Accepted(slot uint32) { b.meters[slot].accepted++ }

// Arrived books a request of a class; it waits until Began.
func (b *Books) Arrived(class uint32) {
	for int(class) >= len(b.classes) {
		b.classes = append(b.classes, classWork{})
	}
	b.open++
	c := &b.classes[class]
	c.waiting++
	c.arrivals++
}

// Began books that a request is in a slot for the first time, or will never be.
func (b *Books) Began(class uint32) { b.classes[class].waiting-- }

// Finished books a request that was served, and its time in a slot.
func (b *Books) Finished(class uint32, service time.Duration) {
	c := &b.classes[class]
	c.done++
	c.service += service
}

// Closed books a request that has its answer.
func (b *Books) Closed() { b.open-- }

// Note books requests that are held while nothing else is read, in every total.
func (b *Books) Note(now time.Duration, held int) {
	for k := range b.gauges {
		b.gauges[k].note(now, float64(held))
	}
}

// Scrape reads the pods for query k, all or a sample of them drawn with the dice.
func (b *Books) Scrape(k int, now time.Duration, held int, dice *rand.PCG) {
	g := &b.gauges[k]
	var values []float64
	for slot := range b.lives {
		if b.lives[slot].ready {
			values = append(values, b.sample(g, uint32(slot), now))
		}
	}
	n := len(values)
	if g.q.Sampled {
		values = draw(dice, values, SampleSize(n))
	}
	sum := 0.0
	for _, v := range values {
		sum += v * float64(n) / float64(len(values))
	}
	if n > 0 || held > 0 {
		g.note(now, sum+float64(held))
	}
}

// draw takes k of the values.
func draw(dice *rand.PCG, list []float64, k int) []float64 {
	for i := 0; i < k && k < len(list); i++ {
		j := i + int(chance.Below(dice, uint64(len(list)-i)))
		list[i], list[j] = list[j], list[i]
	}
	return list[:min(k, len(list))]
}

// Show fills in what was gathered: Held, Readings, Backlog and External. The classes'
// arrivals and work count from here anew.
func (b *Books) Show(m *Metrics, now time.Duration, held int) {
	m.Held = held
	m.Readings = slices.Grow(m.Readings[:0], len(b.gauges))[:len(b.gauges)]
	for k := range b.gauges {
		b.read(&m.Readings[k], &b.gauges[k], now)
	}
	m.Backlog = m.Backlog[:0]
	waiting, gpu := 0, b.workedSince(now)
	var service time.Duration
	for i := range b.classes {
		service += b.classes[i].service
	}
	for i := range b.classes {
		c := &b.classes[i]
		x := ClassBacklog{Class: uint32(i), Waiting: c.waiting, Arrivals: c.arrivals, Done: c.done}
		if service > 0 {
			x.GPUTime = time.Duration(float64(gpu) * float64(c.service) / float64(service))
		}
		m.Backlog = append(m.Backlog, x)
		waiting += c.waiting
		*c = classWork{waiting: c.waiting}
	}
	m.External = append(m.External[:0], Value{Name: OpenRequests, Milli: 1000 * int64(b.open), OK: true},
		Value{Name: WaitingRequests, Milli: 1000 * int64(waiting), OK: true})
}

// read lists the newest samples of the pods that are there, by their numbers.
func (b *Books) read(out *Reading, g *gauge, now time.Duration) {
	out.Samples = out.Samples[:0]
	for slot := range b.lives {
		if n := b.lives[slot].number; n >= 0 && g.newest[slot].Pod == n {
			out.Samples = append(out.Samples, g.newest[slot])
		}
	}
	slices.SortFunc(out.Samples, func(a, b Sample) int { return a.Pod - b.Pod })
	if g.stable != nil {
		out.Stable, out.Panic = g.stable.Average(now), g.panicky.Average(now)
	}
}

// workedSince is the GPU time that the fleet has worked since the last call: slot time
// over slots.
func (b *Books) workedSince(now time.Duration) time.Duration {
	var sum time.Duration
	for slot := range b.lives {
		sum += b.worked(uint32(slot), now) / time.Duration(b.slots)
	}
	d := sum - b.gpu
	b.gpu = sum
	return d
}
