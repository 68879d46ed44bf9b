package balance

import "time"

// Values of the parameter idle_when; empty text leaves it to the replica's slots.
const (
	idleEmpty    = "empty"
	idleSlotFree = "slot_free"
)

// idleBySlot tells whether "idle" means a free slot rather than an empty replica.
func idleBySlot(when string, slots int) bool {
	return when == idleSlotFree || (when != idleEmpty && slots > 1)
}

// maxAsked bounds how many dispatchers one join asks: their answers are marked in a word.
const maxAsked = 32

// phases of a replica.
const (
	phaseOut    uint32 = iota
	phaseAsking        // a join is under way
	phaseIn            // listed at a dispatcher, as far as the replica knows
)

// words of ReplicaEnv.State.
const (
	wordSeq   = iota // messages sent; while asking, the last ones are the asks
	wordPhase        // phase (2 bits), tied answers (6 bits), dispatcher (24 bits)
	wordMask         // which asks are answered
	wordBest         // shortest idle-queue among the answers
)

// idler is what the replica halves of the idle-queue policies share: it decides
// whom an idle replica joins, and knows where it stands. One object serves all
// replicas of a run, so whatever concerns one replica is in ReplicaEnv.State.
type idler struct {
	choices     int
	replacement bool
	timeout     time.Duration
	withdraw    bool // hit elsewhere: tell the dispatcher where it is listed
	stays       bool // hit elsewhere without withdraw: it still counts as listed
	multi       bool // keep no membership: join at every occasion
	edge        bool // join on becoming idle
	when        string

	asked [maxAsked]uint32 // scratch of one call
}

func (h *idler) phase(env *ReplicaEnv) uint32 { return env.State[wordPhase] & 3 }

// at is the dispatcher where the replica is listed, or the best so far while asking.
func (h *idler) at(env *ReplicaEnv) uint32 { return env.State[wordPhase] >> 8 }

func (h *idler) set(env *ReplicaEnv, phase, ties, dispatcher uint32) {
	env.State[wordPhase] = phase | ties<<2 | dispatcher<<8
}

// idle is the only notion of idle.
func (h *idler) idle(l Load) bool {
	if idleBySlot(h.when, int(l.Slots)) {
		return l.Queued == 0 && l.Running < l.Slots
	}
	return l.Running+l.Queued == 0
}

// tell sends a message with the replica's load; each takes the next number.
func (h *idler) tell(env *ReplicaEnv, dispatcher uint32, k MsgKind) {
	env.State[wordSeq]++
	env.Tell(int(dispatcher), Msg{Kind: k, Seq: env.State[wordSeq],
		A: int64(env.Load.Running) + int64(env.Load.Queued), B: int64(env.Load.Free())})
}

func (h *idler) some(env *ReplicaEnv) uint32 { return uint32(Below(env.Rand, env.Dispatchers)) }

// width is how many dispatchers a join asks.
func (h *idler) width(env *ReplicaEnv) int { return max(1, min(h.choices, env.Dispatchers, maxAsked)) }

// join looks for the shortest idle-queue among a few dispatchers. With one choice
// nobody is asked.
func (h *idler) join(env *ReplicaEnv) {
	k := h.width(env)
	if k == 1 {
		h.list(env, h.some(env))
		return
	}
	for i := range k {
		d := h.some(env)
		for !h.replacement && contains32(h.asked[:i], d) {
			d = h.some(env)
		}
		h.asked[i] = d
	}
	for _, d := range h.asked[:k] {
		h.tell(env, d, MsgAsk)
	}
	// Where it goes if no answer comes; answers overwrite it.
	h.set(env, phaseAsking, 0, h.asked[Below(env.Rand, k)])
	env.State[wordMask], env.State[wordBest] = 0, 0
	env.Wake(env.Now+h.timeout, uint64(env.State[wordSeq]))
}

