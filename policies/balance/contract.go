package balance

import (
	"time"

	"taillab/policies"
)

// Balancer picks a replica for a request. Pick gets exactly one terminal choice
// (To, Shed or None), at once or, after Later, by one Env.Resolve.
type Balancer interface {
	Pick(env *Env, req *policies.Request) Choice
}

// The optional interfaces. Implementing one is subscribing to it; it is asserted
// once, when the instance is made.
type (
	// Attempts is told of each attempt's life: Sent when it leaves the front end,
	// Ended when its answer (or its failure) is known there.
	Attempts interface {
		Sent(env *Env, a Attempt)
		Ended(env *Env, d Done)
	}
	// FirstByter is told of the first byte of an answer.
	FirstByter interface{ FirstByte(env *Env, a Attempt) }
	// Listener is told what replicas say through their Reporter.
	Listener interface {
		Heard(env *Env, from policies.Ref, m Msg)
	}
	// Prober is told the answers to Env.Probe and Env.ProbeAll.
	Prober interface {
		Replied(env *Env, p Reply)
		Lost(env *Env, p ProbeID)
		Board(env *Env, rows []BoardRow)
	}
	// Members is told of membership changes; the Fleet already shows them.
	Members interface{ Changed(env *Env, c *Change) }
	// Waker is told when a time asked for by Env.Wake has come.
	Waker interface{ Woke(env *Env, token uint64) }
	// Leaver is told that the client of an unresolved request left.
	Leaver interface{ Gone(env *Env, req uint64) }
	// Wanter narrows the subscriptions, and what is kept, to those in the mask.
	Wanter interface{ Wants() Mask }
	// Oracle marks a policy that reads Env.Truth; it says what it peeks at. Only a
	// simulator can serve it.
	Oracle interface{ NeedsTruth() string }
	// Shared marks a policy of which one instance serves all front ends.
	Shared interface{ Shared() }
	// Counted reports how the picks were made.
	Counted interface{ Stats(s *Stats) }
	// Halved is a policy with a half that runs in the replicas.
	Halved interface{ Reporter() Reporter }
	// Reporter is the replicas' half of a policy: one object per run, the state of
	// each replica is lent in ReplicaEnv.State.
	Reporter interface {
		Report(env *ReplicaEnv, ev ReplicaEvent)
	}
	// ReplicaWants narrows the events a Reporter is called for.
	ReplicaWants interface{ Wants() ReplicaMask }
)

// Attempt is one send of a request.
type Attempt struct {
	Req     uint64
	Ref     policies.Ref
	Elapsed time.Duration // since the send
	N       uint8         // number of the attempt, from 0
}

// Done is the end of an attempt.
type Done struct {
	Attempt
	ServerTime time.Duration // as the reply tells it; 0 when it does not
	Outcome    policies.Outcome
	Told       bool // the reply carried a load, already folded: see Fleet.Heard
}

// ProbeID names one probe of one instance.
type ProbeID uint32

// Reply answers a probe.
type Reply struct {
	Probe ProbeID
	Ref   policies.Ref
	Load  Load
}

// BoardRow is one row of the answer to Env.ProbeAll; OK is false when it is missing.
type BoardRow struct {
	Ref  policies.Ref
	Load Load
	OK   bool
}

// ChangeKind says what changed in the membership.
type ChangeKind uint8

// The membership changes. Added with a higher Inc is a restarted replica; Changed
// covers weight and health.
const (
	ChangeReset ChangeKind = iota
	ChangeAdded
	ChangeChanged
	ChangeDraining
	ChangeRemoved
)

// Change is one membership change; Ref is unset for ChangeReset.
type Change struct {
	Kind ChangeKind
	Ref  policies.Ref
}

// Load is what a replica says of itself, for a request arriving now.
type Load struct {
	Running, Queued, Slots int32         // requests
	KV                     float32       // share of KV memory in use, 0…1
	LatencyEst             time.Duration // 0 = unknown
}

// MsgKind says what a message is. Kinds from MsgOwn are a policy's own.
type MsgKind uint8

// The message kinds. For Idle and Busy, A is running + queued and B free slots;
// for Answer, A is the length of the dispatcher's idle-queue.
const (
	MsgIdle MsgKind = iota + 1
	MsgBusy
	MsgWithdraw
	MsgAsk
	MsgAnswer
	MsgOwn MsgKind = 16
)

// Msg is a message between the two halves of a policy. The flow core sets Inc; the
// replica half counts Seq; an Answer repeats the Seq of its Ask.
type Msg struct {
	Kind     MsgKind
	Inc, Seq uint32
	A, B     int64
}

// Truth is what only a simulator knows. The columns are indexed as Env.Fleet is.
type Truth interface {
	Lens() []uint16            // running + queued, saturated at 65,535
	InTransit() []uint16       // sent but still on the wire, all front ends
	WorkLeft() []time.Duration // remaining work at speed 1
	// Shortest returns a uniform one among the least Lens/weight of this call's
	// candidates; it draws from r only where there is a choice.
	Shortest(r Dice) int
}

// TruthView is a Truth whose columns follow the view that a decorator lends.
type TruthView interface{ Look(f *Fleet) }

// Dice is the part of *rand.Rand that an oracle's tie draw needs.
type Dice interface{ Uint64() uint64 }

// CancelMode says what happens to an attempt that lost.
type CancelMode uint8

// The cancel modes: leave it, remove it while it is queued, stop it even when running.
const (
	CancelNone CancelMode = iota
	CancelQueued
	CancelRunning
)

// Mask is a set of subscriptions.
type Mask uint16

// The subscriptions, and what is kept for a balancer that asks for it, one bit each.
const (
	WantAttempts Mask = 1 << iota
	WantFirstByte
	WantHeard
	WantProbes
	WantMembers
	WantWoke
	WantGone
	// What the front end keeps: each request as long as it is open, for Env.Request at
	// any time (those answered with Later always are); loads, for Fleet.Heard.
	WantRequests
	WantLoads
	WantAll Mask = 1<<iota - 1
)

// PathCount is how many picks were made by one path.
type PathCount struct {
	Name string
	N    uint64
}

// Stats collects what a Counted policy reports.
type Stats struct {
	Paths  []PathCount // sum to the picks
	Counts []PathCount // anything else
}

// Path reports picks made by one path; paths sum to picks.
func (s *Stats) Path(name string, n uint64) { s.Paths = append(s.Paths, PathCount{name, n}) }

// Count reports anything else.
func (s *Stats) Count(name string, n uint64) { s.Counts = append(s.Counts, PathCount{name, n}) }
