package gpu

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

// The batching table of the specification, worked out by hand: a 2 ms, b 1 ms,
// max_batch 4, one slot.
func TestBatchingGoldens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		arrivals []float64
		delay    time.Duration
		ends     []float64
		batch    []float64 // part of the stay
	}{
		{"no delay", []float64{0, 1, 1, 1, 1, 1}, 0, []float64{3, 9, 9, 9, 9, 12}, []float64{0, 0, 0, 0, 0, 0}},
		{"full before the delay", []float64{0, 1, 1, 1, 1, 1}, 5 * ms, []float64{7, 7, 7, 7, 11, 11}, []float64{1, 0, 0, 0, 0, 0}},
		{"alone", []float64{0}, 5 * ms, []float64{8}, []float64{5}},
		{"an arrival at the expiry joins", []float64{0, 5}, 5 * ms, []float64{9, 9}, []float64{5, 0}},
		{"two arrivals at the expiry join", []float64{0, 5, 5}, 5 * ms, []float64{10, 10, 10}, []float64{5, 0, 0}},
		{"one that waited longer goes at once", []float64{0, 0, 0, 0, .5}, 3 * ms, []float64{6, 6, 6, 6, 9}, []float64{0, 0, 0, 0, 0}},
		{"one that waited exactly so long waits for arrivals", []float64{0, 0, 0, 0, 3, 6}, 3 * ms, []float64{6, 6, 6, 6, 10, 10}, []float64{0, 0, 0, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, affine(2*ms, ms, 4, c.delay))
			h.play(at(Item{}, c.arrivals...))
			require.Equal(t, c.ends, h.ends(len(c.ends)))
			for i, want := range c.batch {
				e := h.got[uint32(i)]
				require.Equal(t, want, millis(e.Batch), "request %d", i)
				require.Equal(t, e.At-time.Duration(c.arrivals[i]*1e6), e.Queue+e.Batch+e.Service)
			}
		})
	}
}

func TestCancelledLeavesTheBatchQueueWithoutRestartingTheDelay(t *testing.T) {
	t.Parallel()
	h := newHost(t, affine(2*ms, ms, 4, 5*ms))
	h.accept(0, Item{ID: 0})
	h.accept(1*ms, Item{ID: 1})
	h.due = h.pool.Cancel(2*ms, h.r, 0, &h.ev)
	h.drain()
	h.finish()
	requireOutcome(t, h, 0, policies.Cancelled)
	require.Equal(t, 9*ms, h.got[1].At) // its own 1 + 5, then 3
}

func TestARunningBatchIsNeverCut(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2} { // the plain and the wide path
		h := newHost(t, affine(2*ms, ms, size, 0))
		h.accept(0, Item{ID: 0})
		h.accept(0, Item{ID: 1})
		h.due = h.pool.Cancel(ms, h.r, 0, &h.ev)
		h.drain()
		h.due = h.pool.Cancel(ms, h.r, 0, &h.ev) // twice is once
		h.drain()
		h.finish()
		requireOutcome(t, h, 0, policies.Cancelled)
		require.Equal(t, ms, h.got[0].At)
		require.Equal(t, 6*ms, h.got[1].At, "the slot stays taken until 3")
		running, queued := h.pool.Load(h.r)
		require.Zero(t, running+queued)
	}
}

// tokenSpec is the engine of the token goldens.
func tokenSpec(slots int, prompts string) Spec {
	s := Defaults(Tokens)
	s.Noise.Sigma = 0
	s.Prefill = Prefill{Floor: Of(10 * ms), PerToken: Of(ms / 10)}
	s.Step = Step{Base: Of(4 * ms), PerSeq: Of(ms)}
	s.Slots, s.Prompts = slots, prompts
	return s
}

