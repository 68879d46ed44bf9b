package balance_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/flow/flowtest"
)

// The conformance suite: what every catalogue entry must hold. The flow core stops
// a run on a second choice or on one for a replica that is no member, and flowtest
// on one that is not eligible; so each scenario here tests that, too.

// trouble is a network at its worst.
var trouble = flowtest.Net{Delay: 300 * time.Microsecond, Loss: 0.1, Double: 0.1, Reorder: time.Millisecond}

// settled checks that nothing is left over.
func settled(t require.TestingT, h *flowtest.Host) {
	for id, r := range h.Records {
		require.Equal(t, 1, r.Closed, "request %d was closed %d times", id, r.Closed)
	}
	for _, f := range h.Fronts {
		require.Zero(t, f.Open())
		fleet := f.Fleet(0)
		require.Zero(t, fleet.OutstandingSum())
		for i := range fleet.Len() {
			require.Zero(t, fleet.Outstanding(i))
		}
	}
}

func checkPaths(t require.TestingT, h *flowtest.Host) {
	var sum uint64
	for _, f := range h.Fronts {
		c, ok := f.Balancer(0).(balance.Counted)
		if !ok {
			return
		}
		var s balance.Stats
		c.Stats(&s)
		if len(s.Paths) == 0 {
			return
		}
		for _, p := range s.Paths {
			sum += p.N
		}
	}
	require.EqualValues(t, len(h.Records), sum, "paths sum to picks")
}

// churn scripts crashes, restarts, drains, removals and clients that leave.
func churn(h *flowtest.Host, n int, seed uint64, every time.Duration, times int) {
	p := chance.Stream(seed, "churn")
	for k := range times {
		id := uint32(chance.Below(&p, uint64(n)))
		what := chance.Below(&p, 6)
		gone := chance.Below(&p, uint64(len(h.Records)))
		h.At(time.Duration(k+1)*every, func() {
			switch what {
			case 0:
				h.Crash(id)
			case 1, 2:
				h.Restart(id)
			case 3:
				h.Announce(balance.ChangeDraining, id)
			case 4:
				h.Crash(id)
				h.Announce(balance.ChangeRemoved, id)
			}
			for g := range uint64(20) { // some of these are waiting
				if r := &h.Records[(gone+g)%uint64(len(h.Records))]; r.Arrived <= h.Now {
					h.Gone((gone + g) % uint64(len(h.Records)))
				}
			}
		})
	}
}

func hard(v variant, n, m int, seed uint64) flowtest.Config {
	tab := &balance.Table{N: n}
	for i := range n {
		tab.Slots = append(tab.Slots, int32(1+i%3))
	}
	return flowtest.Config{Make: v.make, Table: tab, Fronts: m, Seed: seed, Tape: true,
		Request: 200 * time.Microsecond, Response: 100 * time.Microsecond,
		Report: trouble, Tell: trouble, Probe: trouble, Period: 50 * time.Millisecond}
}

func runHard(v variant, n, m int, seed uint64, requests int) *flowtest.Host {
	h := flowtest.New(hard(v, n, m, seed))
	h.Start()
	h.Poisson(requests, 1000*float64(n), 1500*time.Microsecond)
	churn(h, n, seed, 20*time.Millisecond, requests/(20*n)+10)
	h.Drain(time.Hour)
	return h
}

func TestConformanceChurn(t *testing.T) {
	t.Parallel()
	for _, v := range variants(t, 12) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range [][2]int{{1, 1}, {2, 3}, {12, 1}, {7, 10}} {
				h := runHard(v, size[0], size[1], 42, 2500)
				settled(t, h)
				checkPaths(t, h)
			}
		})
	}
}

// TestConformanceFuzz draws the whole set-up, and shrinks what fails.
func TestConformanceFuzz(t *testing.T) {
	t.Parallel()
	all := variants(t, 12)
	rapid.Check(t, func(r *rapid.T) {
		v := rapid.SampledFrom(all).Draw(r, "variant")
		h := runHard(variant{v.name, v.make}, rapid.IntRange(1, 12).Draw(r, "n"), rapid.IntRange(1, 5).Draw(r, "m"),
			rapid.Uint64().Draw(r, "seed"), rapid.IntRange(1, 300).Draw(r, "requests"))
		settled(r, h)
		checkPaths(r, h)
	})
}

