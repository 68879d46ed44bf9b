package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/realrun/await"
	"taillab/realrun/emulator"
	"taillab/sim/gpu"
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
	await.Until(t, "the new file is taken over", func() bool { status, _ := get(t, client, url+"/v1/x"); return status == http.StatusNotFound })
	write("proxy: {routs: []}\n")
	status, _ := get(t, client, url+"/only")
	require.Equal(t, 200, status)
	signals <- syscall.SIGTERM
	out, err := io.ReadAll(read)
	require.NoError(t, err)
	require.Equal(t, exitTerminated, await.One(t, "the end", code), errs.String())
	require.Contains(t, string(out), "p2c")
	require.Contains(t, errs.String(), "workload, sweep, gates and faults of proxied are not used")
	require.Contains(t, errs.String(), "targets taken over")
	tapes, err := filepath.Glob(filepath.Join(dir, "proxied", "*", "tapes", "p2c.1"))
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

// lockedBuffer is what a program says while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// proxyRun is the verb at work.
type proxyRun struct {
	t       *testing.T
	url     string
	out     string // the folder of runs
	signals chan os.Signal
	errs    *lockedBuffer
	ended   chan int
	stdout  *io.PipeReader
	client  *http.Client
}

// proxying starts the verb with one policy; service is further keys of the service, block
// the rest of the targets file.
func proxying(t *testing.T, policy, service, block string, urls ...string) *proxyRun {
	t.Helper()
	dir := t.TempDir()
	targets := filepath.Join(dir, "targets.yaml")
	file := fmt.Sprintf("version: 1\nservices: {main: {%s targets: ['%s']}}\n%s", service, strings.Join(urls, "', '"), block)
	require.NoError(t, os.WriteFile(targets, []byte(file), 0o600))
	read, stdout := io.Pipe()
	p := &proxyRun{t: t, out: dir, signals: make(chan os.Signal, 2), errs: &lockedBuffer{}, ended: make(chan int, 1), stdout: read, client: &http.Client{}}
	go func() {
		code := Main(Process{Args: []string{"proxy", "-", "--targets", targets, "--listen", "127.0.0.1:0", "-o", dir},
			Stdin: strings.NewReader(strings.ReplaceAll(proxied, "[random, p2c]", policy)), Stdout: stdout, Stderr: p.errs, Signals: p.signals})
		_ = stdout.Close() // a pipe
		p.ended <- code
	}()
	t.Cleanup(func() { // a test that fails leaves no proxy
		p.client.CloseIdleConnections()
		p.signals <- syscall.SIGTERM
		_ = p.stdout.Close() // what is still to be said is not read
	})
	lines := bufio.NewScanner(read)
	require.True(t, lines.Scan())
	p.url = lines.Text()
	return p
}

// ask sends requests one after another, each of which must be answered with 200.
func (p *proxyRun) ask(n int) {
	p.t.Helper()
	for range n {
		q, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/", strings.NewReader("{}"))
		require.NoError(p.t, err)
		res, err := p.client.Do(q)
		require.NoError(p.t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(p.t, errors.Join(err, res.Body.Close()))
		require.Equal(p.t, http.StatusOK, res.StatusCode)
	}
}

// end terminates the proxy and returns the folder of its tape.
func (p *proxyRun) end() string {
	p.t.Helper()
	p.signals <- syscall.SIGTERM
	_, err := io.ReadAll(p.stdout)
	require.NoError(p.t, err)
	require.Equal(p.t, exitTerminated, await.One(p.t, "the end", p.ended), p.errs.String())
	folders, err := filepath.Glob(filepath.Join(p.out, "proxied", "*", "tapes", "*"))
	require.NoError(p.t, err)
	require.Len(p.t, folders, 1)
	return folders[0]
}

// emulatedFleet is n emulated backends.
func emulatedFleet(t *testing.T, n int) []string {
	t.Helper()
	m, problems := gpu.New(gpu.Defaults(gpu.Service))
	require.Empty(t, problems)
	f, err := emulator.Start(t.Context(), emulator.Config{Listen: "127.0.0.1:0", Replicas: slices.Repeat([]emulator.Replica{{Model: m}}, n), Seed: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f.URLs()
}

// A policy's replica half runs in the proxy where the backends have none: the idle queue
// is used, every request is answered, and the tape replays.
func TestProxyInfersTheReplicaHalf(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"jiq", "jiq-amnesia"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			p := proxying(t, policy, "reporter: inferred,", "", emulatedFleet(t, 3)...)
			p.ask(100)
			folder := p.end()
			r := call(Process{Args: []string{"replay", folder}})
			require.Equal(t, exitOK, r.code, r.err)
			require.Regexp(t, `^[\d ]+ calls, identical\n$`, r.out)
			r = call(Process{Args: []string{"replay", folder, "--policy", "random"}})
			require.Regexp(t, `fed to random: \d+ of \d+ decisions`, r.out)
			summary, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(folder)), "summary.json"))
			require.NoError(t, err)
			require.Contains(t, string(summary), `"completed": 100`)
		})
	}
}

