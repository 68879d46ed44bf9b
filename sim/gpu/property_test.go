package gpu

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
)

// anySpec draws a valid model of any kind, small enough that queues form.
func anySpec(t *rapid.T) Spec {
	s := Defaults(rapid.SampledFrom(Kinds()).Draw(t, "kind"))
	queues := Disciplines()
	switch s.Kind {
	case Affine:
		s.A, s.B = Of(2*ms), Of(ms)
	case AffineTokens:
		s.A, s.B, s.C = Of(ms), 1000.5, 2.7
	case Hinge:
		s.F, s.S, s.K = Of(ms), 2000.3, 100
	case SmoothMax:
		s.F, s.O, s.S, s.P = Of(ms), 2e5, 2000.3, 3
	case TableKind:
		s.Table = Table{X: []float64{1, 2, 4}, Y: []Nanos{2e6, 3e6, 4.5e6}}
	case Tokens:
		s.Prefill = Prefill{Floor: 1e5, PerToken: 2000.7, Knee: 50}
		s.Step = Step{Base: 1e5, PerSeq: 3333.3, PerKV: 11.1}
		s.Prompts = rapid.SampledFrom([]string{Inline, Parallel}).Draw(t, "prompts")
		s.MaxModelLen = 280
	}
	s.Slots = rapid.IntRange(1, 3).Draw(t, "slots")
	if s.Kind != Service && s.Kind != Tokens {
		s.MaxBatch = rapid.IntRange(1, 4).Draw(t, "max_batch")
		s.MaxDelay = time.Duration(rapid.IntRange(0, 3).Draw(t, "max_delay")) * ms
	}
	s.Queue, s.Oracle = rapid.SampledFrom(queues).Draw(t, "queue"), true
	if s.Queue == PS && (s.Kind == Tokens || s.MaxBatch > 1) {
		s.Queue = FCFS
	}
	s.QueueLimit = rapid.SampledFrom([]int{NoLimit, NoLimit, 0, 2, 5}).Draw(t, "queue_limit")
	s.QueueTimeout = time.Duration(rapid.SampledFrom([]int{0, 0, 2, 7}).Draw(t, "queue_timeout")) * ms
	if s.Kind != Tokens && s.Queue != PS && rapid.Bool().Draw(t, "per batch") {
		s.Noise = Noise{Sigma: .3, Per: PerBatch}
		s.Straggler.Prob = .1
	}
	if rapid.IntRange(0, 3).Draw(t, "sticky") == 0 {
		s.Straggler.Factor, s.Straggler.FastFor, s.Straggler.SlowFor = 3, 5*ms, 2*ms
	}
	return s
}

func anyItem(t *rapid.T, id uint32) Item {
	return Item{
		ID:       id,
		Demand:   time.Duration(rapid.SampledFrom([]int{0, 1, 999_999, 1_000_000, 2_500_001}).Draw(t, "demand")),
		Input:    uint32(rapid.IntRange(0, 200).Draw(t, "input")),
		Output:   uint32(rapid.IntRange(0, 100).Draw(t, "output")),
		Deadline: time.Duration(rapid.IntRange(0, 30).Draw(t, "deadline")) * ms,
		Priority: int8(rapid.IntRange(-2, 2).Draw(t, "priority")),
		Factor:   rapid.SampledFrom([]float64{0, 1, .9, 1.37}).Draw(t, "factor"),
	}
}

// op is one thing a host may do.
type op struct {
	gap  time.Duration
	what string
	item Item
	m    float64
}

func anyOps(t *rapid.T) []op {
	n := rapid.IntRange(1, 60).Draw(t, "ops")
	ops := make([]op, n)
	for i := range ops {
		what := rapid.SampledFrom([]string{"accept", "accept", "accept", "accept", "accept", "cancel", "rate", "crash"}).Draw(t, "what")
		ops[i] = op{
			gap:  time.Duration(rapid.SampledFrom([]int{0, 0, 1, 300_000, 1_000_000, 4_000_000}).Draw(t, "gap")),
			what: what, item: anyItem(t, uint32(i)),
		}
		switch what {
		case "cancel":
			ops[i].item.ID = uint32(rapid.IntRange(0, i).Draw(t, "whom"))
		case "rate":
			ops[i].m = rapid.SampledFrom([]float64{1, .5, .3, 2}).Draw(t, "m")
		}
	}
	return ops
}

