package actuator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"taillab/policies/autoscale"
	"taillab/scenarios"
)

// Server is a replica's server as a Pool handles it.
type Server interface {
	URL() string
	Stop()                 // ask it to end: SIGTERM
	Kill()                 // end it now; what it does breaks off
	Done() <-chan struct{} // closed when it has ended
}

// PoolConfig says what a Pool is made of.
type PoolConfig struct {
	Slots     int // pods at a time, draining ones included
	Start     int // pods that are there before the run; they take no time to load
	Lifecycle scenarios.Lifecycle

	// Make starts the server of a slot; its pod has the name given.
	Make func(slot int, name string) (Server, error)
	// Check tells whether a server takes requests; nil = as soon as it is made.
	Check func(ctx context.Context, url string) bool
	// Loads says that the servers load a model themselves: Check alone tells when they
	// have. Otherwise the life cycle's times pass as well.
	Loads bool
	// Note is told of servers that cannot be made or end by themselves; nil = nobody.
	Note func(text string)
}

// The waits of a pool.
const (
	checkEvery = 50 * time.Millisecond
	checkLimit = 5 * time.Second  // of one readiness check
	startLimit = 2 * time.Minute  // until the pods of the start are ready
	closeLimit = 10 * time.Second // of the grace when the pool is closed
	again      = time.Second      // until a server that failed is made anew
)

// Pool is an Actuator over servers on this machine, each of which it makes itself; it
// ends no other. A pod passes through the phases of the scenario's life cycle. One that
// is no longer wanted drains: it is asked to end once it is released, since a server
// that is told to end may close its door at once, and killed when its grace is over.
type Pool struct {
	cfg     PoolConfig
	changed token
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	pods    []*member // by slot; nil = free
	next    int
	want    int
	failure error // that ended the first pod which never became ready
	disk    disk
}

// member is a pod of a Pool.
type member struct {
	Pod
	order    int
	failed   bool          // it ended by itself; its slot stays taken for a while
	drop     chan struct{} // closed: it is no longer wanted
	released chan struct{} // closed: nothing is sent any more
	server   Server
}

// NewPool starts a pool and returns when the pods of the start are ready.
func NewPool(ctx context.Context, c PoolConfig) (*Pool, error) {
	if c.Note == nil {
		c.Note = func(string) {}
	}
	p := &Pool{cfg: c, changed: make(token, 1), pods: make([]*member, c.Slots), want: c.Start}
	p.disk.changed = make(chan struct{})
	p.ctx, p.stop = context.WithCancel(ctx)
	p.mu.Lock()
	for range c.Start {
		p.create(true)
	}
	p.mu.Unlock()
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	for {
		p.mu.Lock()
		ready, err := p.count(func(m *member) bool { return m.Phase == autoscale.Ready }), p.failure
		p.mu.Unlock()
		if err == nil && ready >= c.Start {
			p.changed.raise()
			return p, nil
		}
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), p.Close())
		case <-limit.C:
			return nil, errors.Join(fmt.Errorf("only %d of %d servers are ready after %v", ready, c.Start, startLimit), p.Close())
		}
	}
}

// Apply implements Actuator.
func (p *Pool) Apply(_ context.Context, count int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want = count
	p.reconcile()
	return nil
}

// Pods implements Actuator.
func (p *Pool) Pods() []Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Pod
	for _, m := range p.pods {
		if m != nil && !m.failed {
			out = append(out, m.Pod)
		}
	}
	return out
}

// Changed implements Actuator.
func (p *Pool) Changed() <-chan struct{} { return p.changed }

// Release implements Actuator.
func (p *Pool) Release(slot int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.pods[slot]; m != nil && m.Phase == autoscale.Draining {
		select {
		case <-m.released:
		default:
			close(m.released)
		}
	}
}

// Close implements Actuator: servers are asked to end, and killed when their grace, or
// ten seconds, are over.
func (p *Pool) Close() error {
	p.stop()
	p.wg.Wait()
	return nil
}

// count counts pods. mu is held.
func (p *Pool) count(which func(m *member) bool) (n int) {
	for _, m := range p.pods {
		if m != nil && which(m) {
			n++
		}
	}
	return n
}

// reconcile makes as many pods as are wanted, or lets go what is too much. mu is held.
func (p *Pool) reconcile() {
	if p.ctx.Err() != nil {
		return
	}
	wanted := func(m *member) bool { return m.Phase < autoscale.Draining }
	n := p.count(wanted)
	for ; n < p.want; n++ {
		if !p.create(false) {
			return // as soon as one is gone
		}
	}
	for ; n > p.want; n-- {
		var first *member
		for _, m := range p.pods {
			if m != nil && wanted(m) && (first == nil || m.before(first)) {
				first = m
			}
		}
		if first.Phase == autoscale.Ready {
			first.Changed = time.Now()
		}
		first.Phase = autoscale.Draining // or it is gone already
		close(first.drop)
		p.changed.raise()
	}
}

// before orders pods by how little is lost with them.
func (m *member) before(o *member) bool {
	of := func(x *member) *autoscale.Pod {
		return &autoscale.Pod{ID: x.order, Phase: x.Phase, LastTransition: time.Duration(x.Changed.UnixNano())}
	}
	return of(m).Before(of(o))
}

// create begins a pod in the first free slot; false when there is none. mu is held.
func (p *Pool) create(atOnce bool) bool {
	for slot, m := range p.pods {
		if m != nil {
			continue
		}
		now := time.Now()
		m = &member{Pod: Pod{Name: fmt.Sprintf("pod-%d", p.next), Slot: slot, Created: now, Changed: now}, order: p.next,
			drop: make(chan struct{}), released: make(chan struct{})}
		p.next++
		p.pods[slot] = m
		p.wg.Go(func() { p.live(m, atOnce) })
		p.changed.raise()
		return true
	}
	return false
}
