package flow_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/quota"
)

// clock drives one front end in virtual time: it wakes it, answers its asks and notes
// what becomes of requests.
type clock struct {
	t      *testing.T
	f      *flow.FrontEnd
	out    flow.Actions
	tape   *flow.Tape
	config func(*flow.Tape) flow.Config
	agenda []event
	now    time.Duration
	slots  map[uint64]uint32
	log    []string
	rtt    time.Duration
	grant  func(q quota.Ask) quota.Grant // nil: asks are lost
}

type event struct {
	at time.Duration
	do func()
}

func newClock(t *testing.T, config func(*flow.Tape) flow.Config) *clock {
	c := &clock{t: t, tape: &flow.Tape{}, config: config, slots: map[uint64]uint32{}, rtt: time.Millisecond}
	c.f = flow.New(config(c.tape))
	c.f.Start(0, &c.out)
	c.act()
	return c
}

func (c *clock) at(t time.Duration, do func()) { c.agenda = append(c.agenda, event{t, do}) }

func (c *clock) arrive(at time.Duration, r policies.Request) {
	c.at(at, func() {
		r.Arrived = at
		c.slots[r.ID] = c.f.Arrive(at, &r, &c.out)
	})
}

// end ends the first attempt of a request.
func (c *clock) end(at time.Duration, id uint64, o policies.Outcome, output uint32) {
	c.at(at, func() { c.f.Ended(at, &flow.End{Slot: c.slots[id], Outcome: o, Output: output}, &c.out) })
}

// run handles all events, equal times in the order they were filed, and replays the tape.
func (c *clock) run() []string {
	for len(c.agenda) > 0 {
		k := 0
		for i, e := range c.agenda {
			if e.at < c.agenda[k].at {
				k = i
			}
		}
		e := c.agenda[k]
		c.agenda = slices.Delete(c.agenda, k, k+1)
		c.now = e.at
		e.do()
		c.act()
	}
	res, err := flow.Replay(c.tape.Bytes(), flow.Replayed{FrontEnd: flow.New(c.config(nil))})
	require.NoError(c.t, err)
	require.Nil(c.t, res.First)
	require.EqualValues(c.t, c.tape.Records(), res.Calls)
	return c.log
}

func (c *clock) note(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf("%v ", c.now)+fmt.Sprintf(format, args...))
}

func (c *clock) act() {
	for _, a := range c.out.List {
		switch a.Kind {
		case flow.ActWake:
			c.at(a.At, func() { c.f.Woke(a.At, int(a.Service), a.Arg, &c.out) })
		case flow.ActAsk:
			q := c.out.Asks[a.Arg]
			if !q.Kind.Answered() {
				c.note("return %v", q.Units)
				continue
			}
			c.at(c.now+c.rtt, func() {
				if c.grant == nil {
					c.f.AskLost(c.now, quota.AskID(a.Req), &c.out)
				} else {
					c.f.Granted(c.now, quota.AskID(a.Req), c.grant(q), &c.out)
				}
			})
		case flow.ActSend:
			c.note("send %d", a.Req)
		case flow.ActDecided:
			c.note("%v %d/%d", quota.Outcome(a.Arg), a.Req, a.N)
		case flow.ActClose:
			q, h := c.f.Waited(a.Slot)
			c.note("close %d %v quota %v held %v", a.Req, policies.Outcome(a.Arg), q, h)
		}
	}
	c.out.Reset()
}

// spaced is a generic cell rate limiter: one unit per period, tau ahead.
type spaced struct {
	period, tau time.Duration
	tat         time.Duration
	events      []quota.Event
}

func (s *spaced) Admit(env *quota.Env, _ *policies.Request, cost float64) quota.Verdict {
	n := time.Duration(cost * float64(s.period))
	if n > s.tau {
		return quota.Verdict{Outcome: quota.Never}
	}
	next := max(s.tat, env.Now) + n
	if next-env.Now > s.tau {
		return quota.Verdict{Outcome: quota.Denied, RetryIn: next - env.Now - s.tau}
	}
	s.tat = next
	return quota.Verdict{Outcome: quota.Admitted}
}

func (s *spaced) Observe(_ *quota.Env, ev *quota.Event) { s.events = append(s.events, *ev) }

// remote asks the store about each request and resolves in the order of the answers.
type remote struct {
	waiting map[quota.AskID]uint64
	events  []quota.Event
}

