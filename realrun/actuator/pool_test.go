package actuator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/autoscale"
	"taillab/scenarios"
)

// fake is a server in virtual time.
type fake struct {
	name     string
	stubborn bool          // does not end when it is asked to
	took     time.Duration // to end when it is
	done     chan struct{}
	once     sync.Once
	mu       sync.Mutex
	stopped  time.Time
	killed   bool
}

func (f *fake) URL() string           { return "http://" + f.name }
func (f *fake) Done() <-chan struct{} { return f.done }
func (f *fake) exit()                 { f.once.Do(func() { close(f.done) }) }
func (f *fake) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = time.Now()
	if !f.stubborn {
		time.AfterFunc(f.took, f.exit)
	}
}

func (f *fake) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.done:
	default:
		f.killed = true
	}
	f.exit()
}

// town is where the fakes of a test live.
type town struct {
	mu       sync.Mutex
	list     map[string]*fake
	stubborn bool
	broken   bool // nothing can be made
	notes    []string
}

func (w *town) make(_ int, name string) (Server, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return nil, errors.New("out of order")
	}
	f := &fake{name: name, stubborn: w.stubborn, took: time.Second, done: make(chan struct{})}
	if w.list == nil {
		w.list = map[string]*fake{}
	}
	w.list[name] = f
	return f, nil
}

func (w *town) said() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notes
}

func (w *town) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, text)
}

// inTown runs a test of a pool in virtual time.
func inTown(t *testing.T, start int, w *town, do func(p *Pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := scenarios.Lifecycle{Bind: time.Second, Image: 2 * time.Second, Warmup: time.Second, DrainGrace: 20 * time.Second,
			Model: scenarios.Weights{Bytes: 8e9, Read: 4e9, Init: 4 * time.Second}}
		p, err := NewPool(t.Context(), PoolConfig{Slots: 8, Start: start, Lifecycle: l, Make: w.make, Note: w.note})
		require.NoError(t, err)
		do(p)
		require.NoError(t, p.Close())
		require.Empty(t, p.Pods())
		for _, f := range w.list {
			<-f.done
		}
	})
}

// phases lists the pods' phases, by slot.
func phases(p *Pool) (out []string) {
	synctest.Wait()
	for _, x := range p.Pods() {
		out = append(out, x.Phase.String())
	}
	return out
}

func apply(t *testing.T, p *Pool, n int) {
	t.Helper()
	require.NoError(t, p.Apply(t.Context(), n))
}

// TestPoolLife follows a pod through the times of its life cycle, and the pods of the
// start, which are there at once.
func TestPoolLife(t *testing.T) {
	t.Parallel()
	w := &town{}
	inTown(t, 2, w, func(p *Pool) {
		require.Equal(t, []string{"ready", "ready"}, phases(p))
		apply(t, p, 3)
		for _, x := range []struct {
			after time.Duration
			phase string
		}{{0, "pending"}, {1500 * time.Millisecond, "pulling"}, {2 * time.Second, "loading"}, {5 * time.Second, "loading"}, {time.Second, "warming"}, {time.Second, "ready"}} {
			time.Sleep(x.after)
			require.Equal(t, []string{"ready", "ready", x.phase}, phases(p))
		}
		pods := p.Pods()
		require.Equal(t, "pod-2", pods[2].Name)
		require.Equal(t, "http://pod-2", pods[2].URL)
		require.Equal(t, 10*time.Second, pods[2].Changed.Sub(pods[2].Created), "1 + 2 + 2 + 4 + 1 s")
		require.Equal(t, time.Second, pods[2].Started.Sub(pods[2].Created))

		apply(t, p, 4)
		apply(t, p, 3)
		require.Equal(t, []string{"ready", "ready", "ready"}, phases(p), "one that is not ready goes first, and at once")
		apply(t, p, 2)
		require.Equal(t, []string{"ready", "ready", "draining"}, phases(p), "then the one that became ready last")
		require.Len(t, w.list, 3)
	})
}

