package emulator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/await"
	"taillab/realrun/wire"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// world is a fleet and a client without hidden retries.
type world struct {
	t      *testing.T
	fleet  *Fleet
	url    string
	client *http.Client
}

func start(t *testing.T, c Config) *world {
	t.Helper()
	if c.Replicas == nil {
		c.Replicas = []Replica{{Model: model(t, nil)}}
	}
	f, err := Start(context.Background(), c)
	require.NoError(t, err)
	w := &world{t: t, fleet: f, url: f.URLs()[0], client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		require.NoError(t, f.Close())
	})
	return w
}

// do sends a request, from any goroutine; the body is one that no transport sends twice.
func (w *world) do(ctx context.Context, method, path, body string, headers ...string) (*http.Response, error) {
	return w.to(ctx, method, w.url+path, body, headers...)
}

// to is do with a whole address.
func (w *world) to(ctx context.Context, method, url, body string, headers ...string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, url, io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	return w.client.Do(q)
}

// reply is what became of a request that was sent in the background.
type reply struct {
	status int
	header http.Header
	err    error
}

// send sends a request and reads its answer, from any goroutine.
func (w *world) send(ctx context.Context, method, url, body string, headers ...string) (a reply) {
	res, err := w.to(ctx, method, url, body, headers...)
	if err != nil {
		return reply{err: err}
	}
	_, err = io.Copy(io.Discard, res.Body)
	return reply{res.StatusCode, res.Header, errors.Join(err, res.Body.Close())}
}

// background sends a request whose reply comes when it does.
func (w *world) background(path string, headers ...string) <-chan reply {
	out := make(chan reply, 1)
	go func() { out <- w.send(context.Background(), http.MethodPost, w.url+path, "{}", headers...) }()
	return out
}

func (w *world) call(method, path, body string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	res, err := w.do(context.Background(), method, path, body, headers...)
	require.NoError(w.t, err)
	data, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	return res, string(data)
}

// until waits for something that happens on its own.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	await.Until(t, "it happens on its own", ok)
}

// hold keeps n requests inside that do not end before release.
func (w *world) hold(n int) (release func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ends := make(chan error, n)
	for range n {
		go func() {
			_, err := w.do(ctx, "POST", "/", "", wire.HeaderDemand, "3600000000000")
			ends <- err
		}()
	}
	w.t.Cleanup(cancel) // also when the test fails
	until(w.t, func() bool { return w.inside() == n })
	return func() {
		cancel()
		for range n {
			require.ErrorIs(w.t, await.One(w.t, "a request ends", ends), context.Canceled)
		}
		until(w.t, func() bool { return w.inside() == 0 })
	}
}

