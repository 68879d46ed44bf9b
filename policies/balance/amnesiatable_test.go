package balance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

// amnesia is the catalogue's prototype, changed.
func amnesia(change func(p *balance.JIQAmnesia)) *balance.JIQAmnesia {
	e, _ := balance.Catalog().Find("balance", "jiq-amnesia")
	p, _ := e.New().(*balance.JIQAmnesia)
	if change != nil {
		change(p)
	}
	return p
}

// Golden K.
func TestAmnesiaForgets(t *testing.T) {
	t.Parallel()
	t.Run("ttl: all or nothing", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(func(p *balance.JIQAmnesia) {
			p.Retention, p.Forget, p.FallbackProbe = "ttl", 5*time.Second, "none"
		}), table(3), nil)
		h.hear(0, 0, balance.MsgBusy, 1, 2)
		h.now = 4 * time.Second
		h.hear(1, 0, balance.MsgBusy, 1, 3)
		h.now = 4500 * time.Millisecond
		require.Equal(t, 0, h.to())
		h.now = 5500 * time.Millisecond
		require.Equal(t, 1, h.to(), "replica 0 is forgotten")
	})
	for _, c := range []struct {
		at    time.Duration
		known bool
	}{{9 * time.Second, true}, {9*time.Second + 1, false}} {
		t.Run(fmt.Sprintf("exp: known for 9 s exactly, at %d", c.at), func(t *testing.T) {
			t.Parallel()
			h := newBench(t, amnesia(func(p *balance.JIQAmnesia) {
				p.HalfLife, p.Cut, p.FallbackProbe = 3*time.Second, 3, "none"
			}), table(50), nil)
			h.hear(0, 0, balance.MsgBusy, 1, 2)
			h.now = c.at
			h.to()
			require.Equal(t, c.known, paths(h)["fallback"] == 1)
			require.Equal(t, !c.known, paths(h)["random"] == 1)
		})
	}
	t.Run("an older message changes nothing", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(nil), table(9), nil)
		h.hear(4, 0, balance.MsgIdle, 5, 0)
		h.hear(4, 0, balance.MsgBusy, 4, 3)
		require.Equal(t, 4, h.to(), "still listed")
	})
	t.Run("hearing again restores it", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(func(p *balance.JIQAmnesia) { p.FallbackProbe = "none" }), table(50), nil)
		h.hear(4, 0, balance.MsgBusy, 1, 3)
		h.now = time.Minute
		h.to()
		require.EqualValues(t, 1, paths(h)["random"])
		h.hear(4, 0, balance.MsgBusy, 2, 3)
		require.Equal(t, 4, h.to())
	})
	t.Run("an entry that is too old is discarded", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(func(p *balance.JIQAmnesia) { p.EntryAge = time.Second }), table(2), nil)
		h.idle(1)
		h.now = time.Second
		h.idle(0)
		h.now += 1
		require.Equal(t, 0, h.to())
		require.EqualValues(t, 1, paths(h)["idle-queue"])
	})
}

