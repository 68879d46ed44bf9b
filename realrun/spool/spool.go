// Package spool writes the tapes of live instances on a goroutine of its own, so that
// no policy waits for a disk.
package spool

import (
	"bytes"
	"errors"
	"sync"

	"taillab/policies/flow"
)

// Writer takes a tape, piece by piece, from one goroutine.
type Writer interface {
	// Piece adds whole records to a stream.
	Piece(stream string, data []byte) error
	// Close ends the tape. One that is not whole lacks what was taped last.
	Close(whole bool) error
}

// A piece of a tape leaves the memory of the instance it was taped from once it is
// PieceBytes long, and at most WaitingBytes wait to be written.
const (
	PieceBytes   = 16 << 10
	WaitingBytes = 64 << 20
)

// The ends of a tape that is not whole.
var (
	// ErrTooFast ends a tape of which more than the limit of the spool waits.
	ErrTooFast = errors.New("what was taped came faster than it could be written")
	// ErrFull is what a Writer answers once a tape has reached the length it may have.
	ErrFull = errors.New("the tape has reached its limit")
)

// Spool is a tape on its way to a Writer. What cannot be written ends the tape, not
// the run. A nil *Spool leaves everything in memory. Its methods may be called from
// any goroutine.
type Spool struct {
	to    Writer
	limit int
	broke func(error)
	done  chan struct{}

	mu    sync.Mutex
	more  *sync.Cond
	queue []piece
	bytes int   // in the queue
	err   error // why the tape is cut short
	over  bool
}

type piece struct {
	stream string
	data   []byte
}

// New begins to write. At most limit bytes wait. broke, if there is one, is told once
// why the tape ends early, by the goroutine that writes.
func New(to Writer, limit int, broke func(error)) *Spool {
	s := &Spool{to: to, limit: limit, broke: broke, done: make(chan struct{})}
	s.more = sync.NewCond(&s.mu)
	go s.write()
	return s
}

// Trim takes what an instance has taped, if that is enough for a piece. The tape is the
// caller's alone.
func (s *Spool) Trim(stream string, t *flow.Tape) {
	if s != nil && len(t.Bytes()) >= PieceBytes {
		s.Put(stream, t)
	}
}

// Put takes everything that an instance has taped so far.
func (s *Spool) Put(stream string, t *flow.Tape) {
	s.Add(stream, t.Bytes())
	t.Drop()
}

// Add queues a copy of data for a stream.
func (s *Spool) Add(stream string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil || s.over:
	case s.bytes+len(data) > s.limit:
		s.err = ErrTooFast
		s.more.Signal()
	default:
		s.queue = append(s.queue, piece{stream, bytes.Clone(data)})
		s.bytes += len(data)
		s.more.Signal()
	}
}

// write serves the queue until it is over and empty.
func (s *Spool) write() {
	defer close(s.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.broke == nil
	for {
		for len(s.queue) == 0 && !s.over && (s.err == nil || told) {
			s.more.Wait()
		}
		if s.err != nil && !told {
			told = true
			why := s.err
			s.mu.Unlock()
			s.broke(why)
			s.mu.Lock()
			continue
		}
		if len(s.queue) == 0 {
			return
		}
		p := s.queue[0]
		s.queue, s.bytes = s.queue[1:], s.bytes-len(p.data)
		s.mu.Unlock()
		err := s.to.Piece(p.stream, p.data)
		s.mu.Lock()
		if err != nil { // what follows would leave a gap
			s.queue, s.bytes = nil, 0
			if s.err == nil {
				s.err = err
			}
		}
	}
}

// End writes what is left and closes the tape. It may be called twice.
func (s *Spool) End() {
	s.mu.Lock()
	again := s.over
	s.over = true
	s.more.Signal()
	s.mu.Unlock()
	<-s.done
	if again {
		return
	}
	err := s.to.Close(s.Err() == nil)
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
}

// Err is why the tape is cut short, nil while it is not.
func (s *Spool) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
