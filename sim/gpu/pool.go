package gpu

import (
	"math/rand/v2"
	"time"

	"taillab/policies"
)

// none ends index lists.
const none = -1

// replica is the hot record of a replica: 64 B, one cache line, no pointer. A
// record instead of one column per field, because a call reads most of it and a
// million replicas do not fit any cache: one miss instead of nine.
type replica struct {
	end   time.Duration // plain: when the running request is done, else Never
	start time.Duration // plain: when it began. wide: when busy was last brought up to date
	busy  time.Duration // slot time worked until start
	speed float64       // of the fleet group
	rate  float64       // speed · the host's multiplier, in work per time; 0 stands still

	head, tail int32  // plain: running request, then the waiting. wide: the waiting. Order of arrival
	queued     uint32 // waiting
	running    uint32 // plain: 0 or 1. wide: requests in slots
	model      uint32
	wide       int32 // index of the wide record, or none
}

// node is the hot half of a request in a replica: 32 B, no pointer.
type node struct {
	at         time.Duration // accepted
	work       float64       // plain: ns at speed 1, noise included; what is left of it while the rate is 0
	id         uint32
	next, prev int32 // order of arrival; a plain replica keeps next only
	flags      uint32
}

// gone marks a cancelled member of a batch that still runs.
const gone = 1

// Pool holds the replicas of one service or of several, and the requests inside
// them. It is not safe for concurrent use.
type Pool struct {
	WatchFirst bool // report FirstToken events at their instants
	SkipBegan  bool // leave out Began events, which cost a plain request a few ns

	models []*Model
	reps   []replica
	nodes  []node
	more   []more // of the same index as nodes; empty while all replicas are plain
	wides  []wide
	free   int32 // head of the free nodes
	queued int   // waiting, in all replicas

	scratch []int32 // lent for the length of one call

	outside     uint64
	outsideAt   float64
	outsideName *Model
}

// NewPool makes an empty pool with room for so many replicas and so many
// requests inside them at a time; both grow when exceeded.
func NewPool(replicas, requests int) *Pool {
	return &Pool{reps: make([]replica, 0, max(replicas, 0)), nodes: make([]node, 0, max(requests, 0)), free: none}
}

// Add makes a replica that runs the model at a speed (> 0, 1 = the profile's) and
// returns its index. The stream is the replica's own, noise/<service>/<replica>;
// it is used only where the model says BatchNoise.
func (p *Pool) Add(m *Model, speed float64, noise rand.PCG) uint32 {
	r := replica{end: Never, speed: speed, rate: speed, head: none, tail: none, wide: none, model: p.number(m)}
	if !m.simple {
		r.wide = p.addWide(m, noise)
	}
	p.reps = append(p.reps, r)
	return uint32(len(p.reps) - 1)
}

// number finds or files the model; services have few, so a scan will do, from
// the back because replicas come in groups.
func (p *Pool) number(m *Model) uint32 {
	for i := len(p.models) - 1; i >= 0; i-- {
		if p.models[i] == m {
			return uint32(i)
		}
	}
	p.models = append(p.models, m)
	return uint32(len(p.models) - 1)
}

// Len returns the number of replicas.
func (p *Pool) Len() int { return len(p.reps) }

// Model returns the model the replica runs.
func (p *Pool) Model(r uint32) *Model { return p.models[p.reps[r].model] }

// Load returns how many requests are being served and how many wait.
func (p *Pool) Load(r uint32) (running, queued int) {
	rep := &p.reps[r]
	return int(rep.running), int(rep.queued)
}

// Plain tells whether every replica has one slot, serves in order of arrival and
// takes one request at a time, so that Due says when it acts next.
func (p *Pool) Plain() bool { return len(p.wides) == 0 }

// Direct tells whether Enter and Leave may stand in for Accept and Settle: replicas
// are plain, are given the demand of a request, turn none away, and nobody asks when
// a service begins. Calls of either kind may follow each other.
func (p *Pool) Direct() bool {
	for _, m := range p.models {
		if m.kind != kindService || m.queueLimit >= 0 {
			return false
		}
	}
	return p.Plain() && p.SkipBegan
}

// Due returns the next instant of a plain replica.
func (p *Pool) Due(r uint32) Due { return Due{At: p.reps[r].end} }

// Waiting returns how many requests wait in all replicas.
func (p *Pool) Waiting() int { return p.queued }

// Free returns how many slots could take work now.
func (p *Pool) Free(r uint32) int {
	rep := &p.reps[r]
	if rep.wide != none {
		return p.models[rep.model].slots - p.slotsTaken(rep)
	}
	return 1 - int(rep.running)
}

