package kube_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"taillab/realrun/await"
	"taillab/realrun/kube"
)

func TestMain(m *testing.M) {
	// a server that closes a connection lingers for half a second by itself
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// cluster is a stub behind HTTP and a client of it.
func cluster(t *testing.T, s *kube.Stub, change func(*kube.Config)) *kube.Client {
	t.Helper()
	srv := httptest.NewServer(s)
	tr := &http.Transport{}
	t.Cleanup(func() { tr.CloseIdleConnections(); srv.Close() })
	cfg := kube.Config{Server: srv.URL, Deployment: "web", HTTP: &http.Client{Transport: tr},
		Backoff: kube.Backoff{Least: time.Millisecond, Most: 4 * time.Millisecond}}
	if change != nil {
		change(&cfg)
	}
	c, err := kube.New(cfg)
	require.NoError(t, err)
	return c
}

func TestScaleAndPods(t *testing.T) {
	t.Parallel()
	s := kube.NewStub(2)
	c := cluster(t, s, func(c *kube.Config) { c.Min, c.Max = 1, 5 })
	ctx := t.Context()
	scale, err := c.Scale(ctx)
	require.NoError(t, err)
	require.Equal(t, 2, scale.Spec)
	for ask, want := range map[int]int{4: 4, 99: 5, 0: 1} {
		got, err := c.SetScale(ctx, ask)
		require.NoError(t, err)
		require.Equal(t, want, got, "held to the bounds")
		spec, there, ready := s.Counts()
		require.Equal(t, []int{want, want, want}, []int{spec, there, ready})
	}
	_, err = c.SetScale(ctx, 3)
	require.NoError(t, err)
	pods, version, err := c.Pods(ctx, scale.Selector)
	require.NoError(t, err)
	require.Len(t, pods, 3)
	require.NotEmpty(t, version)
	require.True(t, pods[0].Ready)
	require.False(t, pods[0].Started.IsZero())
	require.NoError(t, c.Delete(ctx, pods[0].Name))
	require.NoError(t, c.Delete(ctx, pods[0].Name), "gone already")
	_, there, _ := s.Counts()
	require.Equal(t, 3, there, "the Deployment makes up for it")
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	s := kube.NewStub(1)
	var rivals atomic.Int32
	s.Fail = func(method, _ string) int { // another writer is faster, so many times
		if method == http.MethodPatch && rivals.Add(-1) >= 0 {
			s.Touch()
		}
		return 0
	}
	c := cluster(t, s, nil)
	rivals.Store(5)
	_, err := c.SetScale(t.Context(), 3)
	require.NoError(t, err)
	spec, _, _ := s.Counts()
	require.Equal(t, 3, spec)
	rivals.Store(6)
	_, err = c.SetScale(t.Context(), 4)
	var status *kube.StatusError
	require.ErrorAs(t, err, &status, "not for ever")
	require.Equal(t, http.StatusConflict, status.Code)
	spec, _, _ = s.Counts()
	require.Equal(t, 3, spec)
}

func TestBusyAndFailing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ code, times, calls int }{
		{http.StatusTooManyRequests, 3, 4}, {http.StatusServiceUnavailable, 5, 6},
		{http.StatusServiceUnavailable, 99, 6}, {http.StatusForbidden, 99, 1},
	} {
		s := kube.NewStub(1)
		var calls atomic.Int32
		s.Fail = func(string, string) int {
			if int(calls.Add(1)) <= c.times {
				return c.code
			}
			return 0
		}
		_, err := cluster(t, s, nil).Scale(t.Context())
		require.EqualValues(t, c.calls, calls.Load(), "%d", c.code)
		var status *kube.StatusError
		if c.times < 99 {
			require.NoError(t, err)
		} else {
			require.ErrorAs(t, err, &status)
			require.Equal(t, c.code, status.Code)
			require.ErrorContains(t, err, "made to fail")
		}
	}
	gone := cluster(t, kube.NewStub(1), func(c *kube.Config) { c.Server, c.Backoff.Tries = "http://127.0.0.1:1", 2 })
	_, err := gone.Scale(t.Context())
	require.ErrorContains(t, err, "connection refused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = gone.Scale(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	s := kube.NewStub(2)
	var mu sync.Mutex
	var said []string
	c := cluster(t, s, func(c *kube.Config) {
		c.DryRun = true
		c.Log = func(format string, _ ...any) { mu.Lock(); said = append(said, format); mu.Unlock() }
	})
	_, err := c.SetScale(t.Context(), 7)
	require.NoError(t, err)
	require.NoError(t, c.Delete(t.Context(), "web-0"))
	spec, there, _ := s.Counts()
	require.Equal(t, []int{2, 2}, []int{spec, there})
	require.Len(t, said, 2)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	s := kube.NewStub(1)
	s.Load, s.Grace, s.Window = 20*time.Millisecond, 20*time.Millisecond, 4
	c := cluster(t, s, nil)
	_, version, err := c.Pods(t.Context(), "app=web")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events := make(chan kube.Event, 16)
	done := make(chan error, 1)
	go func() {
		_, err := c.Watch(ctx, "app=web", version, func(e kube.Event) { events <- e })
		done <- err
	}()
	_, err = c.SetScale(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, "ADDED", await.One(t, "an event", events).Kind)
	e := await.One(t, "an event", events)
	require.Equal(t, "MODIFIED", e.Kind)
	require.True(t, e.Pod.Ready)
	_, err = c.SetScale(t.Context(), 1)
	require.NoError(t, err)
	e = await.One(t, "an event", events)
	require.True(t, e.Pod.Deleting)
	require.False(t, e.Pod.Ready)
	require.Equal(t, "DELETED", await.One(t, "an event", events).Kind)
	cancel()
	require.ErrorIs(t, await.One(t, "the watch ends", done), context.Canceled)
	_, err = c.Watch(t.Context(), "app=web", "1", func(kube.Event) {})
	require.ErrorIs(t, err, kube.ErrExpired, "the server has forgotten what came after")
}

