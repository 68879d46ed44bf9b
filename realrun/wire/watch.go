package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

var (
	errTotal = errors.New("the total timeout passed")
	errStall = errors.New("no byte came for the stall time")
)

// watch takes the clocks of one attempt and ends it when a timeout passes. The hooks
// run on goroutines of net/http, some of them after the attempt is over.
type watch struct {
	c      *Client
	parent context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
	total  context.CancelFunc
	stall  *time.Timer // from the header on

	sent, first atomic.Int64 // ns since the base + 1; 0 = not yet
	reused      atomic.Bool
	badTLS      atomic.Bool
	wrote       atomic.Bool // the request's body is read no more
}

func (c *Client) watch(ctx context.Context) *watch {
	w := &watch{c: c, parent: ctx}
	total, stop := context.WithTimeoutCause(ctx, c.times.Total, errTotal)
	w.total = stop
	inner, cancel := context.WithCancelCause(total)
	w.cancel = cancel
	w.ctx = httptrace.WithClientTrace(inner, &httptrace.ClientTrace{
		GotConn:              func(i httptrace.GotConnInfo) { w.reused.Store(i.Reused) },
		TLSHandshakeDone:     func(_ tls.ConnectionState, err error) { w.badTLS.Store(err != nil) },
		WroteHeaders:         func() { w.sent.CompareAndSwap(0, w.stamp()) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { w.wrote.Store(true) },
		GotFirstResponseByte: func() { w.first.CompareAndSwap(0, w.stamp()) },
	})
	return w
}

func (w *watch) stamp() int64 { return max(0, int64(w.c.now())) + 1 }

// answering starts the stall timer: the header is here.
func (w *watch) answering() {
	w.stall = time.AfterFunc(w.c.times.Stall, func() { w.cancel(errStall) })
}

// read reads from r and lets the stall timer begin anew with each byte.
func (w *watch) read(r io.Reader, b []byte) (int, error) {
	n, err := r.Read(b)
	if n > 0 {
		w.stall.Reset(w.c.times.Stall)
	}
	return n, err
}

// linger gives the rest of an answer that matters no more until d to come: read whole
// it leaves a connection that can be used again.
func (w *watch) linger(body io.Reader, buf []byte, d time.Duration) {
	w.stall.Reset(min(d, w.c.times.Stall))
	for left := 256 << 10; left > 0; {
		n, err := body.Read(buf)
		if err != nil {
			return
		}
		left -= n
	}
}

func (w *watch) close() {
	if w.stall != nil {
		w.stall.Stop()
	}
	w.cancel(nil)
	w.total()
}

// watched is a body read under the stall timer.
type watched struct {
	w *watch
	r io.Reader
}

func (b *watched) Read(p []byte) (int, error) { return b.w.read(b.r, p) }
