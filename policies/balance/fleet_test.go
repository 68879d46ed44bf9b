package balance_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/balance"
)

func ref(id, inc uint32) policies.Ref { return policies.Ref{ID: id, Inc: inc} }

// model is the membership in the plainest words.
type model struct {
	inc     []uint32
	state   []string // up, draining, removed
	down    []bool
	out     []int
	weights []float64
}

func (m *model) eligible(id int) bool {
	return m.state[id] == "up" && !m.down[id] && (m.weights == nil || m.weights[id] > 0)
}

// check compares a fleet with the model, field by field.
func (m *model) check(t require.TestingT, b *balance.Book) {
	f := &b.Fleet
	var want []int
	known, sum, weight := 0, 0, 0.0
	for id := range m.inc {
		sum += m.out[id]
		if m.state[id] != "removed" {
			known++
		}
		if !m.eligible(id) {
			require.Equal(t, -1, f.Index(ref(uint32(id), m.inc[id])))
			continue
		}
		want = append(want, id)
		i := f.Index(ref(uint32(id), m.inc[id]))
		require.GreaterOrEqual(t, i, 0)
		require.Equal(t, ref(uint32(id), m.inc[id]), f.Ref(i))
		require.Equal(t, m.out[id], f.Outstanding(i))
		require.Equal(t, -1, f.Index(ref(uint32(id), m.inc[id]+1)), "another life")
		weight += f.Weight(i)
	}
	var got []int
	for i := range f.Len() {
		got = append(got, int(f.Ref(i).ID))
	}
	require.ElementsMatch(t, want, got)
	require.Equal(t, known, f.Known())
	require.Equal(t, sum, f.OutstandingSum())
	require.InDelta(t, weight, f.WeightSum(), 1e-9)
	for id := range m.inc {
		next := -1
		for k := range m.inc {
			if x := (id + 1 + k) % len(m.inc); m.eligible(x) {
				next = x
				break
			}
		}
		at := f.Next(uint32(id))
		if next < 0 {
			require.Equal(t, -1, at)
			continue
		}
		require.Equal(t, uint32(next), f.Ref(at).ID, "next after %d", id)
	}
	if len(want) > 0 {
		require.Equal(t, uint32(want[0]), f.Ref(f.First()).ID)
		return
	}
	require.Equal(t, -1, f.First())
	require.Equal(t, -1, f.One(fixed(1)))
	require.Equal(t, -1, f.Least(fixed(1)))
	require.Equal(t, -1, f.Weighted(fixed(1)))
}

func fixed(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

func TestBookFollowsTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 150).Draw(r, "n")
		tab := &balance.Table{N: n}
		m := &model{inc: make([]uint32, n), state: slices.Repeat([]string{"up"}, n), down: make([]bool, n), out: make([]int, n)}
		if rapid.Bool().Draw(r, "weighted") {
			tab.Weights = rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1, 2.5}), n, n).Draw(r, "weights")
			m.weights = tab.Weights
		}
		b := balance.NewBook(tab)
		m.check(r, b)
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			id := rapid.IntRange(0, n-1).Draw(r, "id")
			m.step(r, b, id)
		}
		m.check(r, b)
	})
}

// step does one random thing to a replica, to the book and to the model.
func (m *model) step(r *rapid.T, b *balance.Book, id int) {
	cur := ref(uint32(id), m.inc[id])
	switch rapid.SampledFrom([]string{"sent", "sent", "ended", "old end", "restart", "back", "drain", "remove", "down", "up", "old news"}).Draw(r, "what") {
	case "sent":
		if m.eligible(id) {
			b.Sent(cur)
			m.out[id]++
		}
	case "ended":
		b.Ended(cur)
		m.out[id] = max(0, m.out[id]-1)
	case "old end":
		if m.inc[id] > 0 {
			b.Ended(ref(uint32(id), m.inc[id]-1))
		}
	case "restart":
		m.inc[id]++
		m.state[id], m.down[id], m.out[id] = "up", false, 0
		require.True(r, b.Apply(0, balance.Change{Kind: balance.ChangeAdded, Ref: ref(uint32(id), m.inc[id])}))
	case "back":
		news := m.state[id] != "up" || m.down[id]
		m.state[id], m.down[id] = "up", false
		require.Equal(r, news, b.Apply(0, balance.Change{Kind: balance.ChangeAdded, Ref: cur}))
	case "drain":
		news := m.state[id] == "up"
		if news {
			m.state[id] = "draining"
		}
		require.Equal(r, news, b.Apply(0, balance.Change{Kind: balance.ChangeDraining, Ref: cur}))
	case "remove":
		news := m.state[id] != "removed"
		if news {
			m.state[id], m.out[id] = "removed", 0
		}
		require.Equal(r, news, b.Apply(0, balance.Change{Kind: balance.ChangeRemoved, Ref: cur}))
	case "down":
		m.down[id] = true
		b.SetHealth(uint32(id), balance.Down)
	case "up":
		m.down[id] = false
		b.SetHealth(uint32(id), balance.Healthy)
	case "old news":
		if m.inc[id] > 0 {
			require.False(r, b.Apply(0, balance.Change{Kind: balance.ChangeRemoved, Ref: ref(uint32(id), m.inc[id]-1)}))
		}
	}
}

