// Package policies is the vocabulary that every policy family shares: the lent
// environment, a request as a front end sees it, a replica's name, the closed
// list of outcomes, and the catalogue entry that makes a policy known.
//
// It is not a place for policies themselves: those live in the family packages
// below it (balance, and later quota, autoscale, schedule, graph). Nor does it
// know how a request is served: the truth about a request (its demand, its
// output length) is in package workloads, which this package cannot import.
//
// Everything below this folder is pure: no clock, goroutine, lock, channel,
// global dice or I/O. purity_test.go holds that.
//
// Start with Env, Request and Entry; then read policies/balance and, for how a
// request travels, policies/flow.
package policies
