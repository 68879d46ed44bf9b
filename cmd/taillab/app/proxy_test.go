package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/cmd/taillab/internal/runner"
	"taillab/realrun/proxy"
	"taillab/reports"
	"taillab/scenarios"
)

const proxied = `version: 1
name: proxied
workload: {demand: 5ms, arrivals: {poisson: {rate: 10/s}}}
fleet: {replicas: 2}
policies: {balance: [random, p2c]}
`

// get asks for a page and returns status and body.
func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	res, err := client.Do(q)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

// The verb serves, takes a changed targets file over, keeps what it has when the file
// is bad, and leaves a run directory whose tape replays.
func TestProxyServesUntilTerminated(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer backend.Close()
	dir := t.TempDir()
	targets := filepath.Join(dir, "targets.yaml")
	write := func(proxy string) {
		require.NoError(t, os.WriteFile(targets, []byte("version: 1\nservices: {main: {targets: ['"+backend.URL+"']}}\n"+proxy), 0o600))
	}
	write("")
	read, stdout := io.Pipe()
	signals := make(chan os.Signal, 1)
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- Main(Process{Args: []string{"proxy", "-", "--targets", targets, "--listen", "127.0.0.1:0", "--only", "policy=p2c", "-o", dir},
			Stdin: strings.NewReader(proxied), Stdout: stdout, Stderr: &errs, Signals: signals})
		_ = stdout.Close()
	}()
	lines := bufio.NewScanner(read)
	require.True(t, lines.Scan())
	url := lines.Text()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for range 20 {
		status, body := get(t, client, url+"/v1/x")
		require.Equal(t, 200, status)
		require.Equal(t, "hello", body)
	}
	write("proxy: {routes: [{match: {path: /only}}]}\n")
	require.Eventually(t, func() bool { status, _ := get(t, client, url+"/v1/x"); return status == http.StatusNotFound }, 10*time.Second, 20*time.Millisecond)
	write("proxy: {routs: []}\n")
	status, _ := get(t, client, url+"/only")
	require.Equal(t, 200, status)
	signals <- syscall.SIGTERM
	out, err := io.ReadAll(read)
	require.NoError(t, err)
	require.Equal(t, exitTerminated, <-code, errs.String())
	require.Contains(t, string(out), "p2c")
	require.Contains(t, errs.String(), "workload, sweep, gates and faults of proxied are not used")
	require.Contains(t, errs.String(), "targets taken over")
	tapes, err := filepath.Glob(filepath.Join(dir, "proxied", "*", "tapes", "*.tape"))
	require.NoError(t, err)
	require.Len(t, tapes, 1)
	r := call(Process{Args: []string{"replay", tapes[0]}})
	require.Equal(t, exitOK, r.code, r.err)
	require.Regexp(t, `^[\d ]+ calls, identical\n$`, r.out)
	summary, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(tapes[0])), "summary.json"))
	require.NoError(t, err)
	require.Contains(t, string(summary), `"host": "live"`)
	require.Contains(t, string(summary), `"complete": true`)
}

// The tape of a proxy that has reached its limit says that it is cut short, in the run
// directory and to a replay.
func TestProxyTapeAtItsLimit(t *testing.T) {
	t.Parallel()
	one := strings.ReplaceAll(proxied, "[random, p2c]", "p2c")
	plans, problems := scenarios.Load([]scenarios.Source{{Name: "s.yaml", Data: []byte(one)}}, scenarios.Options{Catalog: scenarios.Catalog(), Seed: 1})
	require.Empty(t, problems)
	dir, err := reports.CreateRun(t.TempDir(), "proxied", time.Now())
	require.NoError(t, err)
	j := &job{plan: plans[0], live: &live{}, dir: dir}
	j.result = runner.Do(t.Context(), limited{}, j.plan, runner.Options{AsPlanned: true})
	require.NoError(t, j.result.Err())
	require.Equal(t, tapeCut, j.result.Runs[0].Warnings[0].Code)
	require.NoError(t, j.runFiles(&j.result.Runs[0]))
	tapes, err := filepath.Glob(filepath.Join(dir.Partial(), "tapes", "p2c*.1.tape"))
	require.NoError(t, err)
	require.NotEmpty(t, tapes)
	r := call(Process{Args: []string{"replay", tapes[0]}})
	require.Equal(t, exitBroken, r.code, r.err)
	require.Contains(t, r.err, "cut short")
}

// limited is a proxy that has left a tape at its limit.
type limited struct{}

func (limited) Run(_ context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	(&proxyHost{}).hand(proxy.End{Tapes: []proxy.Tape{{Stream: "frontend/0.1", Cut: true}}}, rec.Begin(0, proxy.Setup(runs[0])), rec)
	return nil
}

func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good := file("good.yaml", "version: 1\nservices: {main: {targets: ['http://127.0.0.1:1']}}\n")
	one := strings.ReplaceAll(proxied, "[random, p2c]", "p2c")
	for i, c := range []struct {
		scenario, targets, want string
		code                    int
	}{
		{proxied, good, "the scenario has 2 policies, and a proxy has one: [random p2c]", exitUsage},
		{one, filepath.Join(dir, "none.yaml"), "none.yaml", exitUsage},
		{one, file("bad.yaml", "version: 1\nservices: {main: {targets: ['http://127.0.0.1:1']}}\nproxy: {rotes: []}\n"), `did you mean "routes"?`, exitUsage},
		{strings.ReplaceAll(one, "p2c", "jsq"), good, "which no live dispatcher can see", exitUsage},
		{strings.ReplaceAll(one, "p2c", "jiq"), good, "jiq needs a replica half", exitUsage},
		{one, good, "no target answers its ready check", exitBroken},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			r := call(Process{Args: []string{"proxy", "-", "--targets", c.targets, "--listen", "127.0.0.1:0", "-o", t.TempDir()}, Stdin: strings.NewReader(c.scenario)})
			require.Equal(t, c.code, r.code, r.err)
			require.Contains(t, r.err, c.want)
			require.Empty(t, r.out)
		})
	}
}
