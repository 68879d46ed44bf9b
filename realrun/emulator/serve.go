package emulator

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/wire"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// Headers beside those of package wire: more of the truth, and of what a reply tells.
const (
	HeaderPriority = "X-Taillab-Priority"    // −128…127, for discipline priority
	HeaderDeadline = "X-Taillab-Deadline-Ns" // time left, for discipline edf
	HeaderSteps    = "X-Taillab-Steps-Ns"    // of replies: queue, batch, service; in the trailer of streams
)

// maxBody bounds a request's body in bytes.
const maxBody = 8 << 20

func (r *replica) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.PathProbe, r.probe)
	mux.HandleFunc("GET /truth", r.told)
	mux.HandleFunc("POST "+wire.PathMsg, r.message)
	mux.HandleFunc("PUT "+wire.PathRun, r.setRun)
	if r.core.pass != nil {
		mux.HandleFunc("/", r.forward)
	} else {
		r.serveModel(mux)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !r.enter() {
			reset(q)
			return
		}
		defer r.leave()
		if c := connOf(q); c != nil {
			c.busy.Store(true)
			defer c.busy.Store(false)
		}
		mux.ServeHTTP(w, q)
		select {
		case <-r.f.closed: // whoever gave up waiting must not read as an empty 200
			reset(q)
		default:
		}
	})
}

// serveModel adds the interfaces of the emulated GPU.
func (r *replica) serveModel(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/chat/completions", r.serving(chat()))
	mux.HandleFunc("POST /v1/completions", r.serving(completions()))
	mux.HandleFunc("POST /v2/models/{model}/infer", r.serving(kserve()))
	mux.HandleFunc("POST /{$}", r.serving(plain()))
	mux.HandleFunc("GET /metrics", r.metrics)
	for _, p := range []string{"GET /{$}", "GET /health", "GET /v2/health/ready", "GET /v2/health/live", "GET /v2/models/{model}/ready"} {
		mux.HandleFunc(p, r.health)
	}
}

// ask is what a request of any interface comes to.
type ask struct {
	api           api
	model         string
	id            string // to be repeated in the reply
	input, output uint32
	stream, usage bool
}

// api is one of the interfaces that the replica speaks.
type api struct {
	read  func(q *http.Request, body []byte) (ask, error)
	whole func(a *ask, c *call) any         // the reply's JSON
	role  func(a *ask) any                  // of streams: the frame before the first token; nil = none
	chunk func(a *ask, n int, end bool) any // of streams: a frame of n tokens, or the last
}

// serving makes the handler of an interface.
func (r *replica) serving(x api) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		arrived := r.f.now()
		body, err := readAll(w, q)
		if err != nil {
			var tooLong *http.MaxBytesError
			if errors.As(err, &tooLong) {
				fail(w, http.StatusRequestEntityTooLarge, "", err.Error())
			}
			return // else the client has gone
		}
		a, err := x.read(q, body)
		if err == nil {
			a.api = x
			if a.model == "" {
				a.model = r.f.cfg.Name
			}
			var it gpu.Item
			if it, err = itemOf(q.Header, &a); err == nil {
				r.handle(w, q, &a, it, arrived)
				return
			}
		}
		if r.thaw(q.Context()) {
			fail(w, http.StatusBadRequest, policies.Malformed.String(), err.Error())
		}
	}
}

func readAll(w http.ResponseWriter, q *http.Request) ([]byte, error) {
	if q.ContentLength == 0 {
		return nil, nil
	}
	return io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
}