// TestPoolSharesTheNetwork: two pods that load at once take twice as long.
func TestPoolSharesTheNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &town{}
		l := scenarios.Lifecycle{Model: scenarios.Weights{Bytes: 8e9, Read: 4e9, Network: 4e9}}
		p, err := NewPool(t.Context(), PoolConfig{Slots: 8, Lifecycle: l, Make: w.make})
		require.NoError(t, err)
		began := time.Now()
		apply(t, p, 1)
		time.Sleep(time.Second)
		apply(t, p, 2)
		time.Sleep(time.Minute)
		pods := p.Pods()
		require.InDelta(t, 3, pods[0].Changed.Sub(began).Seconds(), 1e-6, "1 s alone, 2 s at half the rate")
		require.InDelta(t, 4, pods[1].Changed.Sub(began).Seconds(), 1e-6, "2 s at half the rate, 1 s alone")
		require.NoError(t, p.Close())
	})
}

// TestPoolDrains: a server is asked to end when it is released, and killed when its
// grace is over, whether it was asked or not.
func TestPoolDrains(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name              string
		stubborn, release bool
		gone              time.Duration
		asked             bool
		killed            bool
	}{
		{"released", false, true, 6 * time.Second, true, false},          // at 5 s, and a second to end
		{"ignores the signal", true, true, 20 * time.Second, true, true}, // the grace
		{"never released", false, false, 20 * time.Second, false, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			w := &town{stubborn: x.stubborn}
			inTown(t, 1, w, func(p *Pool) {
				apply(t, p, 0)
				time.Sleep(5 * time.Second)
				f := w.list["pod-0"]
				require.True(t, f.stopped.IsZero(), "not before it is released")
				if x.release {
					p.Release(0)
					p.Release(0)
				}
				time.Sleep(x.gone - 5*time.Second - time.Millisecond)
				require.Equal(t, []string{"draining"}, phases(p))
				time.Sleep(2 * time.Millisecond)
				require.Empty(t, phases(p))
				require.Equal(t, x.asked, !f.stopped.IsZero())
				require.Equal(t, x.killed, f.killed)
			})
		})
	}
}

// TestPoolReplaces: a server that ends by itself is replaced, not faster than once a
// second; what is asked for meanwhile holds.
func TestPoolReplaces(t *testing.T) {
	t.Parallel()
	w := &town{}
	inTown(t, 2, w, func(p *Pool) {
		w.list["pod-0"].exit()
		synctest.Wait()
		require.Equal(t, []string{"ready"}, phases(p))
		require.Equal(t, []string{"pod-0: its server has ended by itself"}, w.said())
		time.Sleep(again)
		require.Equal(t, []string{"pending", "ready"}, phases(p))
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"ready", "ready"}, phases(p))
		w.mu.Lock()
		w.broken = true
		w.mu.Unlock()
		apply(t, p, 3)
		time.Sleep(time.Minute)
		require.Less(t, len(w.said()), 20, "a command that fails is not run as fast as can be")
		apply(t, p, 2)
		require.Equal(t, []string{"ready", "ready"}, phases(p))
	})
}

// TestPoolFails: without the servers of the start there is no pool.
func TestPoolFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, err := NewPool(t.Context(), PoolConfig{Slots: 2, Start: 1, Make: (&town{broken: true}).make})
		require.EqualError(t, err, "out of order")
		w := &town{}
		_, err = NewPool(t.Context(), PoolConfig{Slots: 2, Start: 1, Make: w.make, Check: func(context.Context, string) bool { return false }})
		require.ErrorContains(t, err, "only 0 of 1 servers are ready after 2m0s")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = NewPool(ctx, PoolConfig{Slots: 2, Start: 1, Make: w.make, Check: func(context.Context, string) bool { return false }})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestPoolCount: whatever is asked for, in the end there are as many pods as wanted.
func TestPoolCount(t *testing.T) {
	t.Parallel()
	w := &town{}
	inTown(t, 3, w, func(p *Pool) {
		for i, n := range []int{8, 0, 5, 2, 7, 1, 8, 3} {
			apply(t, p, n)
			time.Sleep(time.Duration(i) * 1700 * time.Millisecond)
			seen := map[int]bool{}
			for _, x := range p.Pods() {
				require.False(t, seen[x.Slot])
				seen[x.Slot] = true
			}
		}
		time.Sleep(time.Minute)
		ready := 0
		for _, x := range p.Pods() {
			if x.Phase == autoscale.Ready {
				ready++
			}
		}
		require.Equal(t, 3, ready, fmt.Sprint(phases(p)))
	})
}
