package store

import (
	"context"
	"net"
)

// dial connects to a server. One that does not listen gives a connection that fails when
// it is used: after some failed dials the Redis client would try no more than once a
// second, and limiters would hear of a server that is back up to a second late.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return refused{Conn: nowhere(), err: err}, nil
	}
	return c, nil
}

// refused is a connection to a server that does not listen.
type refused struct {
	net.Conn
	err error
}

// Read implements net.Conn.
func (r refused) Read([]byte) (int, error) { return 0, r.err }

// Write implements net.Conn.
func (r refused) Write([]byte) (int, error) { return 0, r.err }

// nowhere is a connection to nobody: it has addresses, takes deadlines and closes.
func nowhere() net.Conn {
	c, other := net.Pipe()
	_ = other.Close() // of a pipe: never fails
	return c
}
