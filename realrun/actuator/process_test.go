//go:build unix

package actuator

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"taillab/policies/autoscale"
	"taillab/scenarios"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" { // the server of a pool runs this program
		actAsServer(os.Args[2], os.Args[3:])
		return
	}
	// a server that closes a connection lingers for half a second by itself
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// actAsServer serves at a port; "deaf" ignores SIGTERM, and the folder gets a file with
// the number of the process.
func actAsServer(port string, how []string) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	if len(how) > 1 {
		_ = os.WriteFile(filepath.Join(how[1], strconv.Itoa(os.Getpid())), nil, 0o600)
	}
	go func() { _ = http.ListenAndServe("127.0.0.1:"+port, http.NotFoundHandler()) }()
	for range asked {
		if how[0] != "deaf" {
			os.Exit(0)
		}
	}
}

// answers tells whether a server does.
func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil
}

// alive counts the processes that wrote their number into a folder and are there.
func alive(t *testing.T, dir string) (n int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		pid, err := strconv.Atoi(f.Name())
		require.NoError(t, err)
		if syscall.Kill(pid, 0) == nil {
			n++
		}
	}
	return n
}

// TestProcesses: child processes come and go with the count; one that ignores SIGTERM
// is killed after its grace, and no process is left when the pool is closed.
func TestProcesses(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"polite", "deaf"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			require.NoError(t, err)
			dir := t.TempDir()
			grace := 300 * time.Millisecond
			var notes []string
			p, err := NewPool(t.Context(), PoolConfig{Slots: 4, Start: 1, Loads: true, Lifecycle: scenarios.Lifecycle{DrainGrace: grace}, Check: answers,
				Make: func(int, string) (Server, error) { return Command([]string{self, "serve", Port, how, dir}, nil) },
				Note: func(text string) { notes = append(notes, text) }})
			require.NoError(t, err)
			require.NoError(t, p.Apply(t.Context(), 3))
			until(t, p, func(list []Pod) bool { return len(list) == 3 && count(list, autoscale.Ready) == 3 })
			require.Equal(t, 3, alive(t, dir))
			require.NoError(t, p.Apply(t.Context(), 1))
			began := time.Now()
			for _, x := range p.Pods() {
				if x.Phase == autoscale.Draining {
					p.Release(x.Slot)
				}
			}
			until(t, p, func(list []Pod) bool { return len(list) == 1 })
			if how == "deaf" {
				require.GreaterOrEqual(t, time.Since(began), grace-10*time.Millisecond, "its grace is its own")
			}
			require.Equal(t, 1, alive(t, dir))
			require.NoError(t, p.Close())
			require.Zero(t, alive(t, dir))
			require.Empty(t, notes)
		})
	}
}

// TestCommandsThatFail say so, with what the child said last.
func TestCommandsThatFail(t *testing.T) {
	t.Parallel()
	_, err := Command(nil, nil)
	require.EqualError(t, err, "the command of a server is empty")
	_, err = Command([]string{"/no/such/server"}, nil)
	require.ErrorContains(t, err, "cannot be started")
	said := make(chan string, 1)
	s, err := Command([]string{"sh", "-c", "echo first >&2; echo no port " + Port + " >&2; exit 3"}, func(text string) { said <- text })
	require.NoError(t, err)
	<-s.Done()
	text := <-said
	require.True(t, strings.HasPrefix(text, "sh ended with code 3: no port "), text)
	require.True(t, strings.HasSuffix(text, strings.TrimPrefix(s.URL(), "http://127.0.0.1:")), text)
	s.Kill() // it has ended: nothing is sent
	s.Stop()
}
