package balance

import (
	"time"

	"taillab/policies"
)

// CentralQueue is one first-in-first-out queue behind all front ends; a free slot
// pulls the head. Without costs it is M/M/c, or M/M/c/K with a capacity: what an
// ideal dispatcher could reach. With pull_rtt a slot idles for one round trip per
// request; with queue_cost the queue is a serial bottleneck.
type CentralQueue struct {
	Capacity  int           `yaml:"capacity" about:"requests waiting and running that are let in; 0 = no limit" min:"0"`
	QueueCost time.Duration `yaml:"queue_cost" about:"time for which each dequeue holds the queue" min:"0"`
	PullRTT   time.Duration `yaml:"pull_rtt" about:"round trip by which a freed slot pulls the next request" min:"0"`

	fifo    []queued // ring
	head, n int      // n counts those that left, too
	waiting int
	running int

	ready   []uint32 // IDs of the replicas with a slot that has pulled: dense
	pos     []uint32 // by ID: place in ready, +1
	pulls   []int32  // by ID: pulls under way
	epoch   []uint32 // by ID: grows when the replica is removed or restarted
	holding bool     // a dequeue holds the queue
	stats   struct{ direct, held, shed, none uint64 }
}

type queued struct {
	req  uint64
	left bool // its client has left
}

// Tokens: a pull carries the replica and 23 bits of its epoch; a dequeue carries
// the top bit.
const (
	tokenDequeue = 1 << 55
	epochBits    = 1<<23 - 1
)

// Shared implements the marker interface Shared.
func (*CentralQueue) Shared() {}

// Pick implements Balancer.
func (p *CentralQueue) Pick(env *Env, req *policies.Request) Choice {
	f := env.Fleet
	switch {
	case f.Len() == 0:
		p.stats.none++
		return None()
	case p.Capacity > 0 && p.waiting+p.running >= p.Capacity:
		p.stats.shed++
		return Shed(ReasonQueueFull)
	}
	if p.waiting == 0 && p.QueueCost == 0 {
		if i := p.choose(f, env.Rand); i >= 0 {
			p.stats.direct++
			return To(f.Ref(i))
		}
	}
	p.stats.held++
	p.push(req.ID)
	p.hold(env)
	return Later()
}

