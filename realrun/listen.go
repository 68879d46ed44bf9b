package realrun

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"taillab/policies"
	"taillab/realrun/wire"
)

// listener is where replica halves reach the front ends: POST /taillab/msg.
type listener struct {
	arms   []*drive // of which a message names one, as its run
	ln     net.Listener
	server *http.Server
	done   chan struct{}
}

func listen(arms []*drive, addr string) (*listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("front ends cannot listen on %s: %w", addr, err)
	}
	l := &listener{arms: arms, ln: ln, done: make(chan struct{})}
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

// message takes an envelope and hands its messages to the front end that it names.
func (l *listener) message(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, wire.MaxEnvelope+1))
	r.Body = io.NopCloser(bytes.NewReader(body))
	d := l.arms[0]
	if e, wrong := wire.DecodeEnvelope(body); err == nil && wrong == nil {
		d = l.arm(e.Run)
	}
	e, err := wire.Receive(w, r, d.name())
	if err != nil {
		d.badMsgs.Add(1)
		return
	}
	from, errFrom := wire.ParsePeer(e.From)
	to, errTo := wire.ParsePeer(e.To)
	service := d.serviceIndex(e.Service)
	if errFrom != nil || errTo != nil || !from.Replica || to.Replica || service < 0 || int(to.N) >= len(d.fronts) {
		d.badMsgs.Add(1)
		return
	}
	for _, m := range e.Msgs {
		d.fronts[to.N].heard(service, policies.Ref{ID: from.N, Inc: m.Inc}, m)
	}
}

// arm is the run that a message names; the first where it names none of them, which
// then refuses it.
func (l *listener) arm(run string) *drive {
	for _, d := range l.arms {
		if d.name() == run {
			return d
		}
	}
	return l.arms[0]
}

func (d *drive) serviceIndex(name string) int {
	for i := range d.services {
		if d.services[i].name == name {
			return i
		}
	}
	return -1
}