// itemOf reads the truth: from headers, else from what the body says.
func itemOf(h http.Header, a *ask) (it gpu.Item, err error) {
	number := func(name string, most uint64, set func(uint64)) {
		text := h.Get(name)
		if text == "" || err != nil {
			return
		}
		v, wrong := strconv.ParseUint(text, 10, 64)
		if wrong != nil || v > most {
			err = errors.New("header " + name + " is " + strconv.Quote(text) + ": it must be a whole number, at most " + strconv.FormatUint(most, 10))
			return
		}
		set(v)
	}
	const tokens = 1 << 30
	const longest = uint64(24 * time.Hour)
	number(wire.HeaderDemand, longest, func(v uint64) { it.Demand = time.Duration(v) })
	number(HeaderDeadline, longest, func(v uint64) { it.Deadline = time.Duration(v) })
	number(wire.HeaderInput, tokens, func(v uint64) { a.input = uint32(v) })
	number(wire.HeaderOutput, tokens, func(v uint64) { a.output = uint32(v) })
	if text := h.Get(wire.HeaderNoise); text != "" && err == nil {
		if it.Factor, err = strconv.ParseFloat(text, 64); err != nil || !(it.Factor > 0 && it.Factor <= 1e6) {
			err = errors.New("header " + wire.HeaderNoise + " is " + strconv.Quote(text) + ": it must be a number in (0, 1e6]")
		}
	}
	if text := h.Get(HeaderPriority); text != "" && err == nil {
		p, wrong := strconv.ParseInt(text, 10, 8)
		if wrong != nil {
			err = errors.New("header " + HeaderPriority + " is " + strconv.Quote(text) + ": it must be a whole number in [−128, 127]")
		}
		it.Priority = int8(p)
	}
	it.Input, it.Output = a.input, max(1, a.output)
	return it, err
}

// handle serves one request from its arrival to its reply.
func (r *replica) handle(w http.ResponseWriter, q *http.Request, a *ask, it gpu.Item, arrived time.Duration) {
	c := &call{stream: a.stream, output: it.Output, done: make(chan struct{})}
	if c.stream {
		c.tick = make(chan struct{}, 1)
	}
	msgs := r.riders(q, c)
	var hit fate
	r.do(func(now time.Duration) {
		if hit = r.core.fate(); hit.kind != "" {
			return
		}
		for i := range msgs {
			r.core.heard(now, c.from, msgs[i])
		}
		r.complete(&it, now)
		r.number(c)
		r.core.accept(now, c, it)
	})
	switch hit.kind {
	case scenarios.FaultRefuse, scenarios.FaultReset:
		reset(q)
	case scenarios.FaultError:
		if r.thaw(q.Context()) {
			fail(w, hit.code, "", "a fault of the emulated backend")
		}
	default:
		r.await(w, q, a, c, hit.stalls, arrived)
	}
}

// riders reads from which front end a request comes and the messages that ride on it.
// Those that cannot be read are counted, and the request is served all the same.
func (r *replica) riders(q *http.Request, c *call) []balance.Msg {
	if p, err := wire.ParsePeer(q.Header.Get(wire.HeaderFrontEnd)); err == nil && !p.Replica {
		c.from, c.named = p.N, true
	}
	text := q.Header.Get(wire.HeaderMsg)
	if text == "" {
		return nil
	}
	msgs, err := wire.ParseMsgs(text)
	if err != nil {
		r.mu.Lock()
		r.bad++
		r.mu.Unlock()
	}
	return msgs
}

// number numbers a request; one of a front end that is not known counts as the first's.
func (r *replica) number(c *call) {
	c.named = c.named && int(c.from) < r.fronts
	if !c.named {
		c.from = 0
	}
	c.req = r.nextReq
	r.nextReq++
}

// complete adds what the request did not say.
func (r *replica) complete(it *gpu.Item, now time.Duration) {
	if it.Demand == 0 && r.core.spec.Kind == gpu.Service {
		it.Demand = r.f.demand.Draw(&r.draw)
	}
	if it.Factor == 0 {
		it.Factor = r.noise()
	}
	if it.Deadline > 0 {
		it.Deadline += now
	}
}