func (r *remote) Admit(env *quota.Env, req *policies.Request, cost float64) quota.Verdict {
	if r.waiting == nil {
		r.waiting = map[quota.AskID]uint64{}
	}
	r.waiting[env.Ask(req.Group, quota.Ask{Kind: quota.AskTake, Req: req.ID, Units: cost})] = req.ID
	return quota.Verdict{Outcome: quota.Pending}
}

func (r *remote) Observe(env *quota.Env, ev *quota.Event) {
	r.events = append(r.events, *ev)
	v := quota.Verdict{Outcome: quota.Denied, RetryIn: time.Second}
	switch {
	case ev.Kind == quota.Settled:
		if d := ev.Charged - ev.Actual; d != 0 {
			env.Ask(ev.Group, quota.Ask{Kind: quota.AskReturn, Units: d})
		}
		return
	case ev.Kind == quota.AskLost && env.OnLoss == quota.LossOpen, ev.Kind == quota.Granted && ev.Grant.Units > 0:
		v = quota.Verdict{Outcome: quota.Admitted}
	}
	env.Resolve(r.waiting[ev.Ask], v)
}

// limited configures a front end of two replicas behind a limiter.
func limited(l func() quota.Limiter, change func(*flow.Quota)) func(*flow.Tape) flow.Config {
	return func(tape *flow.Tape) flow.Config {
		q := &flow.Quota{Limiter: l(), Dice: chance.NewDice(1, "quota/0"), Groups: make([]quota.Group, 2), Cost: flow.Cost{Units: 1, Classes: 1}}
		if change != nil {
			change(q)
		}
		s := flow.Service{Name: "main", Balancer: &puppet{pick: always(1)}, Table: &balance.Table{N: 2}, Dice: chance.NewDice(1, "balance/main/0"), Period: time.Second}
		return flow.Config{Count: 1, Services: []flow.Service{s}, Quota: q, Tape: tape}
	}
}

func gcra() quota.Limiter { return &spaced{period: time.Second, tau: 5 * time.Second} }

func TestOnDenied(t *testing.T) {
	t.Parallel()
	first := []string{"0s admitted 0/1", "0s send 0", "0s admitted 1/1", "0s send 1", "0s admitted 2/1", "0s send 2",
		"0s admitted 3/1", "0s send 3", "0s admitted 4/1", "0s send 4"}
	for _, c := range []struct {
		name   string
		denied flow.OnDenied
		sixth  []string
	}{
		{"drop", flow.OnDenied{}, []string{"0s denied 5/1", "0s close 5 rejected quota 0s held 0s"}},
		{"wait", flow.OnDenied{Kind: flow.DeniedWait, WaitMax: 10 * time.Second}, []string{"0s denied 5/1", "1s admitted 5/2", "1s send 5"}},
		{"wait too long", flow.OnDenied{Kind: flow.DeniedWait, WaitMax: 500 * time.Millisecond},
			[]string{"0s denied 5/1", "500ms close 5 rejected quota 500ms held 0s"}},
		{"retry", flow.OnDenied{Kind: flow.DeniedRetry, Max: 1, Backoff: 100 * time.Millisecond}, []string{"0s denied 5/1", "1s admitted 5/2", "1s send 5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clk := newClock(t, limited(gcra, func(q *flow.Quota) { q.OnDenied = c.denied }))
			for id := range uint64(6) {
				clk.arrive(0, policies.Request{ID: id})
			}
			require.Equal(t, append(slices.Clone(first), c.sixth...), clk.run())
		})
	}
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	clk := newClock(t, limited(func() quota.Limiter { return &remote{} }, func(q *flow.Quota) {
		q.OnDenied = flow.OnDenied{Kind: flow.DeniedRetry, Max: 2, Backoff: 4 * time.Second}
	}))
	clk.grant = func(quota.Ask) quota.Grant { return quota.Grant{} }
	clk.arrive(0, policies.Request{ID: 7})
	log := clk.run()
	require.Len(t, log, 4, "one decision and two more, then the end")
	require.Equal(t, "1ms denied 7/1", log[0])
	require.Contains(t, log[2], "denied 7/3")
	require.Regexp(t, `^\S+ close 7 rejected quota \S+ held 0s$`, log[3])
	require.Greater(t, clk.now, 6*time.Second, "backed off by at least 2 s and 4 s")
	require.Less(t, clk.now, 12100*time.Millisecond)
	never := newClock(t, limited(gcra, func(q *flow.Quota) {
		q.Cost.Units, q.OnDenied = 6, flow.OnDenied{Kind: flow.DeniedRetry, Max: 9}
	}))
	never.arrive(0, policies.Request{ID: 1})
	require.Equal(t, []string{"0s never 1/1", "0s close 1 rejected quota 0s held 0s"}, never.run(), "what can never be is not asked again")
}