func TestTokenGoldens(t *testing.T) {
	t.Parallel()
	kv := tokenSpec(2, Parallel)
	kv.Step.PerKV, kv.Step.PerSeq = Of(10*time.Microsecond), 0
	for _, c := range []struct {
		name                  string
		spec                  Spec
		output                uint32
		arrivals, first, ends []float64
		tpot                  []float64
	}{
		{"alone, inline", tokenSpec(2, Inline), 10, []float64{0}, []float64{25}, []float64{70}, []float64{5}},
		{"alone, parallel", tokenSpec(2, Parallel), 10, []float64{0}, []float64{25}, []float64{70}, []float64{5}},
		{"two, parallel", tokenSpec(2, Parallel), 10, []float64{0, 0}, []float64{26, 26}, []float64{80, 80}, []float64{6, 6}},
		{"two, inline", tokenSpec(2, Inline), 10, []float64{0, 0}, []float64{46, 46}, []float64{100, 100}, []float64{6, 6}},
		{"later, inline", tokenSpec(2, Inline), 10, []float64{0, 30}, []float64{25, 56}, []float64{98, 108}, []float64{8.111, 5.778}},
		{"later, parallel", tokenSpec(2, Parallel), 10, []float64{0, 30}, []float64{25, 56}, []float64{74, 104}, []float64{5.444, 5.333}},
		{"one slot, inline", tokenSpec(1, Inline), 10, []float64{0, 30}, []float64{25, 95}, []float64{70, 140}, []float64{5, 5}},
		{"one slot, parallel", tokenSpec(1, Parallel), 10, []float64{0, 30}, []float64{25, 95}, []float64{70, 140}, []float64{5, 5}},
		{"context", kv, 20, []float64{0}, []float64{25.1}, []float64{122}, []float64{5.1}},
	} {
		for _, watch := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				h := newHost(t, c.spec)
				h.pool.WatchFirst, h.keep = watch, true
				h.play(at(Item{Input: 100, Output: c.output}, c.arrivals...))
				n := len(c.ends)
				require.Equal(t, c.ends, h.ends(n))
				require.Equal(t, c.first, h.firsts(n))
				seen := 0
				for _, e := range h.log {
					if e.Kind == FirstToken {
						seen++
						require.Equal(t, c.first[e.ID], millis(e.At))
					}
				}
				require.Equal(t, watch, seen == n)
				for i := range n {
					require.InDelta(t, c.tpot[i], (c.ends[i]-c.first[i])/float64(c.output-1), .0005)
				}
			})
		}
	}
}

// In row 4 A stands still for B's prompt from 30 to 50; B waits for nobody.
func TestTokenParts(t *testing.T) {
	t.Parallel()
	h := newHost(t, tokenSpec(2, Inline))
	h.play(at(Item{Input: 100, Output: 10}, 0, 30))
	require.Equal(t, [3]time.Duration{0, 20 * ms, 78 * ms}, parts(h.got[0]))
	require.Equal(t, [3]time.Duration{0, 0, 78 * ms}, parts(h.got[1]))

	h = newHost(t, tokenSpec(2, Inline)) // B waits 20 for A's prompt, A 20 for B's, C 100 for a slot
	h.play(at(Item{Input: 100, Output: 10}, 0, 0, 0))
	require.Equal(t, [3]time.Duration{0, 20 * ms, 80 * ms}, parts(h.got[0]))
	require.Equal(t, [3]time.Duration{0, 20 * ms, 80 * ms}, parts(h.got[1]))
	require.Equal(t, [3]time.Duration{100 * ms, 0, 70 * ms}, parts(h.got[2]))
}

func parts(e Event) [3]time.Duration { return [3]time.Duration{e.Queue, e.Batch, e.Service} }

func h100(slots int) Spec {
	s := Defaults(Tokens)
	s.Prefill.PerToken = 19600
	s.Step = Step{Base: Of(6400 * time.Microsecond), PerKV: 50}
	s.Slots = slots
	return s
}

func TestH100Goldens(t *testing.T) {
	t.Parallel()
	h := newHost(t, h100(64))
	h.play(at(Item{Input: 2000, Output: 100}, 0))
	require.Equal(t, 45.7025, millis(h.got[0].First))
	require.Equal(t, 689.45, millis(h.got[0].At))
	require.InDelta(t, 6.5025, (689.45-45.7025)/99, 1e-9)

	m := model(t, h100(64))
	work := m.Best(Mix{Input: 512, Output: 180})
	require.InDelta(t, 2141.0, millis(work), .05)
	require.InDelta(t, 29.89, 64/work.Seconds(), .005)
	// E[output·(input + output/2)] by moments: the same when they are spelled out.
	require.Equal(t, work, m.Best(Mix{Input: 512, Output: 180, OutputSq: 180 * 180, InOut: 512 * 180}))
}

// 32 of the slots kept full, starts spread over a cycle: between two of one's own
// tokens come a step and, now and then, the prompts of the 31 others.
func TestClosedLoop(t *testing.T) {
	t.Parallel()
	const clients, input, output, rounds = 32, 512, 128, 40
	h := newHost(t, h100(64))
	sum, n := 0.0, 0
	var again []uint32
	h.tell = func(e Event) {
		again = append(again, e.ID)
		if e.ID/clients >= 10 {
			sum += millis(e.At-e.First) / (output - 1)
			n++
		}
	}
	cycle := time.Duration(9.752*output*1e6) + time.Duration(input*19600)
	for c := range uint32(clients) {
		h.accept(cycle*time.Duration(c)/clients, Item{ID: c, Input: input, Output: output})
	}
	for n < clients*rounds {
		h.step()
		for _, id := range again {
			h.accept(h.now, Item{ID: id + clients, Input: input, Output: output})
		}
		again = again[:0]
	}
	require.InEpsilon(t, 9.752, sum/float64(n), .01)
}