func TestAmnesiaDispatcher(t *testing.T) {
	t.Parallel()
	unprobed := func(p *balance.JIQAmnesia) { p.FallbackProbe = "none" }
	t.Run("FIFO is by insertion, not by refresh", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(4), nil)
		for _, id := range []uint32{2, 3, 2} {
			h.idle(id)
		}
		require.Equal(t, []int{2, 3}, h.picks(2))
	})
	t.Run("a heartbeat that crossed a request does not list", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(4), nil)
		h.idle(2)
		require.Equal(t, 2, h.to())
		h.idle(2)
		h.to()
		require.EqualValues(t, 1, paths(h)["idle-queue"])
		h.end(0, policies.OK)
	})
	t.Run("with slots only a full one is engaged", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), &balance.Table{N: 2, Slots: []int32{2, 2}}, nil)
		for range 2 {
			h.idle(1)
			require.Equal(t, 1, h.to())
		}
		h.idle(1)
		h.to()
		require.EqualValues(t, 2, paths(h)["idle-queue"])
	})
	t.Run("busy and withdraw remove", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(4), nil)
		h.idle(1)
		h.idle(2)
		h.hear(1, 0, balance.MsgBusy, 9, 1)
		h.hear(2, 0, balance.MsgWithdraw, 9, 1)
		h.to()
		require.Zero(t, paths(h)["idle-queue"])
	})
	t.Run("own sends count until the next heartbeat", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(2), nil)
		h.hear(0, 0, balance.MsgBusy, 1, 1)
		h.hear(1, 0, balance.MsgBusy, 1, 3)
		h.now = time.Millisecond
		require.Equal(t, 0, h.to()) // 1 + 1
		require.Equal(t, 0, h.to()) // 1 + 2
		h.end(0, policies.OK)
		require.Equal(t, 0, h.to(), "1 + 1 after one has ended")
		h.hear(0, 0, balance.MsgBusy, 2, 9)
		require.Equal(t, 1, h.to(), "9 against 3")
	})
	t.Run("ties are uniform", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(unprobed), table(2), nil)
		h.hear(0, 0, balance.MsgBusy, 1, 1)
		h.now = time.Second // replica 0 has less weight by now: a tie must not favour the first sampled
		h.hear(1, 0, balance.MsgBusy, 1, 1)
		require.Less(t, chi2(count(h.picks(4000), 2)), chi2Limit(2))
	})
	t.Run("the only known one gets it", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(nil), table(50), nil)
		h.hear(7, 0, balance.MsgBusy, 1, 100)
		require.Equal(t, []int{7, 7, 7}, h.picks(3), "without a probe")
	})
	t.Run("nobody known: anyone of discovery", func(t *testing.T) {
		t.Parallel()
		h := newBench(t, amnesia(nil), table(10), nil)
		require.Less(t, chi2(count(h.picks(5000), 10)), chi2Limit(10))
	})
}

// The weighted sample without replacement has a known law; loads that rise with the
// ID make the lower ID of each pair win.
func TestAmnesiaSamplesByRetention(t *testing.T) {
	t.Parallel()
	h := newBench(t, amnesia(func(p *balance.JIQAmnesia) { p.FallbackProbe, p.HalfLife = "none", time.Second }), table(3), nil)
	for id := range uint32(3) { // heard 2, 1 and 0 s ago: weights 1/4, 1/2, 1
		h.now = time.Duration(id) * time.Second
		h.hear(id, 0, balance.MsgBusy, 1, int64(10*id))
	}
	w := []float64{0.25, 0.5, 1}
	pair := func(i, j int) float64 { return w[i] / 1.75 * w[j] / (1.75 - w[i]) }
	const k = 40_000
	c := count(h.picks(k), 3)
	require.InDelta(t, pair(0, 1)+pair(1, 0)+pair(0, 2)+pair(2, 0), float64(c[0])/k, 0.01)
	require.InDelta(t, pair(1, 2)+pair(2, 1), float64(c[1])/k, 0.01)
	require.Zero(t, c[2], "it loses every pair")
}

// When rejection fails (all but two of many heard replicas are ineligible) a sweep
// draws by the same law.
func TestAmnesiaSweeps(t *testing.T) {
	t.Parallel()
	const n = 2000
	h := newBench(t, amnesia(func(p *balance.JIQAmnesia) { p.FallbackProbe, p.HalfLife = "none", time.Second }), table(n), nil)
	for id := range uint32(n) {
		if id == 1999 {
			h.now = time.Second // twice the weight of the others
		}
		h.hear(id, 0, balance.MsgBusy, 1, 5)
		if id > 1 && id < 1999 {
			h.member(balance.ChangeDraining, id, 0)
		}
	}
	h.hear(0, 0, balance.MsgBusy, 2, 0) // weight 1, wins every pair
	const k = 4000
	c := count(h.picks(k), n)
	// 0 is in the pair unless 1 (weight ½) and 1999 (weight 1) are drawn
	miss := 0.5/2.5*1/2 + 1/2.5*0.5/1.5
	require.InDelta(t, 1-miss, float64(c[0])/k, 0.03)
	require.Equal(t, k, c[0]+c[1]+c[1999])
}