func (w *world) inside() int {
	r := w.fleet.replicas[0]
	r.mu.Lock()
	defer r.mu.Unlock()
	running, queued := r.core.pool.Load(0)
	return running + queued
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	w := start(t, Config{Name: "m"})
	demand := []string{wire.HeaderDemand, "1000000", wire.HeaderFrontEnd, "f0"}
	for _, c := range []struct{ path, body, want string }{
		{"/", `{"input": 3, "output": 4}`, `"input":3`},
		{"/", `three words here`, `"input":3`},
		{"/", "", `"output":1`},
		{"/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"a b c"},{"content":[{"type":"text","text":"d e"}]}],"max_tokens":2}`, `"usage":{"completion_tokens":2,"prompt_tokens":5,"total_tokens":7}`},
		{"/v1/completions", `{"prompt":["a b",[1,2,3]]}`, `"usage":{"completion_tokens":16,"prompt_tokens":5,"total_tokens":21}`},
		{"/v2/models/bert/infer", `{"id":"7","inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a b c"]}],"parameters":{"max_tokens":2}}`, `"model_name":"bert"`},
	} {
		res, body := w.call("POST", c.path, c.body, demand...)
		require.Equal(t, http.StatusOK, res.StatusCode, body)
		require.Contains(t, body, c.want)
		ns, err := strconv.ParseInt(res.Header.Get(wire.HeaderServer), 10, 64)
		require.NoError(t, err)
		require.Equal(t, int64(time.Millisecond), ns, "the time inside is exact")
		require.Equal(t, "0 0 1000000", res.Header.Get(HeaderSteps))
	}
	for _, path := range []string{"/", "/health", "/v2/health/ready", "/v2/health/live", "/v2/models/m/ready"} {
		res, _ := w.call("GET", path, "")
		require.Equal(t, http.StatusOK, res.StatusCode, path)
	}
	res, body := w.call("GET", "/truth", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	var truth truthJSON
	require.NoError(t, json.Unmarshal([]byte(body), &truth))
	require.Equal(t, int64(6), truth.Requests)
	require.GreaterOrEqual(t, truth.P50MS, 1.0)
	require.Equal(t, int64(6), w.fleet.Truth().Count())
	require.Equal(t, uint64(6), w.fleet.Counters().Outcomes[policies.OK])
}

func TestBadRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := start(t, Config{})
	for _, c := range []struct{ path, body, header, value, says string }{
		{"/v1/chat/completions", `{`, "", "", "cannot be read"},
		{"/v1/chat/completions", `{"messages":[]}`, "", "", "messages is empty"},
		{"/v1/completions", `{}`, "", "", "prompt is missing"},
		{"/v1/completions", `{"prompt":"x","max_tokens":0}`, "", "", "max_tokens is 0"},
		{"/v2/models/m/infer", `[]`, "", "", "cannot be read"},
		{"/v2/models/m/infer", `{"parameters":{"max_tokens":-1}}`, "", "", "max_tokens is -1"},
		{"/", `{"output": 4000000000}`, "", "", "at most"},
		{"/", ``, wire.HeaderDemand, "-5", wire.HeaderDemand},
		{"/", ``, wire.HeaderInput, "many", wire.HeaderInput},
		{"/", ``, wire.HeaderNoise, "NaN", wire.HeaderNoise},
		{"/", ``, HeaderPriority, "300", HeaderPriority},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{c.header, c.value}
		}
		res, body := w.call("POST", c.path, c.body, headers...)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, body)
		require.Contains(t, body, c.says)
	}
	res, _ := w.call("POST", "/", strings.Repeat("x", maxBody+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	res, _ = w.call("POST", "/nowhere", "")
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	require.Zero(t, w.fleet.Truth().Count())
}

func tokens(t testing.TB) *gpu.Model {
	return model(t, func(s *gpu.Spec) {
		*s = gpu.Defaults(gpu.Tokens)
		s.Slots, s.Step.Base, s.Prefill.Floor, s.Noise.Sigma, s.MaxModelLen = 4, gpu.Of(2*ms), gpu.Of(5*ms), 0, 100
	})
}

func TestStreamPacesTokens(t *testing.T) {
	t.Parallel()
	w := start(t, Config{Replicas: []Replica{{Model: tokens(t)}}})
	for _, path := range []string{"/v1/chat/completions", "/v1/completions"} {
		res, err := w.do(context.Background(), "POST", path,
			`{"model":"x","prompt":"a b","messages":[{"content":"a b"}],"max_tokens":8,"stream":true,"stream_options":{"include_usage":true}}`)
		require.NoError(t, err)
		require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
		got, frames, usage, done := 0, 0, "", false
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				require.Empty(t, lines.Text())
				continue
			}
			require.False(t, done, "nothing follows [DONE]")
			if data == "[DONE]" {
				done = true
				continue
			}
			if n := strings.Count(data, "token "); n > 0 {
				got += n
				frames++
			}
			if strings.Contains(data, `"usage":`) {
				usage = data
			}
		}
		require.NoError(t, lines.Err())
		require.NoError(t, res.Body.Close())
		require.True(t, done)
		require.Equal(t, 8, got)
		require.Greater(t, frames, 1, "tokens come one by one")
		require.Contains(t, usage, `"completion_tokens":8`)
		require.Contains(t, usage, `"choices":[]`)
		require.Equal(t, strconv.Itoa(int(21*ms)), res.Trailer.Get(wire.HeaderServer))
	}
}

