package balance

import (
	"math/rand/v2"

	"taillab/policies"
)

// ReplicaKind says what happened at a replica.
type ReplicaKind uint8

// The replica events. Accepted: a request arrived (the Load includes it). Began:
// it entered service. Finished: it left. Heard: a front end told something. Woke:
// a time asked for has come. Stopping: the replica drains.
const (
	ReplicaStarted ReplicaKind = iota
	ReplicaAccepted
	ReplicaBegan
	ReplicaFinished
	ReplicaHeard
	ReplicaWoke
	ReplicaStopping
)

// ReplicaMask is a set of replica events.
type ReplicaMask uint8

// Bit returns the mask of one kind.
func (k ReplicaKind) Bit() ReplicaMask { return 1 << k }

// ReplicaAll wants every event.
const ReplicaAll ReplicaMask = 1<<(ReplicaStopping+1) - 1

// ReplicaEvent is one thing that happened at a replica.
type ReplicaEvent struct {
	Kind  ReplicaKind
	From  uint32 // front end: of the request, or of the message
	Req   uint64
	Token uint64 // of Woke
	Msg   *Msg   // of Heard; host-owned, lent for the call
}

// ReplicaHost is what a host does for a replica half.
type ReplicaHost interface {
	policies.Waker
	TellDispatcher(dispatcher int, m Msg)
}

// ReplicaEnv is lent to a Reporter for one call. It shows one replica its own true
// load and never another's.
type ReplicaEnv struct {
	policies.Env
	Self        policies.Ref
	Dispatchers int
	Load        Load       // after the event
	State       *[4]uint32 // host-owned, zero at each Inc

	host ReplicaHost
}

// NewReplicaEnv makes the one persistent ReplicaEnv of a Reporter.
func NewReplicaEnv(r *rand.Rand, h ReplicaHost, dispatchers int) *ReplicaEnv {
	return &ReplicaEnv{Env: policies.NewEnv(r, h, 0), Dispatchers: dispatchers, host: h}
}

// Tell sends a message to a front end.
func (e *ReplicaEnv) Tell(dispatcher int, m Msg) { e.host.TellDispatcher(dispatcher, m) }

// Free returns the replica's free slots.
func (l Load) Free() int32 { return max(0, l.Slots-l.Running) }