// A line is served in the order of arrival; nobody who comes later overtakes, and each
// group has a line of its own.
func TestLines(t *testing.T) {
	t.Parallel()
	clk := newClock(t, limited(func() quota.Limiter { return &spaced{period: time.Second, tau: time.Second} }, func(q *flow.Quota) {
		q.OnDenied = flow.OnDenied{Kind: flow.DeniedWait, WaitMax: 10 * time.Second}
	}))
	for id := range uint64(4) {
		clk.arrive(time.Duration(id)*100*time.Millisecond, policies.Request{ID: id})
	}
	clk.at(1500*time.Millisecond, func() { clk.f.Gone(clk.now, clk.slots[2], policies.DeadlineHit, &clk.out) })
	require.Equal(t, []string{"0s admitted 0/1", "0s send 0", "100ms denied 1/1", "1s admitted 1/2", "1s send 1", "1s denied 2/1",
		"1.5s close 2 deadline quota 1.3s held 0s", "2s admitted 3/1", "2s send 3"}, clk.run())
}

func TestPendingIsResolvedOnce(t *testing.T) {
	t.Parallel()
	clk := newClock(t, limited(func() quota.Limiter { return &remote{} }, nil))
	clk.grant = func(q quota.Ask) quota.Grant { return quota.Grant{Units: q.Units} }
	clk.arrive(0, policies.Request{ID: 1})
	clk.arrive(0, policies.Request{ID: 2})
	clk.end(5*time.Millisecond, 1, policies.OK, 0)
	clk.end(6*time.Millisecond, 2, policies.Reset, 0)
	require.Equal(t, []string{"1ms admitted 1/1", "1ms send 1", "1ms admitted 2/1", "1ms send 2",
		"5ms close 1 ok quota 1ms held 0s", "6ms close 2 reset quota 1ms held 0s"}, clk.run())
	require.Equal(t, uint64(4), clk.f.Counters().Ask)
}

// A client that leaves while its decision is out is not charged: a grant goes back.
func TestLeavesWhilePending(t *testing.T) {
	t.Parallel()
	l := &remote{}
	made := 0
	clk := newClock(t, limited(func() quota.Limiter {
		if made++; made == 1 {
			return l
		}
		return &remote{} // of the replay
	}, nil))
	clk.grant = func(q quota.Ask) quota.Grant { return quota.Grant{Units: q.Units} }
	clk.arrive(0, policies.Request{ID: 1, Tenant: 3})
	clk.at(100*time.Microsecond, func() { clk.f.Gone(clk.now, clk.slots[1], policies.Cancelled, &clk.out) })
	require.Equal(t, []string{"100µs close 1 cancelled quota 100µs held 0s", "1ms return 1"}, clk.run())
	last := l.events[len(l.events)-1]
	require.Equal(t, quota.Event{Kind: quota.Settled, Outcome: policies.Cancelled, Tenant: 3, Req: 1, Charged: 1}, last)
}

func TestAskLost(t *testing.T) {
	t.Parallel()
	for mode, want := range map[quota.LossMode][]string{
		quota.LossOpen:   {"1ms admitted 1/1", "1ms send 1"},
		quota.LossClosed: {"1ms denied 1/1", "1ms close 1 rejected quota 1ms held 0s"},
	} {
		clk := newClock(t, limited(func() quota.Limiter { return &remote{} }, func(q *flow.Quota) { q.Loss = mode }))
		clk.arrive(0, policies.Request{ID: 1})
		require.Equal(t, want, clk.run())
	}
	clk := newClock(t, limited(func() quota.Limiter { return &remote{} }, nil))
	clk.f.Granted(0, 77, quota.Grant{Units: 1}, &clk.out)
	require.Empty(t, clk.out.List, "the answer to an ask that was given up")
}

