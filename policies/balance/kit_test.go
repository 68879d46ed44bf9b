package balance_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// variant is one configuration under test.
type variant struct {
	name string
	make func() balance.Balancer
}

// variants are all catalogue entries with their defaults, and the other branches.
func variants(t testing.TB, n int) []variant {
	t.Helper()
	var out []variant
	for _, e := range balance.Catalog() {
		out = append(out, variant{e.Name, func() balance.Balancer {
			b, ok := e.New().(balance.Balancer)
			require.True(t, ok)
			if s, ok := b.(*balance.Static); ok {
				s.Capacity = rates(n)
			}
			return b
		}})
	}
	add := func(name string, change func(b balance.Balancer)) {
		base := name
		for i := range name {
			if name[i] == '/' {
				base = name[:i]
				break
			}
		}
		for _, v := range out {
			if v.name == base {
				out = append(out, variant{name, func() balance.Balancer { b := v.make(); change(b); return b }})
				return
			}
		}
		t.Fatalf("no catalogue entry %s", base)
	}
	add("random/weighted", func(b balance.Balancer) { b.(*balance.Random).Weighted = true })
	add("static/random", func(b balance.Balancer) { b.(*balance.Static).Chooser = "random" })
	add("jsq/in-transit", func(b balance.Balancer) { b.(*balance.JSQ).InTransit = true })
	add("p2c/replacement", func(b balance.Balancer) { b.(*balance.P2C).Sample = "replacement" })
	add("p2c/3", func(b balance.Balancer) { b.(*balance.P2C).Choices = 3 })
	add("p2c/1", func(b balance.Balancer) { b.(*balance.P2C).Choices = 1 })
	add("p2c/probed", func(b balance.Balancer) { b.(*balance.P2C).Load = "probed" })
	add("p2c/probed-replacement", func(b balance.Balancer) {
		b.(*balance.P2C).Load, b.(*balance.P2C).Sample, b.(*balance.P2C).Choices = "probed", "replacement", 4
	})
	add("board/sample", func(b balance.Balancer) { b.(*balance.Board).Mode, b.(*balance.Board).Phase = "sample", "random" })
	add("board/optimistic", func(b balance.Balancer) { b.(*balance.Board).Optimistic, b.(*balance.Board).Jitter = true, 0.3 })
	add("central-queue/K", func(b balance.Balancer) { b.(*balance.CentralQueue).Capacity = 2 * n })
	add("central-queue/costs", func(b balance.Balancer) {
		b.(*balance.CentralQueue).PullRTT, b.(*balance.CentralQueue).QueueCost = time.Millisecond, 100*time.Microsecond
	})
	add("jiq/sq", func(b balance.Balancer) { b.(*balance.JIQ).Reporting = "sq" })
	add("jiq/lazy-lifo", func(b balance.Balancer) { b.(*balance.JIQ).Withdraw, b.(*balance.JIQ).Pop = false, "lifo" })
	add("jiq/p2c", func(b balance.Balancer) { b.(*balance.JIQ).Fallback = "p2c" })
	add("jiq/probed", func(b balance.Balancer) { b.(*balance.JIQ).Fallback, b.(*balance.JIQ).FallbackLoad = "p2c", "probed" })
	add("jiq-amnesia/multi", func(b balance.Balancer) { b.(*balance.JIQAmnesia).Membership = "multi" })
	add("jiq-amnesia/periodic", func(b balance.Balancer) {
		b.(*balance.JIQAmnesia).Report, b.(*balance.JIQAmnesia).Withdraw = "periodic", false
	})
	add("jiq-amnesia/unprobed", func(b balance.Balancer) {
		b.(*balance.JIQAmnesia).FallbackProbe, b.(*balance.JIQAmnesia).Retention = "none", "ttl"
		b.(*balance.JIQAmnesia).HeartbeatTo, b.(*balance.JIQAmnesia).DispatcherSample = 2, "replacement"
	})
	return out
}

// rates gives every ID the same rate.
func rates(n int) map[string]float64 {
	m := map[string]float64{}
	for id := range n {
		m[strconv.Itoa(id)] = 10
	}
	return m
}

// bench drives one front end by hand: no network, no replicas.
type bench struct {
	t    testing.TB
	fe   *flow.FrontEnd
	out  flow.Actions
	now  time.Duration
	next uint64
	seq  map[uint32]uint32
	slot map[uint64]flow.Action // sends by request
}

func newBench(t testing.TB, b balance.Balancer, table *balance.Table, truth balance.Truth) *bench {
	t.Helper()
	h := &bench{t: t, seq: map[uint32]uint32{}, slot: map[uint64]flow.Action{}}
	h.fe = flow.New(flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Balancer: b, Table: table,
		Dice: chance.NewDice(1, "balance/main/0"), Truth: truth}}})
	h.fe.Start(0, &h.out)
	h.out.Reset()
	return h
}

// to is where the next request goes; −1 when it is not sent.
func (h *bench) to() int {
	h.out.Reset()
	h.fe.Arrive(h.now, &policies.Request{ID: h.next, Arrived: h.now}, &h.out)
	h.next++
	return h.sent()
}

// sent is the replica of the last send among the actions; −1 when there is none.
func (h *bench) sent() int {
	id := -1
	for _, a := range h.out.List {
		if a.Kind == flow.ActSend {
			h.slot[a.Req], id = a, int(a.Ref.ID)
		}
	}
	return id
}

