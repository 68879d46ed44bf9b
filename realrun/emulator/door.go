package emulator

import (
	"context"
	"fmt"
	"net"
	"time"
)

// serve takes connections from a listener until it is closed.
func (r *replica) serve(ln net.Listener) {
	r.lmu.Lock()
	defer r.lmu.Unlock()
	r.ln = ln
	r.loops.Go(func() { _ = r.srv.Serve(&listener{ln, r}) }) // it ends when the listener is closed
}

// shutDoor closes the listener; the last openDoor listens again at the same address.
// reset breaks all connections, else only those without a request close.
func (r *replica) shutDoor(reset bool) {
	r.lmu.Lock()
	defer r.lmu.Unlock()
	r.refusing.Store(true)
	if r.shut++; r.shut == 1 && r.ln != nil {
		_ = r.ln.Close() // it is the end of Serve, which says so
		r.ln = nil
	}
	for c := range r.conns {
		if reset || !c.busy.Load() {
			c.reset()
		}
	}
}

// again is how often a door that was closed is tried while its port is taken.
const again = 10 * time.Millisecond

func (r *replica) openDoor() {
	r.lmu.Lock()
	defer r.lmu.Unlock()
	if r.shut == 0 {
		return
	}
	if r.shut--; r.shut > 0 {
		return
	}
	if r.refusing.Store(false); r.ended {
		return
	}
	r.loops.Go(func() {
		var ln net.Listener
		var err error
		for try := 0; try < 200; try++ {
			if ln, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", r.addr); err == nil {
				break
			}
			select {
			case <-r.f.closed:
				return
			case <-time.After(again):
			}
		}
		if err != nil {
			r.f.failed(fmt.Errorf("%s cannot be listened at again after a fault: %w", r.addr, err))
			return
		}
		r.lmu.Lock()
		defer r.lmu.Unlock()
		if r.ended || r.shut > 0 || r.ln != nil {
			_ = ln.Close() // it was closed again meanwhile
			return
		}
		r.ln = ln
		r.loops.Go(func() { _ = r.srv.Serve(&listener{ln, r}) })
	})
}

// drain closes the door and waits for what is under way, at most so long.
func (r *replica) drain(most time.Duration) {
	r.lmu.Lock()
	r.ended = true
	if r.ln != nil {
		_ = r.ln.Close() // it is the end of Serve
		r.ln = nil
	}
	r.lmu.Unlock()
	var idle chan struct{}
	if r.srv != nil {
		r.do(r.core.stopping)
	}
	r.mu.Lock()
	r.draining = true
	if r.inside > 0 {
		idle = make(chan struct{})
		r.idle = idle
	}
	r.mu.Unlock()
	if idle == nil {
		return
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}

// close ends everything, at once.
func (r *replica) close() {
	r.mu.Lock()
	r.closed = true
	r.alarm.close()
	r.mu.Unlock()
	if r.srv != nil {
		_ = r.srv.Close() // its listeners and connections are closed; nothing is left to do
	}
	r.lmu.Lock()
	for c := range r.conns {
		c.reset()
	}
	var gone chan struct{}
	if len(r.conns) > 0 {
		gone = make(chan struct{})
		r.gone = gone
	}
	r.lmu.Unlock()
	if gone != nil {
		<-gone // net/http lingers half a second on one whose request it did not read
	}
	r.loops.Wait()
	r.mu.Lock()
	idle := r.idle
	if r.inside > 0 && idle == nil {
		idle = make(chan struct{})
		r.idle = idle
	}
	if r.inside == 0 {
		idle = nil
	}
	r.mu.Unlock()
	if idle != nil {
		<-idle // handlers end once their client or the fleet has gone
	}
	if r.core.pass != nil {
		r.core.pass.transport.CloseIdleConnections()
	}
}
