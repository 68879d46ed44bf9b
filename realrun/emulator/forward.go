package emulator

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/wire"
)

// Forward makes a replica an agent: it passes requests on to a backend that knows
// nothing of policies, and runs the replica half beside it from what it sees of them.
// The agent's address takes the place of the backend's.
type Forward struct {
	URL   string // of the backend
	Slots int    // requests that the backend serves at a time, as the half is told; 0 = 1

	// Load asks what the backend tells of its load by other ways than its answers, such
	// as a page of metrics; nil, or false: nothing.
	Load func() (balance.Load, bool)
}

// told is how long a load report of the backend's answers counts.
const told = 5 * time.Second

// passage is the place of the model in a core that passes requests on: the agent's
// own counts, overridden by what the backend reports.
type passage struct {
	to     *Forward
	slots  int
	inside []*call // in order of arrival; the first slots of them are taken to be served
	report wire.Report
	at     time.Duration // of the report

	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

// newPassage checks where requests go.
func newPassage(f *Forward) (*passage, error) {
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q is no address to forward to: give one such as http://127.0.0.1:8000", f.URL)
	case u.User != nil:
		return nil, fmt.Errorf("the address to forward to holds a password: clients send their own authorization")
	case f.Slots < 0:
		return nil, fmt.Errorf("slots is %d: it must be at least 1", f.Slots)
	}
	p := &passage{to: f, slots: max(1, f.Slots)}
	p.transport = &http.Transport{DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, MaxIdleConnsPerHost: 4096, DisableCompression: true}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.Out.Header.Del(wire.HeaderMsg)
		},
		Transport:      p.transport,
		FlushInterval:  -1, // a token must not wait for the next
		ModifyResponse: answered,
		ErrorHandler:   unanswered,
		ErrorLog:       log.New(quiet{}, "", 0),
	}
	return p, nil
}

// load is the backend's: the agent's counts, and over them what was reported lately.
func (p *passage) load(now, latency time.Duration) balance.Load {
	n := len(p.inside)
	l := balance.Load{Running: int32(min(n, p.slots)), Queued: int32(max(0, n-p.slots)), Slots: int32(p.slots), LatencyEst: latency}
	if p.to.Load != nil {
		if x, ok := p.to.Load(); ok {
			l.Running, l.Queued, l.KV = x.Running, x.Queued, x.KV
		}
	}
	if !p.report.Empty() && now-p.at <= told {
		l = p.report.Over(l)
	}
	return l
}

// enter takes a request in that goes on to the backend.
func (c *core) enter(now time.Duration, q *call) {
	q.replica, q.arrived, q.stream = c.id, now, true // its answer's header leaves first: nothing rides on it
	c.pass.inside = append(c.pass.inside, q)
	c.accepted++
	c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: q.from, Req: q.req})
	c.serve(now)
}

// serve notes which requests the backend is taken to serve.
func (c *core) serve(now time.Duration) {
	for _, q := range c.pass.inside[:min(len(c.pass.inside), c.pass.slots)] {
		if !q.began {
			q.began = true
			c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaBegan, From: q.from, Req: q.req})
		}
	}
}

// exit takes a request out whose answer is over.
func (c *core) exit(now time.Duration, q *call, class policies.Outcome) {
	for i, x := range c.pass.inside {
		if x == q {
			c.pass.inside = append(c.pass.inside[:i], c.pass.inside[i+1:]...)
			break
		}
	}
	if class == policies.OK {
		c.learn(now - q.arrived)
	}
	q.over, q.outcome, q.finished = true, class, now
	c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaFinished, From: q.from, Req: q.req})
	c.serve(now)
	c.ended = append(c.ended, q)
}

// passKey finds the passing of a request in its context.
type passKey struct{}

// passing is what becomes of one request that is passed on.
type passing struct {
	r     *replica
	class policies.Outcome
}

// forward passes a request on. Only those that may change something count as work:
// checks, metrics and lists of models pass by.
func (r *replica) forward(w http.ResponseWriter, q *http.Request) {
	p := &passing{r: r, class: policies.OK}
	q = q.WithContext(context.WithValue(q.Context(), passKey{}, p))
	if q.Method == http.MethodGet || q.Method == http.MethodHead {
		r.core.pass.proxy.ServeHTTP(w, q)
		return
	}
	c := &call{done: make(chan struct{})}
	msgs := r.riders(q, c)
	arrived := r.f.now()
	r.do(func(now time.Duration) {
		for i := range msgs {
			r.core.heard(now, c.from, msgs[i])
		}
		r.number(c)
		r.core.enter(now, c)
	})
	whole := false
	defer func() { // ReverseProxy panics to break an answer off
		switch {
		case p.class != policies.OK:
		case q.Context().Err() != nil:
			p.class = policies.Cancelled
		case !whole:
			p.class = policies.ShortRead
		}
		r.do(func(now time.Duration) { r.core.exit(now, c, p.class) })
		if p.class == policies.OK {
			r.replied(arrived)
		}
	}()
	r.core.pass.proxy.ServeHTTP(w, q)
	whole = true
}

// answered looks at the header of a backend's answer.
func answered(resp *http.Response) error {
	p, ok := resp.Request.Context().Value(passKey{}).(*passing)
	if !ok {
		return nil
	}
	if resp.StatusCode >= 500 {
		p.class = policies.HTTP5xx
	}
	text := resp.Header.Get(wire.HeaderLoad)
	if text == "" {
		return nil
	}
	report, err := wire.ParseORCA(text)
	p.r.do(func(now time.Duration) {
		if err != nil {
			p.r.bad++
			return
		}
		p.r.core.pass.report, p.r.core.pass.at = report, now
	})
	return nil
}

// unanswered breaks the client's connection as the backend broke ours: a status of
// the agent's would be an answer that nobody gave.
func unanswered(_ http.ResponseWriter, q *http.Request, _ error) {
	if p, ok := q.Context().Value(passKey{}).(*passing); ok {
		if p.class = policies.Reset; q.Context().Err() != nil {
			p.class = policies.Cancelled // it was the client who left
		}
	}
	reset(q)
}
