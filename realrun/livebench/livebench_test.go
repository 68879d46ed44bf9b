package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == roleServe || os.Args[1] == roleDrive) { // a process of the program under test
		if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Every measure that needs nothing installed gives its figures. What they are is up to
// the machine; only what no machine changes is asked.
func TestMeasures(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		run   measure
		check func(t *testing.T, f figures)
	}{
		"frozen":       {frozen(200, driveIn), func(t *testing.T, f figures) { require.Len(t, f, 2) }},
		"lateness":     {lateness("coarse"), func(t *testing.T, f figures) { require.LessOrEqual(t, f[0], f[1]) }},
		"closed loop":  {closedLoop, func(t *testing.T, f figures) { require.Positive(t, f[0]) }},
		"our policies": {balanced("p2c"), func(t *testing.T, f figures) { require.Greater(t, f[0], 5.0) }},
		"cpu": {cpuPerRequest(300, driveIn), func(t *testing.T, f figures) {
			require.Positive(t, f[0])
			require.InDelta(t, 100, f[1], 1e-9)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _, err := x.run(t.Context(), time.Second, 1)
			require.NoError(t, err)
			x.check(t, f)
		})
	}
}

// Proxies are measured where they are installed, and said to be absent elsewhere.
func TestProxies(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		start func(context.Context, []string, string) (string, func(), error)
		rule  string
	}{"nginx": {nginx, "least_conn;"}, "haproxy": {haproxy, "leastconn"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _, err := proxied(x.start, x.rule)(t.Context(), time.Second, 1)
			if _, missing := exec.LookPath(name); missing != nil {
				require.Equal(t, absent(name), err)
				return
			}
			require.NoError(t, err)
			require.Positive(t, f[0])
		})
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	var out, notes bytes.Buffer
	b := bench{out: &out, notes: &notes, runs: 3}
	n := 0
	require.NoError(t, b.row(t.Context(), &row{name: "a measure", goal: "≤ 2", show: func(f figures) string { return strings.Repeat("x", int(f[0])) },
		meets: func(f figures) bool { return f[0] <= 2 }, lines: []line{
			{"", func(context.Context, time.Duration, uint64) (figures, []string, error) {
				n++
				return figures{float64(10 / n)}, []string{"late"}[:n/3], nil // 10, 5, 3
			}},
			{"a peer", func(context.Context, time.Duration, uint64) (figures, []string, error) { return figures{1}, nil, nil }},
			{"vegeta", func(context.Context, time.Duration, uint64) (figures, []string, error) {
				return nil, nil, absent("vegeta")
			}},
		}}))
	require.Equal(t, "| a measure |  | xxxxx | ≤ 2 | missed (not soundly measured) |\n| a measure | a peer | x |  |  |\n| a measure | vegeta | not at hand | | |\n", out.String())
	require.Equal(t, "livebench: a measure , run 3: late\n", notes.String())
	require.Equal(t, figures{2, 1}, median([]figures{{1, 1}, {3, 1}, {2, 0}}))
	require.Equal(t, figures{1.5}, median([]figures{{1}, {2}}))
	for _, bad := range [][]string{{"-runs", "0"}, {"-length", "1ms"}} {
		require.ErrorContains(t, run(t.Context(), bad, nil, &out, &notes), "must be at least")
	}
}

func TestVegetaReport(t *testing.T) {
	t.Parallel()
	o, err := vegetaReport([]byte(`{"latencies":{"mean":5000000,"50th":4050000,"90th":28000000,"95th":260800000,"99th":459900000},"requests":5000,"success":0.998,"status_codes":{"0":10,"200":4990},"errors":[]}`))
	require.NoError(t, err)
	require.Equal(t, outcome{Completed: 4990, P50: 4.05, P95: 260.8, P99: 459.9}, o)
	_, err = vegetaReport([]byte("vegeta: bad"))
	require.ErrorContains(t, err, "vegeta's report cannot be read")
}
