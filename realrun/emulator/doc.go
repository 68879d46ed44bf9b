// Package emulator is the emulated GPU backend: replicas behind HTTP on this
// machine that take the time a real one would. It steps the very gpu.Pool of the
// simulator, in real time, and runs the policy's replica half beside it, so what
// differs between a simulated and an emulated run is network and operating system.
//
// It computes no answers: texts are filler of the right length. It is no load
// generator and no proxy, and it listens on the loopback unless told otherwise.
//
// Time inside a replica is exact: work that ended at 5 ms ended at 5 ms, even where
// the timer woke at 5.1 ms; only the reply is late. The truth about a request comes
// in headers (see Header constants), which no policy sees; a client that does not
// send them is served by what its body says.
//
// Start with Config and Start; core.go is one replica without clock, lock or
// socket, replica.go puts those around it.
package emulator