// What a request is charged and what it has used, for each kind of cost.
func TestSettlement(t *testing.T) {
	t.Parallel()
	r := policies.Request{ID: 1, Input: 100, Class: 0}
	for _, c := range []struct {
		name            string
		cost            flow.Cost
		max             uint32
		end             policies.Outcome
		charged, actual float64
	}{
		{"constant", flow.Cost{Units: 3}, 0, policies.OK, 3, 3},
		{"input", flow.Cost{Kind: flow.CostInput}, 0, policies.OK, 100, 100},
		{"input and bound", flow.Cost{Kind: flow.CostInputAndMax}, 50, policies.OK, 150, 120},
		{"bound of the class", flow.Cost{Kind: flow.CostInputAndMax, MaxTokens: []uint32{40}}, 0, policies.OK, 140, 120},
		{"estimate before the first", flow.Cost{Kind: flow.CostEstimate, Classes: 1}, 50, policies.OK, 150, 120},
		{"never served", flow.Cost{Units: 3}, 0, policies.NoReplica, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := &spaced{period: time.Nanosecond, tau: time.Hour}
			f := flow.New(limited(func() quota.Limiter { return l }, func(q *flow.Quota) { q.Cost = c.cost })(nil))
			if c.end == policies.NoReplica {
				f = flow.New(func() flow.Config {
					cfg := limited(func() quota.Limiter { return l }, func(q *flow.Quota) { q.Cost = c.cost })(nil)
					cfg.Services[0].Balancer = &puppet{pick: func(*balance.Env, *policies.Request) balance.Choice { return balance.None() }}
					return cfg
				}())
			}
			var out flow.Actions
			f.Start(0, &out)
			q := r
			q.MaxTokens = c.max
			slot := f.Arrive(0, &q, &out)
			if c.end == policies.OK {
				f.Ended(0, &flow.End{Slot: slot, Outcome: c.end, Output: 20}, &out)
			}
			charged, actual := f.Settlement(slot)
			require.InDelta(t, c.charged, charged, 0)
			require.InDelta(t, c.actual, actual, 0)
			require.Len(t, l.events, 1)
			require.Equal(t, quota.Event{Kind: quota.Settled, Outcome: c.end, Req: 1, Charged: c.charged, Actual: c.actual}, l.events[0])
		})
	}
}

// An estimate follows what requests of its tenant and class have used, half of the way
// in 100 requests.
func TestEstimate(t *testing.T) {
	t.Parallel()
	l := &spaced{period: time.Nanosecond, tau: time.Hour}
	f := flow.New(limited(func() quota.Limiter { return l }, func(q *flow.Quota) { q.Cost = flow.Cost{Kind: flow.CostEstimate, Classes: 2} })(nil))
	var out flow.Actions
	f.Start(0, &out)
	serve := func(id uint64, class uint16, output uint32) (charged float64) {
		slot := f.Arrive(0, &policies.Request{ID: id, Tenant: 1, Class: class, Input: 10, MaxTokens: 90}, &out)
		f.Ended(0, &flow.End{Slot: slot, Output: output}, &out)
		charged, _ = f.Settlement(slot)
		return charged
	}
	require.InDelta(t, 100, serve(0, 0, 0), 0)
	require.InDelta(t, 10, serve(1, 0, 20), 0, "as much as the first used")
	require.InDelta(t, 100, serve(2, 1, 20), 0, "another class")
	for id := range uint64(98) {
		serve(3+id, 0, 20)
	}
	require.Less(t, serve(200, 0, 20), 20.0)
	require.InDelta(t, 20, serve(201, 0, 20), 1e-9, "half of the way after 100")
}

func TestLimiterBugsStopTheRun(t *testing.T) {
	t.Parallel()
	for what, bad := range map[string]func(env *quota.Env){
		"resolved a request that is not open":          func(env *quota.Env) { env.Resolve(99, quota.Verdict{}) },
		"resolved a request that does not wait for it": func(env *quota.Env) { env.Resolve(1, quota.Verdict{}) },
		"resolved a request with Pending":              func(env *quota.Env) { env.Resolve(1, quota.Verdict{Outcome: quota.Pending}) },
	} {
		f := flow.New(limited(func() quota.Limiter { return wrong(bad) }, nil)(nil))
		var out flow.Actions
		f.Start(0, &out)
		require.PanicsWithValue(t, fmt.Sprintf("flow: front end 0: the limiter flow_test.wrong %s (request %d, t=0s, tape record 0)",
			what, map[bool]int{true: 99, false: 1}[what == "resolved a request that is not open"]),
			func() { f.Arrive(0, &policies.Request{ID: 1}, &out) })
	}
}

type wrong func(env *quota.Env)

func (w wrong) Admit(env *quota.Env, _ *policies.Request, _ float64) quota.Verdict {
	w(env)
	return quota.Verdict{}
}

func (w wrong) Observe(*quota.Env, *quota.Event) {}

