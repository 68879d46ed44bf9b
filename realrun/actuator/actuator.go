// Package actuator makes a live fleet be as large as an autoscaler wants it: a pool of
// servers on this machine, or a Deployment of a Kubernetes cluster.
//
// It is not where the count is decided, nor where front ends learn of members: the
// driver asks for a count and reads which pods there are. Start with the interface
// Actuator; Pool and Kube are what there is.
package actuator

import (
	"context"
	"time"

	"taillab/policies/autoscale"
)

// Pod is one life of one replica.
type Pod struct {
	Name  string // unique among all pods of the actuator, gone ones included
	Slot  int    // replica ID; of the pods that are there no two have the same
	URL   string // base URL, "" before there is one
	Phase autoscale.Phase

	Created time.Time
	Started time.Time // zero before it has a node
	Changed time.Time // last time that it became Ready, or stopped being it
}

// Actuator makes a fleet be of a size. Its methods may be called from several
// goroutines.
type Actuator interface {
	// Apply asks for so many pods, draining ones not counted. It returns when that has
	// been asked for, not when they are there.
	Apply(ctx context.Context, count int) error
	// Pods lists the pods that are there, by slot. One that is not listed is gone.
	Pods() []Pod
	// Changed gives a token after a change of Pods; several changes may share one.
	Changed() <-chan struct{}
	// Release says that nothing will be sent to the draining pod of a slot any more,
	// and that nothing is under way.
	Release(slot int)
	// Close ends what the actuator began and waits for it.
	Close() error
}

// token is a channel that remembers one change until somebody takes it.
type token chan struct{}

func (s token) raise() {
	select {
	case s <- struct{}{}:
	default: // the one that is there stands for this change, too
	}
}
