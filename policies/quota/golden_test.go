package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/quota"
	"taillab/policies/share"
)

const (
	yes   = quota.Admitted
	no    = quota.Denied
	never = quota.Never
)

// ask asks front end 0 for a request of cost 1 and returns the outcome.
func (r *rig) ask(id uint64, cost float64) quota.Verdict {
	return r.admit(0, policies.Request{ID: id}, cost)
}

func TestGCRA(t *testing.T) {
	t.Parallel()
	r := newRig(t, config{make: named(t, "gcra"), groups: rate(1, 5)})
	for i := range uint64(5) {
		require.Equal(t, quota.Verdict{Outcome: yes}, r.ask(i, 1))
	}
	denied := quota.Verdict{Outcome: no, RetryIn: time.Second}
	require.Equal(t, denied, r.ask(5, 1))
	require.Equal(t, denied, r.ask(6, 1))
	require.Equal(t, quota.Verdict{Outcome: never}, r.ask(7, 6), "above the burst")
	r.now = time.Second
	require.Equal(t, quota.Verdict{Outcome: yes}, r.ask(8, 1))
}

// The store's counter sees the sixth request 75 ms after the others.
func TestGCRAInTheStore(t *testing.T) {
	t.Parallel()
	c, _ := named(t, "central")().(*quota.Central)
	c.Inner = "gcra"
	s := c.Store(rate(1, 5))
	env := policies.NewEnv(nil, nil, 0)
	take := func() quota.Grant { return s.Take(&env, 0, quota.Ask{Kind: quota.AskTake, Units: 1}) }
	for range 5 {
		require.InDelta(t, 1, take().Units, 0)
	}
	env.Now = 75 * time.Millisecond
	g := take()
	require.Zero(t, g.Units)
	require.Equal(t, 925*time.Millisecond, g.RetryIn)
}

func TestTokenSettles(t *testing.T) {
	t.Parallel()
	r := newRig(t, config{make: named(t, "token"), groups: rate(10, 10)})
	require.Equal(t, yes, r.ask(0, 8).Outcome)
	r.now = time.Second
	r.settle(0, 0, 0, 0, 8, 20) // 10 − 12 = −2 tokens
	require.Equal(t, quota.Verdict{Outcome: no, RetryIn: 300 * time.Millisecond}, r.ask(1, 1))
	r.now += 300 * time.Millisecond
	require.Equal(t, yes, r.ask(2, 1).Outcome, "the retry succeeds")
}

func TestConcurrencySettles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"concurrency", "static", "central"} {
		r := newRig(t, config{groups: units(4), make: func() quota.Limiter {
			l := named(t, name)()
			if c, ok := l.(*quota.Central); ok {
				c.Inner = "concurrency"
			}
			return l
		}})
		r.ask(0, 3)
		r.ask(1, 1)
		r.ask(2, 1)
		r.run(0)
		r.settle(0, 0, 0, 0, 3, 0) // the 3 close as reset
		r.settle(0, 0, 0, 0, 3, 0) // releasing twice frees nothing twice
		r.run(0)
		r.ask(3, 4)
		r.ask(4, 3)
		r.ask(5, 1)
		r.ask(6, 5)
		r.run(0)
		got := map[uint64]quota.Outcome{}
		for _, d := range r.done {
			got[d.req] = d.outcome
		}
		require.Equal(t, map[uint64]quota.Outcome{0: yes, 1: yes, 2: no, 3: no, 4: yes, 5: no, 6: never}, got, name)
	}
}

func TestLeasePending(t *testing.T) {
	t.Parallel()
	r := newRig(t, config{make: named(t, "lease"), groups: rate(600, 600), rtt: time.Millisecond})
	for i := range uint64(3) {
		require.Equal(t, quota.Pending, r.ask(i, 1).Outcome)
	}
	r.run(time.Millisecond)
	require.Equal(t, 1, r.asks)
	require.Len(t, r.done, 3)
	for i, d := range r.done {
		require.Equal(t, decision{req: uint64(i), at: time.Millisecond, took: time.Millisecond, cost: 1}, d)
	}
	for i := range uint64(8) { // 7 are left
		want := yes
		if i == 7 {
			want = quota.Pending
		}
		require.Equal(t, want, r.ask(10+i, 1).Outcome)
	}
	r.run(3 * time.Second) // the term is over: what was left is gone
	require.Equal(t, quota.Pending, r.ask(20, 1).Outcome)
}

func TestLeaseReturnsWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t, config{groups: rate(1, 20), rtt: time.Millisecond,
		make: func() quota.Limiter { return &quota.Lease{Size: 10, TTL: time.Second, Return: true} }})
	for i := range uint64(4) {
		r.ask(i, 1)
	}
	r.run(3 * time.Second)
	env := policies.NewEnv(nil, nil, 0)
	env.Now = r.now
	require.InDelta(t, 20-4+3, r.shard.Take(&env, 0, quota.Ask{Kind: quota.AskSync}).Left, 0.01)
}

func TestLeaseDeniesWhenTheStoreIsEmpty(t *testing.T) {
	t.Parallel()
	r := newRig(t, config{make: named(t, "lease"), groups: rate(100, 10), rtt: time.Millisecond})
	for i := range uint64(12) {
		r.ask(i, 1)
	}
	r.run(time.Millisecond)
	require.Equal(t, []quota.Outcome{yes, yes, yes, yes, yes, yes, yes, yes, yes, yes}, r.outcomes())
	r.run(2 * time.Millisecond) // a second ask: nothing is there, both are denied for size/L
	require.Equal(t, []quota.Outcome{no, no}, r.outcomes()[10:])
	require.Equal(t, 100*time.Millisecond, r.done[11].retry)
	require.Equal(t, quota.Verdict{Outcome: no, RetryIn: 100 * time.Millisecond}, r.ask(20, 1), "without another ask")
	require.Equal(t, 2, r.asks)
}

