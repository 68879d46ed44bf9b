package actuator

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/autoscale"
	"taillab/realrun/kube"
)

// cluster is a stub behind HTTP, and what an actuator of it was told.
type cluster struct {
	stub  *kube.Stub
	cfg   KubeConfig
	mu    sync.Mutex
	gone  []string
	notes []string
}

func newCluster(t *testing.T, pods int, change func(c *cluster)) *cluster {
	t.Helper()
	x := &cluster{stub: kube.NewStub(pods)}
	srv := httptest.NewServer(x.stub)
	tr := &http.Transport{}
	t.Cleanup(func() { tr.CloseIdleConnections(); srv.Close() })
	x.cfg = KubeConfig{Slots: 8, Start: 2, Wait: time.Minute,
		Cluster: kube.Config{Server: srv.URL, Deployment: "web", HTTP: &http.Client{Transport: tr}, Min: 1, Max: 4,
			Backoff: kube.Backoff{Least: time.Millisecond, Most: 4 * time.Millisecond}},
		URL:  func(p *kube.Pod) (string, error) { return "http://" + p.Name, nil },
		Gone: func(name string) { x.mu.Lock(); defer x.mu.Unlock(); x.gone = append(x.gone, name) },
		Note: func(text string) { x.mu.Lock(); defer x.mu.Unlock(); x.notes = append(x.notes, text) }}
	if change != nil {
		change(x)
	}
	return x
}

func (x *cluster) open(t *testing.T) *Kube {
	t.Helper()
	k, err := OpenKube(t.Context(), x.cfg)
	require.NoError(t, err)
	return k
}

// ready waits for so many ready pods, and no others.
func ready(t *testing.T, k *Kube, n int) {
	t.Helper()
	until(t, k, func(list []Pod) bool { return len(list) == n && count(list, autoscale.Ready) == n })
}

// TestKube: the Deployment follows the count within its bounds, each pod keeps its slot
// and a slot is free when its pod is gone; in the end the count is what it was.
func TestKube(t *testing.T) {
	t.Parallel()
	x := newCluster(t, 6, nil) // more than the run may have
	k := x.open(t)
	ready(t, k, 2)
	first := k.Pods()
	require.Equal(t, "http://"+first[0].Name, first[0].URL)
	require.NoError(t, k.Apply(t.Context(), 9))
	ready(t, k, 4)
	require.Equal(t, first, k.Pods()[:2])
	require.NoError(t, k.Apply(t.Context(), 0))
	ready(t, k, 1)
	require.Equal(t, first[:1], k.Pods())
	require.NoError(t, k.Close())
	spec, _, _ := x.stub.Counts()
	require.Equal(t, 6, spec, "restored, though outside the bounds of the run")
	require.GreaterOrEqual(t, len(x.gone), 4, "3 of those asked for, the last with the end, and as many of those found as were seen")
	slices.Sort(x.gone)
	require.Equal(t, slices.Compact(slices.Clone(x.gone)), x.gone, "each once")
}

// TestKubeKeeps leaves the count where it was told to, and a dry run asks for nothing.
func TestKubeKeeps(t *testing.T) {
	t.Parallel()
	x := newCluster(t, 2, func(x *cluster) { x.cfg.Keep = true })
	k := x.open(t)
	require.NoError(t, k.Apply(t.Context(), 3))
	require.NoError(t, k.Close())
	spec, _, _ := x.stub.Counts()
	require.Equal(t, 3, spec)

	x = newCluster(t, 2, func(x *cluster) { x.cfg.Cluster.DryRun = true })
	k = x.open(t)
	require.NoError(t, k.Apply(t.Context(), 4))
	require.NoError(t, k.Close())
	spec, _, _ = x.stub.Counts()
	require.Equal(t, 2, spec)
	require.Equal(t, []string{"dry run: default/web would be scaled from 2 to 4"}, x.notes)
}

// TestKubeUnderFire: another writer, a busy server, watches that end, and one that has
// forgotten what came after: the pods are followed all the same.
func TestKubeUnderFire(t *testing.T) {
	t.Parallel()
	var calls, patches atomic.Int64
	x := newCluster(t, 2, func(x *cluster) {
		x.stub.Window = 1 // a watch is soon too old: 410
		x.stub.Load, x.stub.Grace = 5*time.Millisecond, 5*time.Millisecond
		x.stub.Fail = func(method, _ string) int {
			switch n := calls.Add(1); {
			case method == http.MethodPatch && patches.Add(1)%2 == 1:
				x.stub.Touch() // 409
			case n%7 == 3:
				return http.StatusTooManyRequests
			case n%11 == 5:
				return http.StatusServiceUnavailable
			}
			return 0
		}
	})
	k := x.open(t)
	for _, n := range []int{4, 1, 3, 2, 4, 1, 2} {
		require.NoError(t, k.Apply(t.Context(), n))
		ready(t, k, n)
		slots := map[int]bool{}
		for _, p := range k.Pods() {
			require.False(t, slots[p.Slot])
			slots[p.Slot] = true
		}
	}
	require.NoError(t, k.Close())
}

// TestKubeGivesUp: pods that do not come, a Deployment that is not there, more pods
// than slots.
func TestKubeGivesUp(t *testing.T) {
	t.Parallel()
	x := newCluster(t, 1, func(x *cluster) { x.stub.Load, x.cfg.Wait = time.Hour, 20*time.Millisecond })
	_, err := OpenKube(t.Context(), x.cfg)
	require.ErrorContains(t, err, "only 1 pods of web are ready after 20ms, the run begins with 2")
	spec, _, _ := x.stub.Counts()
	require.Equal(t, 1, spec, "restored")
	x.cfg.Cluster.Deployment = "mail"
	_, err = OpenKube(t.Context(), x.cfg)
	require.ErrorContains(t, err, "404")

	x = newCluster(t, 4, func(x *cluster) { x.cfg.Slots, x.cfg.Start = 2, 2; x.cfg.Cluster.DryRun = true })
	k := x.open(t)
	require.Len(t, k.Pods(), 2)
	require.NoError(t, k.Close())
	require.Contains(t, x.notes, "web has more than 2 pods: the rest get no requests")
}

func count(list []Pod, phase autoscale.Phase) (n int) {
	for _, x := range list {
		if x.Phase == phase {
			n++
		}
	}
	return n
}

// until waits for the pods to be as they should.
func until(t *testing.T, a Actuator, done func([]Pod) bool) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for !done(a.Pods()) {
		select {
		case <-a.Changed():
		case <-limit.C:
			require.FailNow(t, "the pods are not as they should", "%+v", a.Pods())
		}
	}
}
