package realrun

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/scenarios"
)

// breaking lets a scenario's faults act on fake backends.
func breaking(b *bubble) {
	b.d.services[0].fault = func(r int, f *scenarios.Fault, _ time.Duration, begin bool) {
		switch f.Kind {
		case scenarios.FaultCrash:
			b.list[r].down.Store(begin)
		case scenarios.FaultFreeze:
			b.list[r].silent.Store(begin)
		}
	}
}

// eligible notes how many replicas front end k sees at instants of the run.
func (b *bubble) eligible(k int, at ...time.Duration) *[]int {
	out := &[]int{}
	for _, x := range at {
		b.d.agenda.Set(x, func() {
			f := b.d.fronts[k]
			f.mu.Lock()
			defer f.mu.Unlock()
			*out = append(*out, f.fe.Fleet(0).Len())
		})
	}
	return out
}

func conserved(t *testing.T, k *keep) (errs map[string]int64) {
	t.Helper()
	p := k.col.Part()
	sum := p.Completed
	for _, n := range p.Errors {
		sum += n
	}
	require.Equal(t, p.Requests, sum)
	return p.Errors
}

// A crash is seen by the health checks after so many misses; the restart is announced
// as the next incarnation, after the discovery delay.
func TestACrashIsDetectedAndTheRestartAnnounced(t *testing.T) {
	c := cellOf(t, 4, 2, 2000, 100, policy("round-robin"))
	c.Setup.Services[0].Discovery = scenarios.Discovery{Delay: 700 * time.Millisecond, Detect: scenarios.DetectHealth, Period: time.Second, Misses: 2}
	c.Setup.Faults = []scenarios.Fault{{At: 5 * time.Second, ForLo: 5 * time.Second, ForHi: 5 * time.Second, Kind: scenarios.FaultCrash, Replicas: []int{1}}}
	var seen *[]int
	b := inBubble(t, c, func(b *bubble) {
		breaking(b)
		seen = b.eligible(1, 4900*time.Millisecond, 5900*time.Millisecond, 7100*time.Millisecond, 9900*time.Millisecond, 12*time.Second)
	})
	require.Equal(t, []int{4, 4, 3, 3, 4}, *seen)
	require.Equal(t, []uint32{0, 1, 0, 0}, b.d.registry.inc[0])
	errs := conserved(t, b.keep)
	require.InDelta(t, 37, errs["refused"], 13, "until the second miss, 1 to 2 s after the crash, a quarter of the requests met it")
	require.Len(t, errs, 1)
}

// Without health checks nothing removes a replica; the restart still reaches every
// front end, and not before delay and jitter allow.
func TestTheRestartComesLate(t *testing.T) {
	c := cellOf(t, 2, 3, 1000, 100, policy("random"))
	c.Setup.Services[0].Discovery = scenarios.Discovery{Delay: time.Second, Jitter: time.Second, Detect: scenarios.DetectNever, Period: time.Second}
	c.Setup.Faults = []scenarios.Fault{{At: time.Second, ForLo: time.Second, ForHi: time.Second, Kind: scenarios.FaultCrash, Replicas: []int{0}}}
	var at []time.Duration
	known := func(f *front) uint32 {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.fe.Fleet(0).Ref(f.fe.Fleet(0).Next(^uint32(0))).Inc
	}
	inBubble(t, c, func(b *bubble) {
		breaking(b)
		for k := range b.d.fronts {
			for x := 10 * time.Millisecond; x < 5*time.Second; x += 10 * time.Millisecond {
				b.d.agenda.Set(x, func() {
					if known(b.d.fronts[k]) == 1 && len(at) <= k {
						at = append(at, x)
					}
				})
			}
		}
	})
	require.NotEmpty(t, at)
	for _, x := range at {
		require.GreaterOrEqual(t, x, 3*time.Second)
		require.LessOrEqual(t, x, 4*time.Second+10*time.Millisecond)
	}
}