// await waits for the end of a request, or for its client to leave.
func (r *replica) await(w http.ResponseWriter, q *http.Request, a *ask, c *call, stalls bool, arrived time.Duration) {
	if c.stream {
		if r.streamed(w, q, a, c, stalls) {
			r.replied(arrived)
		}
		return
	}
	if !r.wait(q, c, c.done) {
		return
	}
	if c.outcome != policies.OK {
		r.refused(w, q, c)
		return
	}
	r.headers(w.Header(), q, c)
	if r.reply(w, q, a, c, stalls) {
		r.replied(arrived)
	}
}

// wait waits for a channel and cancels the request when its client leaves.
func (r *replica) wait(q *http.Request, c *call, on <-chan struct{}) bool {
	select {
	case <-on:
		return r.thaw(q.Context())
	case <-q.Context().Done():
	case <-r.f.closed:
	}
	r.do(func(now time.Duration) { r.core.cancel(now, c) })
	return false
}

// refused answers a request that the replica did not serve.
func (r *replica) refused(w http.ResponseWriter, q *http.Request, c *call) {
	if len(c.riders) > 0 {
		w.Header().Set(wire.HeaderMsg, wire.FormatMsgs(c.riders))
	}
	switch c.outcome {
	case policies.QueueFull:
		fail(w, http.StatusServiceUnavailable, c.outcome.String(), "the queue is full")
	case policies.TooLong:
		fail(w, http.StatusBadRequest, c.outcome.String(), "more tokens than the model takes")
	case policies.DeadlineHit:
		fail(w, http.StatusGatewayTimeout, c.outcome.String(), "the request waited too long in the queue")
	default:
		reset(q)
	}
}

// headers tells what goes with a reply.
func (r *replica) headers(h http.Header, q *http.Request, c *call) {
	h.Set("Content-Type", "application/json")
	h.Set(wire.HeaderServer, strconv.FormatInt(int64(c.finished-c.arrived), 10))
	h.Set(HeaderSteps, string(appendSteps(nil, c)))
	if len(c.riders) > 0 {
		h.Set(wire.HeaderMsg, wire.FormatMsgs(c.riders))
	}
	if format := wanted(q.Header.Get(wire.HeaderLoadFormat), r.f.cfg.ORCA); format != ORCANone {
		r.mu.Lock()
		load := r.core.load()
		r.mu.Unlock()
		h.Set(wire.HeaderLoad, wire.FormatORCA(load, format))
	}
	if r.refusing.Load() {
		h.Set("Connection", "close")
	}
}

func appendSteps(b []byte, c *call) []byte {
	for i, d := range []time.Duration{c.queue, c.batch, c.service} {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(d), 10)
	}
	return b
}

// reply writes a reply in one piece, or half of it where a fault makes it stall.
func (r *replica) reply(w http.ResponseWriter, q *http.Request, a *ask, c *call, stalls bool) bool {
	body, err := json.Marshal(a.api.whole(a, c))
	if err != nil {
		fail(w, http.StatusInternalServerError, "", "the reply cannot be written: "+err.Error())
		return false
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if !stalls {
		_, err = w.Write(body)
		return err == nil
	}
	half := len(body) / 2
	if _, err := w.Write(body[:half]); err != nil || !flush(w) || !r.unstall(q.Context()) {
		return false
	}
	_, err = w.Write(body[half:])
	return err == nil
}

// fail answers with a status and a short text; class names the outcome behind it.
func fail(w http.ResponseWriter, code int, class, text string) {
	if class != "" {
		w.Header().Set(wire.HeaderClass, class)
	}
	writeJSON(w, code, map[string]any{"error": map[string]string{"class": class, "message": text}})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error": {"message": "the answer cannot be written"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client may have gone
}

// flush pushes out what was written.
func flush(w http.ResponseWriter) bool { return http.NewResponseController(w).Flush() == nil }

// reset breaks the connection of a request.
func reset(q *http.Request) {
	if c := connOf(q); c != nil {
		c.reset()
	}
}
