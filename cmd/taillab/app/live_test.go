package app

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/cmd/taillab/internal/tape"
	"taillab/realrun/await"
	"taillab/reports"
)

const drivenSmall = `version: 1
name: small
workload: {arrivals: {poisson: {rate: 100/s}}, demand: 2ms}
fleet: {replicas: 2}
policies: {balance: [random, jiq]}
measure: {requests: 120}
live: {validity: {lag: 10s, steal: 100%, cpu: 100%}}
`

// A key from the environment reaches the backends and nothing else: not the run
// directory, tapes unpacked, nor anything that is printed, even where a backend
// repeats it in its errors, its headers and its load report.
func TestKeysStayOut(t *testing.T) {
	t.Parallel()
	const key = "sk-5ecre7-5ecre7-5ecre7"
	var sent atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		if r.Method == http.MethodPost && auth == "Bearer "+key {
			sent.Add(1)
		}
		w.Header().Set("X-Echo", auth)
		w.Header().Set("endpoint-load-metrics", "TEXT "+auth)
		w.Header().Set("x-taillab-msg", auth)
		if sent.Load()%3 == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprintf(w, `{"error": {"message": "no such key: %s"}}`, auth)
	}))
	defer backend.Close()
	dir := t.TempDir()
	targets := filepath.Join(dir, "targets.yaml")
	require.NoError(t, os.WriteFile(targets, []byte("version: 1\nservices: {main: {key_env: SEARCH_KEY, reporter: inferred, targets: ['"+backend.URL+"', '"+
		backend.URL+"/b'], headers: {x-team: search}}}\n"), 0o600))
	runs := filepath.Join(dir, "runs")
	r := call(Process{Args: []string{"run", "-", "-v", "--live", targets, "-o", runs, "--format", "json"}, Stdin: strings.NewReader(drivenSmall), Getenv: env("SEARCH_KEY", key)})
	require.Equal(t, exitOK, r.code, r.err)
	require.Greater(t, sent.Load(), int64(200))
	files := map[string]string{"stdout": r.out, "stderr": r.err}
	require.NoError(t, filepath.WalkDir(runs, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		if filepath.Ext(path) == ".tape" {
			x, err := tape.Read(bytes.NewReader(data))
			require.NoError(t, err)
			require.NotEmpty(t, x.Streams)
			for _, s := range x.Streams {
				files[path+" "+s.Name] = string(s.Data)
			}
			files[path+" header"] = fmt.Sprintf("%+v", x.Header)
		}
		return err
	}))
	require.Greater(t, len(files), 10)
	for name, text := range files {
		for _, secret := range []string{"5ecre7", hex.EncodeToString([]byte("5ecre7")), base64.StdEncoding.EncodeToString([]byte(key))} {
			require.NotContains(t, text, secret, name)
		}
	}
}

// A program that is killed in the middle of driving leaves one folder that says it is
// partial, which no verb takes for a run; the next run beside it is whole.
func TestKilledWhileDriving(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), self, "run", "-", "--live", "emulator", "-o", dir, "--set", "measure.requests=100000")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin = strings.NewReader(drivenSmall)
	says, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.True(t, bufio.NewScanner(says).Scan(), "what it will cost is said before anything is sent")
	partial := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "small", "*"))
		require.NoError(t, err)
		return found
	}
	await.Until(t, "the folder is there", func() bool { return len(partial()) > 0 })
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	left := partial()
	require.Len(t, left, 1)
	require.Equal(t, ".partial", filepath.Ext(left[0]))
	for _, verb := range [][]string{{"report", left[0]}, {"report", strings.TrimSuffix(left[0], ".partial")}} {
		r := call(Process{Args: verb})
		require.Equal(t, exitUsage, r.code, r.err)
		require.NotEmpty(t, r.err)
	}
	r := call(Process{Args: []string{"run", "-", "-q", "--live", "emulator", "-o", dir}, Stdin: strings.NewReader(drivenSmall)})
	require.Equal(t, exitOK, r.code, r.err)
	whole := partial()
	require.Len(t, whole, 2)
	for _, d := range whole {
		if d != left[0] {
			saved, err := reports.OpenRun(d)
			require.NoError(t, err)
			require.Empty(t, saved.Lost)
			require.Equal(t, reports.RunComplete, saved.Manifest.Status)
		}
	}
}