// permitsBefore counts what a leaky limiter has given before a time.
func permitsBefore(r *rig, at time.Duration) (n int) {
	for _, d := range r.done {
		if d.at < at {
			n++
		}
	}
	return n
}

// The scenarios of uber-go/ratelimit's own tests: four takers that never pause.
func TestLeaky(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perSecond float64
		until     time.Duration
		want      map[time.Duration]int
	}{
		{100, 3 * time.Second, map[time.Duration]int{time.Second: 100, 2 * time.Second: 200, 3 * time.Second: 300}},
		{7. / 60, 2 * time.Minute, map[time.Duration]int{time.Second: 1, time.Minute: 8, 2 * time.Minute: 15}},
	} {
		r := newRig(t, config{groups: rate(c.perSecond, 1), make: func() quota.Limiter { return &quota.Leaky{} }})
		var id uint64
		var take func()
		take = func() { // one of four takers: it asks again when it has its permit
			n := id
			id++
			r.ask(n, 1)
			var wait func()
			wait = func() {
				if r.open[n] {
					r.at(r.now+time.Millisecond, wait)
					return
				}
				r.at(r.now, take)
			}
			wait()
		}
		for range 4 {
			r.at(0, take)
		}
		r.run(c.until)
		for at, n := range c.want {
			require.Equal(t, n, permitsBefore(r, at), "%v/s before %v", c.perSecond, at)
		}
	}
}

// After a pause slack permits are caught up, and one more that is due.
func TestLeakySlack(t *testing.T) {
	t.Parallel()
	r := newRig(t, config{groups: rate(10, 1), make: func() quota.Limiter { return &quota.Leaky{Slack: 3} }})
	require.Equal(t, yes, r.ask(0, 1).Outcome)
	r.now = time.Minute
	for i := range uint64(6) {
		want := yes
		if i > 3 {
			want = quota.Pending
		}
		require.Equal(t, want, r.ask(i+1, 1).Outcome, "request %d", i)
	}
}

func TestSlidingCounter(t *testing.T) {
	t.Parallel()
	limit := 100.0
	r := newRig(t, config{groups: rate(1, 1), make: func() quota.Limiter {
		return &quota.SlidingCounter{Window: time.Minute, Limit: &limit}
	}})
	require.Equal(t, yes, r.ask(0, 84).Outcome)
	r.now = 75 * time.Second // a quarter into the second window
	require.Equal(t, yes, r.ask(1, 36).Outcome)
	require.Equal(t, yes, r.ask(2, 1).Outcome, "84·0.75 + 36 = 99")
	v := r.ask(3, 1)
	require.Equal(t, no, v.Outcome)
	r.now += v.RetryIn - time.Microsecond
	require.Equal(t, no, r.ask(4, 1).Outcome, "just before")
	r.now += time.Microsecond
	require.Equal(t, yes, r.ask(5, 1).Outcome)
}

func TestFixedWindowLetsTwiceTheLimitPassAroundABorder(t *testing.T) {
	t.Parallel()
	limit := 10.0
	for _, name := range []string{"fixed-window", "sliding-log"} {
		r := newRig(t, config{groups: rate(1, 1), make: func() quota.Limiter {
			if name == "sliding-log" {
				return &quota.SlidingLog{Window: time.Minute, Limit: &limit}
			}
			return &quota.FixedWindow{Unit: "minute", Limit: &limit, Near: 0.8}
		}})
		for i := range uint64(20) {
			r.now = 59 * time.Second
			if i >= 10 {
				r.now = 60 * time.Second
			}
			r.ask(i, 1)
		}
		want := 20.0
		if name == "sliding-log" {
			want = 10
		}
		require.InDelta(t, want, r.admitted(), 0, name)
		require.Equal(t, no, r.ask(30, 1).Outcome)
		require.Equal(t, never, r.ask(31, 11).Outcome)
	}
}

// A divided group: each in turn asks for more than its part. Eight units for demands
// 10, 1, 1 and 1: what the units held show is the dividers' golden.
func TestGroupOfFour(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]float64{"hard": {2, 1, 1, 1}, "maxmin": {5, 1, 1, 1}, "drf": {5, 1, 1, 1}} {
		e, _ := share.Catalog().Find("share", name)
		r := newRig(t, config{make: named(t, "concurrency"), groups: units(8, 0, 1, 2, 3),
			divider: func() share.Divider { d, _ := e.New().(share.Divider); return d }})
		var id uint64
		var got [4]float64
		for round := range 3 { // what was denied once counts as waiting
			for tenant, demand := range []int{10, 1, 1, 1} {
				for range demand - int(got[tenant]) {
					id++
					if round == 0 && tenant == 0 && got[0] >= want[0] {
						continue // the others have not asked yet
					}
					if r.admit(0, policies.Request{ID: id, Tenant: uint32(tenant)}, 1).Outcome == yes {
						got[tenant]++
					}
				}
			}
		}
		t.Logf("8 units, demands 10, 1, 1 and 1 by %s: %v", name, got)
		require.Equal(t, want, got[:], name)
	}
}
