package actuator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"taillab/policies/autoscale"
)

// live is the life of a pod, from its creation until it is gone.
func (p *Pool) live(m *member, atOnce bool) {
	failed := p.rise(m, atOnce)
	if failed != nil {
		p.fail(m, failed)
	}
	if m.server != nil {
		p.end(m)
	}
	if failed != nil {
		p.wait(m, again) // or it would fail as fast as the machine can
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pods[m.Slot] = nil
	p.changed.raise()
	p.reconcile()
}

// fail books that a pod has ended by itself. It counts as one that is to come, until
// its slot is free.
func (p *Pool) fail(m *member, why error) {
	p.cfg.Note(fmt.Sprintf("%s: %v", m.Name, why))
	p.mu.Lock()
	defer p.mu.Unlock()
	m.failed = true
	if m.Phase < autoscale.Draining {
		m.Phase = autoscale.Pending
	}
	if p.failure == nil {
		p.failure = why
	}
	p.changed.raise()
}

// rise brings a pod up and waits until it is no longer wanted, or has ended by itself:
// then it says how.
func (p *Pool) rise(m *member, atOnce bool) error {
	l := &p.cfg.Lifecycle
	timed := !atOnce && !p.cfg.Loads
	if timed && !p.wait(m, l.Bind) {
		return nil
	}
	p.enter(m, autoscale.Pulling)
	if timed && !p.wait(m, l.Image) {
		return nil
	}
	p.enter(m, autoscale.Loading)
	var err error
	if m.server, err = p.cfg.Make(m.Slot, m.Name); err != nil {
		return err
	}
	if timed && !(p.load(m) && p.wait(m, l.Model.Init)) {
		return nil
	}
	p.enter(m, autoscale.Warming)
	if timed && !p.wait(m, l.Warmup) {
		return nil
	}
	if ok, err := p.check(m); !ok {
		return err
	}
	p.enter(m, autoscale.Ready)
	select {
	case <-m.drop:
	case <-p.ctx.Done():
	case <-m.server.Done():
		return errors.New("its server has ended by itself")
	}
	return nil
}

// enter moves a pod on, unless it is no longer wanted.
func (p *Pool) enter(m *member, phase autoscale.Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Phase == autoscale.Draining {
		return
	}
	m.Phase = phase
	switch phase {
	case autoscale.Pulling:
		m.Started = time.Now()
	case autoscale.Ready:
		m.Changed, m.URL = time.Now(), m.server.URL()
	}
	p.changed.raise()
}

// wait lets time pass; false when the pod is no longer wanted before.
func (p *Pool) wait(m *member, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-m.drop:
	case <-p.ctx.Done():
	}
	return false
}

// check waits until the server takes requests; false when the pod is no longer wanted
// before, or with an error when the server has ended.
func (p *Pool) check(m *member) (bool, error) {
	if p.cfg.Check == nil {
		return true, nil
	}
	for {
		ctx, cancel := context.WithTimeout(p.ctx, checkLimit)
		ok := p.cfg.Check(ctx, m.server.URL())
		cancel()
		if ok {
			return true, nil
		}
		if !p.wait(m, checkEvery) {
			return false, nil
		}
		select {
		case <-m.server.Done():
			return false, errors.New("its server ended before it was ready")
		default:
		}
	}
}

// end ends a pod's server. One that was ready drains first: it is asked to end when it
// is released. When its grace is over it is killed, asked or not.
func (p *Pool) end(m *member) {
	grace := p.cfg.Lifecycle.DrainGrace
	if m.URL != "" && grace > 0 && p.drain(m, grace) {
		return
	}
	m.server.Kill()
	<-m.server.Done()
}

// drain lets a server end by itself; false when its grace is over before.
func (p *Pool) drain(m *member, grace time.Duration) bool {
	limit := time.NewTimer(grace)
	defer limit.Stop()
	select {
	case <-m.released:
	case <-p.ctx.Done():
		limit.Reset(min(grace, closeLimit))
	case <-m.server.Done():
		return true
	case <-limit.C:
		return false
	}
	m.server.Stop()
	select {
	case <-m.server.Done():
		return true
	case <-limit.C:
		return false
	}
}

// disk is what loading pods share; under the pool's mu.
type disk struct {
	readers int
	changed chan struct{} // closed and made anew when readers change
}

func (d *disk) add(n int) {
	d.readers += n
	close(d.changed)
	d.changed = make(chan struct{})
}

// load reads the model, at the rate that the pods which load at the same time leave;
// false when the pod is no longer wanted before.
func (p *Pool) load(m *member) bool {
	w := &p.cfg.Lifecycle.Model
	left := w.Bytes
	p.mu.Lock()
	p.disk.add(1)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.disk.add(-1)
		p.mu.Unlock()
	}()
	for left > 0.5 {
		p.mu.Lock()
		rate, changed := w.Read, p.disk.changed
		if w.Network > 0 {
			rate = min(rate, w.Network/float64(p.disk.readers))
		}
		p.mu.Unlock()
		began := time.Now()
		t := time.NewTimer(time.Duration(math.Ceil(left / rate * 1e9)))
		select {
		case <-t.C:
		case <-changed:
		case <-m.drop:
		case <-p.ctx.Done():
		}
		t.Stop()
		select {
		case <-m.drop:
			return false
		case <-p.ctx.Done():
			return false
		default:
		}
		left -= rate * time.Since(began).Seconds()
	}
	return true
}
