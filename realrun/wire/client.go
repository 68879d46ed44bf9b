package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies"
)

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 64 << 10

// Client talks to one backend over connections of its own. It is safe for many
// goroutines.
type Client struct {
	base  time.Time
	times Timeouts
	url   *url.URL // of the target, with its path prefix
	path  *url.URL // of calls; nil where it depends on the model
	ready string
	host  string
	kind  string
	model string
	body  body
	head  http.Header
	key   func() string // a function, so that no printing of the client shows it
	rt    *http.Transport
	bufs  sync.Pool // *buffers
	stats counters
}

type counters struct{ opened, reusedLost, loadBad, msgBad atomic.Uint64 }

// Stats counts what is not an outcome.
type Stats struct {
	Opened     uint64 // connections dialled, failed ones included
	ReusedLost uint64 // attempts that ended as reset on a connection used before: an idle one had died
	LoadBad    uint64 // load reports that could not be read
	MsgBad     uint64 // message headers that could not be read
}

// buffers are what one attempt works with.
type buffers struct {
	body   []byte
	read   []byte
	answer bytes.Buffer
	ev     events
}

// New makes the client of a target. Instants are counted from base; inFlight is how
// many connections are kept when idle.
func New(t Target, base time.Time, inFlight int) (*Client, error) {
	return newClient(t, base, inFlight, nil)
}

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func newClient(t Target, base time.Time, inFlight int, dial dialer) (*Client, error) {
	u, err := t.complete()
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, times: t.Timeouts, url: u, ready: t.Ready, kind: t.Transport, model: t.Model}
	if c.body, err = newBody(&t); err != nil {
		return nil, err
	}
	if t.Path != "" {
		if c.path, err = c.at(t.Path); err != nil {
			return nil, err
		}
	}
	conf, err := t.TLS.config()
	if err != nil {
		return nil, err
	}
	key := t.Key
	c.key = func() string { return key }
	c.head, c.host = t.header()
	if dial == nil {
		dial = (&net.Dialer{Timeout: t.Timeouts.Dial, KeepAlive: 30 * time.Second}).DialContext
	}
	c.rt = c.transport(conf, t.HTTP, max(inFlight, 16), dial)
	c.bufs.New = func() any { return &buffers{read: make([]byte, 8<<10)} }
	return c, nil
}

// transport keeps every connection that a burst opened, and does nothing unasked.
func (c *Client) transport(conf *tls.Config, version, idle int, dial dialer) *http.Transport {
	p := new(http.Protocols)
	p.SetHTTP1(version == 1)
	p.SetHTTP2(version == 2)
	p.SetUnencryptedHTTP2(version == 2)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c.stats.opened.Add(1)
			return dial(ctx, network, addr)
		},
		TLSClientConfig: conf, TLSHandshakeTimeout: c.times.Dial, ResponseHeaderTimeout: c.times.Header,
		MaxIdleConns: 0, MaxIdleConnsPerHost: idle, IdleConnTimeout: 0, // kept until Close
		DisableCompression: true, MaxResponseHeaderBytes: maxHeader, Protocols: p,
		WriteBufferSize: 8 << 10, ReadBufferSize: 8 << 10,
	}
}

// header makes what every request carries, and the Host that it asks for.
func (t *Target) header() (http.Header, string) {
	h := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"taillab"}}
	switch t.Transport {
	case OpenAIChat, OpenAICompletions:
		h.Set("Accept", "text/event-stream")
	default:
		h.Set("Accept", "*/*")
	}
	if t.Engine == EngineVLLM {
		h.Set(HeaderLoadFormat, "text")
	}
	for name, value := range t.Headers {
		h.Set(name, value)
	}
	if t.Key != "" {
		h.Set("Authorization", "Bearer "+t.Key)
	}
	host := h.Get("Host")
	h.Del("Host")
	return h, host
}

// at returns the address of a path below the target's.
func (c *Client) at(path string) (*url.URL, error) {
	ref, err := url.Parse("/" + trimSlash(path))
	if err != nil || ref.Host != "" {
		return nil, fmt.Errorf("path %q is not a path", path)
	}
	u := *c.url
	u.Path, u.RawPath, u.RawQuery = u.Path+ref.Path, "", ref.RawQuery
	if ref.RawPath != "" || c.url.RawPath != "" {
		u.RawPath = c.url.EscapedPath() + ref.EscapedPath()
	}
	return &u, nil
}

func trimSlash(s string) string {
	for len(s) > 0 && s[0] == '/' {
		s = s[1:]
	}
	return s
}

// now is the time since the base, on the monotonic clock.
func (c *Client) now() time.Duration { return time.Since(c.base) }

// Format prints the client without its key, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s %s", c.kind, c.url) }

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
	return Stats{Opened: c.stats.opened.Load(), ReusedLost: c.stats.reusedLost.Load(),
		LoadBad: c.stats.loadBad.Load(), MsgBad: c.stats.msgBad.Load()}
}

// Close gives up the idle connections; those in use are closed as their attempts end.
func (c *Client) Close() { c.rt.CloseIdleConnections() }

