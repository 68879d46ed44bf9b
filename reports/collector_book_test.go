package reports

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Served is Add in fewer words: in any mixture and order of both, with and without
// sections, groups and limits, the run comes out the same. So it does whenever the
// histogram is looked at in between.
func TestServedIsAdd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 400).Draw(t, "requests")
		s := Setup{Services: []string{"a", "b"}[:rapid.IntRange(1, 2).Draw(t, "services")], Tenants: []string{"x", "y"}, Classes: []string{"p"},
			Outcomes: []string{"ok", "shed", "unfinished"}, Requests: int64(n), Sections: rapid.Bool().Draw(t, "sections"), Seed: 1,
			Streaming: rapid.Bool().Draw(t, "streaming")}
		if rapid.Bool().Draw(t, "limited") {
			s.SLO.Latency = 500 * time.Microsecond
		}
		short, long := NewCollector(s), NewCollector(s)
		for i := range n {
			r := served(uint64(i), time.Duration(rapid.IntRange(0, 1000).Draw(t, "µs"))*time.Microsecond)
			r.Arrived = time.Duration(i) * time.Millisecond
			r.Service = uint16(rapid.IntRange(0, len(s.Services)-1).Draw(t, "service"))
			r.Tenant = uint16(rapid.IntRange(0, 1).Draw(t, "tenant"))
			queue := r.Latency / 3
			r.TTFT, r.TPOT, r.Attempt = -1, -1, 1
			r.Steps = Steps{Queue: queue, Service: r.Latency - queue}
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				r.Outcome = uint8(rapid.IntRange(1, 2).Draw(t, "outcome"))
			case 1:
				r.TTFT, r.Attempt = r.Latency/2, 2
				r.Steps.Network, r.Steps.Service = r.Steps.Service, 0
			default:
				long.Add(&r)
				short.Served(r.Request, r.Arrived, r.Latency, queue, r.Replica, r.Service, r.Tenant, r.Class)
				continue
			}
			long.Add(&r)
			short.Add(&r)
			if i%50 == 0 {
				require.Equal(t, short.Live(), long.Live())
				require.EqualValues(t, i+1, short.Requests())
			}
		}
		end := End{MeasuredTime: time.Second}
		short.Close(end)
		long.Close(end)
		require.NoError(t, short.Err())
		require.Equal(t, long.result, short.result)
	})
}
