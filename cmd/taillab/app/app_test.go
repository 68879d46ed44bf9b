package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/reports"
)

// asProgram in the environment makes this test binary the program.
const asProgram = "TAILLAB_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main(OS(nil)))
	}
	// a server that closes a connection lingers for half a second by itself
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const small = `version: 1
name: small
workload: {demand: {lognormal: {mean: 10ms, cv: 1}}}
fleet: {replicas: 4}
policies: {balance: [random, p2c]}
sweep: {load: [0.5, 0.7], seeds: 2}
measure: {requests: 1000}
`

// result is what a command line left behind.
type result struct {
	code     int
	out, err string
}

// call runs a command line in this process.
func call(p Process, extra ...policies.Entry) result {
	var out, err bytes.Buffer
	if p.Stdout == nil {
		p.Stdout = &out
	}
	p.Stderr = &err
	if p.Stdin == nil {
		p.Stdin = strings.NewReader(small)
	}
	code := Main(p, extra...)
	return result{code, out.String(), err.String()}
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestEnvironmentLists(t *testing.T) {
	t.Parallel()
	r := call(Process{Args: []string{"run", "-", "-q", "-o", t.TempDir()}, Getenv: env("TAILLAB_FORMAT", "json",
		"TAILLAB_SET", "measure.requests=500\nfleet.replicas=3\n", "TAILLAB_ONLY", "policy=p2c,load=0.5\npolicy=random")})
	require.Equal(t, exitOK, r.code, r.err)
	var s reports.Summary
	require.NoError(t, json.Unmarshal([]byte(r.out), &s))
	require.Len(t, s.Cells, 3)
	require.Equal(t, int64(900), s.Cells[0].Requests)
	require.Equal(t, "p2c", s.Cells[2].Policy)
}

// shut is an output whose reader has gone after some bytes.
type shut struct{ left int }

func (w *shut) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
	}
	return len(b), nil
}

func TestClosedPipeEndsQuietly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []int{0, 100} {
		r := call(Process{Args: []string{"run", "-", "-o", dir}, Stdout: &shut{n}})
		require.Equal(t, result{code: exitOK}, r)
	}
	found, err := filepath.Glob(filepath.Join(dir, "small", "*", "index.html"))
	require.NoError(t, err)
	require.Len(t, found, 2, "all work was done")
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestFailedOutputIsAnError(t *testing.T) {
	t.Parallel()
	r := call(Process{Args: []string{"run", "-", "-o", t.TempDir()}, Stdout: full{}})
	require.Equal(t, exitBroken, r.code)
	require.Contains(t, r.err, "writing the results: no space left on device")
}

// trap is a balancer that interrupts the program at its first pick.
type trap struct {
	signals chan<- os.Signal
	sig     []os.Signal
}

func (p *trap) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	for _, s := range p.sig {
		p.signals <- s
	}
	p.sig = nil
	for range 100 { // leave the processor to the one who cancels
		runtime.Gosched()
	}
	return balance.To(env.Fleet.Ref(0))
}

func interrupted(t *testing.T, dir string, exit func(int), only string, sig ...os.Signal) result {
	t.Helper()
	signals := make(chan os.Signal)
	e := policies.Of("trap", "interrupts", func() balance.Balancer { return &trap{signals: signals, sig: sig} })
	return call(Process{Args: []string{"run", "-", "-o", dir, "-j", "1", "--set", "policies.balance=[random, trap]", "--set", "sweep.load=0.01",
		"--set", "measure.requests=300000", "--seeds", "1", "--only", only, "--format", "json"}, Signals: signals, Exit: exit}, e)
}

// An interruption keeps what is finished, says where it is, and exits 130; 143 when
// the process is told to end.
func TestInterruption(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sig  os.Signal
		code int
	}{{os.Interrupt, exitInterrupted}, {syscall.SIGTERM, exitTerminated}} {
		dir := t.TempDir()
		r := interrupted(t, dir, nil, "policy=random,policy=trap", c.sig)
		require.Equal(t, c.code, r.code, r.err)
		var s reports.Summary
		require.NoError(t, json.Unmarshal([]byte(r.out), &s))
		require.False(t, s.Complete)
		require.Equal(t, 1, s.Cells[0].Seeds, "random had finished")
		require.Equal(t, 0, s.Cells[1].Seeds)
		require.Contains(t, r.err, "interrupted: 1 of 2 runs were finished and are kept in "+dir)
		saved, err := reports.OpenRun(filepath.Join(dir, "small", s.RunID))
		require.NoError(t, err)
		require.Equal(t, reports.RunInterrupted, saved.Manifest.Status)
		require.Empty(t, saved.Lost)
	}
}

