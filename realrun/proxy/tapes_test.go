package proxy

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/await"
	"taillab/realrun/spool"
)

// chainsTotal is how many chains of the tape were begun.
func (r *rig) chainsTotal() int {
	r.tapes.mu.Lock()
	defer r.tapes.mu.Unlock()
	return r.tapes.chain
}

// ended tells that the tape is cut short.
func (r *rig) tapeCut() bool {
	r.tapes.mu.Lock()
	defer r.tapes.mu.Unlock()
	return r.tapes.cut != nil
}

// At its limit the tape ends, and the proxy goes on.
func TestTapeStops(t *testing.T) {
	t.Parallel()
	r := start(t, setup{targets: []string{backend(t, ok)}, tape: 1})
	_, bad := r.crowd(4, r.tapeCut)
	require.Zero(t, bad)
	resp, _ := r.ask(http.MethodGet, "/x", "")
	require.Equal(t, 200, resp.StatusCode)
	_, page := r.adminPage("/metrics")
	require.Contains(t, page, "taillab_tape_ended 1\n")
	e := r.end() // and what there is of it replays
	require.ErrorIs(t, e.Cut, spool.ErrFull)
	require.Len(t, r.shelf.chains, 1)
	require.False(t, r.shelf.chains[0].whole)
	require.False(t, r.shelf.chains[0].dropped)
}

// With when_full: fresh the tape begins anew with fresh policies, as often as need be;
// no request is lost, each chain replays from its start, and the last one is kept.
func TestTapeBeginsAnew(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ policy, scenario, service string }{
		{"p2c", "frontends: {count: 2, split: uniform}", ""},
		{"jiq", "", "reporter: inferred,"},
		{"{name: retry, inner: jiq-amnesia}", "", "reporter: inferred, slots: 2,"},
	} {
		t.Run(x.policy, func(t *testing.T) {
			t.Parallel()
			r := start(t, setup{policy: x.policy, scenario: x.scenario, service: x.service, tape: 1,
				targets: []string{backend(t, ok), backend(t, ok), backend(t, ok)}, proxy: "proxy: {tape: {when_full: fresh}}\n"})
			good, bad := r.crowd(6, func() bool { return r.chainsTotal() > 3 })
			require.Zero(t, bad)
			_, page := r.adminPage("/metrics")
			require.Contains(t, page, "taillab_tape_ended 0\n")
			e := r.end()
			require.EqualValues(t, good, e.Requests)
			require.EqualValues(t, good, r.count("ok"))
			n := len(r.shelf.chains)
			for i, c := range r.shelf.chains {
				require.Equal(t, i < n-1, c.dropped, "chain %d of %d", i+1, n)
			}
			for _, f := range r.fronts {
				require.Empty(t, f.old)
			}
		})
	}
}

// What is under way when the tape begins anew ends at the instance that sent it, and
// the fresh instance knows who has come and gone since the start.
func TestTapeBeginsAnewAmidWork(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	inside := make(chan struct{}, 8)
	slow := func(w http.ResponseWriter, in *http.Request) {
		if in.URL.Path == "/slow" {
			inside <- struct{}{}
			<-gate
		}
		ok(w, in)
	}
	urls := []string{backend(t, slow), backend(t, slow), backend(t, slow)}
	r := start(t, setup{targets: urls[:2], tape: 1 << 30, proxy: "proxy: {tape: {when_full: fresh}}\n"})
	t.Cleanup(open) // a test that fails must not wait for its own backend
	require.NoError(t, r.Reload(targetsOf(t, setup{targets: urls[1:], proxy: "proxy: {tape: {when_full: fresh}}\n"}, r.plan)))
	await.Until(t, "the third is known", func() bool {
		_, page := r.adminPage("/metrics")
		return strings.Contains(page, `{service="main",state="known"} 2`)
	})
	done := make(chan int, 1)
	go func() {
		resp, err := r.client.Get("http://" + r.Addr() + "/slow") //nolint:noctx // the test's own
		if err != nil {
			done <- 0
			return
		}
		_ = resp.Body.Close() // only the status counts
		done <- resp.StatusCode
	}()
	await.One(t, "the backend has the request", inside)
	f := r.fronts[0]
	r.renew(1)
	require.Equal(t, 2, r.chainsTotal())
	f.mu.Lock()
	old, known, out := len(f.old), f.life.fe.Fleet(0).Known(), f.life.fe.Fleet(0).OutstandingSum()
	f.mu.Unlock()
	require.Equal(t, []int{1, 2, 0}, []int{old, known, out})
	for range 20 {
		resp, _ := r.ask(http.MethodGet, "/x", "")
		require.Equal(t, 200, resp.StatusCode)
	}
	open()
	require.Equal(t, 200, await.One(t, "the answer", done))
	await.Until(t, "the old instance is gone", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.old) == 0
	})
	r.end()
	require.Len(t, r.shelf.chains, 2)
	require.True(t, r.shelf.chains[1].whole)
	require.NotEmpty(t, r.shelf.chains[1].streams["frontend/0.1"])
}

