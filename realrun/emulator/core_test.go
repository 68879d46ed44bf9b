package emulator

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

func TestMain(m *testing.M) {
	// a server that closes a connection lingers for half a second by itself
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const ms = time.Millisecond

func model(t testing.TB, change func(s *gpu.Spec)) *gpu.Model {
	t.Helper()
	s := gpu.Defaults(gpu.Service)
	if change != nil {
		change(&s)
	}
	m, problems := gpu.New(s)
	require.Empty(t, problems)
	return m
}

func policy(t testing.TB, name string) balance.Balancer {
	t.Helper()
	e, ok := balance.Catalog().Find("balance", name)
	require.True(t, ok)
	b, ok := e.New().(balance.Balancer)
	require.True(t, ok)
	return b
}

// bench is a core with a half, driven by hand.
func bench(t testing.TB, m *gpu.Model, b balance.Balancer, l *link) *core {
	t.Helper()
	c := newCore(3, m, 1, rand.PCG{}, chance.Stream(1, "test"))
	c.link = l
	if l == nil {
		c.link = &link{}
	}
	if b != nil {
		c.half = newHalf(b, "x", "main", 4, 2, 1, nil)
		c.start(0)
	}
	return c
}

func (c *core) put(now, demand time.Duration) *call {
	q := &call{done: make(chan struct{}), from: 1, named: true}
	c.advance(now)
	c.accept(now, q, gpu.Item{Demand: demand, Input: 10, Output: 1, Factor: 1})
	return q
}

func TestWorkEndsAtItsInstantHoweverLateTheTimer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 3).Draw(t, "slots")
		s := gpu.Defaults(gpu.Service)
		s.Slots = slots
		m, problems := gpu.New(s)
		if problems != nil {
			t.Fatal(problems)
		}
		c := newCore(0, m, 1, rand.PCG{}, rand.PCG{})
		c.link = &link{}
		want := gpu.NewPool(1, 4)
		want.Add(m, 1, rand.PCG{})
		var ev gpu.Events
		due := gpu.Due{At: gpu.Never}
		step := func(until time.Duration) {
			for due.At <= until {
				due = want.Settle(due.At, 0, &ev)
			}
		}
		now := time.Duration(0)
		var calls []*call
		for i := range rapid.IntRange(1, 40).Draw(t, "requests") {
			now += time.Duration(rapid.IntRange(0, 6).Draw(t, "gap")) * ms
			if rapid.Bool().Draw(t, "look") {
				c.advance(now)
			}
			demand := time.Duration(rapid.IntRange(1, 9).Draw(t, "demand")) * ms
			step(now)
			due = want.Accept(now, 0, &gpu.Item{ID: uint32(i), Demand: demand}, &ev)
			q := &call{done: make(chan struct{})}
			c.advance(now)
			c.accept(now, q, gpu.Item{Demand: demand})
			calls = append(calls, q)
		}
		step(gpu.Never - 1)
		c.advance(now + time.Hour) // the timer was very late
		for _, e := range ev.List {
			if e.Kind == gpu.Finished && calls[e.ID].finished != e.At {
				t.Fatalf("request %d ended at %v, not at %v", e.ID, calls[e.ID].finished, e.At)
			}
		}
		if len(c.ended) != len(calls) {
			t.Fatalf("%d of %d requests ended", len(c.ended), len(calls))
		}
		if len(c.free) != len(c.calls) || c.kv != 0 {
			t.Fatalf("numbers or tokens leaked: %d of %d, %d", len(c.free), len(c.calls), c.kv)
		}
	})
}

