package reports

import "time"

// Recorder is where a host puts what a run gives. Runs are numbered as the host
// was handed them. Its methods may be called from several goroutines, for
// different runs.
type Recorder interface {
	// Begin asks for the collector of a run, before its first event.
	Begin(run int, s Setup) *Collector
	// Progress tells the share of the run's arrivals that have come, 0…1.
	Progress(run int, share float64)
	// Tick books one row of the run's timeline.
	Tick(run int, row TimelineRow)
	// Tape hands over one taped stream of the run: its instance's name and its bytes.
	Tape(run int, stream string, data []byte)
	// Warn notes a finding of the run.
	Warn(run int, code, message string)
	// Done says that the run is complete; the host has closed the collector. A run
	// without Done was interrupted and gives no result.
	Done(run int)
}

// TimelineRow is the state of one service at one instant of a run.
type TimelineRow struct {
	At       time.Duration // since the run began
	Service  int
	Queued   int // requests waiting in replicas; below 0: unknown, as backends keep it to themselves
	InFlight int // requests sent and not ended, the network included
	Held     int // requests waiting inside front ends
	Replicas int // replicas that are up

	// Of a fleet that changes its size, else 0.
	Desired int           // replicas wanted
	Created int           // replicas there are, starting and draining ones included
	Arrived int           // requests that arrived since the row before
	P99     time.Duration // of the measured requests completed since the row before; 0 = none
}