// A chain that cannot be begun leaves the tape ended, the proxy serving, and the last
// chain where it is.
func TestNoOtherChain(t *testing.T) {
	t.Parallel()
	r := start(t, setup{targets: []string{backend(t, ok)}, tape: 1, proxy: "proxy: {tape: {when_full: fresh}}\n"})
	full := errors.New("no space left")
	r.tapes.mu.Lock()
	r.tapes.open = func(int) (TapeWriter, error) { return nil, full }
	r.tapes.mu.Unlock()
	_, bad := r.crowd(4, r.tapeCut)
	require.Zero(t, bad)
	require.ErrorIs(t, r.end().Cut, full)
	require.False(t, r.shelf.chains[0].dropped)
}

// The replica half of a policy runs in the proxy where the backends have no room for
// it: idle replicas are found, and the tape has both halves.
func TestInferredHalf(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		policy string
		found  uint64 // of 60 requests, one at a time
	}{
		{"jiq", 59}, {"{name: jiq, reporting: sq, choices: 1, withdraw: true}", 59}, {"{name: retry, inner: jiq}", 59},
		{"jiq-amnesia", 59},
	} {
		t.Run(x.policy, func(t *testing.T) {
			t.Parallel()
			r := start(t, setup{policy: x.policy, service: "reporter: inferred,", targets: []string{backend(t, ok), backend(t, ok), backend(t, ok)}})
			require.Nil(t, r.ear, "nobody calls from outside")
			for range 60 {
				resp, _ := r.ask(http.MethodGet, "/x", "")
				require.Equal(t, 200, resp.StatusCode)
			}
			e := r.end()
			require.EqualValues(t, 60, e.Requests)
			require.EqualValues(t, 60, r.count("ok"))
			require.NotEmpty(t, r.shelf.chains[0].streams["replicas/main"])
			require.GreaterOrEqual(t, idleFound(t, r), x.found)
		})
	}
}

// idleFound is how many decisions came from the idle queue, as the policy counts them.
func idleFound(t *testing.T, r *rig) (n uint64) {
	t.Helper()
	var s balance.Stats
	r.fronts[0].mu.Lock()
	defer r.fronts[0].mu.Unlock()
	c, ok := r.fronts[0].life.fe.Balancer(0).(balance.Counted)
	require.True(t, ok)
	c.Stats(&s)
	for _, p := range s.Paths {
		if p.Name == "idle-queue" {
			n += p.N
		}
	}
	return n
}

// Where a backend knows no probes, those of a policy are answered from the half's own
// counts.
func TestInferredProbes(t *testing.T) {
	t.Parallel()
	inside, gate := make(chan struct{}, 8), make(chan struct{})
	url := backend(t, func(w http.ResponseWriter, in *http.Request) {
		switch in.URL.Path {
		case "/probe":
			http.NotFound(w, in)
		case "/x":
			inside <- struct{}{}
			<-gate
		}
	})
	r := start(t, setup{policy: "jiq", service: "reporter: inferred,", targets: []string{url}})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	asked := func() balance.Load {
		load, known := r.probe(&flow.Action{}, r.member(0, policies.Ref{}))
		require.True(t, known)
		return load
	}
	require.Equal(t, balance.Load{Slots: 1}, asked())
	first, second := r.background(t.Context(), "/x", ""), r.background(t.Context(), "/x", "")
	await.One(t, "the backend has a request", inside)
	await.One(t, "the backend has the other", inside)
	require.Equal(t, balance.Load{Running: 1, Queued: 1, Slots: 1}, asked())
	open()
	require.Equal(t, 200, await.One(t, "the answer", first))
	require.Equal(t, 200, await.One(t, "the other answer", second))
	require.Equal(t, balance.Load{Slots: 1}, asked())
}
