package emulator

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"taillab/policies/balance"
	"taillab/realrun/wire"
)

const (
	postTimeout = time.Second // one try of this length
	postRoom    = 1024        // messages that wait for one front end; more are dropped
	posters     = 4           // envelopes under way to one front end
)

// outbox sends the replicas' messages to the front ends: fire and forget, one try,
// order not kept. Nothing waits for it: what finds no room is dropped and counted.
type outbox struct {
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	urls   []string
	lines  []line // by front end
	closed bool
	n      Counters
}

// line is what waits for one front end.
type line struct {
	list  []letter
	under int // envelopes under way
}

// head is who speaks of what run.
type head struct{ run, service, from string }

// letter is one message with its envelope's head.
type letter struct {
	head head
	msg  balance.Msg
}

func newOutbox(urls []string) *outbox {
	ctx, cancel := context.WithCancel(context.Background())
	return &outbox{urls: urls, ctx: ctx, cancel: cancel, client: &http.Client{
		Timeout:       postTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: posters, DisableCompression: true},
	}}
}

func (o *outbox) set(urls []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.urls = append([]string(nil), urls...)
}

func (o *outbox) counters() Counters {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

// send files messages of one replica and starts what carries them.
func (o *outbox) send(h head, list []report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range list {
		if o.closed || int(r.to) >= len(o.urls) {
			o.n.Dropped++
			continue
		}
		for int(r.to) >= len(o.lines) {
			o.lines = append(o.lines, line{})
		}
		l := &o.lines[r.to]
		if len(l.list) >= postRoom {
			o.n.Dropped++
			continue
		}
		l.list = append(l.list, letter{h, r.msg})
		if l.under < posters {
			l.under++
			to := r.to
			o.wg.Go(func() { o.carry(to) })
		}
	}
}

// carry sends what waits for a front end until nothing does.
func (o *outbox) carry(to uint32) {
	for {
		e, url := o.next(to)
		if url == "" {
			return
		}
		n := uint64(len(e.Msgs))
		ok := o.post(url, e)
		o.mu.Lock()
		if ok {
			o.n.Sent += n
		} else {
			o.n.Failed += n
		}
		o.mu.Unlock()
	}
}

// next takes what one replica has to say to a front end, up to an envelope's fill.
func (o *outbox) next(to uint32) (e wire.Envelope, url string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := &o.lines[to]
	if len(l.list) == 0 || o.closed || int(to) >= len(o.urls) {
		l.under--
		return e, ""
	}
	h := l.list[0].head
	e = wire.Envelope{Run: h.run, Service: h.service, From: h.from, To: wire.Peer{N: to}.String()}
	k := 0
	for k < len(l.list) && k < wire.MaxMsgs && l.list[k].head == h {
		e.Msgs = append(e.Msgs, l.list[k].msg)
		k++
	}
	l.list = append(l.list[:0], l.list[k:]...)
	return e, o.urls[to]
}

func (o *outbox) post(url string, e wire.Envelope) bool {
	body, err := e.Encode()
	if err != nil {
		return false
	}
	req, err := http.NewRequestWithContext(o.ctx, http.MethodPost, url+wire.PathMsg, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := o.client.Do(req)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, wire.MaxEnvelope))
	return res.Body.Close() == nil && err == nil && res.StatusCode < 300
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.cancel()
	o.wg.Wait()
	o.client.CloseIdleConnections()
}