// A frozen replica leaves its checks unanswered: it goes and comes back as the same
// incarnation.
func TestAFrozenReplicaComesBackAsItWas(t *testing.T) {
	c := cellOf(t, 3, 1, 1500, 100, policy("p2c"))
	c.Setup.Services[0].Discovery = scenarios.Discovery{Detect: scenarios.DetectHealth, Period: time.Second, Misses: 2}
	c.Setup.Faults = []scenarios.Fault{{At: 2 * time.Second, ForLo: 5 * time.Second, ForHi: 5 * time.Second, Kind: scenarios.FaultFreeze, Replicas: []int{2}}}
	var seen *[]int
	b := inBubble(t, c, func(b *bubble) {
		breaking(b)
		seen = b.eligible(0, 1900*time.Millisecond, 6*time.Second, 9*time.Second)
	})
	require.Equal(t, []int{3, 2, 3}, *seen)
	require.Equal(t, []uint32{0, 0, 0}, b.d.registry.inc[0])
}

// A crashed front end loses what it holds and what arrives; a fresh one goes on, with
// a tape of its own that replays, and knows of restarts that happened before it.
func TestAFrontEndCrashes(t *testing.T) {
	c := cellOf(t, 2, 2, 2000, 80, policy("p2c"))
	s := func(x int) time.Duration { return time.Duration(x) * time.Second }
	c.Setup.Faults = []scenarios.Fault{
		{At: s(2), ForLo: s(1), ForHi: s(1), Kind: scenarios.FaultCrash, Replicas: []int{1}},
		{At: s(5), ForLo: s(5), ForHi: s(5), Kind: scenarios.FaultCrash, Fronts: []int{1}}}
	b := inBubble(t, c, breaking)
	errs := conserved(t, b.keep)
	require.InDelta(t, 200, errs["lost"], 40, "half of 5 s at 80 a second, and a few in flight")
	require.Len(t, b.keep.tapes, 3)
	require.Equal(t, uint32(1), b.d.fronts[1].fe.Fleet(0).Ref(1).Inc+b.d.fronts[1].fe.Fleet(0).Ref(0).Inc)
	die := chance.NewDice(chance.RunSeed(1, 0), "balance/main/1")
	for _, gen := range []string{"1", "2"} { // the second goes on with the first one's dice
		svc := flow.Service{Name: "main", Balancer: c.Balancers[0].Make(), Table: c.Setup.Services[0].Table(), Dice: die}
		res, err := flow.Replay(b.keep.tapes["frontend/1."+gen], flow.Replayed{FrontEnd: flow.New(flow.Config{Index: 1, Count: 2, Services: []flow.Service{svc}})})
		require.NoError(t, err)
		require.Nil(t, res.First)
		require.Greater(t, res.Calls, uint64(100))
	}
}

// A front end that stays down loses all that comes; nothing hangs.
func TestAFrontEndStaysDown(t *testing.T) {
	c := cellOf(t, 2, 1, 1000, 100, policy("jiq"))
	c.Setup.Faults = []scenarios.Fault{{At: 5 * time.Second, Kind: scenarios.FaultCrash, Fronts: []int{0}}}
	b := inBubble(t, c, breaking)
	require.InDelta(t, 500, conserved(t, b.keep)["lost"], 80)
}

// Repeated faults come at the instants of the streams that the simulator draws from:
// an exponential gap, then a uniform length, per target.
func TestOccurrencesAreThoseOfTheStreams(t *testing.T) {
	c := cellOf(t, 4, 1, 6000, 100, policy("random"))
	every, lo, hi := 5*time.Second, time.Second, 3*time.Second
	c.Setup.Faults = []scenarios.Fault{{}, {Every: every, ForLo: lo, ForHi: hi, Kind: scenarios.FaultSlow, Factor: 2, Replicas: []int{1, 3}}}
	c.Setup.Faults[0] = scenarios.Fault{At: time.Hour, Kind: scenarios.FaultSlow, Factor: 2}
	var mu sync.Mutex
	got := map[int][]time.Duration{}
	inBubble(t, c, func(b *bubble) {
		b.d.services[0].fault = func(r int, _ *scenarios.Fault, _ time.Duration, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			got[r] = append(got[r], b.d.clock.now())
		}
	})
	for _, r := range []int{1, 3} {
		p := chance.Stream(chance.RunSeed(1, 0), "faults/1/"+string(rune('0'+r)))
		now := time.Duration(0)
		require.Greater(t, len(got[r]), 6)
		for i := 0; i+1 < len(got[r]); i += 2 {
			begin := now + time.Duration(chance.Exp(&p)*float64(every)) + 1
			now = begin + lo + time.Duration(chance.Float(&p)*float64(hi-lo))
			require.Equal(t, []time.Duration{begin, now}, got[r][i:i+2])
		}
	}
	require.Empty(t, got[0])
	require.Empty(t, got[2])
}
