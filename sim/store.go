package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/scenarios"
)

// store is the shards that hold the counters of a quota, and the way to them.
type store struct {
	cfg    *scenarios.Store
	fresh  func() quota.Store // the counters of a shard, full
	shards []shard
	home   []uint32 // shard by group
	asks   []ask
	free   uint32 // of asks, +1
	loss   rand.PCG
}

// shard serves asks one at a time, in order of arrival. A stall stops the service; what
// is being served goes on after it.
type shard struct {
	counters quota.Store
	env      policies.Env
	queue    []uint32 // asks that wait, the one in service first
	gone     int      // of queue: served
	busy     bool
	due      time.Duration // end of the service under way
	life     uint32        // how often it has crashed; what was filed for an earlier life is void
	down     int           // crashes under way
	stalled  time.Duration // until then nothing is served
	stalls   rand.PCG
	ops      uint64
}

// ask is one ask under way.
type ask struct {
	front, gen uint32
	id         quota.AskID
	group      uint32
	ask        quota.Ask
	grant      quota.Grant
	next       uint32 // of the free ones, +1
	pending    uint8  // events that will look at it
	answered   bool
}

func newStore(cfg *scenarios.Store, groups []quota.Group, s quota.Stored, seed uint64) *store {
	st := &store{cfg: cfg, shards: make([]shard, cfg.Shards), loss: chance.Stream(seed, "store/loss"),
		fresh: func() quota.Store { return s.Store(groups) }}
	for i := range st.shards {
		dice := chance.NewDice(seed, fmt.Sprintf("store/%d", i))
		st.shards[i] = shard{counters: st.fresh(), env: policies.NewEnv(rand.New(dice), nil, 0),
			stalls: chance.Stream(seed, fmt.Sprintf("store/%d/stall", i))}
	}
	for i := range groups {
		st.home = append(st.home, uint32(cfg.Placement.Shard(groups[i].Name, cfg.Shards)))
	}
	return st
}

// lost draws the fate of one message.
func (s *store) lost() bool { return s.cfg.Loss > 0 && chance.Float(&s.loss) < s.cfg.Loss }

// sendAsk puts an ask of front end k on its way to the shard of its group.
func (l *lab) sendAsk(k int, a *flow.Action) {
	s := l.quota.store
	i := s.free
	if i != 0 {
		i--
		s.free = s.asks[i].next
	} else {
		i = uint32(len(s.asks))
		s.asks = append(s.asks, ask{})
	}
	q := l.out.Asks[a.Arg]
	s.asks[i] = ask{front: uint32(k), gen: l.fronts[k].gen, id: quota.AskID(a.Req), group: a.Slot, ask: q}
	if s.cfg.Timeout > 0 && q.Kind.Answered() {
		s.asks[i].pending++
		l.eng.Schedule(At(l.now()+s.cfg.Timeout), l.id.askLost, uint64(i))
	}
	if s.lost() {
		s.drop(i)
		return
	}
	s.asks[i].pending++
	l.eng.Schedule(At(l.now()+s.cfg.RTT/2), l.id.ask, uint64(i))
}

// drop frees an ask that no event will look at any more.
func (s *store) drop(i uint32) {
	if s.asks[i].pending == 0 {
		s.asks[i].next, s.free = s.free, i+1
	}
}

// askAtShard queues an ask at its shard.
func (l *lab) askAtShard(i uint32) {
	s := l.quota.store
	n := s.home[s.asks[i].group]
	h := &s.shards[n]
	if h.down > 0 {
		l.refuse(i)
		return
	}
	h.queue = append(h.queue, i)
	if !h.busy {
		l.serveNext(int(n))
	}
}

// serveNext begins the service of the first ask of a queue.
func (l *lab) serveNext(n int) {
	s := l.quota.store
	h := &s.shards[n]
	if h.gone == len(h.queue) {
		h.queue, h.gone, h.busy = h.queue[:0], 0, false
		return
	}
	if h.gone > len(h.queue)/2 {
		h.queue, h.gone = append(h.queue[:0], h.queue[h.gone:]...), 0
	}
	h.busy, h.due = true, max(l.now(), h.stalled)+s.cfg.Service
	l.eng.Schedule(At(h.due), l.id.serve, h.service(n))
}

// service names the service under way at shard n in this life of it.
func (h *shard) service(n int) uint64 { return uint64(h.life)<<32 | uint64(n) }

// askServed is the end of a service; a stall since its beginning has put it off.
func (l *lab) askServed(arg uint64) {
	s, now, n := l.quota.store, l.now(), int(uint32(arg))
	h := &s.shards[n]
	switch {
	case h.service(n) != arg:
		return
	case now < h.due:
		l.eng.Schedule(At(h.due), l.id.serve, arg)
		return
	}
	i := h.queue[h.gone]
	h.gone++
	h.ops++
	a := &s.asks[i]
	h.env.Now = now
	a.grant = h.counters.Take(&h.env, a.group, a.ask)
	if a.ask.Kind.Answered() && !s.lost() {
		l.eng.Schedule(At(now+s.cfg.RTT/2), l.id.grant, uint64(i))
	} else {
		a.pending--
		s.drop(i)
	}
	l.serveNext(n)
}

// granted is the store's answer at its front end.
func (l *lab) granted(i uint32) {
	s := l.quota.store
	a := s.asks[i]
	s.asks[i].pending--
	if s.asks[i].answered { // given up before
		s.drop(i)
		return
	}
	s.asks[i].answered = true
	s.drop(i)
	f := &l.fronts[a.front]
	if f.gen != a.gen || f.down {
		return
	}
	f.fe.Granted(l.now(), a.id, a.grant, &l.out)
	l.act(int(a.front))
}

// askLost gives an ask up.
func (l *lab) askLost(i uint32) {
	s := l.quota.store
	a := s.asks[i]
	s.asks[i].pending--
	s.asks[i].answered = true
	s.drop(i)
	f := &l.fronts[a.front]
	if a.answered || f.gen != a.gen || f.down {
		return
	}
	f.fe.AskLost(l.now(), a.id, &l.out)
	l.act(int(a.front))
}

// stall stops a shard for a while and files its next stall.
func (l *lab) stall(n int) {
	s, now := l.quota.store, l.now()
	h := &s.shards[n]
	if h.down == 0 {
		h.stalled = now + s.cfg.StallFor
	}
	if h.busy && h.due > now {
		h.due += s.cfg.StallFor
	}
	l.nextStall(n, now+s.cfg.StallFor)
}

func (l *lab) nextStall(n int, from time.Duration) {
	s := l.quota.store
	l.eng.Schedule(At(from+time.Duration(chance.Exp(&s.shards[n].stalls)*float64(s.cfg.StallEvery))+1), l.id.stall, uint64(n))
}
