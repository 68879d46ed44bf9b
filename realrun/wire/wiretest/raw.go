// Package wiretest is backends below HTTP for tests: they read requests as they should
// and answer as no server does.
package wiretest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Script is what a backend does with a connection after it has read a request. One that
// closes the connection ends it.
type Script func(c net.Conn, r *http.Request)

// Serve reads one request after the other and lets the script answer; it ends with the
// connection.
func Serve(c net.Conn, do Script) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		do(c, r)
	}
}

// Raw is the address of a backend that serves until the end of the test: then its
// connections are closed, whatever its scripts wait for on them.
func Raw(t testing.TB, do Script) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	over := false
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if over {
				_ = c.Close() // it came with the end
			}
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { Serve(c, do) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		over = true
		for _, c := range conns {
			_ = c.Close() // again, perhaps
		}
		mu.Unlock()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// Silent waits until the other side is gone, or the test is over.
func Silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
