package sim

import (
	"slices"
	"time"

	"taillab/policies/autoscale"
	"taillab/workloads"
)

// touch brings the meter of a replica up to date, after its state has changed or
// before it is read.
func (e *elastic) touch(r uint32) {
	running, queued := e.s.pool.Load(r)
	e.books.Pass(r, e.l.now(), running, queued)
	if e.pods[r].holds {
		e.quiet(r, running == 0)
	}
}

// scrape reads the pods for query k.
func (l *lab) scrape(arg uint64) {
	e, k, now := l.svcs[arg>>32].elastic, int(uint32(arg)), l.now()
	e.books.Scrape(k, now, l.held(e.svc), l.stream("autoscale/"+e.s.name+"/scrape"))
	l.eng.Schedule(At(now+e.scrapes[k]), l.id.scrape, arg)
}

// arrived books an arrival, before its front end has it.
func (e *elastic) arrived(i uint32, class uint16) {
	e.came++
	e.started = put(e.started, i, false)
	e.books.Arrived(uint32(class))
}

// show gathers what the autoscaler sees.
func (e *elastic) show(now time.Duration) {
	m := &e.m
	m.Spec = e.spec
	m.Pods = m.Pods[:0]
	for r := range e.pods {
		if p := &e.pods[r]; p.phase != autoscale.Gone {
			m.Pods = append(m.Pods, p.shown())
		}
	}
	slices.SortFunc(m.Pods, func(a, b autoscale.Pod) int { return a.ID - b.ID })
	e.books.Show(m, now, e.l.held(e.svc))
	m.Ahead = e.ahead.look(e, now)
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
