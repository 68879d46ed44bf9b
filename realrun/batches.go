package realrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"taillab/policies"
	"taillab/realrun/wire"
	"taillab/scenarios"
)

// The measurement of batches.
const (
	batchRounds = 7    // bursts of each size at each backend, of which the median counts
	batchSpread = 0.25 // answers of one batch lie so close together, as a share of its time
	batchProbes = 5    // single requests before, for the time that one takes
)

// Batch is the measured time of a batch at one backend.
type Batch struct {
	Backend int
	Size    int // requests
	Time    time.Duration
}

// MeasureBatches measures how long backends take for batches of 1 to most requests. One
// request keeps a backend busy while a burst gathers behind it; the time of the burst's
// batch is that from the answer of the first to the answer of the last, in which the
// overhead of client and network cancels out. It ends at the size that a backend serves
// in several batches. It is for backends that serve one batch at a time; others are an
// error. input is the size of every request, in tokens.
func MeasureBatches(ctx context.Context, targets *scenarios.Targets, most int, input uint32) ([]Batch, error) {
	list, end, err := idleTargets(ctx, targets)
	if err != nil {
		return nil, err
	}
	defer end()
	var out []Batch
	for i, t := range list {
		base := time.Now()
		c, err := wire.New(t, base, most+1)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		m := batchMeasure{base: base, client: c, call: wire.Call{Input: input, Output: 1}}
		sizes, err := m.sweep(ctx, most)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.URL, err)
		}
		for _, b := range sizes {
			b.Backend = i
			out = append(out, b)
		}
	}
	return out, nil
}

// batchSizes grow by a third, from all the small ones.
func batchSizes(most int) []int {
	var out []int
	for n := 1; n < most; n = max(n+1, n*4/3) {
		out = append(out, n)
	}
	return append(out, most)
}

var errSideBySide = errors.New("a second request is answered before the first has made room for it: batches can be measured where a backend serves one at a time")

type batchMeasure struct {
	base   time.Time
	client *wire.Client
	call   wire.Call
	alone  time.Duration // a single request, as the client sees it
	sent   uint64
}

// sweep measures every size at one backend.
func (m *batchMeasure) sweep(ctx context.Context, most int) ([]Batch, error) {
	m.client.Warm(ctx, most+1)
	var single []time.Duration
	for range batchProbes {
		began := time.Since(m.base)
		done, err := m.one(ctx)
		if err != nil {
			return nil, err
		}
		single = append(single, done-began)
	}
	m.alone = median(single)
	var out []Batch
	for _, n := range batchSizes(most) {
		var whole []time.Duration
		for range batchRounds {
			took, ok, err := m.burst(ctx, n)
			if err != nil {
				return nil, err
			}
			if ok {
				whole = append(whole, took)
			}
		}
		if len(whole) <= batchRounds/2 { // served in parts
			break
		}
		out = append(out, Batch{Size: n, Time: median(whole)})
		if n == 1 && out[0].Time < m.alone/2 {
			return nil, errSideBySide
		}
	}
	if out == nil {
		return nil, errSideBySide
	}
	return out, nil
}

// one sends a request and tells when it was answered.
func (m *batchMeasure) one(ctx context.Context) (time.Duration, error) {
	call := m.call
	m.sent++
	call.ID = m.sent
	return m.do(ctx, &call)
}

func (m *batchMeasure) do(ctx context.Context, call *wire.Call) (time.Duration, error) {
	res := m.client.Do(ctx, call, nil)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if res.Outcome != policies.OK {
		return 0, fmt.Errorf("a request failed: %v %s", res.Outcome, res.Detail)
	}
	return res.Done, nil
}

// burst sends n requests behind one that is being served. ok tells that they were
// served as one batch, in the time told.
func (m *batchMeasure) burst(ctx context.Context, n int) (took time.Duration, ok bool, err error) {
	done, errs := make([]time.Duration, n+1), make([]error, n+1)
	var wg sync.WaitGroup
	for i := range n + 1 {
		call := m.call
		m.sent++
		call.ID = m.sent
		wg.Go(func() { done[i], errs[i] = m.do(ctx, &call) })
		if i == 0 && !pause(ctx, m.alone/4) { // the first is inside, and far from its end
			wg.Wait()
			return 0, false, ctx.Err()
		}
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, false, err
		}
	}
	first, last := slices.Min(done[1:]), slices.Max(done[1:])
	took = last - done[0]
	return took, first > done[0] && float64(last-first) <= batchSpread*float64(took), nil
}

func median(x []time.Duration) time.Duration {
	slices.Sort(x)
	return x[len(x)/2]
}
