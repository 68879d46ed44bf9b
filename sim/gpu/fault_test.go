package gpu

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/chance"
)

// shapes are replicas on which a lone request of Item{Demand: 10 ms} takes 10 ms:
// one per path through the package.
func shapes() map[string]Spec {
	plain := Defaults(Service)
	slots, ps := plain, plain
	slots.Slots = 2
	ps.Queue = PS
	batch := affine(5*ms, 5*ms, 8, 0)
	steps, prompt := tokenSpec(2, Inline), tokenSpec(2, Inline)
	steps.Prefill, steps.Step = Prefill{}, Step{Base: Of(ms)}
	prompt.Prefill, prompt.Step = Prefill{Floor: Of(9 * ms)}, Step{Base: Of(ms / 10)}
	return map[string]Spec{
		"plain": plain, "plain affine": affine(5*ms, 5*ms, 1, 0), "slots": slots, "ps": ps, "batch": batch, "steps": steps, "prompt": prompt,
	}
}

func TestRateStretchesWhatIsLeft(t *testing.T) {
	t.Parallel()
	for name, s := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, s)
			rate := func(at time.Duration, m float64) {
				h.until(at)
				h.now = at
				h.due = h.pool.Rate(at, h.r, m, &h.ev)
				h.drain()
			}
			it := Item{Demand: 10 * ms, Output: 10}
			h.accept(0, it)
			rate(2*ms, .5)    // 8 left
			rate(6*ms, 0)     // 6 left
			rate(106*ms, 0)   // nothing progresses, for ever
			rate(206*ms, .25) // 6 left
			rate(210*ms, 1)   // 5 left
			h.finish()
			require.Equal(t, 215*ms, h.got[0].At)
			require.Equal(t, 215*ms, h.pool.BusySlotTime(h.r, h.now))

			rate(300*ms, 0) // a frozen replica takes requests in
			it.ID = 1
			h.accept(301*ms, it)
			require.Equal(t, Never, h.due.At)
			running, _ := h.pool.Load(h.r)
			require.Equal(t, 1, running)
			rate(310*ms, 2)
			h.finish()
			require.Equal(t, 315*ms, h.got[1].At)
		})
	}
}

func TestSpeedOfTheGroup(t *testing.T) {
	t.Parallel()
	for name, s := range shapes() {
		p := NewPool(2, 2)
		m := model(t, s)
		p.Add(m, 1, rand.PCG{})
		r := p.Add(m, 4, rand.PCG{})
		var ev Events
		due := p.Accept(0, r, &Item{Demand: 10 * ms, Output: 10}, &ev)
		for due.At != Never {
			due = p.Settle(due.At, r, &ev)
		}
		require.Equal(t, 2500*time.Microsecond, ev.List[len(ev.List)-1].At, name)
	}
}

func TestCrash(t *testing.T) {
	t.Parallel()
	for name, s := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, s)
			it := Item{Demand: 10 * ms, Output: 10}
			for id := range uint32(5) {
				it.ID = id
				h.accept(ms, it)
			}
			h.due = h.pool.Rate(2*ms, h.r, .1, &h.ev)
			h.pool.Crash(3*ms, h.r, &h.ev)
			h.due = Due{At: Never}
			h.drain()
			for id := range uint32(5) {
				requireOutcome(t, h, id, policies.Reset)
				require.Equal(t, 3*ms, h.got[id].At)
			}
			running, queued := h.pool.Load(h.r)
			require.Zero(t, running+queued)
			it.ID = 9
			h.accept(10*ms, it) // at full speed again
			h.finish()
			require.Equal(t, 20*ms, h.got[9].At)
		})
	}
}

// A cancelled request frees its slot at once, and a prompt that was being worked
// on is abandoned; the next one starts in its place.
func TestCancelFreesTheSlot(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain", "slots", "steps", "prompt"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shapes()[name]
			s.Slots = 1
			if name == "slots" {
				s.QueueTimeout = time.Second // keeps one slot on the wide path
			}
			h := newHost(t, s)
			for id := range uint32(2) {
				h.accept(0, Item{ID: id, Demand: 10 * ms, Output: 10})
			}
			h.due = h.pool.Cancel(4*ms, h.r, 0, &h.ev)
			h.drain()
			h.finish()
			requireOutcome(t, h, 0, policies.Cancelled)
			require.Equal(t, 14*ms, h.got[1].At)
			require.Equal(t, [3]time.Duration{4 * ms, 0, 10 * ms}, parts(h.got[1]))
		})
	}
	h := newHost(t, tokenSpec(4, Inline))
	h.play(nil)
	for id := range uint32(3) { // prompts of 20 ms one after the other
		h.accept(0, Item{ID: id, Input: 100, Output: 1})
	}
	h.due = h.pool.Cancel(5*ms, h.r, 0, &h.ev) // the one being worked on
	h.due = h.pool.Cancel(6*ms, h.r, 2, &h.ev) // the one in turn behind the next
	h.drain()
	h.finish()
	require.Equal(t, 30*ms, h.got[1].At) // 5 + 20 + one step of 5
	require.Equal(t, [3]time.Duration{0, 5 * ms, 25 * ms}, parts(h.got[1]))
}

