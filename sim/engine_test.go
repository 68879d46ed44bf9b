package sim

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is the agenda as a sorted list: the slow truth.
type model struct {
	list []entry
	seq  int
}

type entry struct {
	at    Time
	class Class
	seq   int
	id    uint64
}

func (m *model) add(at Time, c Class, id uint64) {
	m.seq++
	m.list = append(m.list, entry{at, c, m.seq, id})
}

func (m *model) remove(id uint64) bool {
	i := slices.IndexFunc(m.list, func(e entry) bool { return e.id == id })
	if i < 0 {
		return false
	}
	m.list = slices.Delete(m.list, i, i+1)
	return true
}

// until takes everything up to t in order.
func (m *model) until(t Time) []uint64 {
	slices.SortFunc(m.list, func(a, b entry) int {
		switch {
		case a.at != b.at:
			return int(a.at - b.at)
		case a.class != b.class:
			return int(a.class) - int(b.class)
		}
		return a.seq - b.seq
	})
	var out []uint64
	for len(m.list) > 0 && m.list[0].at <= t {
		out = append(out, m.list[0].id)
		m.list = m.list[1:]
	}
	return out
}

type catcher struct{ got *[]uint64 }

func (c catcher) Handle(_ *Engine, arg uint64) { *c.got = append(*c.got, arg) }

// Random schedules with heavy ties and long jumps, timers that are reset, cancelled
// and freed, RunUntil cuts and buckets of any width: the agenda agrees with a sorted
// list.
func TestAgendaAgainstASortedList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		got := []uint64{}
		e := New(Config{Heap: rapid.Bool().Draw(t, "heap"), Gap: rapid.SampledFrom([]Time{0, 1, 5}).Draw(t, "gap")})
		if rapid.Bool().Draw(t, "cleared") { // a cleared engine is as new
			h := e.Register(catcher{&got}, Message)
			e.Schedule(7, h, 1)
			e.Reset(e.Timer(h, 2), 9)
			e.RunUntil(8)
			e.Clear()
			got = got[:0]
		}
		var h [4]HandlerID
		for _, c := range []Class{Completion, Message, Timing} {
			h[c] = e.Register(catcher{&got}, c)
		}
		m := &model{}
		timers := map[uint64]Timer{}
		want := []uint64{}
		next := uint64(1)
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			far := rapid.SampledFrom([]int64{6, 6, 6, 300, 1e6, 1e15}).Draw(t, "far")
			at := e.Now() + Time(rapid.Int64Range(0, far).Draw(t, "delta"))
			class := rapid.SampledFrom([]Class{Completion, Message, Timing}).Draw(t, "class")
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0, 1, 2:
				e.Schedule(at, h[class], next)
				m.add(at, class, next)
				next++
			case 3:
				timers[next] = e.Timer(h[Timing], next)
				e.Reset(timers[next], at)
				m.add(at, Timing, next)
				next++
			case 4, 5:
				for id, tm := range timers { // any one: the draw below decides what happens to it
					if rapid.Bool().Draw(t, "cancel") {
						require.Equal(t, m.remove(id), e.Cancel(tm))
					} else {
						m.remove(id)
						e.Reset(tm, at)
						m.add(at, Timing, id)
					}
					break
				}
			case 6: // as tune does; the order is the same
				if e.agenda.cursor != heapOnly {
					e.agenda.rebuild(rapid.UintRange(0, 40).Draw(t, "width"), minBuckets<<rapid.IntRange(0, 2).Draw(t, "buckets"))
				}
			default:
				want = append(want, m.until(at)...)
				e.RunUntil(at)
				require.Equal(t, want, got)
				require.Equal(t, at, e.Now())
				require.Equal(t, len(m.list), e.Pending())
			}
		}
		want = append(want, m.until(Never-1)...)
		e.Run()
		require.Equal(t, want, got)
		require.Zero(t, e.Pending())
	})
}

func TestManyDeadTimersAreSwept(t *testing.T) {
	t.Parallel()
	var got []uint64
	e := New(Config{})
	h := e.Register(catcher{&got}, Timing)
	for i := range uint64(20_000) { // timeouts that never come
		tm := e.Timer(h, i)
		e.Reset(tm, e.Now()+1_000_000)
		e.RunUntil(e.Now() + 1)
		require.True(t, e.Cancel(tm))
		e.Free(tm)
	}
	require.Less(t, e.agenda.n, 2100)
	require.Less(t, len(e.agenda.nodes), 5000)
	e.Run()
	require.Empty(t, got)
	require.Zero(t, e.Pending())
}

func TestBrokenInvariantsNameThemselves(t *testing.T) {
	t.Parallel()
	e := New(Config{Seed: 42})
	var got []uint64
	h := e.Register(catcher{&got}, Message)
	e.RunUntil(10)
	require.PanicsWithValue(t, "sim: scheduled in the past or never: at=9ns t=10ns event=0 handler=1 seed=42",
		func() { e.Schedule(9, h, 0) })
	require.Panics(t, func() { e.Schedule(Never, h, 0) })
	tm := e.Timer(h, 0)
	e.Free(tm)
	require.Panics(t, func() { e.Reset(tm, 20) })
	require.Panics(t, func() { e.Register(catcher{&got}, source) })
}

// again is a handler that files itself for the same instant for ever.
type again struct{ h *HandlerID }

func (a again) Handle(e *Engine, _ uint64) { e.Schedule(e.Now(), *a.h, 0) }

func TestLivelockIsFound(t *testing.T) {
	t.Parallel()
	e := New(Config{})
	var h HandlerID
	h = e.Register(again{&h}, Message)
	e.Schedule(5, h, 0)
	require.Panics(t, e.Run)
}

func TestInterruptStopsSoon(t *testing.T) {
	t.Parallel()
	e := New(Config{})
	n := 0
	var h HandlerID
	h = e.Register(call(func(uint64) {
		if n++; n == 1000 {
			e.Interrupt()
		}
		e.Schedule(e.Now()+1, h, 0)
	}), Message)
	e.Schedule(0, h, 0)
	e.Run()
	require.True(t, e.Interrupted())
	require.LessOrEqual(t, n, 1000+pollEvery)
}
