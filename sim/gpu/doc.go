// Package gpu says how a replica of a GPU service spends its time: it queues,
// batches and runs requests by one of a few latency models, with exact instants
// in whole nanoseconds.
//
// It is not a clock, an agenda or a fleet. A host (the simulator in virtual
// time, the emulated backend in real time) owns the clock, hands requests in
// and comes back at the instants that the replica names. Everything here is
// pure: no clock, goroutine, lock, map iteration or I/O, and dice only as lent.
//
// A Spec holds the decoded parameters; New checks them all and makes a Model,
// which replicas share. A Pool holds the replicas: one cache line each while
// they serve plainly (fast.go), and a wider record beside it where slots,
// batches, disciplines or tokens ask for it (wide.go and its neighbours).
//
// Start with Spec, then Pool.Accept; the presets' files are in folder presets.
package gpu
