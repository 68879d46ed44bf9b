package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"taillab/policies/balance"
)

// maxRows bounds the memory of a run: eight GPUs read ten times a second fill it in
// two hours.
const maxRows = 600_000

// grace is how long Stop waits, beyond the patience with a reading, for calls that
// cannot be broken off.
const grace = time.Second

// Run watches until its context ends or Stop is called.
type Run struct {
	cfg     Config
	clock   func() time.Duration
	parent  context.Context
	cancel  context.CancelFunc
	done    chan struct{} // closed when every source has ended
	stopped sync.Once

	mu     sync.Mutex
	rows   []Row
	limit  int // of rows
	full   bool
	notes  []string
	state  []*state         // by source
	loads  map[string]heard // by backend
	seen   uint64           // throttling reasons
	result Result           // of Stop
}

// state is what became of one source's readings; Run.mu guards it.
type state struct {
	name           string
	ended          bool
	good, bad      int
	last           error
	gpus, reasoned bool // it told of GPUs; it told why their clocks are as they are
}

// heard is the last load that a backend told.
type heard struct {
	load  balance.Load
	at    time.Duration
	known bool
}

// Start begins to watch. The clock is that of the run, and may be called from several
// goroutines; begin it before. Nothing that Start is given makes it fail, see
// Config.Check. A nil *Run is one that watches nothing.
func Start(ctx context.Context, cfg Config, clock func() time.Duration) *Run {
	r := &Run{clock: clock, parent: ctx, limit: maxRows, done: make(chan struct{}), loads: make(map[string]heard)}
	r.cfg, r.notes = cfg.settled()
	ctx, r.cancel = context.WithCancel(ctx)
	sources := r.sources()
	var wg sync.WaitGroup
	for _, s := range sources {
		st := &state{name: s.name}
		r.state = append(r.state, st)
		wg.Go(func() { r.follow(ctx, s, st) })
	}
	go func() {
		wg.Wait()
		close(r.done)
	}()
	return r
}

// follow reads one source until ctx ends, and once more if the run came to its end
// unbroken: counters then cover it whole.
func (r *Run) follow(ctx context.Context, s source, st *state) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		st.ended = true
	}()
	src, err := s.open()
	if err != nil {
		r.note("%s: no telemetry: %v", s.name, err)
		return
	}
	defer src.close()
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		r.take(ctx, s, st, src)
		select {
		case <-ctx.Done():
			if r.parent.Err() == nil {
				r.take(context.WithoutCancel(ctx), s, st, src)
			}
			return
		case <-tick.C:
		}
	}
}

// take reads a source once.
func (r *Run) take(ctx context.Context, s source, st *state, src reader) {
	if ctx.Err() != nil {
		return
	}
	at := r.clock()
	reading, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	rows, err := src.read(reading)
	if err != nil && ctx.Err() != nil {
		return // broken off by the end of the run
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v", r.cfg.Timeout)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		st.bad, st.last = st.bad+1, err
		if errors.Is(err, errUnreadable) {
			delete(r.loads, s.name)
		}
		return
	}
	st.good++
	for _, row := range rows {
		row.At, row.Source = at, s.name
		r.add(row, st)
	}
}

func (r *Run) add(row Row, st *state) {
	switch {
	case row.GPU != nil:
		st.gpus = true
		st.reasoned = st.reasoned || row.GPU.ReasonsKnown
		if row.GPU.Throttled() {
			r.seen |= row.GPU.Reasons & throttling
		}
	case row.Backend != nil:
		load, known := row.Backend.Load()
		r.loads[row.Source] = heard{load, row.At, known}
	}
	if len(r.rows) == r.limit {
		r.full = true
		return
	}
	r.rows = append(r.rows, row)
}

func (r *Run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// Load returns what a backend last told of its load, and how old that is; false when
// it is unknown: never told, not told in full, or told too long ago.
func (r *Run) Load(backend string) (load balance.Load, age time.Duration, ok bool) {
	if r == nil {
		return balance.Load{}, 0, false
	}
	r.mu.Lock()
	h := r.loads[backend]
	r.mu.Unlock()
	age = max(0, r.clock()-h.at)
	if !h.known || age > r.cfg.StaleAfter {
		return balance.Load{}, 0, false
	}
	return h.load, age, true
}

// Stop ends the watching and tells what was seen; a second call tells it again.
func (r *Run) Stop() Result {
	if r == nil {
		return emptyResult()
	}
	r.stopped.Do(func() {
		r.cancel()
		patience := time.NewTimer(r.cfg.Timeout + grace)
		defer patience.Stop()
		select {
		case <-r.done:
		case <-patience.C: // a driver that hangs must not hang the run
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.finish()
	})
	return r.result
}