func TestRejections(t *testing.T) {
	t.Parallel()
	w := start(t, Config{Replicas: []Replica{{Model: model(t, func(s *gpu.Spec) { s.QueueLimit = 0 })}}})
	defer w.hold(1)()
	res, _ := w.call("POST", "/", "", wire.HeaderDemand, "1")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, "queue_full", res.Header.Get(wire.HeaderClass))

	w = start(t, Config{Replicas: []Replica{{Model: tokens(t)}}})
	for _, stream := range []string{"true", "false"} {
		res, _ = w.call("POST", "/v1/completions", `{"prompt":"a","max_tokens":500,"stream":`+stream+`}`)
		require.Equal(t, http.StatusBadRequest, res.StatusCode)
		require.Equal(t, "too_long", res.Header.Get(wire.HeaderClass))
	}

	w = start(t, Config{Replicas: []Replica{{Model: model(t, func(s *gpu.Spec) { s.QueueTimeout = 10 * ms })}}})
	defer w.hold(1)()
	res, _ = w.call("POST", "/", "", wire.HeaderDemand, "1")
	require.Equal(t, http.StatusGatewayTimeout, res.StatusCode)
	require.Equal(t, "deadline", res.Header.Get(wire.HeaderClass))
}

func TestClientThatLeavesIsCancelled(t *testing.T) {
	t.Parallel()
	w := start(t, Config{Replicas: []Replica{{Model: model(t, nil)}}})
	for _, path := range []string{"/", "/v1/completions"} {
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := w.do(ctx, "POST", path, `{"prompt":"a","stream":true}`, wire.HeaderDemand, "3600000000000")
			left <- err
		}()
		until(t, func() bool { return w.inside() == 1 })
		cancel()
		require.ErrorIs(t, await.One(t, "the request ends", left), context.Canceled)
		until(t, func() bool { return w.inside() == 0 })
	}
	require.Equal(t, uint64(2), w.fleet.Counters().Outcomes[policies.Cancelled])
}

