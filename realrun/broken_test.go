package realrun

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/realrun/emulator"
	"taillab/realrun/wire/wiretest"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// broken lets answer do with each request what it will. GET requests are answered, so
// that the ready check passes.
func broken(t *testing.T, answer func(c net.Conn)) string {
	t.Helper()
	return wiretest.Raw(t, func(c net.Conn, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			return
		}
		answer(c)
	})
}

const sseHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

func chunkOf(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// Whatever a backend does to its connections, every request closes, in the class that
// names what happened, and the run ends within the timeouts of its targets.
func TestBrokenBackends(t *testing.T) {
	t.Parallel()
	drip := func(head string, n int) func(net.Conn) {
		return func(c net.Conn) {
			fmt.Fprint(c, head)
			for range n {
				time.Sleep(20 * time.Millisecond) // the backend's slowness is the subject
				if _, err := fmt.Fprint(c, chunkOf(": slow\n\n")); err != nil {
					return
				}
			}
		}
	}
	for name, x := range map[string]struct {
		answer func(net.Conn)
		class  string
		limit  func(t *scenarios.Timeouts) *time.Duration // the timeout that ends it; nil = none does
	}{
		"half open":            {wiretest.Silent, "header_timeout", func(t *scenarios.Timeouts) *time.Duration { return &t.Header }},
		"header, then silence": {func(c net.Conn) { fmt.Fprint(c, sseHead); wiretest.Silent(c) }, "stall", func(t *scenarios.Timeouts) *time.Duration { return &t.Stall }},
		"one byte at a time":   {drip(sseHead, 10_000), "deadline", func(t *scenarios.Timeouts) *time.Duration { return &t.Total }},
		"garbage events": {func(c net.Conn) {
			fmt.Fprint(c, sseHead+chunkOf("data: {not json\n\n")+chunkOf("data: x\n\n")+"0\r\n\r\n")
		}, "malformed", nil},
		"no events": {func(c net.Conn) { fmt.Fprint(c, sseHead+chunkOf("\x00\xff\x00\xff<html>")+"0\r\n\r\n") }, "malformed", nil},
		"cut stream": {func(c net.Conn) {
			fmt.Fprint(c, sseHead+chunkOf("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n")+"0\r\n\r\n")
		}, "short_read", nil},
		"broken chunks":  {func(c net.Conn) { fmt.Fprint(c, sseHead+"zz\r\n"); c.Close() }, "malformed", nil},
		"closed at once": {func(c net.Conn) { c.Close() }, "reset", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets := at(broken(t, x.answer))
			targets.Services[0].Transport, targets.Services[0].Path = scenarios.TransportChat, "/v1/chat/completions"
			if x.limit != nil {
				*x.limit(&targets.Services[0].Timeouts) = 400 * time.Millisecond
			}
			c := cellOf(t, 1, 1, 40, 200, policy("random"))
			c.Setup.Services[0].Discovery.Detect = scenarios.DetectNever
			k, err := against(t, targets, c)
			require.NoError(t, err)
			require.True(t, k.done)
			require.Equal(t, map[string]int64{x.class: 36}, conserved(t, &k.keep))
		})
	}
}

// A driver that is stopped in the middle says so, gives no result and leaves nothing
// behind: no goroutine, no backend that still listens.
func TestTheDriverIsStopped(t *testing.T) {
	t.Parallel()
	for _, targets := range []*scenarios.Targets{nil, at(standing(t, emulator.Config{}, 2)...)} {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, stop)
		c := cellOf(t, 2, 2, 1_000_000, 300, policy("jiq-amnesia"))
		if targets != nil {
			c = cellOf(t, 2, 1, 1_000_000, 300, policy("p2c"))
		}
		k := &drove{}
		err := Host{Targets: targets}.Run(ctx, []scenarios.Run{{Cell: c, Seed: 1}}, k)
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, k.done)
	}
}

// A backend that dies in the middle takes its attempts with it; the others go on.
func TestABackendDies(t *testing.T) {
	t.Parallel()
	model, ps := gpu.New(gpu.Defaults(gpu.Service))
	require.Empty(t, ps)
	fleet, err := emulator.Start(t.Context(), emulator.Config{Replicas: []emulator.Replica{{Model: model}}})
	require.NoError(t, err)
	targets := at(append(standing(t, emulator.Config{}, 1), fleet.URLs()...)...)
	var killer sync.WaitGroup
	t.Cleanup(killer.Wait) // the test's context ends before
	killer.Go(func() {
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		for t.Context().Err() == nil && fleet.Counters().Outcomes[0] <= 100 {
			<-look.C
		}
		_ = fleet.Close()
	})
	k, err := against(t, targets, cellOf(t, 2, 1, 600, 400, policy("round-robin")))
	require.NoError(t, err)
	errs := conserved(t, &k.keep)
	require.Positive(t, errs["refused"]+errs["reset"])
	for class := range errs {
		require.Contains(t, []string{"refused", "reset", "header_timeout", "no_replica"}, class)
	}
	require.Positive(t, k.col.Part().Completed, "the other one serves on, but for the period in which all were held to be down")
}

// An address that is taken is an error before anything is sent.
func TestFrontEndsThatCannotListen(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	targets := at(standing(t, emulator.Config{}, 1)...)
	targets.FrontEndListen = ln.Addr().String()
	_, err = against(t, targets, cellOf(t, 1, 1, 10, 100, policy("random")))
	require.ErrorContains(t, err, "front ends cannot listen on "+strings.TrimPrefix(ln.Addr().String(), "http://"))
}
