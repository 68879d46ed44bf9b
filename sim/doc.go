// Package sim runs scenarios in virtual time. It has two layers: the kernel (a
// clock, an agenda of events, merged sources of arrivals) and the fleet, which is
// the host of package flow's front ends, of sim/gpu's replicas, and of a network
// of one-way messages between them.
//
// It decides nothing about requests: front ends do, through the policies. It knows
// no YAML and no report format. The same seed gives the same bytes.
//
// Start with engine.go for the kernel and host.go for how a run is put together.
package sim
