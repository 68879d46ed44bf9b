package app

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/realrun/await"
)

// emulate runs the verb, reads the URLs, asks the first for its load and stops it.
func emulate(t *testing.T, urls int, sig os.Signal, args ...string) result {
	t.Helper()
	read, write := io.Pipe()
	signals := make(chan os.Signal, 1)
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- Main(Process{Args: append([]string{"emulate"}, args...), Stdin: strings.NewReader(small), Stdout: write, Stderr: &errs, Signals: signals})
		_ = write.Close()
	}()
	lines := bufio.NewScanner(read)
	var out []string
	for len(out) < urls && lines.Scan() {
		out = append(out, lines.Text())
	}
	require.Len(t, out, urls)
	client := &http.Client{}
	defer client.CloseIdleConnections()
	q, err := http.NewRequestWithContext(context.Background(), "GET", out[0]+"/probe", http.NoBody)
	require.NoError(t, err)
	res, err := client.Do(q)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, res.Body.Close())
	signals <- sig
	require.False(t, lines.Scan(), "nothing but URLs")
	return result{await.One(t, "the end", code), strings.Join(out, "\n"), errs.String()}
}

func TestEmulateServesUntilInterrupted(t *testing.T) {
	t.Parallel()
	r := emulate(t, 8, os.Interrupt)
	require.Equal(t, exitInterrupted, r.code)
	require.Equal(t, "taillab: 8 replicas serve until interrupted\n", r.err)
	r = emulate(t, 4, syscall.SIGTERM, "-", "-q", "--orca", "json", "--policy", "jiq")
	require.Equal(t, exitTerminated, r.code)
	require.Empty(t, r.err)
	require.Equal(t, 4, strings.Count(r.out, "http://127.0.0.1:"))
	emulate(t, 3, os.Interrupt, "-", "--replicas", "3")
}

func TestEmulateRefuses(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--replicas is -1":             {"--replicas=-1"},
		"listen address \"nowhere\"":   {"--listen", "nowhere"},
		"no balancer called \"jik\"":   {"--policy", "jik"},
		"no file and no embedded":      {"missing-scenario"},
		"--seed is 9007199254740992":   {"--seed", "9007199254740992"},
		"choose another address with":  {"--listen", "127.0.0.1:99999"},
		"it must be one of text, json": {"--orca", "bin"},
	} {
		r := call(Process{Args: append([]string{"emulate"}, args...)})
		require.Equal(t, exitUsage, r.code, r.err)
		require.Contains(t, r.err, want)
	}
	for _, args := range [][]string{{"--forward", "http://127.0.0.1:1", "--replicas", "2"}, {"--slots", "3"}, {"--metrics", "/metrics"},
		{"--forward", "nowhere"}, {"--forward", "http://h", "--metrics", "metrics"}, {"--forward", "http://h", "--slots", "0"}, {"--forward", "http://h", "--orca", "text"}} {
		r := call(Process{Args: append([]string{"emulate"}, args...)})
		require.Equal(t, exitUsage, r.code, r.err)
	}
}

// Agents are one per backend, and tell what its page of metrics says.
func TestEmulateForward(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "vllm:num_requests_running 3\nvllm:num_requests_waiting 4\n")
	}))
	defer backend.Close()
	r := emulate(t, 2, os.Interrupt, "--forward", backend.URL, "--forward", backend.URL, "--slots", "8", "--metrics", "/metrics", "--policy", "jiq")
	require.Equal(t, exitInterrupted, r.code)
	require.Equal(t, "taillab: 2 replicas serve until interrupted\n", r.err)
}
