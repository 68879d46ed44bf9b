package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"taillab/policies"
	"taillab/policies/quota"
	"taillab/realrun/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is a time of day that keeps the scripts honest about large numbers.
const epoch = 1_760_000_000 * time.Second

// servers opens n shards of each kind that this machine has.
func servers(t *testing.T, n int) map[string]*store.Shards {
	t.Helper()
	out := map[string]*store.Shards{}
	for name, c := range map[string]store.Config{"inside": {Inside: n}, "redis-server": {Spawn: n}} {
		c.Run, c.Callers, c.Timeout = t.Name(), 1, 10*time.Second
		s, err := store.Open(t.Context(), c)
		if errors.Is(err, store.ErrNoServer) {
			t.Logf("left out: %v", err)
			continue
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		out[name] = s
	}
	return out
}

// local is the Store of policies/quota that a counter corresponds to.
func local(c *store.Counter) quota.Store {
	inner := "token"
	switch {
	case c.Slots:
		inner = "concurrency"
	case c.GCRA:
		inner = "gcra"
	}
	return (&quota.Central{Inner: inner}).Store([]quota.Group{c.Group})
}

// The scripts and the Go store agree on any sequence of calls: same verdicts, same
// units, times to the microsecond.
func TestScriptsAgreeWithTheStore(t *testing.T) {
	t.Parallel()
	calls := map[string]int{"inside": 6_000, "redis-server": 100_000}
	if testing.Short() {
		calls["redis-server"] = 10_000
	}
	for name, s := range servers(t, 1) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var counters []*store.Counter
			var twins []quota.Store
			for i, g := range []quota.Group{{Rate: 600, Burst: 600}, {Rate: 7.0 / 60, Burst: 3}, {Rate: 1e6 / 3, Burst: 1e5}, {Units: 4}, {Units: 64.5}} {
				g.Name = fmt.Sprintf("g%d", i)
				for _, gcra := range []bool{false, true} {
					if gcra && g.Units > 0 {
						continue
					}
					c := &store.Counter{Group: g, GCRA: gcra, Slots: g.Units > 0}
					c.Group.Name += fmt.Sprint(gcra)
					counters, twins = append(counters, c), append(twins, local(c))
				}
			}
			r := rand.New(rand.NewPCG(1, 2))
			env := &policies.Env{}
			for i := range calls[name] {
				env.Now += time.Duration(r.ExpFloat64()*2000) * time.Microsecond
				k := r.IntN(len(counters))
				a := ask(r, counters[k])
				got, err := s.AskAt(t.Context(), 0, counters[k], a, epoch+env.Now)
				require.NoError(t, err)
				want := twins[k].Take(env, 0, a)
				what := fmt.Sprintf("call %d: %+v of %+v at %v", i, a, *counters[k], env.Now)
				require.InDelta(t, want.Units, got.Units, 1e-9, what)
				require.InDelta(t, want.Left, got.Left, 1e-6*(1+counters[k].Group.Rate), what)
				require.InDelta(t, want.RetryIn, got.RetryIn, float64(time.Microsecond), what)
				require.Equal(t, want.Never, got.Never, what)
				require.Equal(t, a.Window, got.Expiry, what)
			}
		})
	}
}

// ask draws a question that fits a counter.
func ask(r *rand.Rand, c *store.Counter) quota.Ask {
	a := quota.Ask{Req: r.Uint64N(12), Units: float64(1 + r.IntN(4)), Window: time.Duration(1+r.IntN(3000)) * time.Millisecond}
	if r.IntN(4) == 0 {
		a.Units *= r.Float64()
	}
	if c.Slots {
		a.Kind = []quota.AskKind{quota.AskHold, quota.AskHold, quota.AskHold, quota.AskRenew, quota.AskRelease}[r.IntN(5)]
		return a
	}
	a.Units *= min(1, c.Group.Burst/20) * float64(1+r.IntN(10))
	a.Need = a.Units * []float64{1, 0.2, 1.5}[r.IntN(3)]
	a.Kind = []quota.AskKind{quota.AskTake, quota.AskTake, quota.AskLease, quota.AskReturn, quota.AskSync}[r.IntN(5)]
	return a
}