func TestFreezeAndSlowStretchWhatIsLeft(t *testing.T) {
	t.Parallel()
	c := bench(t, model(t, nil), nil, nil)
	a := c.put(0, 10*ms)
	c.advance(4 * ms)
	c.fault(4*ms, failing{kind: scenarios.FaultFreeze, share: 1}, 0, true)
	b := c.put(100*ms, 1*ms)
	require.False(t, a.over)
	c.advance(504 * ms)
	c.fault(504*ms, failing{kind: scenarios.FaultFreeze, share: 1}, 0, false)
	c.advance(time.Second)
	require.Equal(t, 510*ms, a.finished)
	require.Equal(t, 511*ms, b.finished, "it queued behind")

	c.fault(time.Second, failing{kind: scenarios.FaultSlow}, 4, true)
	d := c.put(time.Second, 10*ms)
	c.advance(time.Second + 20*ms)
	c.fault(time.Second+20*ms, failing{kind: scenarios.FaultSlow}, 4, false)
	c.advance(2 * time.Second)
	require.Equal(t, time.Second+25*ms, d.finished)
}

func TestCrashResetsAndBeginsANewLife(t *testing.T) {
	t.Parallel()
	c := bench(t, model(t, nil), policy(t, "jiq-amnesia"), nil)
	a, b := c.put(0, 10*ms), c.put(0, 10*ms)
	c.fault(ms, failing{kind: scenarios.FaultCrash, share: 1}, 0, true)
	require.Equal(t, policies.Reset, a.outcome)
	require.Equal(t, policies.Reset, b.outcome)
	require.Equal(t, scenarios.FaultRefuse, c.fate().kind)
	c.posts = nil
	c.advance(10 * time.Second)
	require.Empty(t, c.posts, "a dead replica says nothing")
	c.fault(10*time.Second, failing{kind: scenarios.FaultCrash, share: 1}, 0, false)
	c.advance(11 * time.Second)
	require.Equal(t, uint32(1), c.inc)
	require.NotEmpty(t, c.posts)
	for _, p := range c.posts {
		require.Equal(t, uint32(1), p.msg.Inc)
	}
	require.Equal(t, "", c.fate().kind)
}

func TestFrozenHalfWakesLate(t *testing.T) {
	t.Parallel()
	c := bench(t, model(t, nil), policy(t, "jiq-amnesia"), nil)
	c.posts = nil
	c.fault(0, failing{kind: scenarios.FaultFreeze, share: 1}, 0, true)
	c.advance(5 * time.Second)
	require.Empty(t, c.posts)
	require.False(t, c.heard(5*time.Second, 0, balance.Msg{Kind: balance.MsgAnswer}))
	c.fault(5*time.Second, failing{kind: scenarios.FaultFreeze, share: 1}, 0, false)
	require.NotEmpty(t, c.posts, "its heartbeat comes as soon as it can")
}

func TestMessagesRideOnTheReplyOrTakeTheirTime(t *testing.T) {
	t.Parallel()
	idle := func(list []balance.Msg) (n int) {
		for _, m := range list {
			if m.Kind == balance.MsgIdle {
				n++
			}
		}
		return n
	}
	msgs := func(list []report) (out []balance.Msg) {
		for _, r := range list {
			out = append(out, r.msg)
		}
		return out
	}
	j := policy(t, "jiq").(*balance.JIQ)
	j.Choices = 1
	run := func(l *link) (*core, *call) {
		c := bench(t, model(t, nil), j, l)
		c.advance(100 * ms)
		c.posts = nil
		q := c.put(100*ms, 10*ms)
		c.advance(110 * ms)
		require.True(t, q.over)
		return c, q
	}
	c, q := run(nil)
	require.Equal(t, 1, idle(q.riders)+idle(msgs(c.posts)), "one Idle, on the reply or on its own")

	c, q = run(&link{delay: func() time.Duration { return 7 * ms }})
	require.Empty(t, q.riders)
	require.Zero(t, idle(msgs(c.posts)))
	c.advance(117 * ms)
	require.Equal(t, 1, idle(msgs(c.posts)))

	c, _ = run(&link{loss: 0.999999999})
	c.advance(time.Second)
	require.Zero(t, idle(msgs(c.posts)))
	require.NotZero(t, c.dropped)
}

