package app

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/quota"
	"taillab/reports"
	"taillab/scenarios"
)

// outage is what became of the groups of a shard while it was away.
type outage struct {
	alone, ahead   int           // admitted without the store, and by what it had given before
	refused        int           // decided without the store, and not admitted
	first          time.Duration // from the shard's restart to its first answer; negative: none came
	last           time.Duration // from the shard's restart to the last decision without it
	others         int           // decisions without the store in the groups of other shards, or later
	othersAnswered int           // answers of other shards in the meantime
}

// away looks at a fault of one shard. Ahead counts until the shard answers again.
func (w *witnessed) away(q *scenarios.Quota, f *scenarios.Fault) outage {
	back := f.At + f.ForLo
	hit := func(group uint32) bool {
		return slices.Contains(f.Shards, q.Store.Placement.Shard(q.Groups[group].Name, q.Store.Shards))
	}
	out := outage{first: -1}
	for _, a := range w.answers {
		switch {
		case a.Lost:
		case !hit(a.Group) && a.At >= f.At && a.At < back:
			out.othersAnswered++
		case hit(a.Group) && a.At >= back && out.first < 0:
			out.first = a.At - back
		}
	}
	for _, d := range w.decisions {
		admitted := d.Outcome == quota.Admitted
		over := d.At > back+max(out.first, out.last, 0)+time.Second // what is lost after a second with the store is lost to a timeout
		switch {
		case d.Alone && (over || d.At < f.At || !hit(d.Group)):
			out.others++
		case d.Alone:
			out.last = max(out.last, d.At-back)
			if admitted {
				out.alone++
			} else {
				out.refused++
			}
		case hit(d.Group) && admitted && d.At >= f.At && d.At < back+max(out.first, 0):
			out.ahead++
		}
	}
	return out
}

// bound is the most that may be admitted while a shard is away for t, with requests
// that cost one unit: without the store, as on_store_loss says, and by what front ends
// had from it before. Negative: all that comes.
type bound struct {
	alone, ahead         float64
	aloneText, aheadText string
}

// boundOf sums over the groups of the shard. n front ends, rate r, burst B.
func boundOf(c *scenarios.Cell, f *scenarios.Fault, t time.Duration) bound {
	q, n, size, sync := c.Setup.Quota, float64(c.Setup.FrontEnds.Count), 0.0, time.Duration(0)
	switch l := c.Limiter.Make().(type) {
	case *quota.Lease:
		size = l.Size
	case *quota.Async:
		sync = l.Sync
	}
	var out bound
	for i := range q.Groups {
		g := &q.Groups[i]
		if !slices.Contains(f.Shards, q.Store.Placement.Shard(g.Name, q.Store.Shards)) {
			continue
		}
		switch q.OnLoss { // every front end has its own bucket of a part
		case quota.LossStatic:
			out.alone += n*max(g.Burst/n, 1) + g.Rate*t.Seconds()
			out.aloneText = "n·max(B/n, 1) + r·t"
		case quota.LossOpen:
			out.alone, out.aloneText = -1, "all that comes"
		case quota.LossClosed:
			out.aloneText = "0"
		}
		switch {
		case size > 0:
			out.ahead += n * size
			out.aheadText = "n·size"
		case sync > 0 && q.OnLoss == quota.LossOpen: // goes on with its view
			out.ahead += n * (g.Burst + g.Rate*t.Seconds())
			out.aheadText = "n·(B + r·t)"
		case sync > 0: // until a telling has failed
			out.ahead += n * (g.Burst + g.Rate*(sync+q.Store.Timeout).Seconds())
			out.aheadText = "n·(B + r·(sync + timeout))"
		default: // answers on their way
			out.ahead += g.Burst
			out.aheadText = "B"
		}
	}
	return out
}

// holds tells whether an outage stayed within its bound.
func (b *bound) holds(o *outage) bool {
	without := float64(o.alone) <= b.alone
	if b.alone < 0 {
		without = o.refused == 0
	}
	return without && float64(o.ahead) <= b.ahead
}

