package realrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"taillab/policies"
	"taillab/realrun/emulator"
	"taillab/realrun/wire"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// The measurement of idle overhead.
const (
	idleRequests = 200 // over all backends
	idleRest     = 19  // times as long as it served does a backend rest: 5% load
	idleFailed   = 20  // requests that may fail
	idleReplicas = 8   // emulated ones
	idleDemand   = time.Millisecond
)

// Idle is what requests cost beside the time inside the server, where nothing queues.
type Idle struct {
	Overheads []time.Duration // measured − stated, ascending
	Backends  int
	Failed    int
	Stated    bool // by the servers; else the time was given
}

// Median of the overheads.
func (i *Idle) Median() time.Duration { return i.At(0.5) }

// At is the overhead at a share of the requests, by nearest rank.
func (i *Idle) At(share float64) time.Duration {
	n := len(i.Overheads)
	return i.Overheads[min(n-1, int(share*float64(n)))]
}

// MeasureIdle sends 200 small requests, one at a time and each backend at most 5% of
// the time, to the targets, or to emulated backends if they are nil. The time inside
// a server is what its answers state, else stated if that is above zero. Progress is
// told once, with the expected time of the whole.
func MeasureIdle(ctx context.Context, targets *scenarios.Targets, stated time.Duration, progress func(time.Duration)) (*Idle, error) {
	list, end, err := idleTargets(ctx, targets)
	if err != nil {
		return nil, err
	}
	defer end()
	m := idleMeasure{out: Idle{Backends: len(list), Stated: stated <= 0}, stated: stated, base: time.Now(), truth: targets == nil, progress: progress}
	for _, t := range list {
		c, err := wire.New(t, m.base, 1)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		m.backends = append(m.backends, idleBackend{client: c})
	}
	if err := m.run(ctx); err != nil {
		return nil, err
	}
	slices.Sort(m.out.Overheads)
	return &m.out, nil
}

// idleTargets lists the backends, started first where they are emulated.
func idleTargets(ctx context.Context, targets *scenarios.Targets) (list []wire.Target, end func(), err error) {
	end = func() {}
	if targets != nil {
		for i := range targets.Services {
			list = append(list, wireTargets(&targets.Services[i])...)
		}
		if len(list) == 0 {
			return nil, end, errors.New("the targets file lists no url: calibrate needs source: static")
		}
		return list, end, nil
	}
	model, problems := gpu.New(gpu.Defaults(gpu.Service))
	if len(problems) > 0 {
		return nil, end, fmt.Errorf("the model of the emulated backends: %v", problems[0])
	}
	f, err := emulator.Start(ctx, emulator.Config{Replicas: slices.Repeat([]emulator.Replica{{Model: model}}, idleReplicas)})
	if err != nil {
		return nil, end, err
	}
	for _, u := range f.URLs() {
		list = append(list, wire.Target{URL: u, Transport: wire.HTTPJSON, Timeouts: wire.DefaultTimeouts()})
	}
	return list, func() { _ = f.Close() }, nil
}

type idleBackend struct {
	client *wire.Client
	next   time.Duration // not before; since the base
	asked  bool
}

type idleMeasure struct {
	out      Idle
	backends []idleBackend
	stated   time.Duration
	base     time.Time
	truth    bool
	progress func(time.Duration)
	silent   int // good answers that did not state their time
	detail   string
}

func (m *idleMeasure) run(ctx context.Context) error {
	for i := 0; len(m.out.Overheads) < idleRequests; i++ {
		b := &m.backends[i%len(m.backends)]
		if err := m.rest(ctx, b); err != nil {
			return err
		}
		m.one(ctx, b, uint64(i))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case m.out.Failed > idleFailed:
			return fmt.Errorf("%d of %d requests failed, the last one: %s", m.out.Failed, i+1, m.detail)
		case m.silent > 0:
			return errNotStated
		}
	}
	return nil
}

var errNotStated = errors.New("the backends do not state the time they spend on a request: give it with --stated, the lowest time a single request takes inside them")

// rest waits until a backend has been idle for long enough.
func (m *idleMeasure) rest(ctx context.Context, b *idleBackend) error {
	wait := time.NewTimer(b.next - time.Since(m.base))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return nil
	}
}

// one sends a request. The first one to a backend opens its connection and does not
// count.
func (m *idleMeasure) one(ctx context.Context, b *idleBackend, id uint64) {
	call := &wire.Call{ID: id, Input: 16, Output: 1}
	if m.truth {
		call.Demand, call.Noise, call.Truth = idleDemand, 1, true
	}
	began := time.Since(m.base)
	res := b.client.Do(ctx, call, nil)
	took := res.Done - began
	b.next = res.Done + idleRest*took
	first := !b.asked
	b.asked = true
	if m.progress != nil && !first {
		m.progress(time.Duration(idleRequests) * (idleRest + 1) * took / time.Duration(min(len(m.backends), idleRest+1)))
		m.progress = nil
	}
	inside := m.stated
	if inside <= 0 {
		inside = res.ServerTime
	}
	switch {
	case res.Outcome != policies.OK:
		m.out.Failed++
		m.detail = res.Outcome.String()
		if res.Detail != "" {
			m.detail += ": " + res.Detail
		}
	case inside <= 0:
		m.silent++
	case !first:
		m.out.Overheads = append(m.out.Overheads, max(0, took-inside))
	}
}