func TestCrashRefusesAndComesBack(t *testing.T) {
	t.Parallel()
	w := start(t, Config{})
	failed := make(chan error, 1)
	go func() {
		res, err := w.do(context.Background(), "POST", "/", "", wire.HeaderDemand, "3600000000000")
		if err == nil {
			err = res.Body.Close()
		}
		failed <- err
	}()
	until(t, func() bool { return w.inside() == 1 })
	require.NoError(t, w.fleet.Fault(0, scenarios.FaultCrash, 0, 0, 0, true))
	require.ErrorIs(t, await.One(t, "the request fails", failed), syscall.ECONNRESET)
	_, err := w.do(context.Background(), "GET", "/health", "")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoError(t, w.fleet.Fault(0, scenarios.FaultCrash, 0, 0, 0, false))
	var body string
	until(t, func() bool {
		res, err := w.do(context.Background(), "GET", "/health", "")
		if err != nil {
			return false
		}
		data, err := io.ReadAll(res.Body)
		body = string(data)
		return errors.Join(err, res.Body.Close()) == nil
	})
	require.Contains(t, body, `"inc":1`)
	res, _ := w.call("POST", "/", "", wire.HeaderDemand, "1000")
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestRefuseAndReset(t *testing.T) {
	t.Parallel()
	w := start(t, Config{})
	w.call("POST", "/", "", wire.HeaderDemand, "1000") // leaves a connection
	require.NoError(t, w.fleet.Fault(-1, scenarios.FaultRefuse, 0, 0, 1, true))
	until(t, func() bool { // the client may still hold what was just reset
		_, err := w.do(context.Background(), "POST", "/", "", wire.HeaderDemand, "1000")
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	require.NoError(t, w.fleet.Fault(-1, scenarios.FaultRefuse, 0, 0, 1, false))
	until(t, func() bool {
		res, err := w.do(context.Background(), "GET", "/health", "")
		return err == nil && res.Body.Close() == nil
	})
	require.NoError(t, w.fleet.Fault(0, scenarios.FaultReset, 0, 0, 1, true))
	_, err := w.do(context.Background(), "POST", "/", "", wire.HeaderDemand, "1000")
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.NoError(t, w.fleet.Fault(0, scenarios.FaultReset, 0, 0, 1, false))
	res, _ := w.call("POST", "/", "", wire.HeaderDemand, "1000")
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestErrorFreezeAndStall(t *testing.T) {
	t.Parallel()
	w := start(t, Config{})
	require.NoError(t, w.fleet.Apply(0, &scenarios.Fault{Kind: scenarios.FaultError, Code: 429, Share: 1}, true))
	res, _ := w.call("POST", "/", "")
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	require.NoError(t, w.fleet.Apply(0, &scenarios.Fault{Kind: scenarios.FaultError, Code: 429, Share: 1}, false))

	require.NoError(t, w.fleet.Fault(0, scenarios.FaultFreeze, 0, 0, 0, true))
	ctx, cancel := context.WithTimeout(context.Background(), 50*ms)
	defer cancel()
	for _, path := range []string{"/probe", "/health", "/metrics", "/truth"} {
		_, err := w.do(ctx, "GET", path, "")
		require.ErrorIs(t, err, context.DeadlineExceeded, path)
	}
	thawed := w.background("/", wire.HeaderDemand, "1000")
	until(t, func() bool { return w.inside() == 1 })
	require.NoError(t, w.fleet.Fault(0, scenarios.FaultFreeze, 0, 0, 0, false))
	require.Equal(t, http.StatusOK, await.One(t, "the answer", thawed).status)

	require.NoError(t, w.fleet.Fault(0, FaultStall, 0, 0, 0, true))
	for _, c := range []struct{ path, body string }{{"/", ""}, {"/v1/completions", `{"prompt":"a","stream":true}`}} {
		res, err := w.do(context.Background(), "POST", c.path, c.body, wire.HeaderDemand, "1000")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode)
		one := make([]byte, 1)
		_, err = io.ReadFull(res.Body, one)
		require.NoError(t, err, "the reply begins")
		whole := make(chan string, 1)
		go func() {
			data, _ := io.ReadAll(res.Body)
			whole <- string(data)
		}()
		select {
		case <-whole:
			require.Fail(t, "the reply went on")
		case <-time.After(30 * ms):
		}
		require.NoError(t, w.fleet.Fault(0, FaultStall, 0, 0, 0, false))
		require.NotEmpty(t, await.One(t, "the rest of the answer", whole))
		require.NoError(t, res.Body.Close())
		require.NoError(t, w.fleet.Fault(0, FaultStall, 0, 0, 0, true))
	}
}

func TestFaultsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := start(t, Config{})
	for want, err := range map[string]error{
		"no fault called":     w.fleet.Fault(0, "explode", 0, 0, 0, true),
		"there is no replica": w.fleet.Fault(1, "freeze", 0, 0, 0, true),
		"needs a factor":      w.fleet.Fault(0, "slow", 0, 0, 0, true),
		"code of an error":    w.fleet.Fault(0, "error", 0, 200, 0, true),
		"share is 2":          w.fleet.Fault(0, "reset", 0, 0, 2, true),
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestLoadIsTold(t *testing.T) {
	t.Parallel()
	w := start(t, Config{ORCA: ORCAJSON, Replicas: []Replica{{Model: model(t, func(s *gpu.Spec) { s.Slots = 2 })}}})
	res, body := w.call("GET", "/probe", "", "endpoint-load-metrics-format", "text")
	require.True(t, strings.HasPrefix(res.Header.Get(wire.HeaderLoad), "TEXT named_metrics.rif=0, "), res.Header.Get(wire.HeaderLoad))
	require.Equal(t, balance.Load{Slots: 2}, loadIn(t, res))
	require.JSONEq(t, `{"inc":0,"rif":0,"idle_slots":2,"latency_s":0}`, body)
	release := w.hold(3)
	res, _ = w.call("GET", "/probe", "")
	require.Equal(t, balance.Load{Running: 2, Queued: 1, Slots: 2}, loadIn(t, res))
	_, body = w.call("GET", "/metrics", "")
	require.Contains(t, body, `vllm:num_requests_running{model_name="emulated"} 2`)
	require.Contains(t, body, `vllm:num_requests_waiting{model_name="emulated"} 1`)
	release()
	res, _ = w.call("POST", "/", "", wire.HeaderDemand, "1000")
	require.True(t, strings.HasPrefix(res.Header.Get(wire.HeaderLoad), "JSON {"))
	require.NotZero(t, loadIn(t, res).LatencyEst, "it has seen a request end")
}

// loadIn is the load that a driver reads in a reply.
func loadIn(t *testing.T, res *http.Response) balance.Load {
	t.Helper()
	r, err := wire.ParseORCA(res.Header.Get(wire.HeaderLoad))
	require.NoError(t, err)
	l, ok := r.Load()
	require.True(t, ok)
	return l
}

// ears is a front end that hears.
func ears(t *testing.T, run string) (url string, heard func() []wire.Envelope) {
	t.Helper()
	var mu sync.Mutex
	var list []wire.Envelope
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		e, err := wire.Receive(w, q, run)
		if err != nil {
			return
		}
		mu.Lock()
		list = append(list, e)
		mu.Unlock()
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []wire.Envelope {
		mu.Lock()
		defer mu.Unlock()
		return append([]wire.Envelope(nil), list...)
	}
}

func TestMessagesBothWays(t *testing.T) {
	t.Parallel()
	url, heard := ears(t, "x")
	w := start(t, Config{Run: "x", Count: 1, Half: func() balance.Balancer { return policy(t, "jiq-amnesia") }})
	w.fleet.SetFrontEnds([]string{url})
	until(t, func() bool { return len(heard()) > 0 })
	e := heard()[0]
	require.Equal(t, []string{"x", "main", "r0", "f0"}, []string{e.Run, e.Service, e.From, e.To})

	post := func(body string) int {
		res, _ := w.call("POST", wire.PathMsg, body)
		return res.StatusCode
	}
	require.Equal(t, 204, post(`{"run":"x","service":"main","from":"f0","to":"r0","msgs":[[5,0,1,0,0]]}`))
	require.Equal(t, 409, post(`{"run":"y","service":"main","from":"f0","to":"r0","msgs":[]}`))
	for _, bad := range []string{`{"run":"x","service":"other","from":"f0","to":"r0","msgs":[]}`, `{"run":"x","service":"main","from":"f0","to":"r1","msgs":[]}`,
		`{"run":"x","service":"main","from":"f1","to":"r0","msgs":[]}`, `{"run":"x","service":"main","from":"f0","to":"r0","msgs":[[0,0,0,0,0]]}`, `no`} {
		require.Equal(t, 400, post(bad), bad)
	}
	n := w.fleet.Counters()
	require.Equal(t, uint64(5), n.Bad)
	require.Equal(t, uint64(1), n.WrongRun)
	w.call("POST", "/", "", wire.HeaderDemand, "1000", wire.HeaderFrontEnd, "f0", wire.HeaderMsg, "garbage")
	require.Equal(t, uint64(6), w.fleet.Counters().Bad, "the request is served all the same")

	next, heardNext := ears(t, "z")
	begin, err := json.Marshal(wire.Start{Run: "z", Service: "chat", Replica: 17, Incarnation: 4, Policy: "any", FrontEnds: []string{next}, Seed: 5})
	require.NoError(t, err)
	res, body := w.call("PUT", wire.PathRun, string(begin))
	require.Equal(t, 204, res.StatusCode, body)
	require.Equal(t, 409, post(`{"run":"x","service":"main","from":"f0","to":"r0","msgs":[]}`))
	until(t, func() bool {
		list := heardNext()
		return len(list) > 0 && list[0].Service == "chat" && list[0].From == "r17" && list[0].Msgs[0].Inc == 4
	})
	for _, bad := range []string{``, `{}`, `{"run":"z","frontends":[]}`, `{"run":"z","replica":99999999,"frontends":["u"]}`, `{"run":"z","frontends":["u"],"more":1}`} {
		res, _ := w.call("PUT", wire.PathRun, bad)
		require.Equal(t, 400, res.StatusCode, bad)
	}
}

func TestIdleRidesOnTheReply(t *testing.T) {
	t.Parallel()
	w := start(t, Config{Run: "x", Count: 1, Half: func() balance.Balancer {
		j := policy(t, "jiq").(*balance.JIQ)
		j.Choices = 1
		return j
	}})
	res, _ := w.call("POST", "/", "", wire.HeaderDemand, "1000", wire.HeaderFrontEnd, "f0")
	msgs, err := wire.ParseMsgs(res.Header.Get(wire.HeaderMsg))
	require.NoError(t, err)
	require.Equal(t, balance.MsgIdle, msgs[0].Kind)
	res, _ = w.call("POST", "/", "", wire.HeaderDemand, "1000")
	require.Empty(t, res.Header.Get(wire.HeaderMsg), "nobody to hear it")
}

func TestUnreachableFrontEndCostsNothing(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + ln.Addr().String()
	require.NoError(t, ln.Close())
	w := start(t, Config{FrontEnds: []string{url}, Half: func() balance.Balancer { return policy(t, "jiq-amnesia") }})
	until(t, func() bool { return w.fleet.Counters().Failed > 0 })
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	m := model(t, nil)
	for want, c := range map[string]Config{
		"at least 1 replica": {},
		"has no model":       {Replicas: []Replica{{}}},
		"speed is -1":        {Replicas: []Replica{{Model: m, Speed: -1}}},
		"loss is 1":          {Replicas: []Replica{{Model: m}}, Loss: 1},
		"ORCA format":        {Replicas: []Replica{{Model: m}}, ORCA: "BIN"},
		"listen address":     {Replicas: []Replica{{Model: m}}, Listen: "nowhere"},
		"do not exist":       {Replicas: []Replica{{Model: m}, {Model: m}}, Listen: "127.0.0.1:65535"},
	} {
		_, err := Start(context.Background(), c)
		require.ErrorContains(t, err, want)
	}
	w := start(t, Config{})
	_, err := Start(context.Background(), Config{Replicas: []Replica{{Model: m}}, Listen: strings.TrimPrefix(w.url, "http://")})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

func TestContextEndsTheFleet(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	f, err := Start(ctx, Config{Replicas: []Replica{{Model: model(t, nil)}, {Model: model(t, nil)}}})
	require.NoError(t, err)
	cancel()
	await.One(t, "the fleet is closed", f.closed)
	require.NoError(t, f.Close())
}

// TestCloseLetsRepliesEnd: what ends within the grace is answered, the rest reset.
func TestCloseLetsRepliesEnd(t *testing.T) {
	t.Parallel()
	w := start(t, Config{Replicas: []Replica{{Model: model(t, func(s *gpu.Spec) { s.Slots = 2 })}}})
	short, long := make(chan error, 1), make(chan error, 1)
	send := func(demand string, to chan error) {
		res, err := w.do(context.Background(), "POST", "/", "", wire.HeaderDemand, demand)
		if err == nil {
			err = res.Body.Close()
		}
		to <- err
	}
	go send("100000000", short)
	go send("3600000000000", long)
	until(t, func() bool { return w.inside() == 2 })
	require.NoError(t, w.fleet.Close())
	require.NoError(t, await.One(t, "the short answer", short))
	require.Error(t, await.One(t, "the long one fails", long))
}

// TestCrowd shakes one replica from many sides; the race detector looks on.
func TestCrowd(t *testing.T) {
	t.Parallel()
	url, _ := ears(t, "")
	w := start(t, Config{FrontEnds: []string{url, url}, Half: func() balance.Balancer { return policy(t, "jiq-amnesia") },
		Replicas: []Replica{{Model: model(t, func(s *gpu.Spec) { s.Slots = 3 })}, {Model: tokens(t)}}, Loss: 0.1, Duplicate: 0.1,
		Delay: func() time.Duration { return ms / 2 }})
	urls := w.fleet.URLs()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for k := range 20 {
				ctx, cancel := context.WithTimeout(context.Background(), 20*ms)
				w.send(ctx, "POST", urls[(i+k)%2]+"/v1/completions", `{"prompt":"a b","max_tokens":4,"stream":`+strconv.FormatBool(k%2 == 0)+`}`,
					wire.HeaderFrontEnd, "f"+strconv.Itoa(i%2))
				cancel()
			}
		})
	}
	refused := make(chan error, 1)
	wg.Go(func() {
		var all error
		for range 10 {
			for _, kind := range []string{"freeze", "crash", "slow", "refuse", "stall_stream", "drop_report", "delay_report", "reset"} {
				all = errors.Join(all, w.fleet.Fault(-1, kind, 2, 0, 0.5, true))
				w.fleet.Counters()
				all = errors.Join(all, w.fleet.Fault(-1, kind, 2, 0, 0.5, false))
			}
		}
		refused <- all
	})
	wg.Wait()
	require.NoError(t, <-refused)
	until(t, func() bool { return w.inside() == 0 })
	n := w.fleet.Counters()
	sum := uint64(0)
	for _, k := range n.Outcomes {
		sum += k
	}
	accepted := uint64(0)
	for _, r := range w.fleet.replicas {
		until(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.core.free) == len(r.core.calls) })
		r.mu.Lock()
		accepted += r.core.accepted
		r.mu.Unlock()
	}
	for _, k := range w.fleet.Counters().Outcomes {
		accepted -= k
	}
	require.Zero(t, accepted, "every request ends once")
	require.NotZero(t, sum)
}