func TestCancelWhoIsNotThere(t *testing.T) {
	t.Parallel()
	for name, s := range shapes() {
		h := newHost(t, s)
		h.accept(0, Item{ID: 1, Demand: 10 * ms, Output: 10})
		require.Equal(t, h.due, h.pool.Cancel(ms, h.r, 7, &h.ev), name)
		h.drain()
		h.finish()
		require.Equal(t, Finished, h.got[1].Kind)
		require.Equal(t, Due{At: Never}, h.pool.Cancel(h.now, h.r, 1, &h.ev))
		require.Empty(t, h.ev.List)
	}
}

// Per batch: the mean of t is that of the formula, its spread that of σ; the
// stream is the replica's, so two runs agree and two replicas do not.
func TestNoisePerBatch(t *testing.T) {
	t.Parallel()
	s := affine(2*ms, ms, 1, 0)
	s.Noise = Noise{Sigma: .4, Per: PerBatch}
	run := func(name string) []float64 {
		p := NewPool(1, 1)
		r := p.Add(model(t, s), 1, chance.Stream(chance.RunSeed(1, 0), name))
		var out []float64
		var ev Events
		now := time.Duration(0)
		for range 50_000 {
			ev.List = ev.List[:0]
			due := p.Accept(now, r, &Item{}, &ev)
			p.Settle(due.At, r, &ev)
			out = append(out, millis(due.At-now))
			now = due.At
		}
		return out
	}
	a := run("noise/main/0")
	require.Equal(t, a, run("noise/main/0"))
	require.NotEqual(t, a, run("noise/main/1"))
	whole := sample{stays: a}
	require.InEpsilon(t, 3, whole.mean(), .01) // standard error .2 %
}

// The sticky straggler is slow slow_for/(fast_for + slow_for) of the time, and Best
// counts it: at ten times the time, half of the time, a second of work takes 1/.55.
func TestStickyStraggler(t *testing.T) {
	t.Parallel()
	for name, s := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.Straggler = Straggler{Factor: 10, FastFor: 50 * ms, SlowFor: 50 * ms}
			p := NewPool(1, 1)
			m := model(t, s)
			require.True(t, m.BatchNoise())
			r := p.Add(m, 1, chance.Stream(1, "noise/main/0"))
			var ev Events
			now := time.Duration(0)
			const n = 20_000
			for range n {
				ev.List = ev.List[:0]
				due := p.Accept(now, r, &Item{Demand: 10 * ms, Output: 10}, &ev)
				for due.At != Never {
					now = due.At
					if due.Timer {
						due = p.Expire(now, r, &ev)
					} else {
						due = p.Settle(now, r, &ev)
					}
				}
				require.Equal(t, Finished, ev.List[len(ev.List)-1].Kind)
			}
			require.InEpsilon(t, 10/.55, millis(now)/n, .04) // 4 % is four standard errors over some 1,800 turns
		})
	}
	s := Defaults(Service)
	s.Straggler = Straggler{Prob: .1, Factor: 10, FastFor: ms, SlowFor: ms}
	require.InEpsilon(t, 1.9*10/.55, millis(model(t, s).Best(Mix{Demand: 10 * ms})), 1e-6)
}

func TestBusySlotTime(t *testing.T) {
	t.Parallel()
	s := Defaults(Service)
	s.Slots = 2
	h := newHost(t, s)
	h.accept(0, Item{ID: 0, Demand: 10 * ms})
	h.accept(4*ms, Item{ID: 1, Demand: 10 * ms})
	require.Equal(t, 10*ms, h.pool.BusySlotTime(h.r, 7*ms)) // 7 + 3
	require.Equal(t, 0, h.pool.Free(h.r))
	h.finish()
	require.Equal(t, 20*ms, h.pool.BusySlotTime(h.r, 100*ms))
	require.Equal(t, 2, h.pool.Free(h.r))
}

// A host that comes late gets the events at their own instants.
func TestALateHost(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2} {
		s := Defaults(Service)
		s.Slots = slots
		p := NewPool(1, 4)
		r := p.Add(model(t, s), 1, rand.PCG{})
		var ev Events
		for id := range uint32(4) {
			p.Accept(0, r, &Item{ID: id, Demand: 10 * ms}, &ev)
		}
		require.Equal(t, Due{At: Never}, p.Settle(time.Second, r, &ev))
		last := ev.List[len(ev.List)-1]
		require.Equal(t, time.Duration(40/slots)*ms, last.At)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for name, s := range shapes() {
		s.Queue, s.Oracle = FCFS, true
		if name == "slots" {
			s.Queue = SJF
		}
		if name == "ps" {
			s.Queue = PS
		}
		if name == "batch" {
			s.MaxDelay, s.QueueTimeout = ms, 20*ms
		}
		p := NewPool(1, 1)
		p.WatchFirst = true
		r := p.Add(model(t, s), 1, rand.PCG{})
		ev := Events{List: make([]Event, 0, 256)}
		now, id := time.Duration(0), uint32(0)
		round := func() {
			ev.List = ev.List[:0]
			var due Due
			for range 8 {
				id++
				due = p.Accept(now, r, &Item{ID: id, Demand: 10 * ms, Output: 10}, &ev)
			}
			for due.At != Never {
				now = due.At
				if due.Timer {
					due = p.Expire(now, r, &ev)
				} else {
					due = p.Settle(now, r, &ev)
				}
			}
		}
		round()
		require.Zero(t, testing.AllocsPerRun(100, round), name)
	}
}
