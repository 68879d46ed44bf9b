package workloads

import (
	"math"
	"math/rand/v2"
	"time"

	"taillab/policies/chance"
)

// Source returns the schedule of one run at a mean rate per second (0 = the
// workload's own; on a trace the rate sets the time scale). It is a function of
// the run's seed alone. The error says that no rate is known, or that it is out
// of range.
func (c *Compiled) Source(runSeed uint64, rate float64) (Source, error) {
	if rate == 0 {
		rate = c.rate
	}
	s := &schedule{c: c, split: newSplitter(c.spec.Frontends, c.splitBy, runSeed)}
	switch {
	case rate < 0 || math.IsNaN(rate) || math.IsInf(rate, 0):
		return nil, problem("rate", "the arrival rate is %v/s: it must be above 0", rate)
	case c.trace != nil:
		s.replay = newReplay(c, c.TimeScale(rate), runSeed)
	case rate == 0:
		return nil, errNoRate
	case !(rate > 0 && rate <= MaxRate):
		return nil, problem("rate", "the arrival rate is %v/s: it must be above 0 and at most 1e9/s", rate)
	default:
		s.process = c.process(rate, runSeed)
	}
	for p, name := range [purposes]string{"tenant", "model", "tokens/input", "tokens/output", "tokens/pairs", "tenant/input", "tenant/output", "size", "deadline"} {
		s.dice[p] = chance.Stream(runSeed, name)
	}
	s.plain = c.template()
	return s, nil
}

// process is the arrival process with the levels of a preset and the
// scenario's modulation around it.
func (c *Compiled) process(rate float64, runSeed uint64) process {
	p := newProcess(c.arrivals, rate, runSeed)
	if len(c.levels) > 0 {
		p = &modulated{base: p, list: c.levels, cycle: true}
	}
	if len(c.spec.Modulate) > 0 {
		p = &modulated{base: p, list: stretches(c.spec.Modulate, rate)}
	}
	return p
}

// The purposes with a stream of their own, beside arrivals, split and rotate:
// what one draws shifts no other.
const (
	ofTenant = iota
	ofModel
	ofInput
	ofOutput
	ofPairs
	ofOwnInput // sizes of tenants that have their own
	ofOwnOutput
	ofSize
	ofDeadline
	purposes
)

// schedule draws requests column by column, each column from its own stream, so
// the size of the chunks changes nothing.
type schedule struct {
	c       *Compiled
	process process // nil for a trace
	clock   clock
	replay  *replay // nil for a process
	dice    [purposes]rand.PCG
	split   splitter
	plain   Request // what all requests have in common
	id      uint64
	rows    [block]int32 // trace rows of the block
	done    bool
}

// template is a request with everything that is not drawn.
func (c *Compiled) template() Request {
	first := c.tenants[0] // of many, each request gets its own
	r := Request{Group: first.group, Class: first.class, Priority: first.priority}
	if v, ok := c.input.fixed(); ok {
		r.Input = uint32(v)
	}
	if v, ok := c.output.fixed(); ok {
		r.Output = uint32(v)
	}
	if v, ok := c.demand.fixed(); ok {
		r.Demand = nanoseconds(v)
	}
	return r
}

// block is how many requests are drawn at a time: they stay in the first cache
// while column after column is filled.
const block = 128

// Next fills dst and returns how many it filled.
func (s *schedule) Next(dst []Request) int {
	n := 0
	for n < len(dst) {
		got := s.fill(dst[n:min(n+block, len(dst))])
		if got == 0 {
			break
		}
		n += got
	}
	return n
}

func (s *schedule) fill(dst []Request) int {
	dst = dst[:s.arrive(dst)]
	if len(dst) == 0 {
		return 0
	}
	s.drawTenants(dst)
	s.drawModels(dst)
	s.drawTokens(dst)
	s.drawTimes(dst)
	s.split.fill(dst)
	return len(dst)
}

// arrive sets number and instant, and returns how many requests there are.
func (s *schedule) arrive(dst []Request) int {
	if s.done {
		return 0
	}
	if p, ok := s.process.(*poisson); ok {
		return s.arrivePoisson(dst, p)
	}
	for i := range dst {
		var at time.Duration
		var ok bool
		if s.replay != nil {
			at, s.rows[i], ok = s.replay.next()
		} else {
			at, ok = s.clock.add(s.process.gap())
		}
		if !ok {
			s.done = true
			return i
		}
		dst[i] = s.plain
		dst[i].ID, dst[i].At = s.id, at
		s.id++
	}
	return len(dst)
}

// arrivePoisson is arrive for the usual process, with nothing between the dice
// and the clock: at 10⁷ requests a second of a simulator it shows.
func (s *schedule) arrivePoisson(dst []Request, p *poisson) int {
	id, clock := s.id, s.clock
	for i := range dst {
		at, ok := clock.add(chance.Exp(&p.dice) * p.mean)
		if !ok {
			dst, s.done = dst[:i], true
			break
		}
		dst[i] = s.plain
		dst[i].ID, dst[i].At = id+uint64(i), at
	}
	s.id, s.clock = id+uint64(len(dst)), clock
	return len(dst)
}

