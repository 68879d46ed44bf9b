package sim

// Timer names a re-armable event; the zero value is no timer.
type Timer struct{ slot, gen uint32 }

// timerSlot holds what a timer will do. filed is the instant of its event in the
// agenda, if any: a Reset to a later instant only rewrites the slot, and the event
// files itself again when it surfaces.
type timerSlot struct {
	at      Time // Never = not armed
	key     uint64
	arg     uint64
	filed   Time // Never = no event of this generation in the agenda
	filedAt uint64
	gen     uint32
	handler HandlerID
	next    uint32
}

type timers struct {
	slots []timerSlot
	free  uint32 // +1
	dead  int    // events in the agenda that will be dropped
}

// Timer makes a timer that is not armed.
func (e *Engine) Timer(h HandlerID, arg uint64) Timer {
	t := &e.timers
	var i uint32
	if t.free != 0 {
		i = t.free - 1
		t.free = t.slots[i].next
	} else {
		i = uint32(len(t.slots))
		t.slots = append(t.slots, timerSlot{gen: 1})
	}
	g := t.slots[i].gen
	t.slots[i] = timerSlot{at: Never, filed: Never, arg: arg, gen: g, handler: h}
	return Timer{i, g}
}

// Reset arms a timer; it takes a new place in the order of its class.
func (e *Engine) Reset(t Timer, at Time) {
	s := e.slot(t)
	if at < e.now || at == Never {
		e.broken("timer set in the past or never", at, int(s.handler))
	}
	s.at, s.key = at, e.key(s.handler)
	if s.filed <= at && s.filed != Never {
		return
	}
	e.drop(s)
	e.file(t.slot, s)
}

// file puts the timer's event into the agenda: handler 0 marks it, and the real
// handler is read from the slot when it surfaces.
func (e *Engine) file(i uint32, s *timerSlot) {
	s.filed, s.filedAt = s.at, s.key
	e.push(event{int64(s.at), s.key &^ 0xffff, uint64(s.gen)<<32 | uint64(i)})
}

// drop leaves the timer's event in the agenda to be ignored when it surfaces.
func (e *Engine) drop(s *timerSlot) {
	if s.filed == Never {
		return
	}
	s.filed = Never
	if e.timers.dead++; e.timers.dead > max(1024, e.agenda.n-e.timers.dead) {
		e.sweep()
	}
}

// sweep takes the ignored events out of the agenda.
func (e *Engine) sweep() {
	e.agenda.keep(func(ev event) bool { return HandlerID(ev.key) != 0 || e.timers.live(ev) })
	e.timers.dead = 0
}

// Cancel disarms a timer and tells whether it was armed.
func (e *Engine) Cancel(t Timer) bool {
	s := e.slot(t)
	was := s.at != Never
	s.at = Never
	e.drop(s)
	return was
}

// Free gives a timer up.
func (e *Engine) Free(t Timer) {
	s := e.slot(t)
	s.gen++
	s.at = Never
	e.drop(s)
	s.next = e.timers.free
	e.timers.free = t.slot + 1
}

func (e *Engine) slot(t Timer) *timerSlot {
	if int(t.slot) >= len(e.timers.slots) || t.gen == 0 || e.timers.slots[t.slot].gen != t.gen {
		e.broken("use of a freed timer", e.now, -1)
	}
	return &e.timers.slots[t.slot]
}

// live tells whether a timer event is the one its timer has filed last.
func (t *timers) live(ev event) bool {
	s := &t.slots[uint32(ev.arg)]
	return s.gen == uint32(ev.arg>>32) && s.filed == Time(ev.at) && s.filedAt&^0xffff == ev.key
}

// due handles a timer event that has surfaced: dropped when stale, filed again
// when the timer was set later, else fired.
func (e *Engine) due(ev event) {
	if !e.timers.live(ev) {
		e.timers.dead--
		return
	}
	i := uint32(ev.arg)
	s := &e.timers.slots[i]
	s.filed = Never
	if s.key != s.filedAt {
		e.file(i, s)
		return
	}
	s.at = Never
	e.events++
	e.handlers[s.handler].h.Handle(e, s.arg)
}

func (t *timers) clear() { t.slots, t.free, t.dead = t.slots[:0], 0, 0 }