func TestBadConfigs(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]kube.Config{
		"is not an http or https URL": {Server: "cluster", Deployment: "web"},
		"no deployment is named":      {Server: "http://x"},
		"the bounds 3 to 2":           {Server: "http://x", Deployment: "web", Min: 3, Max: 2},
	} {
		_, err := kube.New(c)
		require.ErrorContains(t, err, want)
	}
}

func TestKubeconfig(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 64) // more than it is asked
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization") + " " + r.URL.Path
		_, _ = w.Write([]byte(`{"spec":{"replicas":4}}`))
	}))
	defer srv.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write("token", "s3cret\n")
	text := `apiVersion: v1
kind: Config
current-context: a
contexts:
- {name: a, context: {cluster: c, user: u, namespace: team}}
- {name: helper, context: {cluster: c, user: h}}
- {name: lost, context: {cluster: gone, user: u}}
clusters:
- {name: c, cluster: {server: "` + srv.URL + `", certificate-authority-data: ` + base64.StdEncoding.EncodeToString(ca) + `}}
users:
- {name: u, user: {tokenFile: token}}
- {name: h, user: {exec: {command: login}}}
`
	path := write("config", text)
	cfg, err := kube.Access{Kubeconfig: path}.Find()
	require.NoError(t, err)
	cfg.Deployment = "web"
	c, err := kube.New(cfg)
	require.NoError(t, err)
	s, err := c.Scale(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, s.Spec)
	require.Equal(t, "Bearer s3cret /apis/apps/v1/namespaces/team/deployments/web/scale", await.One(t, "the server is asked", seen))
	cfg.HTTP.CloseIdleConnections()
	caFile := write("ca.pem", string(ca))
	cfg, err = kube.Access{Server: srv.URL, CAFile: caFile, Namespace: "n"}.Find()
	require.NoError(t, err)
	cfg.Deployment = "d"
	c, err = kube.New(cfg)
	require.NoError(t, err)
	_, err = c.Scale(t.Context())
	require.NoError(t, err)
	require.Equal(t, " /apis/apps/v1/namespaces/n/deployments/d/scale", await.One(t, "the server is asked", seen))
	cfg.HTTP.CloseIdleConnections()
	for want, a := range map[string]kube.Access{
		`there is no context "x"`:            {Kubeconfig: path, Context: "x"},
		`there is no cluster "gone"`:         {Kubeconfig: path, Context: "lost"},
		"gets its credentials from a helper": {Kubeconfig: path, Context: "helper"},
		"no such file":                       {Kubeconfig: filepath.Join(dir, "none")},
		"config: holds no certificate":       {Server: srv.URL, CAFile: path},
	} {
		_, err := a.Find()
		require.ErrorContains(t, err, want)
	}
}
