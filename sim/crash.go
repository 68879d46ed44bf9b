package sim

// crashShard ends the process of shard n of the store, or starts it again with full
// counters. What it has not served is refused, as all that comes while it is away:
// unlike a stalled shard, one whose process is gone leaves nobody waiting.
func (l *lab) crashShard(n int, begin bool) {
	if l.quota == nil || l.quota.store == nil { // this limiter asks nobody
		return
	}
	s := l.quota.store
	h := &s.shards[n]
	if !begin {
		h.down--
		return
	}
	if h.down++; h.down > 1 {
		return
	}
	h.life++
	h.counters, h.stalled = s.fresh(), 0
	left := h.queue[h.gone:]
	h.queue, h.gone, h.busy = nil, 0, false
	for _, i := range left {
		l.refuse(i)
	}
}

// refuse tells the front end of an ask that nobody listens at its shard.
func (l *lab) refuse(i uint32) {
	s := l.quota.store
	if a := &s.asks[i]; !a.ask.Kind.Answered() {
		a.pending--
		s.drop(i)
		return
	}
	l.eng.Schedule(At(l.now()+s.cfg.RTT/2), l.id.refused, uint64(i))
}