// picks is where the next k requests go, each ending at once.
func (h *bench) picks(k int) []int {
	out := make([]int, k)
	for i := range out {
		out[i] = h.to()
		if out[i] >= 0 {
			h.end(h.next-1, policies.OK)
		}
	}
	return out
}

func (h *bench) end(req uint64, o policies.Outcome) {
	a, ok := h.slot[req]
	require.True(h.t, ok, "request %d was not sent", req)
	h.out.Reset()
	h.fe.Ended(h.now, &flow.End{Slot: a.Slot, N: a.N, Outcome: o}, &h.out)
}

// closed lists the outcomes of the requests closed by the last input.
func (h *bench) closed() []policies.Outcome {
	var out []policies.Outcome
	for _, a := range h.out.List {
		if a.Kind == flow.ActClose {
			out = append(out, policies.Outcome(a.Arg))
		}
	}
	return out
}

func (h *bench) hear(id, inc uint32, k balance.MsgKind, seq uint32, busy int64) {
	h.out.Reset()
	h.fe.Heard(h.now, 0, policies.Ref{ID: id, Inc: inc}, balance.Msg{Kind: k, Inc: inc, Seq: seq, A: busy}, &h.out)
}

// idle hears an idle report with the replica's next number.
func (h *bench) idle(id uint32) {
	h.seq[id]++
	h.hear(id, 0, balance.MsgIdle, h.seq[id], 0)
}

func (h *bench) member(k balance.ChangeKind, id, inc uint32) {
	h.out.Reset()
	h.fe.Membership(h.now, 0, balance.Change{Kind: k, Ref: policies.Ref{ID: id, Inc: inc}}, &h.out)
}

// wake delivers the only wake that was asked for among the actions.
func (h *bench) wake() {
	var wakes []flow.Action
	for _, a := range h.out.List {
		if a.Kind == flow.ActWake {
			wakes = append(wakes, a)
		}
	}
	require.Len(h.t, wakes, 1)
	h.now = wakes[0].At
	h.out.Reset()
	h.fe.Woke(h.now, 0, wakes[0].Arg, &h.out)
}

// count tallies picks.
func count(picks []int, n int) []int {
	c := make([]int, n)
	for _, p := range picks {
		c[p]++
	}
	return c
}

// chi2 is the statistic of counts against equal shares.
func chi2(counts []int) float64 {
	sum := 0
	for _, c := range counts {
		sum += c
	}
	e, x := float64(sum)/float64(len(counts)), 0.0
	for _, c := range counts {
		x += (float64(c) - e) * (float64(c) - e) / e
	}
	return x
}

// chi2Limit is the value that a χ² of k−1 degrees of freedom exceeds with
// probability 0.001: the false-alarm rate of one seed that is fixed here.
func chi2Limit(k int) float64 {
	return map[int]float64{2: 10.83, 3: 13.82, 4: 16.27, 5: 18.47, 8: 24.32, 10: 27.88}[k]
}

func dice() *chance.Dice { return chance.NewDice(1, "balance/main/0") }

// answerAll answers probes and delivers wakes, a few times over.
func (h *bench) answerAll() {
	todo := append([]flow.Action(nil), h.out.List...)
	for n := 0; n < 10 && len(todo) > 0; n++ {
		a := todo[0]
		todo = todo[1:]
		h.out.Reset()
		switch {
		case a.Kind == flow.ActProbe:
			h.fe.Replied(h.now, 0, balance.ProbeID(a.Arg), a.Ref, balance.Load{Slots: 8}, &h.out)
		case a.Kind == flow.ActWake && a.Arg>>56 != 255:
			h.now = max(h.now, a.At)
			h.fe.Woke(h.now, 0, a.Arg, &h.out)
		default:
			continue
		}
		h.sent()
		todo = append(todo, h.out.List...)
	}
}

func table(n int) *balance.Table { return &balance.Table{N: n} }

// loaded gives a bench whose replicas have these numbers of own requests out.
func loaded(t *testing.T, b balance.Balancer, out ...int) *bench {
	t.Helper()
	h := newBench(t, &scripted{Balancer: b}, table(len(out)), nil)
	s, _ := h.fe.Balancer(0).(*scripted)
	for id, n := range out {
		s.force = id + 1
		for range n {
			require.Equal(t, id, h.to())
		}
	}
	s.force = 0
	return h
}

// scripted sends where it is told, else asks the balancer it holds.
type scripted struct {
	balance.Balancer
	force int // ID + 1
}

func (s *scripted) Pick(env *balance.Env, r *policies.Request) balance.Choice {
	if s.force > 0 {
		return balance.To(policies.Ref{ID: uint32(s.force - 1)})
	}
	return s.Balancer.Pick(env, r)
}

// fixedTruth is an oracle with fixed columns.
type fixedTruth struct {
	lens, wire []uint16
	shortest   int
}

func (f fixedTruth) Lens() []uint16 { return f.lens }

func (f fixedTruth) InTransit() []uint16 { return f.wire }

func (f fixedTruth) WorkLeft() []time.Duration { return make([]time.Duration, len(f.lens)) }

func (f fixedTruth) Shortest(balance.Dice) int { return f.shortest }

// paths are the pick counters of the bench's balancer.
func paths(h *bench) map[string]uint64 {
	var s balance.Stats
	c, ok := h.fe.Balancer(0).(balance.Counted)
	require.True(h.t, ok)
	c.Stats(&s)
	out := map[string]uint64{}
	for _, p := range s.Paths {
		out[p.Name] = p.N
	}
	return out
}
