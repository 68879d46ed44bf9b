package sim

// handlers are the kinds of events.
type handlers struct {
	deliver, respond, firstByte  HandlerID
	settle, leave, expire        HandlerID
	probe, reply, report, tell   HandlerID
	wakeFront, wakeReplica       HandlerID
	member, cancel, enter, fault HandlerID
	deadline, tick, cap          HandlerID
	ask, serve, grant, stall     HandlerID
	askLost, refused             HandlerID
	pod, loaded, reclaim         HandlerID
	scrape, desire, hold         HandlerID
	update, lockProbe            HandlerID
	locked, elsewhere            HandlerID
}

// register makes the kinds of events known to the engine.
func (l *lab) register() {
	e, h := l.eng, &l.id
	reg := func(c Class, f func(arg uint64)) HandlerID { return e.Register(call(f), c) }
	h.respond = reg(Completion, func(a uint64) { l.respond(uint32(a)) })
	h.settle = e.Register((*settler)(l), Completion)
	h.leave = e.Register((*leaver)(l), Completion)
	h.deliver = e.Register((*deliverer)(l), Message)
	h.firstByte = reg(Message, func(a uint64) { l.firstByte(uint32(a)) })
	h.probe = reg(Message, l.posted((*lab).probed))
	h.reply = reg(Message, l.posted((*lab).replied))
	h.report = reg(Message, l.read((*lab).reported))
	h.tell = reg(Message, l.read((*lab).told))
	h.member = reg(Message, l.posted((*lab).member))
	h.cancel = reg(Message, l.posted((*lab).cancel))
	h.enter = reg(Message, func(a uint64) { l.enter(uint32(a)) })
	h.expire = reg(Timing, l.expire)
	h.wakeFront = reg(Timing, l.woken((*lab).wakeFront))
	h.wakeReplica = reg(Timing, l.woken((*lab).wakeReplica))
	h.fault = reg(Timing, l.posted((*lab).faultEvent))
	h.deadline = reg(Timing, l.posted((*lab).deadline))
	h.ask = reg(Message, func(a uint64) { l.askAtShard(uint32(a)) })
	h.serve = reg(Completion, l.askServed)
	h.grant = reg(Message, func(a uint64) { l.granted(uint32(a)) })
	h.askLost = reg(Timing, func(a uint64) { l.askLost(uint32(a)) })
	h.refused = reg(Message, func(a uint64) { l.askLost(uint32(a)) })
	h.stall = reg(Timing, func(a uint64) { l.stall(int(a)) })
	h.update = reg(Timing, l.updateEvent)
	h.lockProbe = reg(Timing, func(a uint64) { l.checkLock(int(a)) })
	h.locked = reg(Message, func(a uint64) { l.locked(uint32(a)) })
	h.elsewhere = reg(Timing, func(a uint64) { l.elsewhere(uint32(a)) })
	h.tick = reg(Timing, func(uint64) { l.tick() })
	h.hold = reg(Message, l.posted((*lab).holdTold))
	h.pod = reg(Timing, l.posted((*lab).podStep))
	h.loaded = reg(Timing, func(a uint64) { e := l.svcs[a].elastic; e.loading.loaded(e) })
	h.reclaim = reg(Timing, func(a uint64) { l.svcs[a].elastic.reclaimNodes() })
	h.scrape = reg(Message, l.scrape) // what pods tell: a decision of the same instant knows it
	h.desire = reg(Timing, func(a uint64) { l.svcs[a].elastic.desire() })
	h.cap = reg(Timing, func(uint64) { l.eng.Stop() })
}

// The handlers of every request's life are the lab under other names: no closure
// stands between the engine and them.
type (
	deliverer lab
	settler   lab
	leaver    lab
)

// Handle implements Handler.
func (d *deliverer) Handle(_ *Engine, arg uint64) { (*lab)(d).deliver(uint32(arg)) }

// Handle implements Handler.
func (s *settler) Handle(_ *Engine, arg uint64) { (*lab)(s).advance(arg, false) }

// Handle implements Handler.
func (s *leaver) Handle(_ *Engine, lane uint64) { (*lab)(s).leaveDirect(uint32(lane)) }

// call adapts a method to Handler.
type call func(arg uint64)

// Handle implements Handler.
func (c call) Handle(_ *Engine, arg uint64) { c(arg) }
