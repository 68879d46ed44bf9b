package realrun

import (
	"bytes"
	"errors"
	"sync"

	"taillab/policies/flow"
)

// TapeWriter takes the tape of a run, piece by piece, from one goroutine.
type TapeWriter interface {
	// Piece adds whole records to a stream.
	Piece(stream string, data []byte) error
	// Close ends the tape. One that is not whole lacks what was taped last.
	Close(whole bool) error
}

// A piece of a tape leaves the memory of the instance it was taped from once it is so
// long, and at most so much waits to be written.
const (
	pieceBytes   = 16 << 10
	waitingBytes = 64 << 20
)

var errTapeFull = errors.New("what was taped came faster than it could be written")

// spool writes a drive's tapes on a goroutine of its own, so that no policy waits for a
// disk. What cannot be written ends the tape, not the run. A nil *spool leaves
// everything in memory.
type spool struct {
	to    TapeWriter
	limit int // bytes that may wait
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

func newSpool(to TapeWriter) *spool {
	s := &spool{to: to, limit: waitingBytes, done: make(chan struct{})}
	s.more = sync.NewCond(&s.mu)
	go s.write()
	return s
}

// trim takes what an instance has taped, if that is enough for a piece. Its lock is held.
func (s *spool) trim(stream string, t *flow.Tape) {
	if s != nil && len(t.Bytes()) >= pieceBytes {
		s.put(stream, t)
	}
}

// put takes everything that an instance has taped so far.
func (s *spool) put(stream string, t *flow.Tape) {
	s.add(stream, t.Bytes())
	t.Drop()
}

// add queues a copy of data for a stream.
func (s *spool) add(stream string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil || s.over:
	case s.bytes+len(data) > s.limit:
		s.err = errTapeFull
	default:
		s.queue = append(s.queue, piece{stream, bytes.Clone(data)})
		s.bytes += len(data)
		s.more.Signal()
	}
}

// write serves the queue until it is over and empty.
func (s *spool) write() {
	defer close(s.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.queue) == 0 && !s.over {
			s.more.Wait()
		}
		if len(s.queue) == 0 {
			return
		}
		p := s.queue[0]
		s.queue, s.bytes = s.queue[1:], s.bytes-len(p.data)
		s.mu.Unlock()
		err := s.to.Piece(p.stream, p.data)
		s.mu.Lock()
		if s.err == nil {
			s.err = err
		}
	}
}

// end writes what is left and closes the tape. It may be called twice.
func (s *spool) end() {
	s.mu.Lock()
	again := s.over
	s.over = true
	s.more.Signal()
	s.mu.Unlock()
	<-s.done
	if again {
		return
	}
	if err := s.to.Close(s.err == nil); s.err == nil {
		s.err = err
	}
}

// taped is the tape of one instance.
type taped struct {
	stream string
	tape   *flow.Tape
}

// tapes are those of all instances, of front ends in all their generations.
func (d *drive) tapes() []taped {
	var out []taped
	for _, f := range d.fronts {
		out = append(out, f.tapes...)
	}
	return append(out, d.halves...)
}

// desires gives the tapes of all autoscalers.
func (d *drive) desires(take func(stream string, data []byte)) {
	for i := range d.services {
		if e := d.services[i].elastic; e != nil && len(e.tape) > 0 {
			take("autoscale/"+e.name, e.tape)
		}
	}
}

// unwound hands over what all instances of a drive have left on their tapes, once none
// of them runs any more, and ends its spool.
func (d *drive) unwound() {
	if d.spool == nil {
		return
	}
	for _, t := range d.tapes() {
		d.spool.put(t.stream, t.tape)
	}
	d.desires(d.spool.add)
	d.spool.end()
}
