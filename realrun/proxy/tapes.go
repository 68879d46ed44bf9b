package proxy

import (
	"errors"
	"sync"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/inferred"
	"taillab/realrun/spool"
	"taillab/scenarios"
)

// TapeWriter takes one chain of a tape. Its Piece answers spool.ErrFull once the chain
// has the length it may have.
type TapeWriter interface {
	spool.Writer
	// Bytes is how much of the chain is written; from any goroutine.
	Bytes() int64
	// Drop removes a chain that is closed.
	Drop() error
}

// tapes is what a proxy tapes, one chain after another.
type tapes struct {
	open  func(chain int) (TapeWriter, error) // nil: nothing is taped
	fresh bool                                // a chain at its limit gives way to another

	mu    sync.Mutex
	chain int // from 1
	spool *spool.Spool
	to    TapeWriter
	over  bool  // no other chain may begin
	cut   error // why the tape ended before the proxy
}

// last makes the present chain the last one.
func (t *tapes) last() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// next begins a chain; mu is held, or nothing runs.
func (p *Proxy) next() error {
	t := &p.tapes
	to, err := t.open(t.chain + 1)
	if err != nil {
		return err
	}
	t.chain++
	chain := t.chain
	t.to, t.spool = to, spool.New(to, spool.WaitingBytes, func(err error) { p.tapeEnded(chain, err) })
	return nil
}

// tapeEnded is told that a chain cannot go on.
func (p *Proxy) tapeEnded(chain int, err error) {
	t := &p.tapes
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fresh && errors.Is(err, spool.ErrFull) && !t.over {
		p.work.Go(func() { p.renew(chain) })
		return
	}
	p.cutShort(err)
}

// cutShort notes that nothing is taped any more; mu is held.
func (p *Proxy) cutShort(err error) {
	p.tapes.cut = err
	p.log.Warn("the tape ends here, the proxy goes on", "err", err)
}

// renew puts fresh instances of all policies in place, begins a chain with them, and
// drops the one before.
func (p *Proxy) renew(chain int) {
	t := &p.tapes
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.chain != chain {
		return
	}
	old, dropped := t.spool, t.to
	if err := p.next(); err != nil {
		p.cutShort(err)
		return
	}
	for _, f := range p.fronts {
		f.renew(t.spool)
	}
	for i, s := range p.services {
		if s.inferred != nil {
			s.inferred.Renew(p.present(i), &flow.Tape{}, p.trim(s))
		}
	}
	old.End()
	if err := dropped.Drop(); err != nil {
		p.log.Warn("an old chain of the tape stays", "err", err)
	}
	p.log.Info("the tape has begun anew, with fresh policies", "chain", t.chain)
}

// unwind hands over what the instances have left on their tapes, once none of them runs
// any more, and closes the chain.
func (p *Proxy) unwind() {
	t := &p.tapes
	t.mu.Lock()
	last := t.spool
	t.mu.Unlock()
	if last == nil {
		return
	}
	for _, f := range p.fronts {
		last.Put(f.stream(), f.life.tape)
	}
	for _, s := range p.services {
		if s.inferred != nil {
			last.Put(s.stream(), s.inferred.Tape())
		}
	}
	last.End() // may tell tapeEnded, which takes the lock
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut == nil {
		t.cut = last.Err()
	}
}

// infer makes the replica half of a service here, fed from the one front end's own
// attempts.
func (p *Proxy) infer(run scenarios.Run, i int) *inferred.Half {
	s := p.services[i]
	var tape *flow.Tape
	if p.tapes.spool != nil {
		tape = &flow.Tape{}
	}
	return inferred.New(inferred.Config{Name: s.name, Service: i, Table: s.table, Seed: run.Seed, Make: s.policy.Make, Now: p.now,
		Hear: func(from policies.Ref, m balance.Msg) { p.fronts[0].heard(i, from, m) },
		Wake: p.fronts[0].clock.Set}, tape, p.trim(s))
}

// trim hands what the half of a service has taped to the present chain; tapes.mu is
// held, or nothing runs.
func (p *Proxy) trim(s *service) func(*flow.Tape) {
	to := p.tapes.spool
	return func(t *flow.Tape) { to.Trim(s.stream(), t) }
}

// stream is the name of the tape of a service's replica halves, as a replay expects it.
func (s *service) stream() string { return "replicas/" + s.name }

// present are the members of a service that are listed now.
func (p *Proxy) present(service int) (refs []policies.Ref) {
	for _, m := range (*p.known.Load())[service] {
		if m.here {
			refs = append(refs, m.ref())
		}
	}
	return refs
}

// tapeMetrics writes how much is taped.
func (p *Proxy) tapeMetrics(w text) {
	t := &p.tapes
	t.mu.Lock()
	defer t.mu.Unlock()
	var bytes, cut float64
	if t.to != nil {
		bytes = float64(t.to.Bytes())
	}
	if t.cut != nil {
		cut = 1
	}
	w.head("taillab_tape_bytes", "gauge", "length of the present chain of the tape")
	w.row("taillab_tape_bytes", bytes)
	w.head("taillab_tape_chains_total", "counter", "chains of the tape that were begun")
	w.row("taillab_tape_chains_total", float64(t.chain))
	w.head("taillab_tape_ended", "gauge", "1: the tape has ended, and the proxy goes on without one")
	w.row("taillab_tape_ended", cut)
}