func TestBookNewsOfALaterLife(t *testing.T) {
	t.Parallel()
	b := balance.NewBook(table(2))
	require.True(t, b.Apply(0, balance.Change{Kind: balance.ChangeRemoved, Ref: ref(1, 3)}), "its birth was lost on the way")
	require.Equal(t, 1, b.Fleet.Known())
	require.False(t, b.Apply(0, balance.Change{Kind: balance.ChangeAdded, Ref: ref(1, 2)}), "news of a life before")
	require.True(t, b.Apply(0, balance.Change{Kind: balance.ChangeAdded, Ref: ref(1, 4)}))
	require.Equal(t, ref(1, 4), b.Fleet.Ref(b.Fleet.Index(ref(1, 4))))
	require.False(t, b.Apply(0, balance.Change{Kind: balance.ChangeAdded, Ref: ref(9, 0)}), "no such replica")
}

func TestBookCountsWide(t *testing.T) {
	t.Parallel()
	b := balance.NewBook(table(3))
	const k = 70_000
	for range k {
		b.Sent(ref(0, 0))
		b.Sent(ref(1, 0))
	}
	b.Sent(ref(1, 0))
	f := &b.Fleet
	require.Equal(t, k, f.Outstanding(0))
	require.Equal(t, k+1, f.Outstanding(1), "no wrapping at 65,535")
	require.Equal(t, 0, f.LessLoaded(0, 1))
	require.Equal(t, 0, f.LessLoaded(1, 0))
	require.Equal(t, 2, f.Least(fixed(1)))
	require.Equal(t, 2*k+1, f.OutstandingSum())
	for i := range k {
		require.Equal(t, k-i, f.Outstanding(0))
		b.Ended(ref(0, 0))
	}
	require.Zero(t, f.Outstanding(0))
	b.Ended(ref(0, 0))
	require.Zero(t, f.Outstanding(0), "never negative")
	b.Apply(0, balance.Change{Kind: balance.ChangeAdded, Ref: ref(1, 1)})
	require.Zero(t, f.OutstandingSum())
}