func (s *schedule) drawTenants(dst []Request) {
	c := s.c
	switch {
	case c.trace != nil && c.trace.Tenant != nil:
		for i := range dst {
			dst[i].Tenant = c.trace.Tenant[s.rows[i]]
		}
	case c.tenantBy != nil:
		for i := range dst {
			dst[i].Tenant = c.tenantBy.draw(&s.dice[ofTenant])
		}
	}
	for i := range dst {
		if len(c.tenants) == 1 {
			break // the template has it
		}
		r := &dst[i]
		t := &c.tenants[r.Tenant]
		r.Group, r.Class, r.Priority, r.Key = t.group, t.class, t.priority, uint64(r.Tenant)
	}
	if c.trace != nil {
		s.copyTrace(dst)
	}
}

// copyTrace takes session and prefix blocks from the rows.
func (s *schedule) copyTrace(dst []Request) {
	t := s.c.trace
	for i := range dst {
		row := s.rows[i]
		if t.Session != nil {
			dst[i].Key = t.Session[row]
			if n := (dst[i].ID + s.replay.start) / uint64(t.Len()); n > 0 { // another round is another session
				dst[i].Key = chance.Mix(dst[i].Key ^ chance.Mix(n))
			}
		}
		dst[i].Blocks = t.Blocks(int(row))
	}
}

func (s *schedule) drawModels(dst []Request) {
	c := s.c
	switch {
	case c.modelBy != nil:
		for i := range dst {
			m := c.modelBy.draw(&s.dice[ofModel])
			dst[i].Model, dst[i].Service = m, c.modelSvc[m]
		}
	case c.trace != nil && c.trace.Model != nil:
		for i := range dst {
			dst[i].Model = c.trace.Model[s.rows[i]]
		}
	}
}

func (s *schedule) drawTokens(dst []Request) {
	c := s.c
	in, out := c.rows()
	switch {
	case c.pairs != nil:
		for i := range dst {
			k := chance.Below(&s.dice[ofPairs], uint64(len(in)))
			dst[i].Input, dst[i].Output = in[k], out[k]
		}
	case c.rho != 0 && in == nil && out == nil:
		s.drawJoint(dst)
		return
	default:
		s.drawColumn(dst, in, &c.input, ofInput)
		s.drawColumn(dst, out, &c.output, ofOutput)
	}
	if c.own {
		s.drawOwn(dst)
	}
}

// drawColumn draws input or output, or copies it from the trace.
func (s *schedule) drawColumn(dst []Request, rows []uint32, z *sizer, purpose int) {
	if _, fixed := z.fixed(); fixed && rows == nil {
		return // the template has it
	}
	for i := range dst {
		var v uint32
		if rows != nil {
			v = rows[s.rows[i]]
		} else {
			v = uint32(z.value(&s.dice[purpose]))
		}
		if purpose == ofInput {
			dst[i].Input = v
		} else {
			dst[i].Output = v
		}
	}
}

// drawOwn replaces the sizes of tenants that have their own. They come from
// further streams: one tenant's sizes do not move those of tenants without.
func (s *schedule) drawOwn(dst []Request) {
	for i := range dst {
		r := &dst[i]
		t := &s.c.tenants[r.Tenant]
		if t.input != nil {
			r.Input = uint32(t.input.value(&s.dice[ofOwnInput]))
		}
		if t.output != nil {
			r.Output = uint32(t.output.value(&s.dice[ofOwnOutput]))
		}
	}
}

// drawJoint draws input and output through a normal pair of correlation rho.
func (s *schedule) drawJoint(dst []Request) {
	rho, other := s.c.rho, math.Sqrt(1-s.c.rho*s.c.rho)
	for i := range dst {
		r := &dst[i]
		a, b := &s.c.input, &s.c.output
		if t := &s.c.tenants[r.Tenant]; t.input != nil || t.output != nil {
			if t.input != nil {
				a = t.input
			}
			if t.output != nil {
				b = t.output
			}
		}
		x := chance.Normal(&s.dice[ofInput])
		y := float64(rho*x) + float64(other*chance.Normal(&s.dice[ofOutput]))
		r.Input = uint32(a.shape(a.law.at(phi(x))))
		r.Output = uint32(b.shape(b.law.at(phi(y))))
	}
}

// drawTimes draws service demand and deadline.
func (s *schedule) drawTimes(dst []Request) {
	c := s.c
	if c.spec.Demand.Kind == "" {
		if c.trace != nil && c.trace.Demand != nil {
			for i := range dst {
				dst[i].Demand = c.trace.Demand[s.rows[i]]
			}
		}
	} else if e, ok := c.demand.law.(exponential); ok && c.demand.free() { // the usual law, without the detour
		for i := range dst {
			dst[i].Demand = nanoseconds(chance.Exp(&s.dice[ofSize]) * float64(e))
		}
	} else if _, fixed := c.demand.fixed(); !fixed {
		for i := range dst {
			dst[i].Demand = nanoseconds(c.demand.value(&s.dice[ofSize]))
		}
	}
	if c.spec.Deadline.Kind != "" {
		for i := range dst {
			dst[i].Deadline = dst[i].At + nanoseconds(c.deadline.value(&s.dice[ofDeadline]))
		}
	}
}

// nanoseconds rounds to the nearest, half up, and clamps before it converts.
func nanoseconds(x float64) time.Duration {
	switch {
	case !(x > 0):
		return 0
	case x >= horizon:
		return horizon
	}
	return time.Duration(x + 0.5) // towards zero, which is the floor here; math.Floor costs a call
}
