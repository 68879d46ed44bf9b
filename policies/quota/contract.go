package quota

import (
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/share"
)

// Limiter decides whether a request may go now. Admit gets exactly one final verdict
// per decision: at once or, after Pending, by one Env.Resolve.
type Limiter interface {
	Admit(env *Env, req *policies.Request, cost float64) Verdict
	Observe(env *Env, ev *Event)
}

// Outcome is the answer to a request.
type Outcome uint8

// The outcomes. Denied may be asked again after Verdict.RetryIn; Never means that
// the cost is above what can ever be there.
const (
	Admitted Outcome = iota
	Denied
	Never
	Pending
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case Admitted:
		return "admitted"
	case Denied:
		return "denied"
	case Never:
		return "never"
	}
	return "pending"
}

// Verdict is an outcome; RetryIn belongs to Denied and is tight where the limiter
// knows: a retry after it succeeds if nobody else asks.
type Verdict struct {
	Outcome Outcome
	RetryIn time.Duration
}

// AskID names one ask of one limiter, from 1.
type AskID uint32

// AskKind says what is asked of the store.
type AskKind uint8

// The kinds of asks.
const (
	AskTake    AskKind = iota // Units now, or nothing
	AskLease                  // up to Units ahead, none below Need
	AskReturn                 // Units back; no answer
	AskSync                   // book Units spent; the answer's Left is what is left
	AskHold                   // Units until released
	AskRenew                  // keep the hold of Req
	AskRelease                // end the hold of Req; no answer
)

// Answered tells whether the store answers an ask of this kind.
func (k AskKind) Answered() bool { return k != AskReturn && k != AskRelease }

// Ask is one question to the shard that holds a group.
type Ask struct {
	Kind   AskKind
	Tenant uint32
	Req    uint64 // the request it is for; names a hold
	Units  float64
	Need   float64       // AskLease: the least that helps
	Window time.Duration // for how long: lease and hold terms
}

// Grant is the store's answer. Times are durations from the grant on, never clock
// readings.
type Grant struct {
	Units   float64       // granted; 0 = refused
	Left    float64       // what the shard has left, may be negative
	Expiry  time.Duration // until which Units hold
	RetryIn time.Duration // when refused
	Never   bool          // more than can ever be there
}

// EventKind says what a limiter is told.
type EventKind uint8

// The events.
const (
	Granted EventKind = iota // the store's answer to Ask
	AskLost                  // no answer to Ask came in time; a later one is ignored
	Woke                     // the time asked for by Env.Wake has come
	Settled                  // the request Req closed: Charged was booked, Actual was used
)

// Event is what a limiter is told. Which fields hold what is said at the kinds.
type Event struct {
	Kind    EventKind
	Outcome policies.Outcome // Settled
	Ask     AskID
	Group   uint32
	Tenant  uint32 // Settled
	Grant   Grant
	Token   uint64 // Woke
	Req     uint64 // Settled, and of the ask
	Charged float64
	Actual  float64
}

// LossMode says what a limiter does when the store does not answer.
type LossMode uint8

// The modes: its own 1/n of the limit, admit all, deny all.
const (
	LossStatic LossMode = iota
	LossOpen
	LossClosed
)

// Group is one quota group: its limit and its tenants.
type Group struct {
	Name    string
	Rate    float64   // units/s; 0 = no rate limit
	Burst   float64   // units
	Units   float64   // concurrency quota; 0 = none
	Tenants []uint32  // tenant numbers, ascending
	Weights []float64 // by position in Tenants
}

// Env is lent to a limiter for one call: one per instance for the whole run.
type Env struct {
	policies.Env
	Self      int     // index of this front end
	FrontEnds int     // how many there are
	Groups    []Group // the plan's groups, read-only
	OnLoss    LossMode

	host Host
}

// Host is what the flow core does for a limiter. Limiters reach it through Env.
type Host interface {
	policies.Waker
	Ask(group uint32, a Ask) AskID
	Resolve(req uint64, v Verdict)
}

// NewEnv makes the persistent Env of an instance; the flow core calls it.
func NewEnv(r *rand.Rand, h Host, self, frontEnds int, groups []Group, loss LossMode) *Env {
	return &Env{Env: policies.NewEnv(r, h, 0), Self: self, FrontEnds: frontEnds, Groups: groups, OnLoss: loss, host: h}
}

// Ask sends a question to the shard of the group. Granted or AskLost follows where
// the kind is Answered.
func (e *Env) Ask(group uint32, a Ask) AskID { return e.host.Ask(group, a) }

// Resolve gives the final verdict of a request that was answered with Pending.
func (e *Env) Resolve(req uint64, v Verdict) { e.host.Resolve(req, v) }

// Store is the counters of one shard. Take handles one ask; env is the shard's own,
// its Now the shard's clock.
type Store interface {
	Take(env *policies.Env, group uint32, a Ask) Grant
}

// Stored is a limiter that keeps its counters in a store. Store makes the counters of
// one shard, for all groups that the shard may hold.
type Stored interface {
	Store(groups []Group) Store
}

// Sharing is a limiter that can divide a group among its tenants. Share hands it the
// maker of its dividers, one per counter table, before the first Admit; a limiter that
// is not told divides nothing.
type Sharing interface {
	Share(divider func() share.Divider)
}

// Counted is a limiter that counts what it did: name and number, in a fixed order.
type Counted interface {
	Counts(add func(name string, n uint64))
}

// Setting is what a limiter's parameters must fit.
type Setting struct {
	Groups    []Group
	FrontEnds int
	RTT       time.Duration // front end → shard → front end, without the service
}

// Fitted is a limiter that has rules about its setting. Warnings are what works, but
// hardly as meant.
type Fitted interface {
	Fit(s Setting) (problems, warnings []policies.Problem)
}