func TestConformanceRepeatsAndReplays(t *testing.T) {
	t.Parallel()
	for _, v := range variants(t, 12) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			one, two := runHard(v, 5, 3, 7, 1500), runHard(v, 5, 3, 7, 1500)
			require.Equal(t, one.Actions, two.Actions, "the same seed gives the same actions")
			require.Equal(t, one.Records, two.Records)
			require.NotEqual(t, one.Actions, runHard(v, 5, 3, 8, 1500).Actions, "another seed gives others")
			replay(t, one)
		})
	}
}

// replay feeds every tape of a host to fresh instances.
func replay(t *testing.T, h *flowtest.Host) {
	t.Helper()
	for k, f := range h.Fronts {
		truth := &flow.TapedTruth{}
		cfg := h.Front(k, nil)
		if _, ok := balance.Inside[balance.Oracle](f.Balancer(0)); ok {
			cfg.Services[0].Truth = truth
		} else {
			truth = nil
		}
		res, err := flow.Replay(h.Tapes[k].Bytes(), flow.Replayed{FrontEnd: flow.New(cfg), Truth: truth})
		require.NoError(t, err)
		require.Nil(t, res.First)
		require.Equal(t, h.Tapes[k].Records(), res.Calls)
		require.Equal(t, res.Decisions, res.Same)
		require.Positive(t, res.Decisions)
	}
	if h.Half == nil {
		return
	}
	tape := h.Tapes[len(h.Fronts)]
	half := flow.NewReplicas(h.Fronts[0].Balancer(0), 0, len(h.Fronts), h.ReplicaDice(), nil)
	res, err := flow.Replay(tape.Bytes(), flow.Replayed{Replicas: half})
	require.NoError(t, err)
	require.Nil(t, res.First)
	require.Equal(t, tape.Records(), res.Calls)
}

func TestConformanceSmallFleets(t *testing.T) {
	t.Parallel()
	for _, v := range variants(t, 12) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			h := flowtest.New(flowtest.Config{Make: v.make, Table: &balance.Table{N: 2}})
			h.Start()
			h.Announce(balance.ChangeRemoved, 0)
			h.Run(time.Microsecond)
			lone := h.Arrive(h.Now, 0, time.Millisecond)
			require.True(t, h.Drain(time.Second))
			require.Equal(t, policies.OK, h.Records[lone].Outcome)
			require.EqualValues(t, 1, h.Records[lone].Ref.ID, "the only replica gets it")
			h.Announce(balance.ChangeDraining, 1)
			h.Run(2 * time.Second)
			none := h.Arrive(h.Now, 0, time.Millisecond)
			h.Run(h.Now)
			require.Equal(t, policies.NoReplica, h.Records[none].Outcome, "an empty fleet is None, at once")
			require.Equal(t, h.Records[none].Arrived, h.Records[none].ClosedAt)
		})
	}
}

// TestConformanceUniform holds that identical replicas get equal shares, also when
// churn has shuffled the order in which the fleet holds them. Requests of one run
// depend on each other, so one late request per seed is counted.
func TestConformanceUniform(t *testing.T) {
	t.Parallel()
	const n, seeds = 10, 400
	for _, v := range variants(t, n) {
		for _, shuffled := range []bool{false, true} {
			t.Run(v.name+"/shuffled="+strconv.FormatBool(shuffled), func(t *testing.T) {
				t.Parallel()
				picks := make([]int, seeds)
				for seed := range picks {
					picks[seed] = latePick(t, v, n, uint64(seed), shuffled)
				}
				require.Less(t, chi2(count(picks, n)), chi2Limit(n))
			})
		}
	}
}

// latePick is where the last of some requests goes.
func latePick(t *testing.T, v variant, n int, seed uint64, shuffled bool) int {
	t.Helper()
	h := flowtest.New(flowtest.Config{Make: v.make, Table: &balance.Table{N: n}, Fronts: 2, Seed: seed})
	h.Start()
	if shuffled {
		for _, id := range []uint32{0, 7, 3, 9, 1} {
			h.Announce(balance.ChangeRemoved, id)
		}
		h.Run(time.Microsecond)
		for _, id := range []uint32{9, 0, 1, 7, 3} {
			h.Restart(id)
		}
		h.Run(2 * time.Microsecond)
	}
	h.Poisson(36, 20, 100*time.Millisecond) // about 2 s: some heartbeats, one board
	require.True(t, h.Drain(time.Hour))
	return int(h.Records[35].Ref.ID)
}

