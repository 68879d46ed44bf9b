package realrun

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/reports"
	"taillab/scenarios"
)

// judged is a run of 10,000 requests with a P50 of 10 ms, changed by a test.
func judged(change func(d *drive)) (unsound, notes []reports.Warning) {
	live := scenarios.DefaultLive()
	d := &drive{run: &scenarios.Run{Cell: &scenarios.Cell{Setup: &scenarios.Setup{Live: live}}}, sound: newSoundness(), fuse: 100}
	d.sound.scheduled = 10_000
	for range 1000 {
		d.sound.latency.Record(10e6)
		d.sound.lags.Record(900e3)
	}
	change(d)
	return d.judge()
}

func TestEachLimitOfValidity(t *testing.T) {
	t.Parallel()
	share := func(x float64) *float64 { return &x }
	limits := func(d *drive) *scenarios.Validity { return &d.run.Cell.Setup.Live.Validity }
	for name, x := range map[string]struct {
		change func(d *drive)
		code   string // "" = sound
		text   string
	}{
		"sound": {func(*drive) {}, "", ""},
		"late":  {func(d *drive) { lateBy(d, 1100*time.Microsecond) }, "client-late", "P99 of the lateness of sends is 1.1"},
		"late, slow service": {func(d *drive) {
			d.sound.latency = reports.NewHist(reports.HistBits)
			d.sound.latency.Record(30e6)
			lateBy(d, 1400*time.Microsecond)
		}, "", ""},
		"late, looser":         {func(d *drive) { limits(d).Lag = 2 * time.Millisecond; lateBy(d, 1900*time.Microsecond) }, "", ""},
		"fuse":                 {func(d *drive) { d.sound.unsent = 11 }, "client-saturated", "11 of 10000 requests were not sent: the limit of 100 in flight"},
		"fuse, just":           {func(d *drive) { d.sound.unsent = 10 }, "", ""},
		"sent":                 {func(d *drive) { limits(d).NotSent = 1; d.sound.unsent = 51 }, "rate-missed", "99.49% of the schedule was sent, asked 99.50%"},
		"cpu":                  {func(d *drive) { d.sound.cpu = cpuTime{cpu: time.Hour, wall: time.Second} }, "client-saturated", "of its cores, allowed 80%"},
		"cpu, emulated":        {func(d *drive) { d.emulated = true; d.sound.cpu = cpuTime{cpu: time.Hour, wall: time.Second} }, "", ""},
		"others":               {func(d *drive) { d.sound.others = share(.21) }, "host-load", "other work took 21% of this machine while it measured, allowed 20%"},
		"others, just":         {func(d *drive) { d.sound.others = share(.04) }, "", ""},
		"blocks did not drain": {func(d *drive) { d.sound.undrained = 2 }, "unfinished", "2 blocks still had requests under way 10s after their end"},
	} {
		unsound, notes := judged(x.change)
		require.Empty(t, notes, name)
		if x.code == "" {
			require.Empty(t, unsound, name)
			continue
		}
		require.Len(t, unsound, 1, name)
		require.Equal(t, x.code, unsound[0].Code, name)
		require.Contains(t, unsound[0].Message, x.text, name)
	}
	unsound, notes := judged(func(d *drive) { d.sound.others = share(.06) })
	require.Empty(t, unsound)
	require.Equal(t, "host-load", notes[0].Code, "worth a warning from 5% on")
}

func lateBy(d *drive, x time.Duration) {
	d.sound.lags = reports.NewHist(reports.HistBits)
	d.sound.lags.Record(int64(x))
}

// Codes are those of the closed list, so that explain knows them.
func TestVerdictsHaveKnownCodes(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, w := range reports.WarningCodes() {
		known[w.Code] = true
	}
	for _, code := range []string{"client-late", "client-saturated", "rate-missed", "unfinished", "host-load"} {
		require.True(t, known[code], code)
	}
}

const stat1 = `cpu  100 10 50 800 20 5 15 0 30 0
cpu0 50 5 25 400 10 2 8 0 15 0
cpu1 50 5 25 400 10 3 7 0 15 0
intr 12345
ctxt 99
`

func TestTicks(t *testing.T) {
	t.Parallel()
	got, err := readTicks(strings.NewReader(stat1))
	require.NoError(t, err)
	require.Equal(t, ticks{all: 1000, busy: 180, steal: 0, cpus: 2}, got)
	for _, bad := range []string{"", "cpu", "cpu a b", "intr 1\n", "cpu  1 2 3 4 5 6 7 8\n"} {
		_, err := readTicks(strings.NewReader(bad))
		require.Error(t, err, bad)
	}
}

func FuzzTicks(f *testing.F) {
	f.Add(stat1)
	f.Add("cpu 18446744073709551615 1")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := readTicks(strings.NewReader(s)); err == nil {
			require.Positive(t, got.cpus)
		}
	})
}

func TestTheLoadOfOthers(t *testing.T) {
	t.Parallel()
	now := []ticks{{all: 1000, busy: 100, cpus: 4}, {all: 5000, busy: 1700, steal: 200, cpus: 4}} // 10 s of 4 processors
	var wall, own time.Duration
	h := &hostLoad{look: func() (ticks, bool) { x := now[0]; now = now[1:]; return x, true },
		usage: func() time.Duration { return own }, wall: func() time.Duration { return wall }}
	h.begin()
	wall, own = 10*time.Second, 12*time.Second // of the 16 s that were busy
	got := h.end()
	require.NotNil(t, got)
	require.InDelta(t, .10+.05, *got, 1e-9, "4 of 40 s were others', 5% were stolen")
	h.look = func() (ticks, bool) { return ticks{}, false }
	require.Nil(t, h.end())
	h.begin()
	require.Nil(t, h.end())
}

// The guard spaces a backlog out and leaves what is on time alone.
func TestTheGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(100) // at most 2,000/s, slack 10
		begun := time.Now()
		for range 5000 {
			g.hold(guardLate)
		}
		require.Zero(t, time.Since(begun))
		for range 2001 {
			g.hold(time.Second)
		}
		require.InDelta(t, 1, time.Since(begun).Seconds(), 0.02)
		(*guard)(nil).hold(time.Hour)
	})
}
