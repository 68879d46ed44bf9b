package realrun

import (
	"fmt"
	"math"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/workloads"
)

// The comparison of arms by blocks in turns.
const (
	shortestBlock = 5 * time.Second
	blockP99s     = 20               // and this many times the P99
	blockSamples  = 30               // and long enough for so many requests beyond the P99
	drainCap      = 10 * time.Second // between blocks
	dropped       = 0.1              // of a block's begin, which is not measured
	rateSpread    = 0.005            // realised rates may differ by
)

// ArmTime is how long one arm is driven, drains aside; at least so long where its
// latencies decide the length of a block.
func ArmTime(l *scenarios.Live) time.Duration {
	if l.Block == 0 {
		return shortestBlock * time.Duration(l.Blocks+1)
	}
	return l.Block * time.Duration(l.Blocks)
}

// compare interleaves the arms: AB BA AB …, for more than two arms rows in rotated
// order, so that a linear drift of the machine cancels in the pairs. The arms meet the
// same stretch of the schedule in the blocks of one row, on clocks that stand still
// while others have their turn. It returns what is wrong with all of them.
func (s *session) compare(rec reports.Recorder) ([]reports.Warning, error) {
	live := s.arms[0].run.Cell.Setup.Live
	setups := make([]reports.Setup, len(s.arms))
	for i, d := range s.arms {
		var err error
		if setups[i], err = d.plan(); err != nil {
			return nil, err
		}
		setups[i].Sections = false
	}
	length, from := live.Block, time.Duration(0)
	if length == 0 {
		var err error
		if length, err = s.pilot(setups); err != nil {
			return nil, err
		}
		from = shortestBlock
	}
	for row := range live.Blocks {
		for k := range s.arms {
			i := (row + k) % len(s.arms)
			d, b := s.arms[i], block{row: row, from: from, length: length, setup: setups[i]}
			err := d.turn(&b, func(st reports.Setup) *reports.Collector { return rec.Begin(i, st) })
			if err != nil {
				return nil, err
			}
			rec.Progress(i, float64(row+1)/float64(live.Blocks))
		}
		from += length
	}
	for _, d := range s.arms {
		d.end()
	}
	return s.rates(length), nil
}

// pilot gives every arm a first turn that is not reported, and takes from it how long
// a block must be.
func (s *session) pilot(setups []reports.Setup) (time.Duration, error) {
	length := shortestBlock
	for i, d := range s.arms {
		b := block{length: shortestBlock, setup: setups[i]}
		if err := d.turn(&b, reports.NewCollector); err != nil {
			return 0, err
		}
		length = max(length, d.shortest())
		d.sound = newSoundness()
	}
	return (length + 100*time.Millisecond - 1).Truncate(100 * time.Millisecond), nil
}

// shortest is the block length that the latencies so far ask for.
func (d *drive) shortest() time.Duration {
	length := shortestBlock
	if h := d.sound.latency; h.Count() > 0 {
		length = max(length, blockP99s*time.Duration(h.Quantile(990)))
	}
	if rate := d.run.Cell.RateRPS; rate > 0 {
		length = max(length, time.Duration(math.Ceil(blockSamples/0.01/(1-dropped)/rate*1e9)))
	}
	return length
}

// block is one turn of one arm.
type block struct {
	row    int
	from   time.Duration // where in the schedule it begins
	length time.Duration
	setup  reports.Setup
}

// turn drives one block: the clock goes on, the front ends keep what they know, and
// at the end nothing is under way.
func (d *drive) turn(b *block, collector func(reports.Setup) *reports.Collector) error {
	d.goOn(b.row > 0 || b.from > 0)
	defer d.rest()
	start := d.clock.now() + lead
	drop := time.Duration(dropped * float64(b.length))
	s := b.setup
	s.Index, s.Pair = b.row, &b.row
	s.Start, s.Window = start+drop, b.length-drop
	d.mu.Lock()
	d.col = collector(s)
	d.mu.Unlock()
	st := d.stretch()
	st.window = s.Window
	if err := d.sendBlock(b, start, between(start+drop, start+b.length), st); err != nil {
		return err
	}
	st.after = d.counters()
	if !d.idle(d.clock.now()+drainCap, d.quiet) {
		d.sound.undrained++
		for _, f := range d.fronts {
			f.abandon()
		}
	}
	if err := d.ctx.Err(); err != nil {
		return err
	}
	return d.close(st)
}

// sendBlock sends the block's part of the schedule, shifted to where the clock stands.
func (d *drive) sendBlock(b *block, start time.Duration, measured func(*workloads.Request) bool, st *stretch) error {
	d.sound.cpu.begin()
	defer d.sound.cpu.end()
	for {
		r := d.rows.next()
		if r == nil {
			return fmt.Errorf("the schedule ends before block %d of %v does: use fewer or shorter blocks", b.row, b.length)
		}
		if r.At >= b.from+b.length {
			d.rows.back()
			break
		}
		d.rows.count()
		shift := start - b.from
		r.At += shift
		if r.Deadline > 0 {
			r.Deadline += shift
		}
		if !d.pacer.wait(d.ctx, r.At) {
			return d.ctx.Err()
		}
		d.offer(r, measured(r), st)
	}
	if !d.pacer.wait(d.ctx, start+b.length) {
		return d.ctx.Err()
	}
	return nil
}

// goOn lets the drive's clock go on for its next turn. The first turn begins the run;
// halves that run beside common backends begin another life, since the arms before
// had them.
func (d *drive) goOn(again bool) {
	d.clock.run()
	if !again {
		d.begin()
		return
	}
	for i := range d.services {
		if d.services[i].remote {
			d.renewAll(i)
		}
	}
	d.look()
}

// rest stops the clock until the next turn.
func (d *drive) rest() {
	d.clock.hold()
	d.look()
}

// look makes all timers look at the clock again.
func (d *drive) look() {
	d.agenda.Look()
	for _, f := range d.fronts {
		f.timers.Look()
	}
}

// renewAll begins the next life of all replica halves of service i.
func (d *drive) renewAll(i int) {
	d.fmu.Lock()
	inc := map[int]uint32{}
	for r := range d.registry.inc[i] {
		if d.registry.here[i][r] {
			d.registry.inc[i][r]++
			inc[r] = d.registry.inc[i][r]
		}
	}
	d.fmu.Unlock()
	if err := d.beginHalves(i); err != nil {
		d.note(err.Error())
	}
	for _, f := range d.fronts {
		for r := range d.services[i].table.N {
			if n, ok := inc[r]; ok {
				f.change(i, balance.Change{Kind: balance.ChangeAdded, Ref: policies.Ref{ID: uint32(r), Inc: n}})
			}
		}
	}
}

// rates tells the realised rate of every arm: where they differ, the arms did not meet
// the same load.
func (s *session) rates(length time.Duration) []reports.Warning {
	least, most := math.Inf(1), 0.0
	for _, d := range s.arms {
		rate := d.sound.rate()
		least, most = min(least, rate), max(most, rate)
		s.note(fmt.Sprintf("arm %s: %.2f requests/s in blocks of %v", d.run.Cell.Policy, rate, length))
		if need := d.shortest(); length < need {
			s.note(fmt.Sprintf("arm %s asks for blocks of %v: they are too short for its P99", d.run.Cell.Policy, need.Round(100*time.Millisecond)))
		}
	}
	if least > 0 && most/least-1 > rateSpread {
		return []reports.Warning{{Code: "rate-missed", Message: fmt.Sprintf("the realised rates of the arms differ by %.2f%%, allowed %.1f%%", 100*(most/least-1), 100*rateSpread)}}
	}
	return nil
}
