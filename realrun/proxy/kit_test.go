package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/realrun/spool"
	"taillab/reports"
	"taillab/scenarios"
)

func TestMain(m *testing.M) {
	// a server that closes a connection lingers for half a second by itself
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// rig is a proxy in front of scripted backends.
type rig struct {
	*Proxy
	t      testing.TB
	plan   *scenarios.Plan
	run    scenarios.Run
	col    *reports.Collector
	client *http.Client
	shelf  *shelf
	ended  bool
}

// shelf keeps the chains of a tape in memory, those that were dropped too.
type shelf struct {
	limit  int64 // of a chain; 0 = none
	mu     sync.Mutex
	chains []*chain
}

// chain is a TapeWriter.
type chain struct {
	limit   int64
	bytes   atomic.Int64
	streams map[string][]byte
	closed  int
	whole   bool
	dropped bool
}

func (s *shelf) open(n int) (TapeWriter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n != len(s.chains)+1 {
		return nil, fmt.Errorf("chain %d comes after %d", n, len(s.chains))
	}
	s.chains = append(s.chains, &chain{limit: s.limit, streams: map[string][]byte{}})
	return s.chains[n-1], nil
}

func (c *chain) Piece(stream string, data []byte) error {
	c.streams[stream] = append(c.streams[stream], data...)
	if n := c.bytes.Add(int64(len(data))); c.limit > 0 && n >= c.limit {
		return spool.ErrFull
	}
	return nil
}

func (c *chain) Close(whole bool) error {
	c.closed++
	c.whole = whole
	return nil
}

func (c *chain) Bytes() int64 { return c.bytes.Load() }

func (c *chain) Drop() error {
	c.dropped = true
	return nil
}

// setup is how a rig differs from the plain one.
type setup struct {
	policy   string // YAML; default p2c
	scenario string // further lines
	proxy    string // the block proxy
	service  string // further keys of service main, each ending in a comma
	targets  []string
	tape     int64 // limit of a chain; 0 = none
}

// backend serves until the test is over.
func backend(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// targetsOf writes and loads a targets file.
func targetsOf(t testing.TB, s setup, plan *scenarios.Plan) *scenarios.Targets {
	t.Helper()
	file := fmt.Sprintf("version: 1\nservices: {main: {%s targets: [%s]}}\n%s", s.service, strings.Join(s.targets, ", "), s.proxy)
	return targetsFile(t, file, plan)
}

func targetsFile(t testing.TB, file string, plan *scenarios.Plan) *scenarios.Targets {
	t.Helper()
	out, problems := scenarios.LoadTargets(scenarios.Source{Name: "targets.yaml", Data: []byte(file)}, scenarios.TargetOptions{Plan: plan})
	require.Empty(t, problems)
	return out
}

// planOf loads a scenario with one policy.
func planOf(t testing.TB, s setup) *scenarios.Plan {
	t.Helper()
	if s.policy == "" {
		s.policy = "p2c"
	}
	text := "version: 1\nname: proxied\nworkload: {demand: 5ms, arrivals: {poisson: {rate: 10/s}}}\nfleet: {replicas: 2}\npolicies: {balance: [" + s.policy + "]}\n" + s.scenario + "\n"
	plans, problems := scenarios.Load([]scenarios.Source{{Name: "s.yaml", Data: []byte(text)}}, scenarios.Options{Catalog: balance.Catalog(), Seed: 1, Seeds: 1})
	require.Empty(t, problems)
	return plans[0]
}

func start(t testing.TB, s setup) *rig {
	t.Helper()
	plan := planOf(t, s)
	r := &rig{t: t, plan: plan, run: planRun(plan), shelf: &shelf{limit: s.tape}}
	r.col = reports.NewCollector(Setup(r.run))
	p, err := Start(t.Context(), Config{Run: r.run, Targets: targetsOf(t, s, plan), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Collector: r.col, Tape: r.shelf.open})
	require.NoError(t, err)
	r.Proxy = p
	transport := &http.Transport{DisableCompression: true}
	r.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() { transport.CloseIdleConnections(); r.end() })
	return r
}

// end closes the proxy and holds it to what must be true of every run: requests are
// conserved, nothing is left inside, and the tape gives the same actions again.
func (r *rig) end() End {
	if r.ended {
		return End{}
	}
	e := r.close()
	r.check(e)
	return e
}

// close closes the proxy; from any goroutine.
func (r *rig) close() End {
	r.ended = true
	return r.Close(context.Background(), 5*time.Second)
}

// check holds a run to what must be true of every one.
func (r *rig) check(e End) {
	require.Equal(r.t, e.Requests, r.col.Requests(), "every request is in the summary")
	require.Equal(r.t, r.ids.Load(), uint64(e.Requests), "every request is closed exactly once")
	for _, f := range r.fronts {
		require.Zero(r.t, f.inside.Load())
		require.Zero(r.t, f.parked.Load())
	}
	require.NoError(r.t, r.col.Err())
	for _, c := range r.shelf.chains {
		require.Equal(r.t, 1, c.closed)
		r.replay(c)
	}
}

// replay feeds every stream of a chain to a fresh instance.
func (r *rig) replay(c *chain) {
	s := r.services[0]
	for name, data := range c.streams {
		var in flow.Replayed
		if name == "replicas/main" {
			dice := make([]rand.PCG, s.table.N)
			for k := range dice {
				dice[k] = chance.Stream(r.run.Seed, fmt.Sprintf("reporter/main/%d", k))
			}
			in.Replicas = flow.NewReplicas(r.run.Cell.Balancers[0].Make(), 0, 1, dice, nil)
		} else {
			var k int
			_, err := fmt.Sscanf(name, "frontend/%d.1", &k)
			require.NoError(r.t, err)
			in.FrontEnd = flow.New(r.config(r.run, k, nil))
		}
		res, err := flow.Replay(data, in)
		require.NoError(r.t, err)
		require.Nil(r.t, res.First, name)
		require.False(r.t, res.Truncated)
		require.Positive(r.t, res.Calls)
	}
}

// ask sends a request and reads the answer.
func (r *rig) ask(method, path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	req := r.request(r.t.Context(), method, path, body, header...)
	resp, err := r.client.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp, string(b)
}

func (r *rig) request(ctx context.Context, method, path, body string, header ...string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.Addr()+path, strings.NewReader(body))
	require.NoError(r.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// send posts a request and returns the status of its answer, once that has been read;
// from any goroutine.
func (r *rig) send(path, body string, header ...string) (int, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+r.Addr()+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// crowd sends requests from several clients at a time until stop says so, and returns
// how many were answered with 200 and how many were not.
func (r *rig) crowd(clients int, stop func() bool) (good, bad int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for !stop() {
				status, err := r.send("/x", "{}")
				mu.Lock()
				if err == nil && status == http.StatusOK {
					good++
				} else {
					bad++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return good, bad
}

// class is the outcome class in an error body of the proxy.
func class(t *testing.T, body string) string {
	t.Helper()
	var e struct {
		Error struct{ Class, Message string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &e), body)
	require.NotEmpty(t, e.Error.Message)
	return e.Error.Class
}

// count is how many requests ended as an outcome.
func (r *rig) count(outcome string) (n int64) {
	r.stats.mu.Lock()
	defer r.stats.mu.Unlock()
	for k, v := range r.stats.requests {
		if k.outcome.String() == outcome {
			n += v
		}
	}
	return n
}

// admin fetches a page of the admin address.
func (r *rig) adminPage(path string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.AdminAddr()+path, nil)
	require.NoError(r.t, err)
	resp, err := r.client.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp.StatusCode, string(bytes.TrimSpace(b))
}

// planRun is the one run of a plan.
func planRun(plan *scenarios.Plan) scenarios.Run {
	return scenarios.Run{Cell: plan.Cells[0], Seed: chance.RunSeed(1, 0)}
}