// The generic cell rate algorithm of a real server, by its own clock pinned.
func TestGCRA(t *testing.T) {
	t.Parallel()
	for name, s := range servers(t, 1) {
		c := &store.Counter{Group: quota.Group{Name: name, Rate: 1, Burst: 5}, GCRA: true}
		take := quota.Ask{Kind: quota.AskTake, Units: 1}
		for range 5 {
			g, err := s.AskAt(t.Context(), 0, c, take, epoch)
			require.NoError(t, err)
			require.InDelta(t, 1, g.Units, 0)
		}
		g, err := s.AskAt(t.Context(), 0, c, take, epoch+75*time.Millisecond)
		require.NoError(t, err)
		require.Zero(t, g.Units)
		require.Equal(t, 925*time.Millisecond, g.RetryIn)
		g, err = s.Ask(t.Context(), 0, c, take)
		require.NoError(t, err)
		take.Units = 6
		g, err = s.AskAt(t.Context(), 0, c, take, epoch)
		require.NoError(t, err)
		require.True(t, g.Never)
	}
}

// A server that forgets its scripts is taught them again; one that is killed gives an
// error in time, and serves again, empty, when it is back.
func TestServerForgetsAndDies(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip(store.ErrNoServer)
	}
	p, err := store.Spawn(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	s, err := store.Open(t.Context(), store.Config{Addresses: []string{p.Address}, Run: "x", Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	c := &store.Counter{Group: quota.Group{Name: "g", Rate: 1e-3, Burst: 2}}
	take := quota.Ask{Kind: quota.AskTake, Units: 2}
	g, err := s.Ask(t.Context(), 0, c, take)
	require.NoError(t, err)
	require.InDelta(t, 2, g.Units, 0)
	require.NoError(t, exec.Command("redis-cli", "-h", "127.0.0.1", "-p", p.Port(), "script", "flush").Run())
	g, err = s.Ask(t.Context(), 0, c, take)
	require.NoError(t, err)
	require.Zero(t, g.Units, "what it counted it still knows")
	require.NoError(t, p.Kill())
	_, err = s.Ask(t.Context(), 0, c, take)
	require.Error(t, err)
	require.NoError(t, p.Start())
	require.Eventually(t, func() bool {
		g, err = s.Ask(t.Context(), 0, c, take)
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	require.InDelta(t, 2, g.Units, 0, "a crash forgets what was taken")
}

// Shards of our own crash and come back, empty, where they were; the others are not
// touched. Servers of others are left alone.
func TestShardsCrash(t *testing.T) {
	t.Parallel()
	c := &store.Counter{Group: quota.Group{Name: "g", Rate: 1e-3, Burst: 2}}
	take := quota.Ask{Kind: quota.AskTake, Units: 2}
	for name, s := range servers(t, 2) {
		t.Run(name, func(t *testing.T) {
			for shard := range s.Len() {
				g, err := s.Ask(t.Context(), shard, c, take)
				require.NoError(t, err)
				require.InDelta(t, 2, g.Units, 0)
			}
			require.NoError(t, s.Kill(1))
			for range 50 { // more than the pool has places
				_, err := s.Ask(t.Context(), 1, c, take)
				require.Error(t, err)
			}
			require.NoError(t, s.Start(1))
			require.Eventually(t, func() bool {
				conn, err := net.Dial("tcp", s.Address(1))
				return err == nil && conn.Close() == nil
			}, 10*time.Second, 5*time.Millisecond)
			g, err := s.Ask(t.Context(), 1, c, take)
			require.NoError(t, err, "the first ask to a server that listens again")
			require.InDelta(t, 2, g.Units, 0, "a crash forgets what was taken")
			g, err = s.Ask(t.Context(), 0, c, take)
			require.NoError(t, err)
			require.Zero(t, g.Units, "the other shard remembers")
			require.ErrorIs(t, s.Kill(2), store.ErrNotOurs)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), store.Config{})
	require.ErrorContains(t, err, "0 shards: there are 1 to 64")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = store.Open(ctx, store.Config{Addresses: []string{"127.0.0.1:1"}})
	require.ErrorContains(t, err, "shard 0 at 127.0.0.1:1")
}