func contains32(s []uint32, x uint32) bool {
	for _, v := range s {
		if v == x {
			return true
		}
	}
	return false
}

// list tells a dispatcher that the replica is idle.
func (h *idler) list(env *ReplicaEnv, dispatcher uint32) {
	h.tell(env, dispatcher, MsgIdle)
	if h.multi {
		h.set(env, phaseOut, 0, 0)
	} else {
		h.set(env, phaseIn, 0, dispatcher)
	}
}

// heard takes an answer: it counts once, while asking, when it repeats the number
// of an ask of this round.
func (h *idler) heard(env *ReplicaEnv, from uint32, m *Msg) {
	if m.Kind != MsgAnswer || m.Inc != env.Self.Inc || h.phase(env) != phaseAsking {
		return
	}
	k := h.width(env)
	nth := m.Seq - (env.State[wordSeq] - uint32(k) + 1)
	if nth >= uint32(k) || env.State[wordMask]&(1<<nth) != 0 {
		return
	}
	first := env.State[wordMask] == 0
	env.State[wordMask] |= 1 << nth
	length, ties := uint32(max(0, min(m.A, 1<<32-1))), env.State[wordPhase]>>2&63
	switch {
	case first || length < env.State[wordBest]:
		env.State[wordBest] = length
		h.set(env, phaseAsking, 1, from)
	case length == env.State[wordBest]:
		to := h.at(env)
		if Below(env.Rand, int(ties)+1) == 0 {
			to = from
		}
		h.set(env, phaseAsking, ties+1, to)
	}
	if env.State[wordMask] == 1<<k-1 {
		h.list(env, h.at(env))
	}
}

// woke is the time-out of a round of asking.
func (h *idler) woke(env *ReplicaEnv, token uint64) {
	if h.phase(env) == phaseAsking && token == uint64(env.State[wordSeq]) {
		h.list(env, h.at(env))
	}
}

// accepted: work came from a front end.
func (h *idler) accepted(env *ReplicaEnv, from uint32) {
	switch h.phase(env) {
	case phaseAsking: // the round is void; its answers find no one asking
		h.set(env, phaseOut, 0, 0)
	case phaseIn:
		d := h.at(env)
		if d != from && !h.withdraw && h.stays {
			return
		}
		h.set(env, phaseOut, 0, 0)
		if d != from && h.withdraw {
			h.tell(env, d, MsgWithdraw)
		}
	}
	h.edgeJoin(env, false)
}

// edgeJoin joins when the replica has become idle. Without membership (multi) the
// state does not tell whether it was idle before, so the caller says.
func (h *idler) edgeJoin(env *ReplicaEnv, was bool) {
	if h.edge && h.phase(env) == phaseOut && h.idle(env.Load) && !(h.multi && was) {
		h.join(env)
	}
}

// finished: a request left the replica.
func (h *idler) finished(env *ReplicaEnv) {
	before := env.Load
	before.Running++
	h.edgeJoin(env, h.idle(before))
}

// event handles what both policies treat alike; it is false for a wake that is not
// the time-out of a round.
func (h *idler) event(env *ReplicaEnv, ev *ReplicaEvent) {
	switch ev.Kind {
	case ReplicaStarted:
		h.edgeJoin(env, false)
	case ReplicaAccepted:
		h.accepted(env, ev.From)
	case ReplicaBegan: // the last queued request entered service: a slot may be free still
		h.edgeJoin(env, false)
	case ReplicaFinished:
		h.finished(env)
	case ReplicaHeard:
		if ev.Msg != nil {
			h.heard(env, ev.From, ev.Msg)
		}
	case ReplicaWoke:
		h.woke(env, ev.Token)
	}
}

// idlerWants are the events that an idler acts on.
const idlerWants = 1<<ReplicaStarted | 1<<ReplicaAccepted | 1<<ReplicaBegan | 1<<ReplicaFinished |
	1<<ReplicaHeard | 1<<ReplicaWoke
