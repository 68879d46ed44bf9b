package quota_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/quota"
	"taillab/policies/share"
)

// rig is the smallest host of limiters: front ends around one shard, messages of rtt/2
// each way, and a list of everything decided. It checks what the flow core guarantees
// and what every limiter owes.
type rig struct {
	t      require.TestingT
	now    time.Duration
	seq    int
	agenda agenda
	fronts []*front
	shard  quota.Store
	senv   policies.Env
	groups []quota.Group
	rtt    time.Duration
	lose   func() bool // an ask is lost; nil: none is
	done   []decision
	open   map[uint64]bool // waits for a verdict
	passed map[uint64]bool // admitted
	asks   int
	store  int // asks that reached the shard
}

// decision is a verdict as the front end gave it.
type decision struct {
	req     uint64
	front   int
	tenant  uint32
	at      time.Duration // when it was given
	took    time.Duration
	cost    float64
	outcome quota.Outcome
	retry   time.Duration
}

// front is one front end of the rig.
type front struct {
	r     *rig
	self  int
	lim   quota.Limiter
	env   *quota.Env
	wait  map[uint64]decision
	next  quota.AskID
	alive map[quota.AskID]bool
}

type config struct {
	make    func() quota.Limiter
	groups  []quota.Group
	fronts  int
	rtt     time.Duration
	loss    quota.LossMode
	divider func() share.Divider
	seed    uint64
}

func newRig(t require.TestingT, c config) *rig {
	r := &rig{t: t, groups: c.groups, rtt: c.rtt, open: map[uint64]bool{}, passed: map[uint64]bool{}}
	r.senv = policies.NewEnv(rand.New(rand.NewPCG(c.seed, 99)), nil, 0)
	for i := range max(c.fronts, 1) {
		f := &front{r: r, self: i, lim: c.make(), wait: map[uint64]decision{}, alive: map[quota.AskID]bool{}}
		if s, ok := f.lim.(quota.Sharing); ok && c.divider != nil {
			s.Share(c.divider)
		}
		f.env = quota.NewEnv(rand.New(rand.NewPCG(c.seed, uint64(i))), f, i, max(c.fronts, 1), c.groups, c.loss)
		r.fronts = append(r.fronts, f)
	}
	if s, ok := r.fronts[0].lim.(quota.Stored); ok {
		r.shard = s.Store(c.groups)
	}
	return r
}

// catalog configures a policy by name; set changes its parameters.
func named(t require.TestingT, name string) func() quota.Limiter {
	e, ok := quota.Catalog().Find("quota", name)
	require.True(t, ok, name)
	return func() quota.Limiter { l, _ := e.New().(quota.Limiter); return l }
}

// at runs f at a time.
func (r *rig) at(t time.Duration, f func()) {
	r.seq++
	heap.Push(&r.agenda, event{t, r.seq, f})
}

// run works off the agenda up to a time.
func (r *rig) run(until time.Duration) {
	for len(r.agenda) > 0 && r.agenda[0].at <= until {
		e, _ := heap.Pop(&r.agenda).(event)
		r.now = e.at
		e.do()
	}
	r.now = until
}

// admit asks a front end and returns its answer.
func (r *rig) admit(k int, req policies.Request, cost float64) quota.Verdict {
	f := r.fronts[k]
	require.False(r.t, r.open[req.ID], "request %d is asked for twice", req.ID)
	f.env.Now = r.now
	d := decision{req: req.ID, front: k, tenant: req.Tenant, at: r.now, cost: cost}
	r.open[req.ID] = true
	f.wait[req.ID] = d
	v := f.lim.Admit(f.env, &req, cost)
	if v.Outcome != quota.Pending {
		f.Resolve(req.ID, v)
	}
	return v
}

// settle tells a front end that an admitted request has closed.
func (r *rig) settle(k int, req uint64, group, tenant uint32, charged, actual float64) {
	f := r.fronts[k]
	f.env.Now = r.now
	f.lim.Observe(f.env, &quota.Event{Kind: quota.Settled, Req: req, Group: group, Tenant: tenant, Charged: charged, Actual: actual})
}

// Ask implements quota.Host.
func (f *front) Ask(group uint32, a quota.Ask) quota.AskID {
	f.next++
	id, r := f.next, f.r
	r.asks++
	require.NotNil(r.t, r.shard, "a limiter without a store asks")
	require.False(r.t, a.Units < 0 && a.Kind != quota.AskReturn && a.Kind != quota.AskSync, "an ask for %v units", a.Units)
	ev := quota.Event{Ask: id, Group: group, Req: a.Req}
	if r.lose != nil && r.lose() {
		if a.Kind.Answered() {
			ev.Kind = quota.AskLost
			r.at(r.now+4*r.rtt, func() { f.observe(&ev) })
		}
		return id
	}
	r.at(r.now+r.rtt/2, func() {
		r.senv.Now = r.now
		r.store++
		ev.Grant = r.shard.Take(&r.senv, group, a)
		if a.Kind.Answered() {
			r.at(r.now+r.rtt/2, func() { f.observe(&ev) })
		}
	})
	return id
}

func (f *front) observe(ev *quota.Event) {
	f.env.Now = f.r.now
	f.lim.Observe(f.env, ev)
}

// Resolve implements quota.Host: exactly one verdict per request.
func (f *front) Resolve(req uint64, v quota.Verdict) {
	r := f.r
	d, ok := f.wait[req]
	require.True(r.t, ok && r.open[req], "a second verdict for request %d", req)
	require.NotEqual(r.t, quota.Pending, v.Outcome)
	require.GreaterOrEqual(r.t, v.RetryIn, time.Duration(0), fmt.Sprint(v))
	delete(f.wait, req)
	delete(r.open, req)
	d.outcome, d.retry, d.took, d.at = v.Outcome, v.RetryIn, r.now-d.at, r.now
	r.done = append(r.done, d)
	r.passed[req] = v.Outcome == quota.Admitted
}

// WakeAt implements policies.Waker.
func (f *front) WakeAt(at time.Duration, _ uint8, token uint64) {
	f.r.at(at, func() { f.observe(&quota.Event{Kind: quota.Woke, Token: token}) })
}

// outcomes lists the verdicts in the order in which they were given.
func (r *rig) outcomes() []quota.Outcome {
	var out []quota.Outcome
	for _, d := range r.done {
		out = append(out, d.outcome)
	}
	return out
}

// admitted sums the cost of what was admitted.
func (r *rig) admitted() float64 {
	sum := 0.0
	for _, d := range r.done {
		if d.outcome == quota.Admitted {
			sum += d.cost
		}
	}
	return sum
}

// agenda is events by time, then by order of filing.
type agenda []event

type event struct {
	at  time.Duration
	seq int
	do  func()
}

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { e, _ := x.(event); *a = append(*a, e) }
func (a *agenda) Pop() any {
	e := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return e
}

// rate is one group with a limit in units/s.
func rate(perSecond, burst float64, tenants ...uint32) []quota.Group {
	if len(tenants) == 0 {
		tenants = []uint32{0}
	}
	return []quota.Group{{Name: "all", Rate: perSecond, Burst: burst, Tenants: tenants}}
}

// units is one group with a concurrency quota.
func units(n float64, tenants ...uint32) []quota.Group {
	if len(tenants) == 0 {
		tenants = []uint32{0}
	}
	return []quota.Group{{Name: "all", Units: n, Tenants: tenants}}
}
