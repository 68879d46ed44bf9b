// Package realrun drives real backends in real time with the same front ends and
// the same policy code as the simulator. The clock is open-loop: a request is due
// when the schedule says so, and its latency counts from then, whatever the
// backends do.
//
// It decides nothing about requests: flow.FrontEnd does, under one mutex per front
// end (frontend.go), the only place where policy meets concurrency. How bytes
// travel is in package wire, the emulated backend in package emulator.
//
// What a run is made of: the schedule and its pace (run.go, arrivals.go, pacer*.go), or
// blocks of several arms in turns (arms.go); the backends (host.go, targets.go); what
// happens to them (faults.go, hooks.go, members.go); and whether the measurement may
// be believed (verdict.go, load*.go).
//
// Start with host.go, then drive.go.
package realrun
