package runner

import (
	"sync"
	"time"
)

// board adds up the progress of all runs, as a share of the time that they take. What
// a request costs differs from policy to policy by an order of magnitude: it is learned
// from the calls that have ended, and until then guessed to be what the others cost.
type board struct {
	mu     sync.Mutex
	shares []float64 // by run
	weight []float64
	policy []int // by run: place in costs
	costs  []cost
	report func(float64)
	single bool // one replication per cell

	told     sync.Mutex
	finished func(*Run) // nil = nobody wants to know
}

// cost is what is known of one policy. Weights are requests, more where queues are longer.
type cost struct {
	total, done float64 // weights
	seconds     float64 // that the weight in timed took
	timed       float64
}

func newBoard(batch []Run, report func(float64)) *board {
	b := &board{report: report, shares: make([]float64, len(batch)), weight: make([]float64, len(batch)), policy: make([]int, len(batch)), single: true}
	places := map[string]int{}
	for i := range batch {
		k, ok := places[batch[i].Cell.Policy]
		if !ok {
			k = len(b.costs)
			places[batch[i].Cell.Policy] = k
			b.costs = append(b.costs, cost{})
		}
		b.policy[i], b.weight[i] = k, weight(&batch[i])
		b.costs[k].total += b.weight[i]
		b.single = b.single && batch[i].Rep == 0
	}
	return b
}

// learn notes how long a call took. Runs of one call share its time.
func (b *board) learn(call []int, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := 0.0
	for _, i := range call {
		sum += b.weight[i]
	}
	for _, i := range call {
		c := &b.costs[b.policy[i]]
		c.seconds += took.Seconds() * b.weight[i] / sum
		c.timed += b.weight[i]
	}
}

// set notes the share of a run that is done.
func (b *board) set(i int, share float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if share <= b.shares[i] {
		return
	}
	b.costs[b.policy[i]].done += (share - b.shares[i]) * b.weight[i]
	b.shares[i] = share
	if b.report != nil {
		b.report(b.share())
	}
}

// share is the part of the expected time that has passed.
func (b *board) share() float64 {
	var seconds, timed float64
	for _, c := range b.costs {
		seconds, timed = seconds+c.seconds, timed+c.timed
	}
	guess := 1.0
	if seconds > 0 {
		guess = seconds / timed
	}
	var done, total float64
	for _, c := range b.costs {
		each := guess
		if c.seconds > 0 {
			each = c.seconds / c.timed
		}
		done, total = done+each*c.done, total+each*c.total
	}
	return done / total
}
