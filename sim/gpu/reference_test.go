package gpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The reference is written for reading, not for speed: it scans plain slices and
// shares no code with the pool beyond the formulas of the model.

type refJob struct {
	Item
	at   time.Duration
	work float64
}

// refBatching plays arrivals (in order) on slots that end batches at fixed
// instants, and returns the end of each request; 0 where it timed out.
func refBatching(m *Model, s Spec, as []arrival) map[uint32]time.Duration {
	ends := map[uint32]time.Duration{}
	slots := make([]time.Duration, s.Slots) // free from
	var queue []refJob
	work := func(batch []refJob) float64 {
		var n, tok, sq, f float64
		for _, j := range batch {
			n, tok, sq, f = n+1, tok+float64(j.Input), sq+float64(j.Input)*float64(j.Input), f+max(j.Factor, 0)
		}
		if s.Kind == Service {
			return batch[0].work
		}
		t, _ := m.batchTime(n, tok, sq)
		return t * f / n
	}
	first := func() int { // whose turn it is
		best := 0
		for i := range queue {
			a, b := queue[i], queue[best]
			better := false
			switch s.Queue {
			case LIFO:
				better = true
			case Priority:
				better = a.Priority > b.Priority
			case SJF:
				better = work([]refJob{a}) < work([]refJob{b})
			case EDF:
				da, db := a.Deadline, b.Deadline
				if da == 0 {
					da = Never
				}
				if db == 0 {
					db = Never
				}
				better = da < db
			}
			if better {
				best = i
			}
		}
		return best
	}
	start := func(now time.Duration, ripe bool) {
		for len(queue) > 0 {
			k := slices.Index(slots, slices.Min(slots))
			oldest := queue[0].at + s.MaxDelay
			if slots[k] > now || len(queue) < s.MaxBatch && s.MaxDelay > 0 && !(oldest < now || ripe && oldest == now) {
				return
			}
			var batch []refJob
			for len(queue) > 0 && len(batch) < s.MaxBatch {
				i := first()
				batch = append(batch, queue[i])
				queue = slices.Delete(queue, i, i+1)
			}
			slots[k] = now + round(work(batch))
			for _, j := range batch {
				ends[j.ID] = slots[k]
			}
		}
	}
	now, i := time.Duration(0), 0
	for i < len(as) || len(queue) > 0 {
		next := Never
		for _, f := range slots {
			if f > now {
				next = min(next, f)
			}
		}
		for _, j := range queue {
			if s.MaxDelay > 0 && j.at+s.MaxDelay > now {
				next = min(next, j.at+s.MaxDelay)
			}
			if s.QueueTimeout > 0 {
				next = min(next, j.at+s.QueueTimeout)
			}
		}
		if i < len(as) {
			next = min(next, as[i].at)
		}
		now = next
		start(now, false) // completions
		for ; i < len(as) && as[i].at == now; i++ {
			j := refJob{Item: as[i].Item, at: now}
			j.work = float64(j.Demand) * j.Factor
			queue = append(queue, j)
			start(now, false)
		}
		start(now, true) // timers
		queue = slices.DeleteFunc(queue, func(j refJob) bool { return s.QueueTimeout > 0 && j.at+s.QueueTimeout <= now })
	}
	return ends
}

func TestAgainstTheReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := Defaults(rapid.SampledFrom([]Kind{Service, Affine, AffineTokens}).Draw(t, "kind"))
		if s.Kind != Service {
			s.A, s.B = Of(ms), Of(ms)
			s.MaxBatch = rapid.IntRange(1, 4).Draw(t, "max_batch")
			s.MaxDelay = time.Duration(rapid.IntRange(0, 3).Draw(t, "max_delay")) * ms
		}
		if s.Kind == AffineTokens {
			s.B, s.C = Of(10*time.Microsecond), 30.5
		}
		s.Slots = rapid.IntRange(1, 3).Draw(t, "slots")
		s.Queue, s.Oracle = rapid.SampledFrom([]string{FCFS, LIFO, Priority, EDF, SJF}).Draw(t, "queue"), true
		s.QueueTimeout = time.Duration(rapid.SampledFrom([]int{0, 2, 5}).Draw(t, "queue_timeout")) * ms
		var as []arrival
		now := time.Duration(0)
		for i := range rapid.IntRange(1, 40).Draw(t, "n") {
			now += time.Duration(rapid.SampledFrom([]int{0, 0, 500_000, 1_000_000, 1_000_001, 3_000_000}).Draw(t, "gap"))
			it := anyItem(t, uint32(i))
			it.Demand = max(it.Demand, 1)
			it.Factor = max(it.Factor, .5)
			as = append(as, arrival{now, it})
		}
		m, problems := New(s)
		require.Empty(t, problems)
		want := refBatching(m, s, as)
		var ops []op
		last := time.Duration(0)
		for _, a := range as {
			ops = append(ops, op{gap: a.at - last, what: "accept", item: a.Item})
			last = a.at
		}
		h := playOps(t, s, ops, nil)
		for _, a := range as {
			e := h.got[a.ID]
			if end, ok := want[a.ID]; ok {
				require.Equal(t, Finished, e.Kind, "request %d", a.ID)
				require.Equal(t, end, e.At, "request %d", a.ID)
			} else {
				require.Equal(t, Rejected, e.Kind, "request %d", a.ID)
			}
		}
	})
}