func TestConformanceWeights(t *testing.T) {
	t.Parallel()
	weights := []float64{4, 3, 2, 1, 0}
	for _, name := range []string{"random/weighted", "smooth-wrr"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, v := range variants(t, 5) {
				if v.name != name {
					continue
				}
				h := newBench(t, v.make(), &balance.Table{N: 5, Weights: weights}, nil)
				c := count(h.picks(200_000), 5)
				for id, w := range weights {
					require.InDelta(t, w/10, float64(c[id])/200_000, 0.02*w/10)
				}
			}
		})
	}
	for _, v := range variants(t, 5) {
		t.Run("weight 0/"+v.name, func(t *testing.T) {
			t.Parallel()
			h := flowtest.New(flowtest.Config{Make: v.make, Table: &balance.Table{N: 5, Weights: weights}, Seed: 3})
			h.Start()
			h.Poisson(1000, 2000, time.Millisecond)
			require.True(t, h.Drain(time.Hour))
			for _, r := range h.Records {
				require.NotEqualValues(t, 4, r.Ref.ID)
			}
		})
	}
}

// loop drives one front end and the replica half without a heap, so that what is
// allocated is theirs.
type loop struct {
	fe   *flow.FrontEnd
	half *flow.Replicas
	out  flow.Actions
	todo []flow.Action
	msgs []balance.Msg
	now  time.Duration
	id   uint64
	req  policies.Request // a host lends its own: a local one would escape
}

func (l *loop) request() {
	l.now += time.Millisecond
	l.id++
	l.req = policies.Request{ID: l.id, Arrived: l.now}
	l.fe.Arrive(l.now, &l.req, l.reset())
	l.take()
	for len(l.todo) > 0 {
		a := l.todo[len(l.todo)-1]
		l.todo = l.todo[:len(l.todo)-1]
		m := l.msgs[len(l.msgs)-1]
		l.msgs = l.msgs[:len(l.msgs)-1]
		switch a.Kind {
		case flow.ActSend:
			l.replica(a.Ref, balance.ReplicaEvent{Kind: balance.ReplicaAccepted}, balance.Load{Queued: 1, Slots: 1})
			l.fe.Ended(l.now, &flow.End{Slot: a.Slot, N: a.N}, l.reset())
			l.take()
			l.replica(a.Ref, balance.ReplicaEvent{Kind: balance.ReplicaFinished}, balance.Load{Slots: 1})
		case flow.ActProbe:
			l.fe.Replied(l.now, 0, balance.ProbeID(a.Arg), a.Ref, balance.Load{Running: int32(l.id % 3)}, l.reset())
			l.take()
		case flow.ActReport:
			l.fe.Heard(l.now, 0, a.Ref, m, l.reset())
			l.take()
		case flow.ActWake:
			if a.Arg>>56 == 255 { // the end of a probe's patience
				continue
			}
			l.now = max(l.now, a.At)
			if l.half != nil {
				l.replica(a.Ref, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: a.Arg}, balance.Load{Slots: 1})
			} else if l.id%50 == 0 { // a board would refresh for ever
				l.fe.Woke(l.now, 0, a.Arg, l.reset())
				l.take()
			}
		}
	}
}

func (l *loop) reset() *flow.Actions { l.out.Reset(); return &l.out }

func (l *loop) take() {
	for _, a := range l.out.List {
		var m balance.Msg
		if a.Kind == flow.ActTell || a.Kind == flow.ActReport {
			m = l.out.Msgs[a.Arg]
		}
		if a.Kind == flow.ActWake && l.half != nil && l.id%7 != 0 && a.Arg == 1<<40 {
			continue // few heartbeats
		}
		l.todo, l.msgs = append(l.todo, a), append(l.msgs, m)
	}
}

func (l *loop) replica(r policies.Ref, ev balance.ReplicaEvent, load balance.Load) {
	if l.half == nil {
		return
	}
	l.half.Event(l.now, r, ev, load, l.reset())
	l.take()
}

