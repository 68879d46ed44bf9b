package balance

import (
	"math/rand/v2"
	"time"

	"taillab/policies"
)

// Env is lent to a balancer for one call: ONE per instance for the whole run, its
// Now rewritten before each call.
type Env struct {
	policies.Env
	Self        int    // index of this front end
	Dispatchers int    // number of front ends
	Fleet       *Fleet // the eligible replicas of the service, as this front end knows them
	Truth       Truth  // nil unless the policy is an Oracle in a simulator

	host Host
}

// Host is what the flow core does for a policy instance. Policies reach it
// through the methods of Env.
type Host interface {
	policies.Waker
	Probe(r policies.Ref, giveUp time.Duration) ProbeID
	ProbeAll(giveUp time.Duration)
	Tell(r policies.Ref, m Msg)
	Request(id uint64) *policies.Request
	Exclude(req *policies.Request) []policies.Ref
	Prefix(req *policies.Request) []uint64
	Resolve(req uint64, c Choice)
	Retry(req uint64, c Choice)
	Hedge(req uint64, r policies.Ref, c CancelMode)
	Cancel(req uint64, attempt int, c CancelMode)
}

// NewEnv makes the persistent Env of an instance; the flow core calls it.
func NewEnv(r *rand.Rand, h Host, self, dispatchers int, level uint8) *Env {
	return &Env{Env: policies.NewEnv(r, h, level), Self: self, Dispatchers: dispatchers, host: h}
}

// Probe asks a replica for its load. Replied or, when giveUp has passed, Lost follows.
func (e *Env) Probe(r policies.Ref, giveUp time.Duration) ProbeID { return e.host.Probe(r, giveUp) }

// ProbeAll asks all known replicas for their load; Board follows when all have
// answered or giveUp has passed.
func (e *Env) ProbeAll(giveUp time.Duration) { e.host.ProbeAll(giveUp) }

// Tell sends a message to the replica half of this policy.
func (e *Env) Tell(r policies.Ref, m Msg) { e.host.Tell(r, m) }

// Request returns an open request, nil once it is closed. Lent for the call.
func (e *Env) Request(id uint64) *policies.Request { return e.host.Request(id) }

// Exclude lists the replicas that a further attempt of the request must avoid.
func (e *Env) Exclude(req *policies.Request) []policies.Ref { return e.host.Exclude(req) }

// Prefix lists the request's leading prefix blocks; nil for most requests.
func (e *Env) Prefix(req *policies.Request) []uint64 { return e.host.Prefix(req) }

// Resolve gives the terminal choice of a request that was answered with Later.
func (e *Env) Resolve(req uint64, c Choice) { e.host.Resolve(req, c) }

// Retry starts a further attempt while the request's last Ended is being handled;
// with Later the request stays open until Resolve.
func (e *Env) Retry(req uint64, c Choice) { e.host.Retry(req, c) }

// Hedge sends a copy of an open request to a further replica; once one attempt has
// answered, the flow core cancels the others as c says. It does nothing when the
// client has left.
func (e *Env) Hedge(req uint64, r policies.Ref, c CancelMode) { e.host.Hedge(req, r, c) }

// Cancel gives up one attempt of an open request.
func (e *Env) Cancel(req uint64, attempt int, c CancelMode) { e.host.Cancel(req, attempt, c) }