// playOps drives one replica through the ops and returns what it reported. After
// each call it looks at the replica.
func playOps(t require.TestingT, s Spec, ops []op, extra func(h *host, until time.Duration)) *host {
	m, problems := New(s)
	require.Empty(t, problems)
	p := NewPool(0, 0)
	h := &host{
		pool: p, r: p.Add(m, 1, *rand.NewPCG(3, 4)), due: Due{At: Never}, keep: true,
		in: map[uint32]bool{}, got: map[uint32]Event{},
	}
	arrived := map[uint32]time.Duration{}
	h.tell = func(e Event) {
		if e.Kind == Finished {
			require.Equal(t, e.At-arrived[e.ID], e.Queue+e.Batch+e.Service, "parts of %+v", e)
			require.GreaterOrEqual(t, min(e.Queue, e.Batch, e.Service), time.Duration(0), "%+v", e)
			require.LessOrEqual(t, e.First, e.At)
			require.GreaterOrEqual(t, e.First, arrived[e.ID])
		}
	}
	now := time.Duration(0)
	for _, o := range ops {
		now += o.gap
		if extra != nil {
			extra(h, now)
		}
		h.until(now)
		h.now = now
		switch o.what {
		case "accept":
			arrived[o.item.ID] = now
			h.accept(now, o.item)
		case "cancel":
			h.due = p.Cancel(now, h.r, o.item.ID, &h.ev)
		case "rate":
			h.due = p.Rate(now, h.r, o.m, &h.ev)
		case "crash":
			p.Crash(now, h.r, &h.ev)
			h.due = p.Settle(now, h.r, &h.ev)
			require.Equal(t, m.Slots(), p.Free(h.r))
		}
		h.drain()
		inspect(t, h, m, s)
	}
	h.finish()
	require.Empty(t, h.in, "requests that never ended")
	running, queued := p.Load(h.r)
	require.Zero(t, running+queued)
	require.Equal(t, m.Slots(), p.Free(h.r))
	free := 0
	for i := p.free; i != none; i = p.nodes[i].next {
		free++
	}
	require.Equal(t, len(p.nodes), free, "a node leaked")
	return h
}

func inspect(t require.TestingT, h *host, m *Model, s Spec) {
	running, queued := h.pool.Load(h.r)
	if s.Queue != PS {
		require.LessOrEqual(t, running, m.Slots()*m.MaxBatch())
	}
	require.GreaterOrEqual(t, h.pool.Free(h.r), 0)
	if s.MaxDelay == 0 && queued > 0 {
		require.Zero(t, h.pool.Free(h.r), "a slot is free while %d wait", queued)
	}
	if s.MaxBatch > 1 && h.pool.Free(h.r) > 0 {
		require.Less(t, queued, s.MaxBatch, "a full batch waits beside a free slot")
	}
	if running+queued > 0 {
		require.NotEqual(t, Never, h.due.At, "something is inside, nothing is due")
	}
}

// Each request ends once, parts sum to the stay, slots and batches stay within
// bounds, no slot idles, nothing leaks, whatever the host does.
func TestInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		playOps(t, anySpec(t), anyOps(t), nil)
	})
}

// Same input, same report; and calls that come early, late in their instant or
// twice change nothing.
func TestDeterministicAndIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, ops := anySpec(t), anyOps(t)
		early := rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 20).Draw(t, "early")
		a, again := playOps(t, s, ops, nil), playOps(t, s, ops, nil)
		require.Equal(t, a.log, again.log)
		k := 0
		b := playOps(t, s, ops, func(h *host, until time.Duration) {
			for range 3 {
				at := h.now + time.Duration(early[k%len(early)])*(until-h.now)/1000
				k++
				h.until(at)
				h.now = at
				d := h.pool.Settle(at, h.r, &h.ev)
				require.Equal(t, d, h.pool.Settle(at, h.r, &h.ev))
				require.Empty(t, h.ev.List)
				h.due = d
			}
		})
		require.Equal(t, a.log, b.log)
	})
}

// fcfs keeps the order of arrival, and the oldest of a batch waits no longer than
// the larger of the delay and the wait for a slot.
func TestFIFOAndWaitBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, ops := anySpec(t), anyOps(t)
		s.Queue = FCFS
		h := playOps(t, s, ops, nil)
		last := -1
		for _, e := range h.log {
			if e.Kind == Began {
				require.Greater(t, int(e.ID), last)
				last = int(e.ID)
			}
			if e.Kind == Finished && s.MaxBatch > 1 {
				require.LessOrEqual(t, e.Batch, s.MaxDelay)
			}
		}
	})
}

