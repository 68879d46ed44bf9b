package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"taillab/policies"
)

// Forwarder passes requests of others on to one backend, as they are: what Client
// writes in a backend's own format, a proxy has from its clients already. Like Client
// it decides nothing, never retries and follows no redirect.
type Forwarder struct {
	c    *Client
	own  http.Header // what the target adds to every request
	host string      // in place of the client's; empty: the client's is kept
}

// NewForwarder makes the forwarder of a target. Instants are counted from base;
// inFlight is how many connections are kept when idle.
func NewForwarder(t Target, base time.Time, inFlight int) (*Forwarder, error) {
	c, err := New(t, base, inFlight)
	if err != nil {
		return nil, err
	}
	f := &Forwarder{c: c, own: http.Header{}}
	for name, value := range t.Headers {
		f.own.Set(name, value)
	}
	if t.Key != "" {
		f.own.Set("Authorization", "Bearer "+t.Key)
	}
	if t.Engine == EngineVLLM {
		f.own.Set(HeaderLoadFormat, "text")
	}
	f.host = f.own.Get("Host")
	f.own.Del("Host")
	return f, nil
}

// Client is the client of the same target, for probes, messages and ready checks.
func (f *Forwarder) Client() *Client { return f.c }

// Format prints the forwarder without its key, whatever the verb.
func (f *Forwarder) Format(s fmt.State, verb rune) { f.c.Format(s, verb) }

// Passed is a request to pass on.
type Passed struct {
	Method   string
	URL      *url.URL    // as the client asked: its path and query go below the target's
	Host     string      // as the client asked
	Header   http.Header // without hop-by-hop headers; the forwarder takes it over
	Body     io.Reader   // never nil
	Length   int64       // of Body; below 0: unknown
	FrontEnd int
}

// Forward sends a request on and returns when the header of the answer has been read,
// or the attempt has failed: then Answer.Failed says so. End must be called in both
// cases. It returns no later than ctx ends.
func (f *Forwarder) Forward(ctx context.Context, p *Passed) *Answer {
	c := f.c
	w := c.watch(ctx)
	a := &Answer{c: c, w: w}
	u := *c.url
	u.Path, u.RawPath, u.RawQuery = c.url.Path+p.URL.Path, "", p.URL.RawQuery
	if p.URL.RawPath != "" || c.url.RawPath != "" {
		u.RawPath = c.url.EscapedPath() + p.URL.EscapedPath()
	}
	for name, values := range f.own {
		p.Header[name] = values
	}
	p.Header.Set(HeaderFrontEnd, Peer{N: uint32(max(0, p.FrontEnd))}.String())
	if p.Header["User-Agent"] == nil {
		p.Header["User-Agent"] = nil // net/http would write its own
	}
	host := p.Host
	if f.host != "" {
		host = f.host
	}
	// A body that net/http cannot rewind is sent once only: a hidden retry is a lie
	// about latency.
	req := &http.Request{Method: p.Method, URL: &u, Host: host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: p.Header, Body: io.NopCloser(p.Body), ContentLength: p.Length}
	a.exchange(req.WithContext(w.ctx))
	return a
}

// Answer is the answer to a forwarded request. Its Body is read by Read, under the
// target's stall timeout.
type Answer struct {
	Header http.Header
	Length int64 // of the body; below 0: unknown

	c    *Client
	w    *watch
	resp *http.Response
	res  Result
	err  error // that ended the body; io.EOF at its good end
}

func (a *Answer) exchange(req *http.Request) {
	resp, err := a.c.rt.RoundTrip(req)
	if err != nil {
		a.res = failed(a.w.classify(err, false, 0), a.c.now(), a.c.detail(err.Error()))
		a.w.stamps(&a.res)
		if a.res.Outcome == policies.Reset && a.w.reused.Load() && a.res.FirstByte < 0 {
			a.c.stats.reusedLost.Add(1)
		}
		return
	}
	a.w.answering()
	a.resp, a.Header, a.Length = resp, resp.Header, resp.ContentLength
	a.res = failed(policies.OK, -1, "")
	a.w.stamps(&a.res)
	a.res.Status = resp.StatusCode
	if resp.StatusCode < 200 || resp.StatusCode > 399 { // a redirect is an answer: it is the client's to follow
		a.res.Outcome = ofStatus(resp.StatusCode, resp.Header)
		a.res.RetryAfter = retryAfter(resp.Header, time.Now())
	}
	a.c.take(&a.res, resp.Header)
}

// Failed tells that there is no answer to pass on: only its Result.
func (a *Answer) Failed() bool { return a.resp == nil }

// Result is what is known so far. Its Outcome is that of the status until the body
// has ended.
func (a *Answer) Result() Result { return a.res }

// Trailer is the answer's trailer: its names before the body, its values after it.
func (a *Answer) Trailer() http.Header { return a.resp.Trailer }

// Read reads the body.
func (a *Answer) Read(b []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.w.read(a.resp.Body, b)
	a.err = err
	return n, err
}

// Drop reads the little that is left of an answer that nobody wants, so that its
// connection can be used again. End is still to be called.
func (a *Answer) Drop() {
	if a.resp != nil && a.err == nil {
		a.w.linger(a.resp.Body, make([]byte, 2<<10), lingerTime)
	}
}

// End frees the connection and returns how the attempt ended: well, by what broke the
// body, or as cancelled when the body was given up before its end.
func (a *Answer) End() Result {
	if a.resp != nil {
		a.conclude()
		_ = a.resp.Body.Close() // whatever it says, the answer is over
	}
	a.w.close()
	return a.res
}

func (a *Answer) conclude() {
	if a.res.Done >= 0 {
		return
	}
	a.res.Done = a.c.now()
	switch {
	case a.err == io.EOF:
		a.c.take(&a.res, a.resp.Trailer)
	case a.err != nil:
		if a.res.Outcome == policies.OK {
			a.res.Outcome = a.w.classify(a.err, true, a.resp.ProtoMajor)
		}
		a.res.Detail = a.c.detail(a.err.Error())
	case a.res.Outcome == policies.OK && a.resp.ContentLength != 0:
		a.res.Outcome = policies.Cancelled
	}
}

// NoBody is a body of no bytes that net/http does not know as one: it would send a
// request without body again by itself.
func NoBody() io.Reader { return bytes.NewReader(nil) }
