package main

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A timing counts only if the statistics are right: the kernel's model has the
// mean response time of two choices, 2.97 services at n = 10 and ρ = 0.9.
func TestKernelModel(t *testing.T) {
	t.Parallel()
	h := runKernel(10, 400_000, 1, &clock{})
	require.Equal(t, int64(400_000), h.Count())
	require.InEpsilon(t, 2.97, h.Mean()/float64(time.Second), .02)
}

func TestOneMeasurementEach(t *testing.T) {
	t.Parallel()
	for _, program := range []string{kernel, whole} {
		var out bytes.Buffer
		require.NoError(t, run([]string{"-only", program, "-n", "20", "-requests", "2000"}, &out), program)
		require.Regexp(t, `^[0-9.e+]+ [0-9]+ [0-9.e+]+\n$`, out.String(), program)
	}
	require.ErrorContains(t, run([]string{"-only", "other"}, &bytes.Buffer{}), "it must be kernel or whole")
}

func TestSkipsWithoutTheProgram(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run([]string{"-c", filepath.Join(t.TempDir(), "none.c")}, &out))
	require.Contains(t, out.String(), "limit: skipped: ")
}

func TestFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-n", "10,x"}, {"-n", "0"}, {"-rounds", "0"}, {"-requests", "-1"}} {
		require.Error(t, run(args, &bytes.Buffer{}), args)
	}
}

func TestReadsWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	said := "n=1000000 cpu req/s=2.6M ns/req=380.5 ns/event=190 events=80 rss=90MB B/server=94 wall=1.00s"
	require.InDelta(t, 380.5, number(nsForm, said), 0)
	require.InDelta(t, 94, number(bytesForm, said), 0)
	require.NotEqual(t, number(nsForm, "nothing"), number(nsForm, "nothing"), "NaN")
	c, d := column{{perRequest: 40}, {perRequest: 30}, {perRequest: 99}}, column{{perRequest: 20}, {perRequest: 10}, {perRequest: 33}}
	require.InDelta(t, 40, c.ns(), 0)
	require.InDelta(t, 3, c.over(d), 0)
}

func TestGates(t *testing.T) {
	t.Parallel()
	g := gates{100: 2}
	require.Equal(t, "met: 2.00", g.say(100, 2))
	require.Equal(t, "missed: 2.00", g.say(100, 2.01))
	require.Equal(t, "–", g.say(10, 9))
	require.False(t, g.missed(10, 9))
}
