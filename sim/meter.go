package sim

import (
	"slices"
	"time"

	"taillab/policies/autoscale"
	"taillab/policies/chance"
	"taillab/workloads"
)

// meter integrates what a replica's server can tell of itself.
type meter struct {
	at              time.Duration
	running, queued int
	inside, waiting time.Duration // requests · time
	active          time.Duration // with anything running
	accepted        int64
	base            time.Duration // slot time of earlier lives
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

// touch brings the meter of a replica up to date, after its state has changed or
// before it is read.
func (e *elastic) touch(r uint32) {
	running, queued := e.s.pool.Load(r)
	e.meters[r].pass(e.l.now(), running, queued)
	if e.pods[r].holds {
		e.quiet(r, running == 0)
	}
}

// gauge is one query of the autoscaler and what was gathered for it.
type gauge struct {
	q       autoscale.Query
	marks   []mark // by replica number
	newest  []autoscale.Sample
	stable  *autoscale.Window // nil: no totals
	panicky *autoscale.Window
}

// mark is what a meter read at the last scrape of a life.
type mark struct {
	epoch    uint32
	at       time.Duration
	sum      time.Duration
	accepted int64
}

func (e *elastic) addGauges(queries []autoscale.Query) {
	for _, q := range queries {
		g := gauge{q: q, marks: make([]mark, len(e.pods)), newest: make([]autoscale.Sample, len(e.pods))}
		for r := range g.newest {
			g.newest[r].Pod = -1
		}
		if q.Window > 0 {
			g.stable, g.panicky = autoscale.NewWindow(q.Window, q.Weighted), autoscale.NewWindow(q.Panic, q.Weighted)
		}
		e.gauges = append(e.gauges, g)
	}
}

// note books a total.
func (g *gauge) note(now time.Duration, total float64) {
	if g.stable != nil {
		g.stable.Add(now, total)
		g.panicky.Add(now, total)
	}
}

// scrape reads the pods for query k: all, or a sample of them.
func (l *lab) scrape(arg uint64) {
	e := l.svcs[arg>>32].elastic
	g, now := &e.gauges[uint32(arg)], l.now()
	var pods []uint32
	for r := range uint32(len(e.pods)) {
		if e.pods[r].phase == autoscale.Ready {
			pods = append(pods, r)
		}
	}
	n := len(pods)
	values := make([]float64, n)
	for i, r := range pods {
		values[i] = e.sample(g, r, now)
	}
	if g.q.Sampled {
		values = l.sample("autoscale/"+e.s.name+"/scrape", values, autoscale.SampleSize(n))
	}
	sum := 0.0
	for _, v := range values {
		sum += v * float64(n) / float64(len(values))
	}
	held := l.held(e.svc)
	if n > 0 || held > 0 {
		g.note(now, sum+float64(held))
	}
	l.eng.Schedule(At(now+g.q.Scrape), l.id.scrape, arg)
}

// sample draws k of the values.
func (l *lab) sample(stream string, list []float64, k int) []float64 {
	dice := l.stream(stream)
	for i := 0; i < k && k < len(list); i++ {
		j := i + int(chance.Below(dice, uint64(len(list)-i)))
		list[i], list[j] = list[j], list[i]
	}
	return list[:min(k, len(list))]
}

// sample reads one pod: the mean of the metric since the last reading, or since it
// became ready.
func (e *elastic) sample(g *gauge, r uint32, now time.Duration) float64 {
	e.touch(r)
	p, m, last := &e.pods[r], &e.meters[r], &g.marks[r]
	if last.epoch != p.epoch {
		*last = mark{epoch: p.epoch, at: p.transition}
	}
	next := e.mark(g, r, now)
	window := now - last.at
	if window <= 0 {
		return 0
	}
	value := float64(next.sum-last.sum) / float64(window)
	if g.q.Metric == autoscale.Rate {
		value = float64(m.accepted-last.accepted) / window.Seconds()
	}
	s := autoscale.Sample{Pod: p.number, At: now, Window: window, Value: int64(1000*value + 0.5)}
	switch g.q.Metric {
	case autoscale.Utilization:
		s.Request = 1000 * int64(e.s.pool.Model(r).Slots())
	case autoscale.Duty:
		s.Request = 1000
	}
	*last, g.newest[r] = next, s
	return value
}

// mark reads a meter.
func (e *elastic) mark(g *gauge, r uint32, now time.Duration) mark {
	m := &e.meters[r]
	out := mark{epoch: e.pods[r].epoch, at: now, accepted: m.accepted}
	switch g.q.Metric {
	case autoscale.Concurrency:
		out.sum = m.inside
	case autoscale.Queue:
		out.sum = m.waiting
	case autoscale.Utilization:
		out.sum = e.s.pool.BusySlotTime(r, now) - m.base
	case autoscale.Duty:
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

// arrived books an arrival, before its front end has it.
func (e *elastic) arrived(i uint32, class uint16) {
	e.open++
	e.came++
	e.started = put(e.started, i, false)
	e.classes = put(e.classes, uint32(class), e.class(class))
	c := &e.classes[class]
	c.waiting++
	c.arrivals++
}

func (e *elastic) class(class uint16) classWork {
	if int(class) < len(e.classes) {
		return e.classes[class]
	}
	return classWork{}
}

// show gathers what the autoscaler sees.
func (e *elastic) show(now time.Duration) {
	m := &e.m
	m.Spec, m.Held = e.spec, e.l.held(e.svc)
	m.Pods = m.Pods[:0]
	for r := range e.pods {
		p := &e.pods[r]
		if p.phase == autoscale.Gone {
			continue
		}
		m.Pods = append(m.Pods, autoscale.Pod{ID: p.number, Phase: p.phase, Ready: p.phase == autoscale.Ready, EverReady: p.everReady,
			Start: p.start, LastTransition: p.transition, Deleted: p.phase == autoscale.Draining || p.condemned})
	}
	slices.SortFunc(m.Pods, func(a, b autoscale.Pod) int { return a.ID - b.ID })
	m.Readings = slices.Grow(m.Readings[:0], len(e.gauges))[:len(e.gauges)]
	for k := range e.gauges {
		e.read(&m.Readings[k], &e.gauges[k], now)
	}
	m.Backlog = m.Backlog[:0]
	waiting, gpu := 0, e.worked(now)
	var service time.Duration
	for i := range e.classes {
		service += e.classes[i].service
	}
	for i := range e.classes {
		c := &e.classes[i]
		b := autoscale.ClassBacklog{Class: uint32(i), Waiting: c.waiting, Arrivals: c.arrivals, Done: c.done}
		if service > 0 {
			b.GPUTime = time.Duration(float64(gpu) * float64(c.service) / float64(service))
		}
		m.Backlog = append(m.Backlog, b)
		waiting += c.waiting
		*c = classWork{waiting: c.waiting}
	}
	m.External = append(m.External[:0], autoscale.Value{Name: autoscale.OpenRequests, Milli: 1000 * int64(e.open), OK: true},
		autoscale.Value{Name: autoscale.WaitingRequests, Milli: 1000 * int64(waiting), OK: true})
	m.Ahead = e.ahead.look(e, now)
}

// read lists the newest samples of the pods that are there.
func (e *elastic) read(out *autoscale.Reading, g *gauge, now time.Duration) {
	out.Samples = out.Samples[:0]
	for r := range e.pods {
		if p := &e.pods[r]; p.phase != autoscale.Gone && g.newest[r].Pod == p.number {
			out.Samples = append(out.Samples, g.newest[r])
		}
	}
	slices.SortFunc(out.Samples, func(a, b autoscale.Sample) int { return a.Pod - b.Pod })
	if g.stable != nil {
		out.Stable, out.Panic = g.stable.Average(now), g.panicky.Average(now)
	}
}

// worked is the GPU time that the fleet has worked since the last call: slot time over
// slots.
func (e *elastic) worked(now time.Duration) time.Duration {
	var sum time.Duration
	for r := range uint32(len(e.pods)) {
		sum += e.s.pool.BusySlotTime(r, now) / time.Duration(e.s.pool.Model(r).Slots())
	}
	d := sum - e.busy
	e.busy = sum
	return d
}

// foresight reads the schedule ahead of the run, for an oracle: the work of each
// second, in replicas.
type foresight struct {
	src   workloads.Source
	buf   []workloads.Request
	ahead []float64 // from second first on
	first int
	per   float64 // seconds of a replica that one request takes
	done  bool
}

// maxAhead bounds how far an oracle looks.
const maxAhead = time.Hour

func (f *foresight) init(e *elastic) (err error) {
	c := e.l.rep.Cell
	f.src, err = c.Setup.Workload.Source(e.l.rep.Seed, c.RateRPS)
	f.buf = make([]workloads.Request, 256)
	if one := c.Setup.PerReplica(e.svc); one > 0 {
		f.per = 1 / one
	}
	return err
}

// look returns the work from the present second on, as far as twice a load time and a
// minute.
func (f *foresight) look(e *elastic, now time.Duration) []float64 {
	if f.src == nil {
		return nil
	}
	until := int((now + min(2*e.m.Lead+time.Minute, maxAhead)) / time.Second)
	for !f.done && f.first+len(f.ahead) <= until {
		n := f.src.Next(f.buf)
		f.done = n == 0
		for i := range f.buf[:n] {
			r := &f.buf[i]
			s := int(r.At/time.Second) - f.first
			for s >= len(f.ahead) {
				f.ahead = append(f.ahead, 0)
			}
			if int(r.Service) == e.svc {
				f.ahead[s] += f.per
			}
		}
	}
	if skip := min(int(now/time.Second)-f.first, len(f.ahead)); skip > 0 {
		f.ahead, f.first = f.ahead[skip:], f.first+skip
	}
	return f.ahead
}