func TestReportFaults(t *testing.T) {
	t.Parallel()
	c := bench(t, model(t, nil), policy(t, "jiq-amnesia"), nil)
	c.posts = nil
	c.fault(0, failing{kind: scenarios.FaultDrop, share: 1}, 0, true)
	c.advance(3 * time.Second)
	require.Empty(t, c.posts)
	require.NotZero(t, c.dropped)
	c.fault(3*time.Second, failing{kind: scenarios.FaultDrop, share: 1}, 0, false)
	c.fault(3*time.Second, failing{kind: scenarios.FaultDelay}, 100, true)
	c.advance(20 * time.Second)
	require.Empty(t, c.posts)
	c.advance(120 * time.Second)
	require.NotEmpty(t, c.posts)
	c.fault(120*time.Second, failing{kind: scenarios.FaultDelay}, 100, false)
	require.Zero(t, c.late)
}

func TestHeardOfAnotherLifeChangesNothing(t *testing.T) {
	t.Parallel()
	c := bench(t, model(t, nil), policy(t, "jiq"), nil)
	require.False(t, c.heard(0, 0, balance.Msg{Kind: balance.MsgAnswer, Inc: 1}))
	require.True(t, c.heard(0, 0, balance.Msg{Kind: balance.MsgAnswer, Inc: 0}))
}

func TestFaultsHitTheirShare(t *testing.T) {
	t.Parallel()
	c := bench(t, model(t, nil), nil, nil)
	c.fault(0, failing{kind: scenarios.FaultError, share: 0.25, code: 500}, 0, true)
	hits := 0
	for range 4000 {
		if f := c.fate(); f.kind == scenarios.FaultError && f.code == 500 {
			hits++
		}
	}
	require.InDelta(t, 1000, hits, 140, "5σ of the fixed stream")
	c.fault(0, failing{kind: scenarios.FaultError, share: 0.25, code: 500}, 0, false)
	require.Equal(t, fate{}, c.fate())
	c.fault(0, failing{kind: FaultStall, share: 1}, 0, true)
	require.Equal(t, fate{stalls: true}, c.fate())
}

func TestTokensComeOutBetweenFirstAndLast(t *testing.T) {
	t.Parallel()
	m := model(t, func(s *gpu.Spec) {
		*s = gpu.Defaults(gpu.Tokens)
		s.Slots, s.Step.Base, s.Prefill.Floor, s.Noise.Sigma = 4, gpu.Of(10*ms), gpu.Of(30*ms), 0
	})
	c := bench(t, m, nil, nil)
	q := &call{done: make(chan struct{}), stream: true, tick: make(chan struct{}, 1), output: 10}
	c.accept(0, q, gpu.Item{Input: 100, Output: 10, Factor: 1})
	last := uint32(0)
	firstAt := time.Duration(-1)
	for at := time.Duration(0); !q.over; at += ms {
		c.advance(at)
		n := q.out.Load()
		require.GreaterOrEqual(t, n, last)
		require.LessOrEqual(t, n, last+1, "at %v", at)
		if n > 0 && firstAt < 0 {
			firstAt = at
		}
		last = n
		require.Less(t, at, time.Second)
	}
	require.Equal(t, uint32(9), last, "the last token waits for the end")
	require.Equal(t, q.first, firstAt)
	require.Equal(t, 130*ms, q.finished)
}

func TestAgendaKeepsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var a agenda
		n := rapid.IntRange(0, 60).Draw(t, "n")
		for range n {
			a.push(entry{at: time.Duration(rapid.IntRange(0, 9).Draw(t, "at")), kind: entryKind(rapid.IntRange(0, 2).Draw(t, "kind"))})
		}
		var last entry
		for i := range n {
			e := a.pop()
			if i > 0 && e.before(&last) {
				t.Fatalf("%v after %v", e, last)
			}
			last = e
		}
		if len(a.list) != 0 {
			t.Fatal("entries are left")
		}
	})
}
