package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// jumps is a model that files each event anew at a distance drawn by next, a million
// times or so, and digests the order.
type jumps struct {
	id     HandlerID
	left   int
	next   func(*rand.Rand) Time
	dice   *rand.Rand
	digest uint64
}

func (j *jumps) Handle(e *Engine, arg uint64) {
	j.digest = (j.digest ^ uint64(e.Now()) ^ arg<<40) * 1099511628211
	if j.left > 0 {
		j.left--
		e.Schedule(e.Now()+j.next(j.dice), j.id, arg)
	}
}

// run files so many events at once and handles n further ones.
func (j *jumps) run(c Config, pending, n int) {
	e := New(c)
	j.dice, j.left, j.digest = rand.New(rand.NewPCG(1, 2)), n, 0
	j.id = e.Register(j, Completion)
	for i := range pending {
		e.Schedule(j.next(j.dice), j.id, uint64(i))
	}
	e.Run()
}

// hard are schedules that buckets of one width do badly at.
func hard() map[string]func(*rand.Rand) Time {
	const year = Time(365 * 24 * 3600 * 1e9)
	return map[string]func(*rand.Rand) Time{
		"exponential": func(r *rand.Rand) Time { return Time(r.ExpFloat64() * 1e9) },
		"all equal":   func(*rand.Rand) Time { return 1000 },
		"pareto":      func(r *rand.Rand) Time { return Time(min(math.Pow(1-r.Float64(), -2), 1e9)) },
		"clusters": func(r *rand.Rand) Time {
			if r.IntN(1000) == 0 {
				return year
			}
			return Time(r.IntN(1000))
		},
		"far": func(r *rand.Rand) Time {
			if r.IntN(100_000) == 0 {
				return year
			}
			return Time(r.IntN(100))
		},
	}
}

// The order does not depend on where events wait: buckets and heap agree, and the
// width has adapted itself meanwhile.
func TestBucketsAndHeapAgree(t *testing.T) {
	t.Parallel()
	for name, next := range hard() {
		for _, pending := range []int{3, 2000} {
			t.Run(fmt.Sprint(name, " ", pending), func(t *testing.T) {
				t.Parallel()
				a, b := jumps{next: next}, jumps{next: next}
				a.run(Config{}, pending, 150_000)
				b.run(Config{Heap: true}, pending, 150_000)
				require.Equal(t, b.digest, a.digest)
			})
		}
	}
}

// Whole runs agree too: result hashes do not depend on the agenda.
func TestRunsDoNotDependOnTheAgenda(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"p2c", "jiq-amnesia"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := spec{n: 40, m: 3, rho: .9, service: logn2(), make: policy(name), requests: 20_000, warmup: .1, edit: rough}
			buckets := detail(s.simulate(t))
			s.heap = true
			require.Equal(t, detail(s.simulate(t)), buckets)
		})
	}
}

// The width follows the events: of 1,000 at exponential distances, few are in the
// heap at a time and few beyond the horizon.
func TestWidthAdapts(t *testing.T) {
	t.Parallel()
	for _, gap := range []Time{1, 0, 1e12} {
		e := New(Config{Gap: gap})
		dice := rand.New(rand.NewPCG(1, 2))
		near, over, n := 0, 0, 0
		var h HandlerID
		h = e.Register(call(func(arg uint64) {
			if n++; n > 300_000 {
				near, over = max(near, e.agenda.near.n), max(over, len(e.agenda.over))
			}
			if n < 600_000 {
				e.Schedule(e.Now()+Time(dice.ExpFloat64()*1e9), h, arg)
			}
		}), Completion)
		for i := range uint64(1000) {
			e.Schedule(Time(i), h, i)
		}
		e.Run()
		require.Less(t, near, 30, "gap hint %v", gap)
		require.Less(t, over, 200, "gap hint %v", gap)
	}
}

// BenchmarkAgenda holds buckets against the heap under schedules that they do badly at.
func BenchmarkAgenda(b *testing.B) {
	for name, next := range hard() {
		for _, pending := range []int{10, 10_000} {
			for _, heap := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%d/heap=%v", name, pending, heap), func(b *testing.B) {
					j := jumps{next: next}
					j.run(Config{Heap: heap}, pending, b.N)
				})
			}
		}
	}
}