func TestInterruptionBeforeAnything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := interrupted(t, dir, nil, "policy=trap", os.Interrupt)
	require.Equal(t, exitInterrupted, r.code)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "nothing was kept")
	left, err := filepath.Glob(filepath.Join(dir, "small", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestSecondInterruptionStopsAtOnce(t *testing.T) {
	t.Parallel()
	var codes []int
	r := interrupted(t, t.TempDir(), func(c int) { codes = append(codes, c) }, "policy=trap", os.Interrupt, os.Interrupt)
	require.Equal(t, exitInterrupted, r.code)
	require.Equal(t, []int{exitInterrupted}, codes)
}

func TestTwoPoliciesOfOneName(t *testing.T) {
	t.Parallel()
	r := call(Process{Args: []string{"list"}}, policies.Of("p2c", "mine", func() balance.Balancer { return &balance.Random{} }))
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, `two policies of this program are called "p2c"`)
}

func TestWorst(t *testing.T) {
	t.Parallel()
	require.Equal(t, 0, worst())
	require.Equal(t, 0, worst(0, 0))
	require.Equal(t, 4, worst(0, 4))
	require.Equal(t, 1, worst(4, 1, 0))
	require.Equal(t, 3, worst(1, 3, 4))
	require.Equal(t, 2, worst(3, 2, 1))
	require.Equal(t, 130, worst(2, 130, 1))
	require.Equal(t, 143, worst(3, 143))
}

func TestColour(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flag string
		env  []string
		tty  bool
		want bool
	}{
		{"auto", nil, true, true},
		{"auto", nil, false, false},
		{"always", []string{"NO_COLOR", "1"}, false, true},
		{"never", []string{"FORCE_COLOR", "1"}, true, false},
		{"auto", []string{"FORCE_COLOR", "1", "NO_COLOR", "1"}, false, true},
		{"auto", []string{"FORCE_COLOR", "0"}, false, false},
		{"auto", []string{"NO_COLOR", "1"}, true, false},
		{"auto", []string{"TERM", "dumb"}, true, false},
	} {
		s := &session{Process: Process{Getenv: env(c.env...)}, common: common{Color: c.flag}}
		require.Equal(t, c.want, s.colored(c.tty), "%+v", c)
	}
}

func TestLocale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  []string
		want bool
	}{
		{nil, false}, {[]string{"LANG", "C"}, true}, {[]string{"LANG", "de_DE.UTF-8"}, false}, {[]string{"LANG", "C.utf8"}, false},
		{[]string{"LC_ALL", "POSIX", "LANG", "en_US.UTF-8"}, true}, {[]string{"LC_CTYPE", "C.UTF-8", "LANG", "C"}, false},
	} {
		require.Equal(t, c.want, (&session{Process: Process{Getenv: env(c.env...)}}).asciiOnly(), "%v", c.env)
	}
}

func TestProgressLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "x   0%", progressLine("x", 0, timeLeft(0, time.Second), false, 80))
	require.Equal(t, "x  25%, 30 s left", progressLine("x", 0.25, timeLeft(0.25, 10*time.Second), false, 80))
	require.Equal(t, "x  50%, 10 min left", progressLine("x", 0.5, timeLeft(0.5, 10*time.Minute), false, 80))
	require.Equal(t, "x  50%, 2.0 h left", progressLine("x", 0.5, timeLeft(0.5, 2*time.Hour), false, 80))
	require.Equal(t, "x 100%", progressLine("x", 1, timeLeft(1, time.Second), false, 80))
	require.Equal(t, "["+strings.Repeat("=", 20)+strings.Repeat(" ", 20)+"] x  50%, 10 s left", progressLine("x", 0.5, timeLeft(0.5, 10*time.Second), true, 80))
	require.LessOrEqual(t, len(progressLine("x", 0.5, timeLeft(0.5, 10*time.Second), true, 30)), 30)
	require.NotContains(t, progressLine("x", 0.5, timeLeft(0.5, time.Second), true, 12), "[")
}