// held configures front end 0 of count with a hold stage before n replicas, none of
// which is there at the start.
func held(h flow.Hold, n, slots, count int) func(*flow.Tape) flow.Config {
	return func(tape *flow.Tape) flow.Config {
		t := &balance.Table{N: n}
		for range n {
			t.Slots = append(t.Slots, int32(slots))
		}
		first := func(env *balance.Env, _ *policies.Request) balance.Choice {
			if env.Fleet.Len() == 0 {
				return balance.None()
			}
			return balance.To(env.Fleet.Ref(0))
		}
		s := flow.Service{Name: "main", Balancer: &puppet{pick: first}, Table: t, Dice: chance.NewDice(1, "balance/main/0"), Period: time.Second, Hold: &h}
		return flow.Config{Count: count, Services: []flow.Service{s}, Tape: tape}
	}
}

func (c *clock) member(at time.Duration, id uint32, kind balance.ChangeKind) {
	c.at(at, func() { c.f.Membership(at, 0, balance.Change{Kind: kind, Ref: policies.Ref{ID: id}}, &c.out) })
}

func TestHold(t *testing.T) {
	t.Parallel()
	run := func(h flow.Hold) []string {
		clk := newClock(t, held(h, 1, 4, 1))
		clk.member(0, 0, balance.ChangeRemoved)
		for id := range uint64(3) {
			clk.arrive(time.Second+time.Duration(id)*200*time.Millisecond, policies.Request{ID: id})
		}
		clk.member(25*time.Second, 0, balance.ChangeAdded)
		for id := range uint64(3) {
			clk.at(26*time.Second, func() {
				if clk.f.Open() > 0 {
					clk.f.Ended(clk.now, &flow.End{Slot: clk.slots[id]}, &clk.out)
				}
			})
		}
		return clk.run()
	}
	require.Equal(t, []string{"25s send 0", "25s send 1", "25s send 2", "26s close 0 ok quota 0s held 24s",
		"26s close 1 ok quota 0s held 23.8s", "26s close 2 ok quota 0s held 23.6s"},
		run(flow.Hold{Capacity: 10, Timeout: 300 * time.Second, Zero: true}), "held until there is a replica, in their order")
	require.Equal(t, []string{"11s close 0 hold_timeout quota 0s held 10s", "11.2s close 1 hold_timeout quota 0s held 10s",
		"11.4s close 2 hold_timeout quota 0s held 10s"}, run(flow.Hold{Capacity: 10, Timeout: 10 * time.Second, Zero: true}))
	require.Equal(t, "1.4s close 2 shed quota 0s held 0s", run(flow.Hold{Capacity: 2, Timeout: 300 * time.Second, Zero: true})[0])
	require.Equal(t, []string{"1s close 0 no_replica quota 0s held 0s", "1.2s close 1 no_replica quota 0s held 0s",
		"1.4s close 2 no_replica quota 0s held 0s"}, run(flow.Hold{Capacity: 10, Timeout: 300 * time.Second}), "only a service that may be empty holds")
}

// While the autoscaler holds, a front end has its share of the slots out, no more.
func TestHoldOn(t *testing.T) {
	t.Parallel()
	clk := newClock(t, held(flow.Hold{Capacity: 10, Timeout: time.Minute}, 2, 4, 2))
	clk.at(0, func() { clk.f.SetHold(0, 0, true, &clk.out) })
	for id := range uint64(6) {
		clk.arrive(time.Second, policies.Request{ID: id})
	}
	clk.at(time.Second, func() { require.Equal(t, 2, clk.f.Held(0)) })
	clk.end(2*time.Second, 0, policies.OK, 0)
	clk.at(3*time.Second, func() { clk.f.SetHold(clk.now, 0, false, &clk.out) })
	require.Equal(t, []string{"1s send 0", "1s send 1", "1s send 2", "1s send 3",
		"2s close 0 ok quota 0s held 0s", "2s send 4", "3s send 5"}, clk.run())
}

// A held request whose client leaves frees its place.
func TestHeldLeaves(t *testing.T) {
	t.Parallel()
	clk := newClock(t, held(flow.Hold{Capacity: 1, Timeout: time.Minute, Zero: true}, 1, 1, 1))
	clk.member(0, 0, balance.ChangeDraining)
	clk.arrive(time.Second, policies.Request{ID: 1})
	clk.at(2*time.Second, func() { clk.f.Gone(clk.now, clk.slots[1], policies.DeadlineHit, &clk.out) })
	clk.arrive(3*time.Second, policies.Request{ID: 2})
	clk.member(4*time.Second, 0, balance.ChangeAdded)
	require.Equal(t, []string{"2s close 1 deadline quota 0s held 1s", "4s send 2"}, clk.run())
}