// request makes a request that net/http cannot repeat: it resends one on a fresh
// connection where GetBody is set or there is no body, and a hidden retry is a lie
// about latency. So even a GET has a body here, of no bytes.
func (c *Client) request(ctx context.Context, method string, u *url.URL, payload []byte) *http.Request {
	r := &http.Request{Method: method, URL: u, Host: c.host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: c.head.Clone(), Body: io.NopCloser(bytes.NewReader(payload)), ContentLength: int64(len(payload))}
	return r.WithContext(ctx)
}

// Do carries one attempt and returns when it has ended: answered, failed, or ended by
// a timeout or by ctx. First, unless nil, is called from here, once, when the header
// of a good answer has been read.
func (c *Client) Do(ctx context.Context, call *Call, first func(at time.Duration)) Result {
	u, model, out, why := c.plan(call)
	if why != "" {
		return failed(out, c.now(), why)
	}
	b, _ := c.bufs.Get().(*buffers)
	w := c.watch(ctx)
	b.body = c.body(b.body[:0], call, model)
	payload := b.body
	if len(payload) > 64<<10 {
		b.body = nil // a prompt that long is not worth keeping
	}
	req := c.request(w.ctx, http.MethodPost, u, payload)
	call.head(req.Header, c.now())
	res := c.exchange(w, req, b, first)
	w.close()
	if res.Outcome == policies.Reset && w.reused.Load() && res.FirstByte < 0 {
		c.stats.reusedLost.Add(1)
	}
	if w.wrote.Load() { // else net/http may still be reading the body
		c.bufs.Put(b)
	}
	return res
}

// plan finds the address and the model of a call, or why there is nothing to send.
func (c *Client) plan(call *Call) (u *url.URL, model string, out policies.Outcome, why string) {
	if call.Input > maxPrompt {
		return nil, "", policies.TooLong, fmt.Sprintf("not sent: a prompt of %d tokens, more than %d", call.Input, maxPrompt)
	}
	model = c.model
	if model == "" {
		model = call.Model
	}
	if c.path != nil {
		return c.path, model, policies.OK, ""
	}
	if model == "" {
		return nil, "", policies.NotSent, "not sent: transport kserve needs a model name"
	}
	u, err := c.at("/v2/models/" + url.PathEscape(model) + "/infer")
	if err != nil {
		return nil, "", policies.NotSent, "not sent: the model's name makes no path"
	}
	return u, model, policies.OK, ""
}

// head writes what taillab adds to a request.
func (c *Call) head(h http.Header, now time.Duration) {
	h.Set(HeaderFrontEnd, Peer{N: uint32(max(0, c.FrontEnd))}.String())
	if len(c.Messages) > 0 {
		h.Set(HeaderMsg, FormatMsgs(c.Messages))
	}
	if !c.Truth {
		return
	}
	h.Set(HeaderDemand, strconv.FormatInt(int64(c.Demand), 10))
	h.Set(HeaderInput, strconv.FormatUint(uint64(c.Input), 10))
	h.Set(HeaderOutput, strconv.FormatUint(uint64(c.Output), 10))
	if c.Noise > 0 {
		h.Set(HeaderNoise, strconv.FormatFloat(c.Noise, 'g', -1, 64))
	}
	if c.Priority != 0 {
		h.Set(HeaderPriority, strconv.Itoa(int(c.Priority)))
	}
	if c.Deadline > 0 {
		h.Set(HeaderDeadline, strconv.FormatInt(int64(max(1, c.Deadline-now)), 10))
	}
}

// exchange sends the request and reads the answer.
func (c *Client) exchange(w *watch, req *http.Request, b *buffers, first func(time.Duration)) Result {
	resp, err := c.rt.RoundTrip(req)
	if err != nil {
		res := failed(w.classify(err, false, 0), c.now(), c.detail(err.Error()))
		w.stamps(&res)
		return res
	}
	defer resp.Body.Close()
	w.answering()
	res := failed(policies.OK, -1, "")
	w.stamps(&res)
	res.Status = resp.StatusCode
	c.take(&res, resp.Header)
	body := &watched{w: w, r: resp.Body}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		c.refusal(w, &res, resp, body, b)
		return res
	}
	if first != nil {
		first(res.FirstByte)
	}
	a := answer{c: c, w: w, b: b, res: &res, major: resp.ProtoMajor}
	a.read(c.kind, resp, body)
	c.take(&res, resp.Trailer)
	return res
}

func (w *watch) stamps(res *Result) {
	res.Sent, res.FirstByte = time.Duration(w.sent.Load()-1), time.Duration(w.first.Load()-1)
}

// take reads what a header, or a trailer, tells about the backend.
func (c *Client) take(res *Result, h http.Header) {
	if len(h) == 0 {
		return
	}
	if d := serverTime(h); d > 0 {
		res.ServerTime = d
	}
	if s := steps(h); s.Told {
		res.Steps = s
	}
	if v := h.Get(HeaderLoad); v != "" {
		r, err := ParseORCA(v)
		if err != nil {
			c.stats.loadBad.Add(1)
		} else {
			res.Report = r
			res.Load, res.Told = r.Load()
		}
	}
	if v := h.Get(HeaderMsg); v != "" {
		m, err := ParseMsgs(v)
		if err != nil {
			c.stats.msgBad.Add(1)
		}
		res.Messages = append(res.Messages, m...)
	}
}