func TestQuote(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a=b/c.yaml", quote("a=b/c.yaml"))
	require.Equal(t, "''", quote(""))
	require.Equal(t, "'a b'", quote("a b"))
	require.Equal(t, `'it'\''s $HOME'`, quote("it's $HOME"))
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0", grouped(0))
	require.Equal(t, "999", grouped(999))
	require.Equal(t, "5 386", grouped(5386))
	require.Equal(t, "1 000 001", grouped(1000001))
}

func TestParseFormats(t *testing.T) {
	t.Parallel()
	outs, err := parseFormats("json=a.json, table ,csv=b.csv", false)
	require.NoError(t, err)
	require.Equal(t, []output{{"json", "a.json"}, {"table", ""}, {"csv", "b.csv"}}, outs)
	require.Equal(t, "table", onStdout(outs))
	require.Empty(t, onStdout(outs[:1]))
	for list, want := range map[string]string{"": `there is no format ""`, "json=": "names no file", "table,md": "both go to stdout", "jsn": "did you mean"} {
		_, err := parseFormats(list, false)
		require.ErrorContains(t, err, want, list)
	}
	_, err = parseFormats("table,json=x-{scenario}.json", true)
	require.NoError(t, err)
}

func TestParseAt(t *testing.T) {
	t.Parallel()
	x, k, err := parseAt("load=0.85")
	require.NoError(t, err)
	require.InDelta(t, 0.85, *x, 0)
	require.Equal(t, "load", k)
	x, k, err = parseAt("rate=40/s")
	require.NoError(t, err)
	require.InDelta(t, 40, *x, 0)
	require.Equal(t, "rate", k)
	for _, bad := range []string{"0.85", "load", "load=", "seed=3", "load=high", "load=0.8x"} {
		_, _, err = parseAt(bad)
		require.Error(t, err, bad)
	}
}

func TestTimelineRoundTrip(t *testing.T) {
	t.Parallel()
	rows := []reports.TimelineRow{{At: time.Second, Queued: 3, InFlight: 5, Held: 1, Replicas: 4}, {At: time.Second, Service: 1, Queued: -1, Replicas: 2},
		{At: 2500 * time.Millisecond, InFlight: 1, Replicas: 4}}
	names := []string{"main", `odd, "name"`}
	data := timelineCSV(rows, names)
	require.True(t, bytes.HasPrefix(data, []byte("t_s,service,queue_depth,in_flight,replicas,held\n1,main,3,5,4,1\n")))
	got, services, err := readTimeline(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, rows, got)
	require.Equal(t, names, services)
	rows[2].Desired, rows[2].Created, rows[2].Arrived, rows[2].P99 = 8, 6, 40, 123456789*time.Nanosecond
	data = timelineCSV(rows, names)
	require.Contains(t, string(data), ",held,desired,created,arrived,p99_ms\n1,main,3,5,4,1,0,0,0,0\n")
	got, _, err = readTimeline(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, rows, got)
}

func FuzzReadTimeline(f *testing.F) {
	f.Add([]byte(timelineHeader + "\n1,main,3,5,4,1\n"))
	f.Add([]byte(timelineHeader + "\nNaN,main,3,5,4,1\n"))
	f.Add([]byte(timelineHeader + "\n1,\"a\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, services, err := readTimeline(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, r := range rows {
			require.Less(t, r.Service, len(services))
			require.GreaterOrEqual(t, r.At, time.Duration(0))
		}
	})
}

// Whatever stands on the command line, there is an exit code and no panic.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{"", "run", "check -", "list gpus --format json", "explain p99", "run - --only policy=x", "--help", "run - --format json=",
		"check - --set a.b=c", "replay x", "report .", "workload describe -", "version --format=json", "run - --at load=1e999"} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		for _, a := range args { // nothing may run for long or write anywhere else
			if a == "run" || strings.HasPrefix(a, "-o") || strings.HasPrefix(a, "--o") || strings.ContainsAny(a, "/\x00") {
				return
			}
		}
		code := Main(Process{Args: args, Stdin: strings.NewReader("x"), Stdout: io.Discard, Stderr: io.Discard,
			Getenv: env("TAILLAB_OUT", dir)})
		require.Contains(t, []int{exitOK, exitFailed, exitUsage, exitBroken}, code)
	})
}
