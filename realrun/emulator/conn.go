package emulator

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
)

// listener hands out connections that the replica can reset.
type listener struct {
	net.Listener
	r *replica
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	x := &conn{Conn: c, r: l.r}
	l.r.lmu.Lock()
	defer l.r.lmu.Unlock()
	if l.r.shut > 0 || l.r.ended { // it came through the door just before
		x.reset()
		return nil, errShut
	}
	l.r.conns[x] = struct{}{}
	return x, nil
}

var errShut = errors.New("the replica's listener is closed")

// conn is a client's connection.
type conn struct {
	net.Conn
	r    *replica
	busy atomic.Bool // a request is under way
}

// Close implements net.Conn. net/http calls it for every connection it was handed,
// and never while the replica holds lmu.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.r.lmu.Lock()
	defer c.r.lmu.Unlock()
	delete(c.r.conns, c)
	if c.r.gone != nil && len(c.r.conns) == 0 {
		close(c.r.gone)
		c.r.gone = nil
	}
	return err
}

// reset breaks the connection: the other side reads "connection reset by peer".
func (c *conn) reset() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // the connection may be gone already
	}
	_ = c.Conn.Close() // as above
}

// connKey finds the connection of a request in its context.
type connKey struct{}

func connContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection that a request came by.
func connOf(q *http.Request) *conn {
	c, _ := q.Context().Value(connKey{}).(*conn)
	return c
}
