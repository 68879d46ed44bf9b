package realrun

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"taillab/policies"
	"taillab/realrun/wire"
)

// listener is where replica halves reach the front ends: POST /taillab/msg.
type listener struct {
	d      *drive
	ln     net.Listener
	server *http.Server
	done   chan struct{}
}

func listen(d *drive, addr string) (*listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("front ends cannot listen on %s: %w", addr, err)
	}
	l := &listener{d: d, ln: ln, done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc(wire.PathMsg, l.message)
	l.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(l.done)
		_ = l.server.Serve(ln) // ends with ErrServerClosed
	}()
	return l, nil
}

// urls is the base URL of every front end: one listener serves all.
func (l *listener) urls(fronts int) []string {
	out := make([]string, fronts)
	for i := range out {
		out[i] = "http://" + l.ln.Addr().String()
	}
	return out
}

func (l *listener) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if l.server.Shutdown(ctx) != nil {
		_ = l.server.Close()
	}
	<-l.done
}

// message takes an envelope and hands its messages to the front end it names.
func (l *listener) message(w http.ResponseWriter, r *http.Request) {
	e, err := wire.Receive(w, r, l.d.name())
	if err != nil {
		l.d.badMsgs.Add(1)
		return
	}
	from, errFrom := wire.ParsePeer(e.From)
	to, errTo := wire.ParsePeer(e.To)
	service := l.d.serviceIndex(e.Service)
	if errFrom != nil || errTo != nil || !from.Replica || to.Replica || service < 0 || int(to.N) >= len(l.d.fronts) {
		l.d.badMsgs.Add(1)
		return
	}
	for _, m := range e.Msgs {
		l.d.fronts[to.N].heard(service, policies.Ref{ID: from.N, Inc: m.Inc}, m)
	}
}

func (d *drive) serviceIndex(name string) int {
	for i := range d.run.Cell.Setup.Services {
		if d.run.Cell.Setup.Services[i].Name == name {
			return i
		}
	}
	return -1
}