func TestBookHears(t *testing.T) {
	t.Parallel()
	b := balance.NewBook(table(2))
	f := &b.Fleet
	_, _, ok := f.Heard(1)
	require.False(t, ok)
	say := func(at time.Duration, inc, seq uint32, k balance.MsgKind, busy int64) bool {
		return b.Hear(at, ref(1, inc), &balance.Msg{Kind: k, Inc: inc, Seq: seq, A: busy, B: 1})
	}
	require.True(t, say(1, 0, 0, balance.MsgBusy, 3), "the first number may be 0")
	require.False(t, say(2, 0, 0, balance.MsgBusy, 4), "a double")
	require.True(t, say(3, 0, 7, balance.MsgBusy, 5))
	require.False(t, say(4, 0, 6, balance.MsgBusy, 6), "overtaken")
	l, at, ok := f.Heard(1)
	require.True(t, ok)
	require.Equal(t, balance.Load{Running: 5, Slots: 6}, l)
	require.Equal(t, time.Duration(3), at)
	require.True(t, say(5, 0, 8, balance.MsgAsk, 9), "news, but no load")
	l, _, _ = f.Heard(1)
	require.EqualValues(t, 5, l.Running)

	require.True(t, say(6, 1, 1, balance.MsgIdle, 0), "its next life speaks before membership tells")
	_, _, ok = f.Heard(1)
	require.False(t, ok, "nothing heard of the life that is known")
	b.Learn(6, ref(1, 0), balance.Load{Running: 50})
	b.Apply(7, balance.Change{Kind: balance.ChangeAdded, Ref: ref(1, 1)})
	l, _, ok = f.Heard(f.Index(ref(1, 1)))
	require.True(t, ok)
	require.Zero(t, l.Running)
	require.False(t, say(8, 1, 1, balance.MsgIdle, 0), "a double, still")
	require.False(t, say(8, 0, 99, balance.MsgIdle, 0), "an earlier life")
	require.False(t, b.Hear(9, ref(1, 2), &balance.Msg{Inc: 1}), "a message that contradicts itself")
	require.False(t, b.Hear(9, ref(5, 0), &balance.Msg{}), "no such replica")
	b.Learn(9, ref(1, 1), balance.Load{Running: 2, Queued: 3})
	l, at, _ = f.Heard(f.Index(ref(1, 1)))
	require.Equal(t, balance.Load{Running: 2, Queued: 3}, l)
	require.Equal(t, time.Duration(9), at)
	require.Equal(t, time.Duration(7), f.AddedAt(f.Index(ref(1, 1))))
	b.Apply(10, balance.Change{Kind: balance.ChangeRemoved, Ref: ref(1, 1)})
	b.Apply(11, balance.Change{Kind: balance.ChangeAdded, Ref: ref(1, 1)})
	_, _, ok = f.Heard(f.Index(ref(1, 1)))
	require.False(t, ok, "removal forgets the load …")
	require.False(t, say(12, 1, 1, balance.MsgIdle, 0), "… but a late double stays old")
}

// Without loads a book still tells news from doubles.
func TestBookDropsLoads(t *testing.T) {
	t.Parallel()
	b := balance.NewBook(table(2))
	b.KeepLoads(false)
	busy := &balance.Msg{Kind: balance.MsgBusy, Seq: 3, A: 1}
	require.True(t, b.Hear(1, ref(1, 0), busy))
	require.False(t, b.Hear(2, ref(1, 0), busy), "a double")
	b.Learn(3, ref(1, 0), balance.Load{Running: 7})
	_, _, ok := b.Fleet.Heard(1)
	require.False(t, ok)
	b.Apply(4, balance.Change{Kind: balance.ChangeAdded, Ref: ref(1, 1)})
	require.True(t, b.Hear(5, ref(1, 1), &balance.Msg{Kind: balance.MsgBusy, Inc: 1, Seq: 1}), "another life counts anew")
	require.False(t, b.Hear(6, ref(1, 0), &balance.Msg{Kind: balance.MsgBusy, Seq: 9}), "an earlier life")
}

// Sampling: the laws of One, DistinctPair, Sample and Weighted on a fleet in odd order.
func TestFleetSamples(t *testing.T) {
	t.Parallel()
	b := balance.NewBook(table(7))
	for _, id := range []uint32{0, 3} {
		b.Apply(0, balance.Change{Kind: balance.ChangeRemoved, Ref: ref(id, 0)})
	}
	f, r := &b.Fleet, fixed(2)
	const k = 20_000
	t.Run("one", func(t *testing.T) {
		c := make([]int, 5)
		for range k {
			c[f.One(r)]++
		}
		require.Less(t, chi2(c), chi2Limit(5))
	})
	t.Run("pair", func(t *testing.T) {
		first, second := make([]int, 5), make([]int, 5)
		for range k {
			i, j := f.DistinctPair(r)
			require.NotEqual(t, i, j)
			first[i]++
			second[j]++
		}
		require.Less(t, chi2(first), chi2Limit(5))
		require.Less(t, chi2(second), chi2Limit(5))
	})
	for _, d := range []int{1, 2, 3, 5, 9} {
		places := make([][]int, min(d, 5))
		for p := range places {
			places[p] = make([]int, 5)
		}
		buf := make([]int, d)
		for range k {
			s := f.Sample(r, buf)
			require.Len(t, s, min(d, 5))
			for p, i := range s {
				places[p][i]++
				require.NotContains(t, s[:p], i)
			}
		}
		for p := range places {
			require.Less(t, chi2(places[p]), chi2Limit(5), "place %d of %d: the order is random, too", p, d)
		}
	}
	lone := balance.NewBook(table(1))
	i, j := lone.Fleet.DistinctPair(r)
	require.Equal(t, []int{0, 0}, []int{i, j})
}

