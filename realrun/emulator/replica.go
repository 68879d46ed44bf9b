package emulator

import (
	"context"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies"
	"taillab/policies/chance"
	"taillab/realrun/wire"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// replica is a core with a clock, one lock, a timer and a listener. Whatever
// touches the core goes through do; replies and messages leave after the lock.
type replica struct {
	f     *Fleet
	alarm alarm
	addr  string
	srv   *http.Server
	loops sync.WaitGroup // the timer's loop, the listeners', the handlers

	mu       sync.Mutex
	core     *core
	last     time.Duration // now never goes back
	armed    time.Duration // what the alarm is set to
	closed   bool
	draining bool
	draw     rand.PCG // demands and noise of requests that bring none
	nextReq  uint64
	inside   int           // handlers under way
	idle     chan struct{} // closed by the last handler while draining
	thawed   chan struct{} // closed unless the replica is frozen
	moved    chan struct{} // closed and renewed when faults change; nil = nobody waits
	truth    *reports.Hist
	outcomes [policies.Outcomes]uint64
	run      string // what messages must name
	service  string
	fronts   int
	bad      uint64
	wrongRun uint64

	lmu   sync.Mutex // listener and connections; taken after mu, never before
	ln    net.Listener
	conns map[*conn]struct{}
	shut  int // faults in force that keep the listener closed

	refusing atomic.Bool // shut > 0: connections close after their reply
	ended    bool
	gone     chan struct{} // closed with the last connection, once somebody waits for it
}

// do runs one input under the lock, with all that is due by now done before.
func (r *replica) do(input func(now time.Duration)) {
	r.mu.Lock()
	r.last = max(r.last, r.f.now())
	r.core.advance(r.last)
	if input != nil {
		input(r.last)
	}
	r.arm()
	ended, posts := r.core.ended, r.core.posts
	r.core.ended, r.core.posts = nil, nil
	h := head{run: r.run, service: r.service, from: name(r.core.id)}
	for _, q := range ended {
		r.outcomes[q.outcome]++
	}
	r.mu.Unlock()
	for _, q := range ended {
		close(q.done)
	}
	if len(posts) > 0 {
		r.f.out.send(h, posts)
	}
}

// arm sets the alarm to what is due next.
func (r *replica) arm() {
	next := r.core.next()
	if next == r.armed || r.closed {
		return
	}
	r.armed = next
	if next == gpu.Never {
		r.alarm.set(-1)
		return
	}
	r.alarm.set(max(0, next-r.f.now()))
}

// loop does what is due when it is.
func (r *replica) loop() {
	for r.alarm.wait() {
		r.mu.Lock()
		r.armed = gpu.Never // it has rung, or a moment too early
		r.mu.Unlock()
		r.do(nil)
	}
}

// open starts to listen and to step.
func (r *replica) open(addr string) error {
	r.conns = map[*conn]struct{}{}
	r.srv = &http.Server{Handler: r.routes(), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10, ConnContext: connContext,
		ErrorLog: log.New(quiet{}, "", 0)}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	r.addr = ln.Addr().String()
	r.do(r.core.start)
	r.loops.Go(r.loop)
	r.serve(ln)
	return nil
}

// quiet drops what net/http would log about clients that break off.
type quiet struct{}

func (quiet) Write(b []byte) (int, error) { return len(b), nil }

// fault begins or ends a fault.
func (r *replica) fault(x failing, factor float64, on bool) {
	var doors []func()
	r.do(func(now time.Duration) {
		down, frozen := r.core.down, r.core.frozen
		r.core.fault(now, x, factor, on)
		switch {
		case x.kind == scenarios.FaultRefuse && x.share >= 1, x.kind == scenarios.FaultCrash && (on || down > 0):
			if on {
				doors = append(doors, func() { r.shutDoor(x.kind == scenarios.FaultCrash) })
			} else {
				doors = append(doors, r.openDoor)
			}
		}
		if is := r.core.frozen; (is > 0) != (frozen > 0) {
			if is > 0 {
				r.thawed = make(chan struct{})
			} else {
				close(r.thawed)
			}
		}
		if r.moved != nil {
			close(r.moved)
			r.moved = nil
		}
	})
	for _, door := range doors {
		door()
	}
}

// name is how messages call a replica.
func name(id uint32) string { return wire.Peer{Replica: true, N: id}.String() }

// thaw waits until the replica is not frozen; false when the client or the fleet
// went first.
func (r *replica) thaw(ctx context.Context) bool {
	for {
		r.mu.Lock()
		c, frozen := r.thawed, r.core.frozen > 0
		r.mu.Unlock()
		if !frozen {
			return ctx.Err() == nil
		}
		select {
		case <-c:
		case <-ctx.Done():
			return false
		case <-r.f.closed:
			return false
		}
	}
}

// unstall waits until no fault makes replies stand still.
func (r *replica) unstall(ctx context.Context) bool {
	for {
		r.mu.Lock()
		if !slices.ContainsFunc(r.core.fails, func(f failing) bool { return f.kind == FaultStall }) {
			r.mu.Unlock()
			return ctx.Err() == nil
		}
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		c := r.moved
		r.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return false
		case <-r.f.closed:
			return false
		}
	}
}

// noise draws the factor of a request that brings none.
func (r *replica) noise() float64 {
	m := r.core.pool.Model(0)
	if !m.RequestNoise() {
		return 1
	}
	z, u := chance.Normal(&r.draw), chance.Float(&r.draw)
	return m.RequestFactor(z, u)
}

// replied books the server's own view of a reply.
func (r *replica) replied(arrived time.Duration) {
	d := int64(max(0, r.f.now()-arrived))
	r.mu.Lock()
	r.truth.Record(d)
	r.mu.Unlock()
	r.f.mu.Lock()
	r.f.truth.Record(d)
	r.f.mu.Unlock()
}

// enter and leave count the handlers under way; no new ones while draining.
func (r *replica) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.inside++
	return true
}

func (r *replica) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside--
	if r.inside == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}
