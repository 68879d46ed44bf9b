package realrun

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"taillab/policies"
	"taillab/realrun/wire"
	"taillab/scenarios"
)

// The measurement of closed loops.
const (
	loopCounted = 2 // requests of each sender that count, after one that brings it out of step
	loopAlone   = 5 // of a single sender
)

// Lengths are those of the measured requests over the ones that were asked for: the
// parts of a step differ in what they multiply.
var (
	loopInputs  = []uint32{1, 4, 16}
	loopOutputs = []uint32{1, 4}
)

// Loop is a closed loop at one backend: so many requests are inside all the time.
type Loop struct {
	Backend, Concurrency int
	Input, Output        float64       // tokens of a request, as the answers tell
	TTFT, TPOT           time.Duration // median time to the first token; mean time per token after it
}

// MeasureLoops measures text generation in closed loops of 1 to most requests, with
// prompts of 1, 4 and 16 times input and answers of 1 and 4 times output tokens. Every
// loop is told once it is measured.
func MeasureLoops(ctx context.Context, targets *scenarios.Targets, most int, input, output uint32, told func(Loop)) ([]Loop, error) {
	list, end, err := idleTargets(ctx, targets)
	if err != nil {
		return nil, err
	}
	defer end()
	var out []Loop
	for i, t := range list {
		base := time.Now()
		c, err := wire.New(t, base, most)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		c.Warm(ctx, most)
		m := loopMeasure{client: c, base: base}
		for _, n := range concurrencies(most) {
			for _, in := range loopInputs {
				for _, answer := range loopOutputs {
					l, err := m.loop(ctx, n, wire.Call{Input: in * input, Output: answer * output})
					if err != nil {
						return nil, fmt.Errorf("%s: %w", t.URL, err)
					}
					l.Backend = i
					out = append(out, l)
					told(l)
				}
			}
		}
	}
	return out, nil
}

// concurrencies are the powers of four up to the most, and the most.
func concurrencies(most int) (out []int) {
	for n := 1; n < most; n *= 4 {
		out = append(out, n)
	}
	return append(out, most)
}

var errNoStream = errors.New("the answers do not come token by token, so there is no time per token: use transport openai-chat or openai-completions, and answers of two or more tokens")

type loopMeasure struct {
	client *wire.Client
	base   time.Time

	mu     sync.Mutex
	sent   uint64
	need   int // answers that are still to be counted
	failed error
	ttft   []time.Duration
	tpot   time.Duration // sum
	in     float64       // sums of tokens
	out    float64
}

// loop has n senders that each ask again as soon as they are answered. The first answers
// are cut to different lengths, so that the senders do not go in step; all go on until
// each has its counted answers, so that every one of these met a full loop.
func (m *loopMeasure) loop(ctx context.Context, n int, call wire.Call) (Loop, error) {
	each := loopCounted
	if n == 1 {
		each = loopAlone
	}
	m.need, m.failed, m.ttft, m.tpot, m.in, m.out = n*each, nil, nil, 0, 0, 0
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { m.send(ctx, call, uint32(i+1), uint32(n), each) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return Loop{}, err
	}
	if m.failed != nil {
		return Loop{}, m.failed
	}
	got := float64(len(m.ttft))
	return Loop{Concurrency: n, Input: m.in / got, Output: m.out / got, TTFT: median(m.ttft), TPOT: m.tpot / time.Duration(len(m.ttft))}, nil
}

// send is one sender; its first answer has a share of the tokens.
func (m *loopMeasure) send(ctx context.Context, call wire.Call, share, of uint32, counted int) {
	whole := call.Output
	call.Output = max(1, whole*share/of)
	for k := 0; m.next(&call.ID); k++ {
		res := m.client.Do(ctx, &call, nil)
		call.Output = whole
		if !m.take(&call, &res, k > 0 && k <= counted) {
			return
		}
	}
}

// next gives the next request its number; false once all is counted.
func (m *loopMeasure) next(id *uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent++
	*id = m.sent
	return m.need > 0 && m.failed == nil
}

// take counts an answer; false when it failed.
func (m *loopMeasure) take(call *wire.Call, res *wire.Result, counts bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case res.Outcome != policies.OK:
		m.failed = fmt.Errorf("a request failed: %v %s", res.Outcome, res.Detail)
	case counts && (res.FirstToken < 0 || res.Tokens < 2):
		m.failed = errNoStream
	case counts:
		m.need--
		m.ttft = append(m.ttft, res.FirstToken-res.Sent)
		m.tpot += (res.LastToken - res.FirstToken) / time.Duration(res.Tokens-1)
		m.out += float64(res.Tokens)
		if res.Prompt > 0 {
			m.in += float64(res.Prompt)
		} else {
			m.in += float64(call.Input)
		}
	}
	return m.failed == nil
}