// BusySlotTime returns the slot time worked until now, over all slots: divided
// by slots and time it is the utilization. A frozen slot counts as busy.
func (p *Pool) BusySlotTime(r uint32, now time.Duration) time.Duration {
	rep := &p.reps[r]
	if rep.wide != none {
		return rep.busy + time.Duration(p.slotsTaken(rep))*max(0, now-rep.start)
	}
	if rep.running > 0 {
		return rep.busy + max(0, now-rep.start)
	}
	return rep.busy
}

// Extrapolated returns how many times a table was read outside its grid, and the
// model and x of the first such reading. The host turns it into a warning, or an
// error where the model is Strict.
func (p *Pool) Extrapolated() (n uint64, m *Model, x float64) {
	return p.outside, p.outsideName, p.outsideAt
}

func (p *Pool) noteOutside(m *Model, x float64) {
	if p.outside == 0 {
		p.outsideName, p.outsideAt = m, x
	}
	p.outside++
}

// Accept hands a request to the replica, which starts, queues or rejects it. The
// item is lent for the call.
// Completions due until now are settled first.
func (p *Pool) Accept(now time.Duration, r uint32, it *Item, ev *Events) Due {
	rep := &p.reps[r]
	if rep.wide != none {
		return p.acceptWide(now, rep, it, ev)
	}
	return p.acceptPlain(now, rep, it, ev)
}

// Settle finishes what is due until now, and starts what then can start. Coming
// early or twice changes nothing.
func (p *Pool) Settle(now time.Duration, r uint32, ev *Events) Due {
	rep := &p.reps[r]
	if rep.wide != none {
		return p.run(now, rep, false, ev)
	}
	if rep.end <= now {
		p.settlePlain(now, rep, ev)
	}
	return Due{At: rep.end}
}

// Expire is Settle for the batching delays and queue timeouts due until now.
func (p *Pool) Expire(now time.Duration, r uint32, ev *Events) Due {
	rep := &p.reps[r]
	if rep.wide != none {
		return p.run(now, rep, true, ev)
	}
	return p.Settle(now, r, ev)
}

// Cancel takes a request out of the replica, wherever it is there: it ends
// Rejected as cancelled. A running batch is never cut: it goes on without it. A
// request that is not inside changes nothing. Finding it takes time in
// proportion to the requests inside.
func (p *Pool) Cancel(now time.Duration, r, id uint32, ev *Events) Due {
	return p.cancel(now, &p.reps[r], id, false, ev)
}

// CancelQueued is Cancel for a request that still waits; one in a slot stays.
func (p *Pool) CancelQueued(now time.Duration, r, id uint32, ev *Events) Due {
	return p.cancel(now, &p.reps[r], id, true, ev)
}

func (p *Pool) cancel(now time.Duration, rep *replica, id uint32, queuedOnly bool, ev *Events) Due {
	if rep.wide != none {
		return p.cancelWide(now, rep, id, queuedOnly, ev)
	}
	return p.cancelPlain(now, rep, id, queuedOnly, ev)
}

// Crash empties the replica: every request inside ends Rejected as reset, those
// in slots first. The multiplier of Rate goes back to 1.
func (p *Pool) Crash(now time.Duration, r uint32, ev *Events) {
	rep := &p.reps[r]
	if rep.wide != none {
		p.crashWide(now, rep, ev)
		return
	}
	p.crashPlain(now, rep, ev)
}

// Rate multiplies the replica's speed by m ≥ 0 from now on, in place of the
// multiplier before; what is left of running work stretches by it. At 0 nothing
// progresses, but requests are still taken in.
func (p *Pool) Rate(now time.Duration, r uint32, m float64, ev *Events) Due {
	rep := &p.reps[r]
	if !(m > 0) {
		m = 0
	}
	if rep.wide != none {
		return p.rateWide(now, rep, m, ev)
	}
	return p.ratePlain(now, rep, rep.speed*m, ev)
}

// take returns a free node.
func (p *Pool) take() int32 {
	if i := p.free; i != none {
		p.free = p.nodes[i].next
		return i
	}
	p.nodes = append(p.nodes, node{})
	if len(p.wides) > 0 {
		p.growMore()
	}
	return int32(len(p.nodes) - 1)
}

// give returns a node to the free ones.
func (p *Pool) give(i int32) {
	p.nodes[i].next = p.free
	p.free = i
}

func reject(ev *Events, now time.Duration, id uint32, why policies.Outcome) {
	ev.add(Rejected, why, id, now)
}

// after adds a duration of at most longest to an instant, short of Never.
func after(t, d time.Duration) time.Duration {
	if t > Never-1-d {
		return Never - 1
	}
	return t + d
}
