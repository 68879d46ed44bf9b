package runner

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/reports"
	"taillab/scenarios"
)

// uneven is a host whose policies cost very different times.
type uneven map[string]time.Duration

func (u uneven) Run(_ context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	rec.Begin(0, reports.Setup{Outcomes: []string{"ok"}, Services: []string{"main"}})
	for k := range 20 {
		time.Sleep(u[runs[0].Cell.Policy] / 20)
		rec.Progress(0, float64(k+1)/20)
	}
	rec.Done(0)
	return nil
}

// Once every policy has run once, the time that is left is known to a fifth.
func TestTimeLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := uneven{"cheap": 100 * time.Millisecond, "dear": 2 * time.Second, "middle": 500 * time.Millisecond}
		var runs []scenarios.Run
		for _, name := range []string{"cheap", "middle", "dear"} {
			cell := &scenarios.Cell{Policy: name, Setup: &scenarios.Setup{Measure: scenarios.Measure{Requests: 1000}}}
			for rep := range 20 {
				runs = append(runs, scenarios.Run{Cell: cell, Rep: rep})
			}
		}
		type look struct {
			at    time.Duration
			share float64
		}
		var looks []look
		began := time.Now()
		res := DoRuns(t.Context(), host, runs, Options{Jobs: 2, Progress: func(share float64) { looks = append(looks, look{time.Since(began), share}) }})
		require.NoError(t, res.Err())
		took := time.Since(began)
		require.InDelta(t, 26, took.Seconds(), 1)
		checked := 0
		for _, l := range looks {
			left := took - l.at
			if l.at < 2600*time.Millisecond || left < took/5 { // one of each has run; at the end the jobs run out one by one
				continue
			}
			checked++
			guess := time.Duration(float64(l.at) * (1 - l.share) / l.share)
			require.InDelta(t, left.Seconds(), guess.Seconds(), 0.2*left.Seconds(), fmt.Sprintf("after %v", l.at))
		}
		require.Greater(t, checked, 100)
	})
}