func TestFleetWeighted(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]float64{{1, 2, 3, 0}, {1, 0, 0, 1e6}} { // the second needs the sweep
		b := balance.NewBook(&balance.Table{N: 4, Weights: weights})
		r, c := fixed(3), make([]float64, 4)
		const k = 40_000
		for range k {
			c[b.Fleet.Ref(b.Fleet.Weighted(r)).ID]++
		}
		for id, w := range weights {
			require.InDelta(t, w/b.Fleet.WeightSum(), c[id]/k, 0.01)
		}
	}
}

func TestFleetCompares(t *testing.T) {
	t.Parallel()
	b := balance.NewBook(&balance.Table{N: 3, Weights: []float64{4, 1, 1}})
	f := &b.Fleet
	for range 3 {
		b.Sent(ref(0, 0))
	}
	b.Sent(ref(1, 0))
	require.Equal(t, 0, f.LessLoaded(1, 0), "3/4 is less than 1")
	require.Equal(t, 0.75, f.Scaled(0))
	require.Equal(t, 2, f.Least(fixed(1)))
	b.SetHealth(2, balance.Degraded)
	require.False(t, f.Uniform())
	require.Equal(t, 0, f.Least(fixed(1)), "the healthier first")
	require.Equal(t, 1, f.LessLoaded(2, 1))
	require.Equal(t, 1, f.LessLoaded(1, 2))
	plain := balance.NewBook(table(2))
	require.True(t, plain.Fleet.Uniform())
	require.Equal(t, []int{0, 1}, []int{plain.Fleet.LessLoaded(0, 1), plain.Fleet.LessLoaded(1, 0)}, "the first named wins ties")
}

func TestFleetLeastIsUniform(t *testing.T) {
	t.Parallel()
	b := balance.NewBook(table(6))
	b.Apply(0, balance.Change{Kind: balance.ChangeDraining, Ref: ref(1, 0)})
	b.Sent(ref(4, 0))
	r, c := fixed(4), make([]int, 6)
	for range 8000 {
		c[b.Fleet.Ref(b.Fleet.Least(r)).ID]++
	}
	require.Zero(t, c[1]+c[4])
	require.Less(t, chi2([]int{c[0], c[2], c[3], c[5]}), chi2Limit(4))
}

func TestViews(t *testing.T) {
	t.Parallel()
	b := balance.NewBook(&balance.Table{N: 5, Slots: []int32{1, 2, 3, 4, 5}, Labels: []map[string]string{{"zone": "a"}, nil, nil, nil, nil}})
	f := &b.Fleet
	ids := func(f *balance.Fleet) (out []uint32) {
		for i := range f.Len() {
			out = append(out, f.Ref(i).ID)
			require.Equal(t, i, f.Index(f.Ref(i)))
			require.Equal(t, int(f.Ref(i).ID)+1, f.Slots(i))
		}
		slices.Sort(out)
		return out
	}
	require.Equal(t, []string{"a", ""}, []string{f.Label(0, "zone"), f.Label(0, "name")})
	v := f.Without([]policies.Ref{ref(1, 0), ref(3, 9)})
	require.Equal(t, []uint32{0, 2, 3, 4}, ids(v), "another life is not meant")
	require.Equal(t, uint32(2), v.Ref(v.Next(0)).ID)
	require.Equal(t, uint32(0), v.Ref(v.Next(4)).ID)
	require.Equal(t, []uint32{0, 4}, ids(v.Keep(func(i int) bool { return v.Ref(i).ID%4 == 0 })), "a view of a view")
	require.Equal(t, []uint32{0, 1, 2, 3, 4}, ids(f), "the fleet is what it was")
	b.SetHealth(2, balance.Ejected)
	b.Apply(0, balance.Change{Kind: balance.ChangeDraining, Ref: ref(4, 0)})
	require.Equal(t, []uint32{0, 1, 3}, ids(f))
	require.Equal(t, []uint32{0, 1, 2, 3}, ids(f.Widen()))
	w := f.Reweigh(func(i int) float64 { return float64(f.Ref(i).ID) })
	require.Equal(t, []uint32{1, 3}, ids(w), "weight 0 is left out")
	require.Equal(t, 4.0, w.WeightSum())
	r, c := fixed(5), make([]int, 5)
	for range 8000 {
		c[w.Ref(w.Weighted(r)).ID]++
	}
	require.InDelta(t, 2000, c[1], 150)
	require.Equal(t, 3, f.Len())
	require.Equal(t, 3.0, f.WeightSum())
}