// The tape is a chain of files; a replay of the folder, or of the first of them, joins
// them, and one of another refuses.
func TestProxyTapeInSegments(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer backend.Close()
	p := proxying(t, "jiq", "reporter: inferred,", "proxy: {tape: {segment: 16KiB}}\n", backend.URL)
	p.ask(1500)
	folder := p.end()
	files, err := filepath.Glob(filepath.Join(folder, "1-*.tape"))
	require.NoError(t, err)
	require.Greater(t, len(files), 2)
	replay := func(path string) result { return call(Process{Args: []string{"replay", path}}) }
	whole := replay(folder)
	require.Equal(t, exitOK, whole.code, whole.err)
	require.Contains(t, whole.out, "calls, identical")
	require.Equal(t, whole, replay(files[0]))
	r := replay(files[1])
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "this is segment 2: a replay starts at the first segment of a chain")
	require.NoError(t, os.Rename(files[1], files[1]+".away"))
	r = replay(folder)
	require.Equal(t, exitBroken, r.code)
	require.Contains(t, r.err, "a segment is missing: number 2")
	require.Empty(t, r.out)
	require.NoError(t, os.Rename(files[1]+".away", files[1]))
	require.NoError(t, os.Remove(files[len(files)-1]))
	r = replay(folder)
	require.Equal(t, exitBroken, r.code)
	require.Contains(t, r.err, "replayed as far as it goes")
	require.Contains(t, r.out, "calls, identical")
}

// At its limit the tape ends, or begins anew and drops what it had; what is there
// replays.
func TestProxyTapeAtItsLimit(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		full, warned, chain string
		code                int
	}{{"stop", "the tape ends here, the proxy goes on", "1-000001.tape", exitBroken}, {"fresh", "the tape has begun anew", "2-000001.tape", exitOK}} {
		t.Run(x.full, func(t *testing.T) {
			t.Parallel()
			backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
			defer backend.Close()
			p := proxying(t, "p2c", "", "proxy: {tape: {limit: 64KiB, when_full: "+x.full+"}}\n", backend.URL)
			for range 50 {
				p.ask(200)
				if strings.Contains(p.errs.String(), x.warned) {
					break
				}
			}
			p.ask(20)
			folder := p.end()
			require.Contains(t, p.errs.String(), x.warned)
			files, err := os.ReadDir(folder)
			require.NoError(t, err)
			require.Len(t, files, 1)
			require.Equal(t, x.chain, files[0].Name())
			r := call(Process{Args: []string{"replay", folder}})
			require.Equal(t, x.code, r.code, r.err)
			require.Contains(t, r.out, "calls, identical")
			manifest, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(folder)), "manifest.json"))
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(manifest), ".tape"))
			require.Contains(t, string(manifest), x.chain)
			require.Equal(t, x.full == "stop", strings.Contains(r.err, "cut short"))
		})
	}
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
	inferring := file("inferring.yaml", "version: 1\nservices: {main: {reporter: inferred, targets: ['http://127.0.0.1:1']}}\n")
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
		{strings.ReplaceAll(one, "p2c", "jiq") + "frontends: {count: 4}\n", inferring, "reporter inferred needs one front end, the scenario has 4: use agent or replica", exitUsage},
		{strings.ReplaceAll(one, "p2c", "jiq") + "frontends: {count: 4}\nreporter: inferred\n", good, "reporter inferred needs one front end, the scenario has 4: use agent or replica", exitUsage},
		{strings.ReplaceAll(one, "p2c", "p2c, quota: gcra") + "quota: {group_limit: {rate: 5/s}}\n", good, "a proxy has no quota", exitUsage},
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