// A program that is killed while it drives its second policy leaves the first one: a
// run that reports as interrupted, with its distribution, timeline and tape, and a tape
// of the second that says where it ends.
func TestKilledAfterOnePolicy(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), self, "run", "-", "-q", "--live", "emulator", "-o", dir, "--set", "measure.requests=300")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin = strings.NewReader(drivenSmall)
	require.NoError(t, cmd.Start())
	found := func(pattern string) []string {
		list, err := filepath.Glob(filepath.Join(dir, "small", "*.partial", pattern))
		require.NoError(t, err)
		return list
	}
	await.Until(t, "the second policy is driven", func() bool {
		if len(found("manifest.json")) == 0 || len(found("tapes/jiq.1.tape")) == 0 {
			return false
		}
		second, err := os.Stat(found("tapes/jiq.1.tape")[0])
		return err == nil && second.Size() > 100 // its header is there
	})
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	left := filepath.Dir(found("manifest.json")[0])

	saved, err := reports.OpenRun(left)
	require.NoError(t, err)
	require.Empty(t, saved.Lost)
	require.Equal(t, reports.RunInterrupted, saved.Manifest.Status)
	require.False(t, saved.Summary.Complete)
	for _, name := range []string{"scenario.yaml", "plan.json", "hist/random.1.hlog", "timeline/random.1.csv", "tapes/random.1.tape"} {
		require.True(t, saved.Usable(name), name)
	}
	page := filepath.Join(dir, "page.html")
	r := call(Process{Args: []string{"report", left, "--format", "table,html=" + page}})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.out, "1 of 2 runs finished")
	require.FileExists(t, page)
	r = call(Process{Args: []string{"report", dir}})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.out, "interrupted")

	r = call(Process{Args: []string{"replay", filepath.Join(left, "tapes", "random.1.tape")}})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.out, "calls, identical")
	r = call(Process{Args: []string{"replay", filepath.Join(left, "tapes", "jiq.1.tape")}})
	require.Equal(t, exitBroken, r.code, r.err)
	require.Contains(t, r.err, "is cut short: replayed up to its last whole record")
}

// Members that a file names are the fleet of the run, with room for more on its tape;
// one that cannot be read is no result, and nothing is sent.
func TestMembersOfAFile(t *testing.T) {
	t.Parallel()
	var asked [2]atomic.Int64
	dir := t.TempDir()
	members := filepath.Join(dir, "members.txt")
	list := ""
	for i := range asked {
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				asked[i].Add(1)
			}
			fmt.Fprint(w, "{}")
		}))
		defer backend.Close()
		list += backend.URL + "\n"
	}
	targets := filepath.Join(dir, "targets.yaml")
	require.NoError(t, os.WriteFile(targets, fmt.Appendf(nil, "version: 1\nservices: {main: {source: {file: %q, every: 1s}, reporter: inferred}}\n", members), 0o600))
	run := func() result {
		return call(Process{Args: []string{"run", "-", "--live", targets, "-o", filepath.Join(dir, "runs"), "--only", "policy=jiq"}, Stdin: strings.NewReader(drivenSmall)})
	}
	r := run()
	require.Equal(t, exitBroken, r.code, r.err)
	require.Contains(t, r.err, "the file of members")
	require.NoError(t, os.WriteFile(members, []byte(list), 0o600))
	r = run()
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.err, "main has 2 members now")
	for i := range asked {
		require.Positive(t, asked[i].Load())
	}
	tapes, err := filepath.Glob(filepath.Join(dir, "runs", "small", "*", "tapes", "*.tape"))
	require.NoError(t, err)
	require.Len(t, tapes, 1)
	r = call(Process{Args: []string{"replay", tapes[0]}})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.out, "calls, identical")
}
