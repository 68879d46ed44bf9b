package balance

import "time"

// Reporter implements Halved.
func (p *JIQAmnesia) Reporter() Reporter {
	return &amnesiaReplica{
		idler: idler{choices: p.InsertChoices, replacement: p.DispatcherSample == sampleReplacement,
			timeout: p.AskTimeout, withdraw: p.Withdraw, stays: true,
			multi: p.Membership == membershipMulti, edge: p.Report != reportPeriodic, when: p.IdleWhen},
		every: p.Heartbeat, jitter: p.Jitter, periodic: p.Report != reportEdge, to: max(1, p.HeartbeatTo),
	}
}

// amnesiaReplica is the replica half of jiq-amnesia: an idler with heartbeats.
type amnesiaReplica struct {
	idler
	every    time.Duration
	jitter   float64
	periodic bool // join on a heartbeat while idle
	to       int
}

// tokenHeartbeat marks the wake of a heartbeat; those of asking are message numbers.
const tokenHeartbeat = 1 << 40

// Wants implements ReplicaWants.
func (h *amnesiaReplica) Wants() ReplicaMask { return idlerWants }

// Report implements Reporter.
func (h *amnesiaReplica) Report(env *ReplicaEnv, ev ReplicaEvent) {
	switch {
	case ev.Kind == ReplicaStarted:
		env.Wake(env.Now+time.Duration(unit(env.Rand)*float64(h.every)), tokenHeartbeat)
		h.event(env, &ev)
	case ev.Kind == ReplicaWoke && ev.Token == tokenHeartbeat:
		h.heartbeat(env)
		next := h.every
		if h.jitter > 0 {
			next = time.Duration(float64(next) * (1 + h.jitter*(2*unit(env.Rand)-1)))
		}
		env.Wake(env.Now+max(1, next), tokenHeartbeat)
	default:
		h.event(env, &ev)
	}
}

// heartbeat is rule 2: it keeps the entry fresh, takes it back, joins, or at least
// shows a dispatcher that the replica lives.
func (h *amnesiaReplica) heartbeat(env *ReplicaEnv) {
	idle, d := h.idle(env.Load), h.at(env)
	switch phase := h.phase(env); {
	case phase == phaseAsking: // the coming Idle stands for it
		return
	case phase == phaseIn && idle:
		h.tell(env, d, MsgIdle)
	case phase == phaseIn:
		h.tell(env, d, MsgBusy)
		h.set(env, phaseOut, 0, 0)
	case idle && h.periodic:
		h.join(env)
		if h.phase(env) == phaseAsking || h.multi {
			return
		}
		d = h.at(env)
	default:
		d = h.some(env)
		h.tell(env, d, MsgBusy)
	}
	h.others(env, d)
}

// others tells further dispatchers: a block of the ring of all but d, from a random
// place on. Busy only feeds their tables, as the replica is in none of their queues.
func (h *amnesiaReplica) others(env *ReplicaEnv, d uint32) {
	m := env.Dispatchers
	k := min(h.to, m) - 1
	if k <= 0 {
		return
	}
	from := Below(env.Rand, m-1)
	for i := range k {
		h.tell(env, (d+1+uint32((from+i)%(m-1)))%uint32(m), MsgBusy)
	}
}