func TestConformanceNoAllocations(t *testing.T) { //nolint:paralleltest // allocations are counted for the whole process
	for _, v := range variants(t, 20) {
		t.Run(v.name, func(t *testing.T) {
			tab := &balance.Table{N: 20}
			cfg := flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Balancer: v.make(), Table: tab, Dice: dice()}}}
			if _, ok := cfg.Services[0].Balancer.(balance.Oracle); ok {
				cfg.Services[0].Truth = fixedTruth{lens: make([]uint16, 20), wire: make([]uint16, 20)}
			}
			l := &loop{fe: flow.New(cfg), half: flow.NewReplicas(cfg.Services[0].Balancer, 0, 1, flowtest.New(flowtest.Config{Make: v.make, Table: tab}).ReplicaDice(), nil)}
			l.fe.Start(0, l.reset())
			for id := range uint32(20) {
				l.replica(policies.Ref{ID: id}, balance.ReplicaEvent{Kind: balance.ReplicaStarted}, balance.Load{Slots: 1})
			}
			for range 2000 {
				l.request()
			}
			require.Zero(t, l.fe.Open()-parked(v.name, l))
			require.Zero(t, testing.AllocsPerRun(500, l.request))
		})
	}
}

// parked: the loop does not deliver most wakes, so a queue with costs holds some.
func parked(name string, l *loop) int {
	if name == "central-queue/costs" {
		return l.fe.Open()
	}
	return 0
}

func TestCatalogIsDocumented(t *testing.T) {
	t.Parallel()
	cat := balance.Catalog()
	for _, name := range []string{"random", "round-robin", "smooth-wrr", "static", "least-outstanding", "jsq", "p2c",
		"board", "central-queue", "jiq", "jiq-amnesia"} { // names that scenarios rely on; a new one needs no line here
		require.Contains(t, cat.Names("balance"), name)
	}
	for _, e := range cat {
		require.NotEmpty(t, e.About, e.Name)
		require.NotEmpty(t, e.Source, e.Name)
		v := reflect.ValueOf(e.New()).Elem()
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			require.NotEmpty(t, f.Tag.Get("yaml"), "%s.%s", e.Name, f.Name)
			require.NotEmpty(t, f.Tag.Get("about"), "%s.%s", e.Name, f.Name)
			checkDefault(t, e.Name+"."+f.Tag.Get("yaml"), f.Tag, v.Field(i))
		}
	}
}

// checkDefault holds a prototype to its own tags.
func checkDefault(t *testing.T, name string, tag reflect.StructTag, v reflect.Value) {
	t.Helper()
	if enum := tag.Get("enum"); enum != "" {
		if v.Kind() == reflect.Slice {
			require.Subset(t, strings.Split(enum, "|"), v.Interface(), name)
		} else {
			require.Contains(t, strings.Split(enum, "|"), v.String(), name)
		}
	}
	if tag.Get("required") != "" || v.Kind() == reflect.Map {
		return
	}
	var x float64
	switch {
	case v.CanInt():
		x = float64(v.Int())
	case v.CanFloat():
		x = v.Float()
	default:
		return
	}
	for key, ok := range map[string]func(bound float64) bool{
		"min":   func(b float64) bool { return x >= b },
		"max":   func(b float64) bool { return x <= b },
		"above": func(b float64) bool { return x > b },
	} {
		if text := tag.Get(key); text != "" {
			b, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err, name)
			require.True(t, ok(b), "%s: default %v, %s %s", name, x, key, text)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	var oracles, shared, halved []string
	for _, e := range balance.Catalog() {
		p := e.New()
		if _, ok := p.(balance.Oracle); ok {
			oracles = append(oracles, e.Name)
		}
		if _, ok := p.(balance.Shared); ok {
			shared = append(shared, e.Name)
		}
		if _, ok := p.(balance.Halved); ok {
			halved = append(halved, e.Name)
		}
	}
	require.Equal(t, []string{"jsq"}, oracles)
	require.Equal(t, []string{"central-queue"}, shared)
	require.Equal(t, []string{"jiq", "jiq-amnesia"}, halved)
}

func TestInstancesShareNothing(t *testing.T) {
	t.Parallel()
	for _, v := range variants(t, 12) {
		if strings.HasPrefix(v.name, "jsq") {
			continue // the fixed oracle of the bench would choose
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			alone := newBench(t, v.make(), table(12), nil)
			want := alone.picks(50)
			one, two := newBench(t, v.make(), table(12), nil), newBench(t, v.make(), table(12), nil)
			for i := range 50 {
				require.Equal(t, want[i], one.picks(1)[0])
				two.picks(3)
			}
		})
	}
}
