package actuator

import (
	"context"

	"taillab/realrun/emulator"
	"taillab/scenarios"
)

// Emulated is a Server inside this process: an emulated replica.
type Emulated struct {
	*emulator.Fleet
	done chan struct{}
	end  chan struct{} // holds a token until the first Stop or Kill
}

// Emulate starts an emulated replica; the configuration names one.
func Emulate(c emulator.Config) (*Emulated, error) {
	f, err := emulator.Start(context.Background(), c)
	if err != nil {
		return nil, err
	}
	e := &Emulated{Fleet: f, done: make(chan struct{}), end: make(chan struct{}, 1)}
	e.end <- struct{}{}
	return e, nil
}

// URL implements Server.
func (e *Emulated) URL() string { return e.URLs()[0] }

// Stop implements Server: what is under way may end within a second.
func (e *Emulated) Stop() { e.close(func() {}) }

// Kill implements Server: what is under way is reset.
func (e *Emulated) Kill() {
	e.close(func() { _ = e.Fault(0, scenarios.FaultCrash, 0, 0, 0, true) }) // a replica that is there can crash
}

// close ends the replica, once, beside the caller.
func (e *Emulated) close(before func()) {
	select {
	case <-e.end:
	default:
		return
	}
	before()
	go func() {
		defer close(e.done)
		_ = e.Close() // what goes wrong while a replica ends changes nothing any more
	}()
}

// Done implements Server.
func (e *Emulated) Done() <-chan struct{} { return e.done }
