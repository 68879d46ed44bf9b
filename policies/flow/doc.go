// Package flow owns a request's life, from its arrival at a front end to its one
// closing outcome, and calls the policies on the way.
//
// A FrontEnd is a pure, single-threaded state machine. A host (the simulator in
// virtual time, the live driver in real time) calls one method per input; the
// front end folds its view of the fleet, calls the policy, and appends actions to
// a buffer that the host owns. The host executes the actions and decides nothing.
// Replicas is the same for the half of a policy that runs inside the replicas.
//
// The boundary can be taped (Tape) and replayed (Replay): the same inputs must
// give the same actions, which is the proof that both hosts run the same code.
//
// What the package does not hold: a clock, a network, a replica. Quota and request
// graphs are later stages between Arrive and Pick; a request that uses neither
// goes straight to its balancer.
package flow
