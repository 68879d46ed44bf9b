// Package impure holds what a policy must not do: the purity test must find every
// line that says "want", and no other.
package impure

import (
	"errors"
	"math/rand/v2"
	"os"   // want: import os
	"sync" // want: import sync
	"time"
)

var count int // want: var count

var errBad = errors.New("an error may stand here")

var names = [2]string{"a", "b"} //purity:table

type holder struct {
	byName map[string]int
	lock   sync.Mutex
	wait   chan int // want: chan
}

func clocks() time.Duration {
	start := time.Now()          // want: time.Now
	time.Sleep(time.Millisecond) // want: time.Sleep
	<-time.After(time.Second)    // want: time.After
	return time.Since(start)     // want: time.Since
}

func dice(r *rand.Rand) float64 {
	own := rand.New(rand.NewPCG(1, 2))                        // made from a seed: repeatable
	return own.ExpFloat64() + r.Float64() + rand.ExpFloat64() // want: rand.ExpFloat64
}

func threads(h *holder) {
	h.lock.Lock()
	go clocks() // want: go
	select {    // want: select
	case <-h.wait:
	default:
	}
	os.Exit(count + len(names))
}

func maps(h *holder, weights map[int]float64) (sum int) {
	for _, v := range h.byName { // want: range over a map
		sum += v
	}
	for range weights { // want: range over a map
		sum++
	}
	local := map[string]bool{}
	for range local { // want: range over a map
		sum++
	}
	for k := range h.byName { //purity:ordered only counted
		sum += len(k)
	}
	for range names {
		sum++
	}
	if errBad != nil {
		sum++
	}
	return sum
}
