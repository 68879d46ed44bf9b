// Package theory computes what queueing theory says about the latency of a request:
// its mean, its distribution and the share of requests turned away. It holds
// formulas and the numerics they need, for any parameters; it simulates nothing and
// knows no policy. Start at Law, then at the file of a model.
//
// Unless a function says otherwise, the unit of time is one mean service time,
// arrivals are Poisson at rate n·ρ for n replicas, and ρ lies in (0, 1): callers check.
// Latency is the whole stay, waiting and service.
package theory