// shardDies kills a shard under every limiter and loss mode, and holds what is admitted
// meanwhile to its bound, in both hosts.
func shardDies(t *testing.T, b *strings.Builder) (wrong []string) {
	t.Helper()
	const name = "shard-dies.yaml"
	data, err := os.ReadFile("../../../testdata/quota/" + name)
	require.NoError(t, err)
	plans, problems := scenarios.Load([]scenarios.Source{{Name: name, Data: data}}, scenarios.Options{Catalog: scenarios.Catalog(), Seed: 1})
	require.Empty(t, problems)
	cells, calls := plans[0].Cells, uint64(0)
	f := &cells[0].Setup.Faults[0]
	fmt.Fprintf(b, "\nShard %d is killed at %v and started again, empty, %v later; g1 is its only group.\n\n", f.Shards[0], f.At, f.ForLo)
	b.WriteString("| limiter, on loss | host | without the store: admitted of decided | at most | by what it gave before | at most | back: first answer, last decision without it | requests lost | without the store elsewhere, or later |\n" +
		"|---|---|---:|---|---:|---|---:|---:|---:|\n")
	rows := make([]string, len(cells))
	for _, host := range []string{"simulated", "live"} {
		dir, extra := t.TempDir(), []string(nil)
		if host == "live" {
			extra = []string{"--live", "emulator"}
		}
		s := quotaRun(t, name, dir, extra...)
		tapes := witnesses(t, dir)
		require.Len(t, tapes, len(cells))
		for i, c := range cells {
			at := slices.IndexFunc(s.Cells, func(x reports.Cell) bool { return x.Policy == c.Policy && x.Axes["loss"] == c.Axes["loss"] })
			require.NotEqual(t, -1, at, "%s %v", c.Policy, c.Axes)
			key := cellName(c.Policy, c.Setup.Quota.OnLoss)
			w := tapes[key]
			calls += w.replayed
			o := w.away(c.Setup.Quota, f)
			x := boundOf(c, f, f.ForLo+o.last)
			for _, why := range o.faults(&x, &s.Cells[at]) {
				wrong = append(wrong, fmt.Sprintf("%s, %s: %s: %+v, %+v", key, host, why, o, x))
			}
			rows[i] += o.row(strings.Replace(key, " ", ", ", 1), host, &x, &s.Cells[at])
		}
	}
	fmt.Fprintf(b, "%s\nThe tapes of all runs replay identically: %s calls.\n", strings.Join(rows, ""), grouped(calls))
	return wrong
}

// lostIn counts the requests of a cell that ended neither served nor rejected.
func lostIn(c *reports.Cell) (n int64) {
	for class, k := range c.Errors {
		if class != "rejected" {
			n += k
		}
	}
	return n
}

// faults are what must not be. On a machine that was too slow an ask may be lost to its
// timeout.
func (o *outage) faults(x *bound, c *reports.Cell) (why []string) {
	busy := c.LatenessP99MS != nil && *c.LatenessP99MS > lateRun
	for _, p := range []struct {
		ok   bool
		what string
	}{
		{x.holds(o), "above the bound"},
		{lostIn(c) == 0, "requests are lost"},
		{o.first >= 0, "the shard does not answer again"},
		{o.othersAnswered > 0, "the other shards do not answer"},
		{o.others == 0 || busy, "asks are lost elsewhere, or later"},
	} {
		if !p.ok {
			why = append(why, p.what)
		}
	}
	return why
}

// row is a line of the table.
func (o *outage) row(label, host string, x *bound, c *reports.Cell) string {
	alone := x.aloneText
	if x.alone > 0 {
		alone = fmt.Sprintf("%.0f = %s", x.alone, x.aloneText)
	}
	return fmt.Sprintf("| %s | %s | %d of %d | %s | %d | %.0f = %s | %.0f, %.0f ms | %d | %d |\n", label, host, o.alone, o.alone+o.refused, alone,
		o.ahead, x.ahead, x.aheadText, o.first.Seconds()*1000, o.last.Seconds()*1000, lostIn(c), o.others)
}
