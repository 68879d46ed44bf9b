package balance

import (
	"time"

	"taillab/policies"
)

// told is the last load heard of a replica.
type told struct {
	load Load
	at   time.Duration
	ok   bool
}

// said holds the number of each replica's last message, and the life that it is of:
// what tells news from doubles and from what was overtaken. Every front end has one
// row for every replica, hence columns: most fleets live their first lives only.
type said struct {
	seq []uint32 // by ID; nil = no message yet
	any []uint64 // by ID, one bit: there was a message
	inc []uint32 // by ID; nil = all 0
}

// last returns the life and the number of a replica's last message; false for none.
func (s *said) last(id uint32) (inc, seq uint32, ok bool) {
	if s.seq == nil || s.any[id/64]>>(id%64)&1 == 0 {
		return 0, 0, false
	}
	if s.inc != nil {
		inc = s.inc[id]
	}
	return inc, s.seq[id], true
}

// set notes a message of one of n replicas.
func (s *said) set(n int, id, inc, seq uint32) {
	if s.seq == nil {
		s.seq, s.any = make([]uint32, n), make([]uint64, (n+63)/64)
	}
	if s.inc == nil && inc > 0 {
		s.inc = make([]uint32, n)
	}
	s.seq[id] = seq
	s.any[id/64] |= 1 << (id % 64)
	if s.inc != nil {
		s.inc[id] = inc
	}
}

// clear forgets the messages of a replica.
func (s *said) clear(id uint32) {
	if s.seq != nil {
		s.any[id/64] &^= 1 << (id % 64)
	}
}

// KeepLoads says whether the book keeps the loads that it is told, as it does
// unless told otherwise. Call it before the first message.
func (b *Book) KeepLoads(keep bool) { b.noLoads = !keep }

// Hear folds a message of a replica in and tells whether it is news: an older
// incarnation, or a sequence number not above the last, is dropped.
func (b *Book) Hear(now time.Duration, from policies.Ref, m *Msg) bool {
	if int(from.ID) >= b.t.N || m.Inc != from.Inc || from.Inc < b.Inc(from.ID) {
		return false
	}
	if inc, seq, ok := b.said.last(from.ID); ok && (from.Inc < inc || (from.Inc == inc && m.Seq <= seq)) {
		return false
	}
	b.said.set(b.t.N, from.ID, from.Inc, m.Seq)
	if b.noLoads {
		return true
	}
	if t := b.tell(from.ID); m.Kind == MsgIdle || m.Kind == MsgBusy {
		t.load, t.at, t.ok = Load{Running: int32(m.A), Slots: int32(m.A + m.B)}, now, true
	}
	return true
}

// Learn folds a load in that came with a probe or a reply.
func (b *Book) Learn(now time.Duration, from policies.Ref, l Load) {
	if b.noLoads || int(from.ID) >= b.t.N || b.Inc(from.ID) != from.Inc {
		return
	}
	t := b.tell(from.ID)
	if inc, _, ok := b.said.last(from.ID); ok && inc > from.Inc {
		return
	}
	t.load, t.at, t.ok = l, now, true
}

func (b *Book) tell(id uint32) *told {
	if b.told == nil {
		b.told = make([]told, b.t.N)
	}
	return &b.told[id]
}

// heard returns the load told of a replica's known life and when it was received.
func (b *Book) heard(id uint32) (Load, time.Duration, bool) {
	if b.told == nil {
		return Load{}, 0, false
	}
	if inc, _, ok := b.said.last(id); ok && inc != b.Inc(id) { // of a life that membership has not announced yet
		return Load{}, 0, false
	}
	t := &b.told[id]
	return t.load, t.at, t.ok
}

// forgetTold erases what a replica's earlier life said, or the load of one that was
// removed: its number stays, so that a late double stays old.
func (b *Book) forgetTold(id uint32) {
	inc, _, ok := b.said.last(id)
	earlier := !ok || inc < b.inc[id]
	if earlier {
		b.said.clear(id)
	}
	switch {
	case b.told == nil:
	case earlier:
		b.told[id] = told{}
	case b.state[id] == stateRemoved:
		b.told[id].load, b.told[id].ok = Load{}, false
	}
}