func TestDisciplineGoldens(t *testing.T) {
	t.Parallel()
	item := func(id uint32, at, demand time.Duration) arrival {
		return arrival{at, Item{ID: id, Demand: demand}}
	}
	urgent := func(a arrival, deadline time.Duration, prio int8) arrival {
		a.Deadline, a.Priority = deadline, prio
		return a
	}
	for _, c := range []struct {
		name, queue string
		slots       int
		arrivals    []arrival
		ends        []float64
	}{
		{"ps", PS, 1, []arrival{item(0, 0, 4*ms), item(1, 2*ms, 4*ms)}, []float64{6, 8}},
		{"ps, two slots", PS, 2, []arrival{item(0, 0, 4*ms), item(1, 0, 4*ms), item(2, 0, 4*ms)}, []float64{6, 6, 6}},
		{"lifo", LIFO, 1, []arrival{item(0, 0, 10*ms), item(1, ms, ms), item(2, 2*ms, ms)}, []float64{10, 12, 11}},
		{"fcfs", FCFS, 1, []arrival{item(0, 0, 10*ms), item(1, ms, ms), item(2, 2*ms, ms)}, []float64{10, 11, 12}},
		{"sjf", SJF, 1, []arrival{item(0, 0, 10*ms), item(1, ms, 5*ms), item(2, 2*ms, ms)}, []float64{10, 16, 11}},
		{"edf", EDF, 1, []arrival{
			item(0, 0, 10*ms), item(1, ms, ms),
			urgent(item(2, 2*ms, ms), 50*ms, 0), urgent(item(3, 3*ms, ms), 40*ms, 0),
		}, []float64{10, 13, 12, 11}},
		{"priority", Priority, 1, []arrival{
			item(0, 0, 10*ms), urgent(item(1, ms, ms), 0, -1), item(2, ms, ms),
			urgent(item(3, 2*ms, ms), 0, 7), urgent(item(4, 3*ms, ms), 0, 7),
		}, []float64{10, 14, 13, 11, 12}},
		{"fcfs, two slots", FCFS, 2, []arrival{item(0, 0, 10*ms), item(1, 0, 3*ms), item(2, 0, 4*ms), item(3, 0, ms)}, []float64{10, 3, 7, 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := Defaults(Service)
			s.Queue, s.Slots, s.Oracle = c.queue, c.slots, true
			h := newHost(t, s)
			h.play(c.arrivals)
			require.Equal(t, c.ends, h.ends(len(c.ends)))
		})
	}
}

func TestQueueLimit(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2} { // the plain and the wide path
		for _, limit := range []int{0, 1, NoLimit} {
			s := Defaults(Service)
			s.Slots, s.QueueLimit = slots, limit
			h := newHost(t, s)
			h.play(at(Item{Demand: ms}, 0, 0, 0, 0, 0))
			refused := 0
			for id := range uint32(5) {
				if h.got[id].Kind == Rejected {
					refused++
					requireOutcome(t, h, id, policies.QueueFull)
				}
			}
			want := 5 - slots - limit
			if limit == NoLimit {
				want = 0
			}
			require.Equal(t, want, refused, "slots %d limit %d", slots, limit)
		}
	}
	s := affine(2*ms, ms, 4, 5*ms)
	s.QueueLimit = 0 // a batch that fills before a free slot is no queue
	h := newHost(t, s)
	h.play(at(Item{}, 0, 1, 1, 1, 1))
	require.Equal(t, []float64{7, 7, 7, 7, 1}, h.ends(5))
	requireOutcome(t, h, 4, policies.QueueFull)
}

func TestQueueTimeout(t *testing.T) {
	t.Parallel()
	s := Defaults(Service)
	s.QueueTimeout = 3 * ms
	h := newHost(t, s)
	h.play([]arrival{
		{0, Item{ID: 0, Demand: 4 * ms}},
		{ms, Item{ID: 1, Demand: ms}}, // a slot frees at its very timeout: completions come first
		{ms, Item{ID: 2, Demand: ms}},
		{2 * ms, Item{ID: 3, Demand: ms}},
	})
	require.Equal(t, []float64{4, 5, 4, 6}, h.ends(4))
	requireOutcome(t, h, 2, policies.DeadlineHit)
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	s := tokenSpec(2, Inline)
	s.MaxModelLen = 110
	h := newHost(t, s)
	h.play([]arrival{
		{0, Item{ID: 0, Input: 100, Output: 10}},
		{0, Item{ID: 1, Input: 101, Output: 10}},
		{0, Item{ID: 2, Input: 110}}, // no output counts as one
		{0, Item{ID: 3, Input: 4294967295, Output: 4294967295}},
	})
	require.Equal(t, Finished, h.got[0].Kind)
	for id := uint32(1); id < 4; id++ {
		requireOutcome(t, h, id, policies.TooLong)
	}
}
