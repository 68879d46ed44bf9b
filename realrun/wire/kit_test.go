package wire

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"taillab/realrun/wire/wiretest"
)

func TestMain(m *testing.M) {
	// a server that closes a connection lingers for half a second by itself
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// server is a backend of net/http; it goes with the test.
func server(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// client is made for the test and ends with it.
func client(t *testing.T, target Target) *Client {
	t.Helper()
	c, err := New(target, time.Now(), 8)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// script is what a raw backend does with a connection, after it has read a request.
type script func(c net.Conn)

// asked is the script whatever the request.
func (do script) asked() wiretest.Script {
	return func(c net.Conn, _ *http.Request) { do(c) }
}

// raw is a backend below HTTP.
func raw(t *testing.T, do script) string {
	t.Helper()
	return wiretest.Raw(t, do.asked())
}

// answers writes these bytes.
func answers(text string) script {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// then does one after the other.
func then(list ...script) script {
	return func(c net.Conn) {
		for _, do := range list {
			do(c)
		}
	}
}

func hangUp(c net.Conn) { _ = c.Close() }

// reset closes the connection by RST.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// silent waits until the other side is gone, or the test is over.
func silent(c net.Conn) { wiretest.Silent(c) }

// piped is a client whose connections are pipes to a script: under testing/synctest
// its timeouts are exact and take no time.
func piped(t *testing.T, target Target, do script) *Client {
	t.Helper()
	target.URL = "http://backend"
	var wg sync.WaitGroup
	c, err := newClient(target, time.Now(), 8, func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		wg.Go(func() { wiretest.Serve(far, do.asked()) })
		return near, nil
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		wg.Wait()
	})
	return c
}

const (
	okHead     = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	closeHead  = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
)
