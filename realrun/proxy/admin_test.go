package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/realrun/await"
	"taillab/realrun/wire"
	"taillab/scenarios"
	"taillab/workloads"
)

func TestAdmin(t *testing.T) {
	t.Parallel()
	url := backend(t, behaves)
	r := start(t, setup{targets: []string{url}, proxy: "proxy: {routes: [{tenant: {header: x-tenant}, class: {header: x-class}, deadline: {header: x-d}}]}"})
	for i := range 40 {
		r.ask(http.MethodGet, "/x", "", "x-tenant", fmt.Sprintf("t%02d", i), "x-class", "c\"1", "x-d", "zero")
	}
	r.ask(http.MethodGet, "/404", "", "x-tenant", "t00")
	code, page := r.adminPage("/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, row := range []string{
		`taillab_requests_total{service="main",class="c\"1",outcome="ok"} 40`,
		`taillab_requests_total{service="main",class="",outcome="http_4xx"} 1`,
		`taillab_tenant_requests_total{tenant="t00"} 2`,
		`taillab_tenant_requests_total{tenant="(other)"} 8`,
		`taillab_defaulted_fields_total{field="deadline"} 40`,
		`taillab_latency_seconds_count{service="main"} 41`,
		`taillab_latency_seconds_bucket{service="main",le="+Inf"} 41`,
		`taillab_policy_seconds_count 41`,
		`taillab_in_flight 0`,
		`taillab_parked{reason="later"} 0`,
		`taillab_outstanding{service="main",target="` + url + `"} 0`,
		`taillab_members{service="main",state="known"} 1`,
		`taillab_messages_total{kind="probe"} 0`,
	} {
		require.Contains(t, page+"\n", row+"\n")
	}
	require.Contains(t, page, "taillab_tape_bytes 0\n", "nothing has left the memory")
	require.Contains(t, page, "taillab_tape_chains_total 1\n")
	require.Contains(t, page, "taillab_tape_ended 0\n")
	require.NotContains(t, page, "taillab_report_age_seconds{", "nothing was told")
	require.Equal(t, 33, strings.Count(page, "\ntaillab_tenant_requests_total{"))
	form := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? [-+.e\d]+)$`)
	for _, line := range strings.Split(page, "\n") {
		require.Regexp(t, form, line)
	}

	code, page = r.adminPage("/healthz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok", page)
	_, page = r.adminPage("/summary.json")
	var m Minute
	require.NoError(t, json.Unmarshal([]byte(page), &m))
	require.EqualValues(t, 41, m.Requests)
	require.EqualValues(t, 40, m.Completed)
	require.Equal(t, map[string]int64{"http_4xx": 1}, m.Errors)
	require.Positive(t, *m.P99)
	_, page = r.ask(http.MethodGet, "/metrics", "")
	require.Equal(t, "ok", page, "clients never see it: this is the backend's answer")
}

func TestTheLastMinuteForgets(t *testing.T) {
	t.Parallel()
	s := newStats(&Proxy{base: time.Now()}, nil)
	s.p.stats = s
	for at := range int64(200) {
		s.book(&record{arrived: time.Duration(at) * time.Second, latency: time.Millisecond})
	}
	for i := range s.ring {
		require.EqualValues(t, 1, s.ring[i].outcomes[policies.OK])
		require.Greater(t, s.ring[i].at, int64(140))
	}
}

// reload takes over targets.
func (r *rig) reload(s setup) error { return r.Reload(targetsOf(r.t, s, r.plan)) }

func TestReload(t *testing.T) {
	t.Parallel()
	var hits [3]atomic.Int64
	urls := make([]string, 3)
	for i := range urls {
		urls[i] = backend(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				hits[i].Add(1)
			}
			ok(w, r)
		})
	}
	r := start(t, setup{targets: urls[:2], policy: "round-robin"})
	goes := func(want ...bool) {
		t.Helper()
		var before [3]int64
		for i := range hits {
			before[i] = hits[i].Load()
		}
		for range 12 {
			resp, _ := r.ask(http.MethodPost, "/x", "b")
			require.Equal(t, 200, resp.StatusCode)
		}
		for i := range hits {
			require.Equal(t, want[i], hits[i].Load() > before[i], "target %d", i)
		}
	}
	member := func(n int) func() bool {
		return func() bool {
			r.fronts[0].mu.Lock()
			defer r.fronts[0].mu.Unlock()
			return r.fronts[0].life.fe.Fleet(0).Known() == n
		}
	}
	goes(true, true, false)
	require.NoError(t, r.reload(setup{targets: urls}))
	await.Until(t, "added after its ready check", member(3))
	goes(true, true, true)
	require.NoError(t, r.reload(setup{targets: urls[1:]}))
	await.Until(t, "removed", member(2))
	goes(false, true, true)
	require.NoError(t, r.reload(setup{targets: urls, service: "headers: {x-a: b},"}))
	await.Until(t, "back as a new life of its number", member(3))
	require.Equal(t, policies.Ref{ID: 0, Inc: 1}, r.services[0].members[0].ref())
	goes(true, true, true)

	for _, bad := range []setup{
		{targets: []string{"{url: '" + urls[0] + "', weight: 2}"}},
		{targets: []string{"{url: '" + urls[0] + "', slots: 2}"}},
		{targets: []string{"{url: '" + urls[0] + "', labels: {a: b}}"}},
	} {
		require.ErrorContains(t, r.reload(bad), "restart")
	}
	for what, file := range map[string]string{
		"proxy.tape":             "services: {main: {targets: ['" + urls[0] + "']}}\nproxy: {tape: {limit: 1MiB}}",
		"frontends.listen":       "services: {main: {targets: ['" + urls[0] + "']}}\nfrontends: {listen: '127.0.0.1:9'}",
		"services.main.reporter": "services: {main: {reporter: replica, targets: ['" + urls[0] + "']}}",
	} {
		require.ErrorContains(t, r.Reload(targetsFile(t, "version: 1\n"+file, r.plan)), what+" has changed: that needs a restart")
	}
	other := targetsOf(t, setup{targets: urls}, r.plan)
	other.Services = append(other.Services, scenarios.TargetService{Name: "more"})
	require.ErrorContains(t, r.Reload(other), "services.more has changed: that needs a restart")
	many := []string{}
	for i := range 40 {
		many = append(many, fmt.Sprintf("http://127.0.0.1:%d", 20_000+i))
	}
	require.ErrorContains(t, r.reload(setup{targets: many}), "room for 18 targets")
	goes(true, true, true)

	require.NoError(t, r.reload(setup{targets: urls, proxy: "proxy: {routes: [{match: {path: /only}}]}"}))
	resp, _ := r.ask(http.MethodGet, "/x", "")
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "routes count from the next request on")
}

// A member that goes while it works may end its work, and is removed after it.
func TestReloadLetsWorkEnd(t *testing.T) {
	t.Parallel()
	url, entered, release := blocked(t)
	r := start(t, setup{targets: []string{url}})
	out := r.background(t.Context(), "/x", "b")
	await.One(t, "the backend has the request", entered)
	require.NoError(t, r.reload(setup{targets: []string{backend(t, ok)}}))
	await.Until(t, "the new one serves", func() bool { resp, _ := r.ask(http.MethodGet, "/y", ""); return resp.StatusCode == 200 })
	r.fronts[0].mu.Lock()
	draining := len(r.fronts[0].drain[0])
	r.fronts[0].mu.Unlock()
	require.Equal(t, 1, draining)
	release()
	require.Equal(t, 200, await.One(t, "the answer", out))
	await.Until(t, "removed", func() bool {
		r.fronts[0].mu.Lock()
		defer r.fronts[0].mu.Unlock()
		return len(r.fronts[0].drain[0]) == 0 && r.fronts[0].life.fe.Fleet(0).Known() == 1
	})
}

// Nothing is lost while members come and go under load.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	urls := []string{backend(t, ok), backend(t, ok), backend(t, ok)}
	r := start(t, setup{targets: urls, scenario: "frontends: {count: 2}"})
	var stop atomic.Bool
	bad := make(chan int, 1)
	go func() {
		_, n := r.crowd(3, stop.Load)
		bad <- n
	}()
	t.Cleanup(func() { stop.Store(true) }) // also when a reload fails
	for i := range 1_000 {
		require.NoError(t, r.reload(setup{targets: urls[i%2 : 2+i%2]}))
	}
	stop.Store(true)
	require.Zero(t, await.One(t, "the clients are done", bad))
}

func TestMembersFromAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "members.txt")
	a, b := backend(t, ok), backend(t, ok)
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(a + "\n")
	s := setup{service: "source: {file: '" + file + "', every: 2ms}"}
	plan := planOf(t, s)
	out := targetsFile(t, "version: 1\nservices: {main: {"+s.service+"}}\n", plan)
	p, err := Start(t.Context(), Config{Run: planRun(plan), Targets: out, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0"})
	require.NoError(t, err)
	defer p.Close(t.Context(), time.Second)
	known := func() int {
		p.fronts[0].mu.Lock()
		defer p.fronts[0].mu.Unlock()
		return p.fronts[0].life.fe.Fleet(0).Known()
	}
	require.Equal(t, 1, known())
	write(a + "\nnonsense\n" + b + "\n")
	await.Until(t, "a bad line changes nothing", func() bool { return p.stats.sources.Load() > 0 })
	require.Equal(t, 1, known())
	write(a + "\n" + b + "\n")
	await.Until(t, "two members", func() bool { return known() == 2 })
}

// A member that misses its health checks is removed, and comes back as a new life.
func TestHealthChecks(t *testing.T) {
	t.Parallel()
	var sick atomic.Bool
	a := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	r := start(t, setup{targets: []string{a, backend(t, ok)}, scenario: "discovery: {detect: health, period: 2ms, misses: 2}"})
	known := func(n int) func() bool {
		return func() bool {
			r.fronts[0].mu.Lock()
			defer r.fronts[0].mu.Unlock()
			return r.fronts[0].life.fe.Fleet(0).Known() == n
		}
	}
	sick.Store(true)
	await.Until(t, "removed", known(1))
	sick.Store(false)
	await.Until(t, "back", known(2))
	r.change.Lock()
	defer r.change.Unlock()
	require.EqualValues(t, 1, r.services[0].members[0].inc)
}

// The two halves of a policy reach each other through the proxy.
func TestReplicaHalves(t *testing.T) {
	t.Parallel()
	begun := make(chan wire.Start, 4)
	told := make(chan wire.Envelope, 64)
	half := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case wire.PathRun:
			var s wire.Start
			_ = json.NewDecoder(r.Body).Decode(&s)
			w.WriteHeader(http.StatusNoContent)
			begun <- s
		case wire.PathMsg:
			b, _ := io.ReadAll(r.Body)
			e, err := wire.DecodeEnvelope(b)
			if err == nil {
				told <- e
			}
			w.WriteHeader(http.StatusNoContent)
		default:
			ok(w, r)
		}
	}
	r := start(t, setup{targets: []string{backend(t, half), backend(t, half)}, policy: "jiq", service: "reporter: replica,"})
	s := await.One(t, "a half is begun", begun)
	require.Equal(t, "jiq", s.Policy)
	require.Equal(t, r.name, s.Run)
	require.Equal(t, []string{r.earURL}, s.FrontEnds)
	post := func(body string) int {
		resp, err := r.client.Post(r.earURL+wire.PathMsg, "application/json", strings.NewReader(body)) //nolint:noctx // the test's own
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, 204, post(fmt.Sprintf(`{"run":%q,"service":"main","from":"r1","to":"f0","msgs":[[1,0,1,0,1]]}`, r.name)))
	require.Equal(t, 409, post(`{"run":"x","service":"main","from":"r1","to":"f0","msgs":[[1,0,2,0,1]]}`))
	require.Equal(t, 400, post(`nonsense`))
	require.EqualValues(t, 1, r.stats.heard.Load())
	require.EqualValues(t, 2, r.stats.badMsgs.Load())
	resp, _ := r.ask(http.MethodGet, "/x", "")
	require.Equal(t, 200, resp.StatusCode)
}

func TestSplit(t *testing.T) {
	t.Parallel()
	count := func(f workloads.Frontends) (n [4]int) {
		s := newSplit(f)
		for h := range uint64(4000) {
			n[s.pick(h)]++
		}
		return n
	}
	// Binomial, n = 4000: six standard deviations; one false alarm in 10⁸.
	for _, n := range count(workloads.Frontends{Count: 4, Split: "uniform"}) {
		require.InDelta(t, 1000, n, 170)
	}
	for _, n := range count(workloads.Frontends{Count: 4, Split: "sticky"}) {
		require.InDelta(t, 1000, n, 170)
	}
	n := count(workloads.Frontends{Count: 4, Split: "skewed", Skew: 1})
	for i, want := range []float64{1920, 960, 640, 480} { // 1/i over 25/12
		require.InDelta(t, want, n[i], 200)
	}
	s := newSplit(workloads.Frontends{Count: 4, Split: "sticky"})
	require.Equal(t, s.pick(77), s.pick(77))
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for o, want := range map[policies.Outcome]int{policies.Rejected: 429, policies.Shed: 503, policies.QueueFull: 503, policies.NoReplica: 503,
		policies.HoldTimeout: 504, policies.DeadlineHit: 504, policies.Refused: 502, policies.DialTimeout: 502, policies.Reset: 502} {
		require.Equal(t, want, statusOf(o), o)
		w := httptest.NewRecorder()
		refuse(w, statusOf(o), o.String(), about(o), retryAfter(o))
		require.Equal(t, o.String(), class(t, w.Body.String()))
		require.Equal(t, o == policies.Rejected || o == policies.Shed || o == policies.QueueFull, w.Header().Get("Retry-After") == "1", o)
	}
}

// How old what a target told of its load is can be seen, for targets that told.
func TestReportAge(t *testing.T) {
	t.Parallel()
	tells := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderLoad, "TEXT named_metrics.rif=3, named_metrics.slots=4")
		ok(w, r)
	})
	r := start(t, setup{targets: []string{tells, backend(t, ok)}, policy: "round-robin", scenario: "frontends: {count: 2}"})
	for range 8 {
		r.ask(http.MethodGet, "/x", "")
	}
	_, page := r.adminPage("/metrics")
	require.Regexp(t, regexp.QuoteMeta(`taillab_report_age_seconds{service="main",target="`+tells+`"} `)+`[-+.e\d]+\n`, page)
	require.Equal(t, 1, strings.Count(page, "\ntaillab_report_age_seconds{"))
}
