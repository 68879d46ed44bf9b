package sim

import (
	"context"
	"fmt"
	"runtime/debug"

	"taillab/reports"
	"taillab/scenarios"
)

// Host runs plans in virtual time. It holds no state: Run may be called from
// several goroutines.
type Host struct {
	heap    bool // see Config.Heap
	general bool // no request takes the direct way: slower, with the same results, for comparison
}

// Run simulates the runs one after another. It returns ctx's error when it was
// interrupted; a run that was cut short is not Done and gives no result. A broken
// invariant of the kernel or of a policy comes back as an error that names the
// policy, the seed and the event.
func (h Host) Run(ctx context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	for i := range runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.one(ctx, i, &runs[i], rec); err != nil {
			return err
		}
	}
	return nil
}

func (h Host) one(ctx context.Context, i int, run *scenarios.Run, rec reports.Recorder) (err error) {
	var l *lab
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("policy %q, seed %d, event %d: %v", run.Cell.Policy, run.Rep+1, l.events(), e)
			if _, ours := e.(string); !ours {
				err = fmt.Errorf("%w\n%s", err, debug.Stack())
			}
		}
	}()
	l, err = newLab(i, run, rec, h)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, l.eng.Interrupt)
	defer stop()
	l.run()
	if l.eng.Interrupted() {
		return ctx.Err()
	}
	return l.finish()
}

func (l *lab) events() uint64 {
	if l == nil || l.eng == nil {
		return 0
	}
	return l.eng.Events()
}