// refTokens plays arrivals on the token engine in real-valued time, scanning all
// sequences at each change, and returns first tokens and ends in ns.
func refTokens(s Spec, as []arrival) (first, end map[uint32]float64) {
	type seq struct {
		arrival
		prompt, steps, need, z float64 // left; steps done; steps needed
	}
	first, end = map[uint32]float64{}, map[uint32]float64{}
	var queue, in []*seq
	now, i := 0.0, 0
	for i < len(as) || len(queue)+len(in) > 0 {
		for len(queue) > 0 && len(in) < s.Slots {
			in, queue = append(in, queue[0]), queue[1:]
		}
		n, kv := 0.0, 0.0
		var prompts []*seq
		for _, q := range in {
			if q.prompt > 0 {
				prompts = append(prompts, q)
			} else {
				n, kv = n+1, kv+float64(q.Input)+float64(q.Output)/2
			}
		}
		if s.Prompts == Inline && len(prompts) > 1 {
			prompts = prompts[:1]
		}
		step := float64(s.Step.Base) + float64(s.Step.PerSeq)*n + float64(s.Step.PerKV)*kv
		stands := s.Prompts == Inline && len(prompts) > 0
		dt := math.Inf(1)
		if i < len(as) {
			dt = float64(as[i].at) - now
		}
		for _, q := range prompts {
			dt = min(dt, q.prompt)
		}
		for _, q := range in {
			if q.prompt <= 0 && !stands {
				dt = min(dt, (q.need-q.steps)*step)
			}
		}
		for _, q := range in {
			if q.prompt <= 0 && !stands {
				if q.steps < q.z && q.steps+dt/step >= q.z-1e-12 {
					first[q.ID] = now + (q.z-q.steps)*step
				}
				q.steps += dt / step
			}
		}
		for _, q := range prompts {
			if q.prompt -= dt; q.prompt < 1e-6 {
				q.prompt = 0
			}
		}
		now += dt
		in = slices.DeleteFunc(in, func(q *seq) bool {
			if q.prompt > 0 || q.steps < q.need-1e-9 {
				return false
			}
			end[q.ID] = now
			return true
		})
		for ; i < len(as) && float64(as[i].at) <= now; i++ {
			a := as[i]
			prompt := float64(s.Prefill.Floor) + float64(s.Prefill.PerToken)*max(0, float64(a.Input)-s.Prefill.Knee)
			queue = append(queue, &seq{arrival: a, prompt: prompt * a.Factor, need: a.Factor * float64(a.Output), z: a.Factor})
		}
	}
	return first, end
}

// The pool rounds to whole nanoseconds at every change and the reference never:
// they may differ by 1 ns per change, no more. Factors are drawn finely, so that
// no two changes meet within that by design: there a prompt may go before a token
// or behind it, and either is right.
func TestTokensAgainstTheReference(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		dice := rand.New(rand.NewPCG(seed, 1))
		s := tokenSpec(1+dice.IntN(4), [2]string{Inline, Parallel}[dice.IntN(2)])
		s.Prefill.Knee, s.Step.PerKV = 50, 777.7
		var ops []op
		var as []arrival
		now := time.Duration(0)
		for i := range 1 + dice.IntN(25) {
			gap := time.Duration(dice.IntN(2) * dice.IntN(60_000_000))
			now += gap
			it := Item{ID: uint32(i), Input: uint32(dice.IntN(200)), Output: 1 + uint32(dice.IntN(100)), Factor: .5 + dice.Float64()}
			ops, as = append(ops, op{gap: gap, what: "accept", item: it}), append(as, arrival{now, it})
		}
		first, end := refTokens(s, as)
		h := playOps(t, s, ops, nil)
		for _, a := range as {
			slack := float64(4 * len(as))
			require.InDelta(t, end[a.ID], float64(h.got[a.ID].At), slack, "seed %d, end of %d", seed, a.ID)
			require.InDelta(t, first[a.ID], float64(h.got[a.ID].First), slack, "seed %d, first of %d", seed, a.ID)
		}
	}
}