// choose draws a uniform replica among those with a ready slot; −1 when there is none.
func (p *CentralQueue) choose(f *Fleet, r Dice) int {
	if len(p.ready) == 0 {
		return -1
	}
	if i := f.index(p.ready[Below(r, len(p.ready))]); i >= 0 {
		return i
	}
	n := 0 // only a request that must avoid some replicas comes here
	for _, id := range p.ready {
		if f.index(id) >= 0 {
			n++
		}
	}
	if n == 0 {
		return -1
	}
	k := Below(r, n)
	for _, id := range p.ready {
		if i := f.index(id); i >= 0 {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return -1
}

// hold starts the next dequeue when dequeues take time and one can start.
func (p *CentralQueue) hold(env *Env) {
	if p.QueueCost > 0 && !p.holding && p.waiting > 0 && len(p.ready) > 0 {
		p.holding = true
		env.Wake(env.Now+p.QueueCost, tokenDequeue)
	}
}

// advance brings waiting requests to ready slots.
func (p *CentralQueue) advance(env *Env) {
	if p.QueueCost > 0 {
		p.hold(env)
		return
	}
	for p.waiting > 0 && len(p.ready) > 0 && p.release(env) {
	}
}

// release sends the head to a ready slot; false when none of those suits it.
func (p *CentralQueue) release(env *Env) bool {
	for p.fifo[p.head].left {
		p.pop()
	}
	req := p.fifo[p.head].req
	f := allowed(env, req)
	c := None()
	if f.Len() > 0 {
		i := p.choose(f, env.Rand)
		if i < 0 {
			return false
		}
		c = To(f.Ref(i))
	}
	p.pop()
	p.waiting--
	env.Resolve(req, c)
	return true
}

// Sent implements Attempts.
func (p *CentralQueue) Sent(env *Env, a Attempt) {
	p.running++
	p.refresh(env.Fleet, a.Ref.ID)
}

// Ended implements Attempts: the freed slot pulls.
func (p *CentralQueue) Ended(env *Env, d Done) {
	p.running--
	p.size(env.Fleet)
	if id := d.Ref.ID; p.PullRTT > 0 && env.Fleet.Index(d.Ref) >= 0 {
		p.pulls[id]++
		env.Wake(env.Now+p.PullRTT, uint64(p.epoch[id]&epochBits)<<32|uint64(id))
	}
	p.refresh(env.Fleet, d.Ref.ID)
	p.advance(env)
}

// Woke implements Waker: a pull has arrived, or a dequeue is done.
func (p *CentralQueue) Woke(env *Env, token uint64) {
	if token == tokenDequeue {
		p.holding = false
		if p.waiting > 0 && len(p.ready) > 0 {
			p.release(env)
		}
		p.advance(env)
		return
	}
	p.size(env.Fleet)
	id, epoch := uint32(token), uint32(token>>32)
	if int(id) >= len(p.pulls) || p.epoch[id]&epochBits != epoch || p.pulls[id] == 0 {
		return // of a replica that was removed or restarted since
	}
	p.pulls[id]--
	p.refresh(env.Fleet, id)
	p.advance(env)
}

// Changed implements Members. Requests never wait for a fleet that has nobody: they
// end as those do that arrive at it.
func (p *CentralQueue) Changed(env *Env, c *Change) {
	f := env.Fleet
	p.size(f)
	switch c.Kind {
	case ChangeReset:
		for id := range uint32(f.span()) {
			p.refresh(f, id)
		}
	case ChangeAdded, ChangeRemoved:
		p.epoch[c.Ref.ID]++
		p.pulls[c.Ref.ID] = 0
		p.refresh(f, c.Ref.ID)
	default:
		p.refresh(f, c.Ref.ID)
	}
	if f.Len() > 0 {
		p.advance(env)
		return
	}
	for p.waiting > 0 {
		if e := p.fifo[p.head]; !e.left {
			p.waiting--
			env.Resolve(e.req, None())
		}
		p.pop()
	}
}

// Gone implements Leaver: the request gives its place up.
func (p *CentralQueue) Gone(env *Env, req uint64) {
	for k := range p.n {
		e := &p.fifo[(p.head+k)&(len(p.fifo)-1)]
		if e.req != req || e.left {
			continue
		}
		e.left = true
		if p.waiting--; p.waiting == 0 {
			p.head, p.n = 0, 0
		}
		env.Resolve(req, None()) // ignored: it tells the flow core that nothing more will come
		return
	}
}

// refresh keeps the list of replicas with a ready slot true.
func (p *CentralQueue) refresh(f *Fleet, id uint32) {
	p.size(f)
	i := f.index(id)
	ready := i >= 0 && f.Slots(i)-f.Outstanding(i)-int(p.pulls[id]) > 0
	at := p.pos[id]
	switch {
	case ready && at == 0:
		p.ready = append(p.ready, id)
		p.pos[id] = uint32(len(p.ready))
	case !ready && at != 0:
		last := p.ready[len(p.ready)-1]
		p.ready[at-1], p.pos[last] = last, at
		p.pos[id] = 0
		p.ready = p.ready[:len(p.ready)-1]
	}
}

func (p *CentralQueue) size(f *Fleet) {
	n := f.span()
	p.pos, p.pulls, p.epoch = extend(p.pos, n), extend(p.pulls, n), extend(p.epoch, n)
}

func (p *CentralQueue) push(req uint64) {
	if p.n == len(p.fifo) {
		grown := make([]queued, max(16, 2*p.n))
		for k := range p.n {
			grown[k] = p.fifo[(p.head+k)&(len(p.fifo)-1)]
		}
		p.fifo, p.head = grown, 0
	}
	p.fifo[(p.head+p.n)&(len(p.fifo)-1)] = queued{req: req}
	p.n++
	p.waiting++
}

func (p *CentralQueue) pop() {
	p.head = (p.head + 1) & (len(p.fifo) - 1)
	p.n--
}

// Stats implements Counted.
func (p *CentralQueue) Stats(s *Stats) {
	s.Path("direct", p.stats.direct)
	s.Path("held", p.stats.held)
	s.Path("shed", p.stats.shed)
	s.Path("none", p.stats.none)
}
