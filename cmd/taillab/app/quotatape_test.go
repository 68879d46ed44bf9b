package app

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/cmd/taillab/internal/tape"
	"taillab/policies/flow"
	"taillab/policies/flow/flowtest"
	"taillab/policies/quota"
	"taillab/scenarios"
)

// witnessed is what the tape of a cell tells of its limiter, of all front ends together
// in order of time.
type witnessed struct {
	decisions []flowtest.Decided
	answers   []flowtest.Answer
	replayed  uint64 // calls, all identical
}

// cellName names a cell by what its tape tells of it.
func cellName(policy string, loss quota.LossMode) string {
	return policy + " " + []string{"static", "open", "closed"}[loss]
}

// witnesses replays every tape below a folder, and holds each to what was taped.
func witnesses(t *testing.T, dir string) map[string]witnessed {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "tapes", "*.tape"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	s := &session{catalog: scenarios.Catalog()}
	out := map[string]witnessed{}
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		x, err := tape.Read(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.False(t, x.Cut)
		out[cellName(x.Policy, x.Quota.Loss)] = witness(t, s, x)
	}
	return out
}

func witness(t *testing.T, s *session, x *tape.Tape) (out witnessed) {
	t.Helper()
	makers, err := (&replayCmd{}).makers(s, x)
	require.NoError(t, err)
	fresh, err := limiterOf(s, x)
	require.NoError(t, err)
	var all []*flowtest.Witness
	x.Watch = func(now time.Duration, acts *flow.Actions) { all[len(all)-1].Watch(now, acts) }
	found, err := x.Replay(makers, func() quota.Limiter {
		w := &flowtest.Witness{Limiter: fresh()}
		all = append(all, w)
		return w
	}, false)
	require.NoError(t, err)
	require.Nil(t, found.First, "%s replays identically", x.Policy)
	out.replayed = found.Calls
	for _, w := range all {
		out.decisions = append(out.decisions, w.Decisions...)
		out.answers = append(out.answers, w.Answers...)
	}
	slices.SortStableFunc(out.decisions, func(a, b flowtest.Decided) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(out.answers, func(a, b flowtest.Answer) int { return cmp.Compare(a.At, b.At) })
	return out
}

// span is a stretch of a run.
type span struct{ from, to time.Duration }

// delays are the stretches in which a request waited longer than most to be sent: its
// driver stood still, while the servers' clock went on.
func (w *witnessed) delays(most time.Duration) (out []span) {
	var all []span
	for _, d := range w.decisions {
		if d.Late > most {
			all = append(all, span{d.Came, d.Came + d.Late})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for _, s := range all {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// latest is the longest delay of a send.
func (w *witnessed) latest() (most time.Duration) {
	for _, d := range w.decisions {
		most = max(most, d.Late)
	}
	return most
}

// block is how long a stretch is of which the worst second is taken.
const block = 5 * time.Second

// worst is the most requests that a group admitted in any second that ends in [from, to)
// and does not touch what is left out: of the whole run, and the mean over its blocks.
// One extreme is chance; a dozen of them are a property of the limiter.
func (w *witnessed) worst(from, to time.Duration, out []span) (most, mean float64) {
	last, of := map[uint32][]time.Duration{}, map[time.Duration]int{}
	for _, d := range w.decisions {
		if d.Outcome != quota.Admitted {
			continue
		}
		q := append(last[d.Group], d.At)
		for q[0] <= d.At-time.Second {
			q = q[1:]
		}
		last[d.Group] = q
		if d.At >= from && d.At < to && !slices.ContainsFunc(out, func(s span) bool { return s.from < d.At && s.to > d.At-time.Second }) {
			of[d.At/block] = max(of[d.At/block], len(q))
		}
	}
	for _, n := range of {
		most, mean = max(most, float64(n)), mean+float64(n)/float64(len(of))
	}
	return most, mean
}

// kept is the share of the seconds that end in [from, to) which do not touch what is
// left out.
func kept(from, to time.Duration, out []span) float64 {
	left, at := to-from, from
	for _, s := range out { // seconds that end in (s.from, s.to + 1 s) touch it
		begin, end := max(s.from, at), min(s.to+time.Second, to)
		if end > begin {
			left -= end - begin
			at = end
		}
	}
	return left.Seconds() / (to - from).Seconds()
}
