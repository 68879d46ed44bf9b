package gpu_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/sim/gpu"
)

// Two requests meet in one replica that batches: a batch of B takes 2 ms + B ms,
// and the oldest waits at most 5 ms for company.
func ExamplePool() {
	spec := gpu.Defaults(gpu.Affine)
	spec.A, spec.B = gpu.Of(2*time.Millisecond), gpu.Of(time.Millisecond)
	spec.MaxBatch, spec.MaxDelay = 4, 5*time.Millisecond
	model, problems := gpu.New(spec)
	if problems != nil {
		fmt.Println(problems)
		return
	}
	pool := gpu.NewPool(1, 2)
	r := pool.Add(model, 1, rand.PCG{})

	var ev gpu.Events
	pool.Accept(0, r, &gpu.Item{ID: 1}, &ev)
	due := pool.Accept(3*time.Millisecond, r, &gpu.Item{ID: 2}, &ev)
	for due.At != gpu.Never {
		if due.Timer {
			due = pool.Expire(due.At, r, &ev)
		} else {
			due = pool.Settle(due.At, r, &ev)
		}
	}
	for _, e := range ev.List {
		if e.Kind == gpu.Finished {
			fmt.Println(e.ID, "at", e.At, "after", e.Batch, "for the batch and", e.Service, "of service")
		}
	}
	// Output:
	// 1 at 9ms after 5ms for the batch and 4ms of service
	// 2 at 9ms after 2ms for the batch and 4ms of service
}
