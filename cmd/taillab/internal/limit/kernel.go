package main

import (
	"math/rand/v2"
	"time"

	"taillab/policies/chance"
	"taillab/reports"
	"taillab/sim"
)

// model is the benchmark model on the bare kernel: arrivals are a source, and ends of
// service have a lane for each server, up to as many as are of use. It is the C
// program's twin, line by line where the engine allows it.
type model struct {
	eng      *sim.Engine
	departed sim.HandlerID
	lanes    bool
	dice     rand.PCG
	gap      float64 // mean, ns
	servers  []server
	jobs     []job
	free     uint32 // +1
	hist     *reports.Hist
	left     int // requests to go
}

type server struct{ len, head, tail uint32 }

type job struct {
	at   sim.Time
	next uint32
}

// service is the mean service time in ns.
const service = float64(time.Second)

// runKernel returns the histogram of the response times.
func runKernel(n, requests int, seed uint64, c *clock) *reports.Hist {
	m := &model{eng: sim.New(sim.Config{Pending: n, Seed: seed}), dice: chance.Stream(chance.RunSeed(seed, 0), "limit"),
		gap: service / (0.9 * float64(n)), servers: make([]server, n), jobs: make([]job, 0, 4*n+1024),
		hist: reports.NewHist(reports.HistBits), left: requests}
	m.departed = m.eng.Register(m, sim.Completion)
	if m.lanes = n <= sim.MaxLanes; m.lanes {
		m.eng.Lanes(n, m.departed)
	}
	m.eng.Attach(sim.Time(chance.Exp(&m.dice)*m.gap+0.5), m)
	c.start()
	m.eng.Run()
	c.stop(int64(m.eng.Events()))
	return m.hist
}

// Fire implements sim.Source: an arrival joins the shorter of two queues.
func (m *model) Fire(e *sim.Engine) sim.Time {
	next := e.Now() + sim.Time(chance.Exp(&m.dice)*m.gap+0.5)
	k := m.shorter()
	i := m.take()
	m.jobs[i].at = e.Now()
	s := &m.servers[k]
	if s.len++; s.len == 1 {
		s.head, s.tail = i, i
		m.serve(k)
	} else {
		m.jobs[s.tail].next = i
		s.tail = i
	}
	return next
}

// shorter draws two distinct servers from one word; the first wins ties.
func (m *model) shorter() uint32 {
	n := uint64(len(m.servers))
	if n == 1 {
		return 0
	}
	u := m.dice.Uint64()
	a, b := uint32(u&0xffffffff*n>>32), uint32(u>>32*(n-1)>>32)
	if b >= a {
		b++
	}
	less := (m.servers[b].len - m.servers[a].len) >> 31 // 1 when b is shorter
	return a ^ (a^b)&-less
}

func (m *model) take() uint32 {
	if m.free != 0 {
		i := m.free - 1
		m.free = m.jobs[i].next
		return i
	}
	m.jobs = append(m.jobs, job{})
	return uint32(len(m.jobs) - 1)
}

func (m *model) serve(k uint32) {
	at := m.eng.Now() + sim.Time(chance.Exp(&m.dice)*service+0.5)
	if m.lanes {
		m.eng.SetLane(k, at)
	} else {
		m.eng.Schedule(at, m.departed, uint64(k))
	}
}

// Handle implements sim.Handler: the end of a service.
func (m *model) Handle(e *sim.Engine, arg uint64) {
	k := uint32(arg)
	s := &m.servers[k]
	i := s.head
	j := &m.jobs[i]
	m.hist.Record(int64(e.Now() - j.at))
	s.head, j.next, m.free = j.next, m.free, i+1
	if s.len--; s.len > 0 {
		m.serve(k)
	} else if m.lanes {
		m.eng.SetLane(k, sim.Never)
	}
	if m.left--; m.left == 0 {
		e.Stop()
	}
}