// Cutting a stretch of the fluid anywhere moves no end by more than 1 ns per cut.
func TestCutInvariance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := Defaults(Service)
		s.Queue, s.Slots = PS, 2
		if rapid.Bool().Draw(t, "tokens") {
			s = tokenSpec(3, rapid.SampledFrom([]string{Inline, Parallel}).Draw(t, "prompts"))
			s.Step.PerKV = 777.7
		}
		var ops []op
		for i := range rapid.IntRange(1, 20).Draw(t, "n") {
			ops = append(ops, op{gap: time.Duration(rapid.IntRange(0, 3_000_000).Draw(t, "gap")), what: "accept", item: anyItem(t, uint32(i))})
		}
		a := playOps(t, s, ops, nil)
		cuts := 0
		b := playOps(t, s, ops, func(h *host, until time.Duration) {
			h.until(until)
			rep := &h.pool.reps[h.r]
			w, m := &h.pool.wides[rep.wide], h.pool.models[rep.model]
			for f := range time.Duration(3) {
				at := max(h.now, rep.start) + (until-max(h.now, rep.start))*f/3
				if at <= until && at >= w.vAt {
					h.pool.cut(at, rep, w, m, &h.ev)
					cuts++
				}
			}
			h.due = h.pool.due(rep, w, m)
		})
		for id, e := range a.got {
			require.InDelta(t, int64(e.At), int64(b.got[id].At), float64(cuts), "request %d", id)
			require.InDelta(t, int64(e.First), int64(b.got[id].First), float64(cuts), "request %d", id)
		}
	})
}

func TestCancelQueuedLeavesTheRunning(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2} {
		s := Defaults(Service)
		s.Slots = slots
		h := newHost(t, s)
		for id := range uint32(4) {
			h.accept(0, Item{ID: id, Demand: 4 * ms})
		}
		for id := range uint32(4) {
			h.due = h.pool.CancelQueued(ms, h.r, id, &h.ev)
			h.drain()
		}
		h.finish()
		for id := range uint32(4) {
			if int(id) < slots {
				require.Equal(t, 4*ms, h.got[id].At)
			} else {
				requireOutcome(t, h, id, policies.Cancelled)
			}
		}
	}
}

// The fluid of ps counts ns of work and would lose digits in a year of being
// busy; bounding it moves nothing that a whole ns shows.
func TestRebaseKeepsTheEnds(t *testing.T) {
	t.Parallel()
	s := Defaults(Service)
	s.Queue = PS
	h := newHost(t, s)
	h.accept(0, Item{ID: 0, Demand: 10 * time.Second})
	for id := uint32(1); id <= 8; id++ { // each cuts the stretch, beyond 2³⁰ ns of progress soon
		h.accept(time.Duration(id)*time.Second, Item{ID: id, Demand: 100 * ms})
	}
	require.Less(t, h.pool.wides[0].v, float64(rebase))
	h.finish()
	for id := uint32(1); id <= 8; id++ {
		require.Equal(t, time.Duration(id)*time.Second+200*ms, h.got[id].At, "two share for 200 ms")
	}
	require.Equal(t, 10_800*ms, h.got[0].At)
}

func TestNamesAndFormulas(t *testing.T) {
	t.Parallel()
	s := Defaults(TableKind)
	s.MaxBatch, s.Straggler.Prob, s.Straggler.FastFor, s.Straggler.SlowFor = 2, .1, ms, ms
	s.Table = Table{X: []float64{1, 2, 3}, Y: []Nanos{2, 5, 4}, Axis: AxisTokens, Scale: LogLog}
	m := model(t, s)
	require.Equal(t, TableKind, m.Kind())
	require.Equal(t, s, m.Spec())
	require.False(t, m.Streams())
	require.Equal(t, Nanos(.5), m.Moved())
	require.Equal(t, "t = loglog table of 3 points over [1, 3], x counts tokens; slots 1, max_batch 2, max_delay 0s; "+
		"×exp(σZ − σ²/2) per request, σ 0.015; ×10 with probability 0.1; fast for 1ms, ×10 for 1ms on average", m.Formula())
	s = Defaults(AffineTokens)
	s.A, s.B, s.C = 1e6, 1000, .9
	require.Contains(t, model(t, s).Formula(), "t = 1ms + 1us·tokens + 0.9ns·ΣS²; slots 1")
	require.Equal(t, "t = demand of the request; slots 1", model(t, Defaults(Service)).Formula())
	require.True(t, model(t, h100(1)).Streams())
	p := NewPool(0, 0)
	require.Zero(t, p.Len())
	p.Add(m, 1, rand.PCG{})
	require.Equal(t, 1, p.Len())
	require.Same(t, m, p.Model(0))
}
