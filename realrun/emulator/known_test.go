package emulator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
	"taillab/realrun/await"
	"taillab/realrun/wire"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// TestKnownAnswer holds a real run to a closed form. Requests of Exp(5 ms) never
// wait for a slot; a freeze of 500 ms every 5 s hits a tenth of the arrivals, and
// those that were in flight. Percentiles follow without any simulation.
//
// The times inside the replica are exact, so only the host's lateness in sending
// and in freezing can disturb them; where that shows, the test is skipped.
func TestKnownAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped in short mode: it takes 10 s")
	}
	const (
		requests = 5000
		gap      = 2 * ms
		every    = 5 * time.Second
		frozen   = 500 * ms
		late     = 5 * ms
	)
	w := start(t, Config{Seed: 1, Replicas: []Replica{{Model: model(t, func(s *gpu.Spec) { s.Slots = 4096 })}}})
	w.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 1000
	dice := chance.Stream(1, "test/demand")
	inside, lags := make([]time.Duration, requests), make([]time.Duration, requests)
	var busy time.Duration // the most that a freeze came late
	var refused error
	answers := make([]reply, requests)
	var wg sync.WaitGroup
	began := time.Now()
	wg.Go(func() {
		for at := every / 2; at < requests*gap; at += every {
			for i, on := range []bool{true, false} {
				due := at + time.Duration(i)*frozen
				time.Sleep(due - time.Since(began))
				refused = errors.Join(refused, w.fleet.Fault(0, scenarios.FaultFreeze, 0, 0, 0, on))
				busy = max(busy, time.Since(began)-due)
			}
		}
	})
	for i := range requests {
		due := time.Duration(i) * gap
		demand := time.Duration(chance.Exp(&dice) * float64(5*ms))
		time.Sleep(due - time.Since(began))
		lags[i] = time.Since(began) - due
		wg.Go(func() {
			answers[i] = w.send(context.Background(), http.MethodPost, w.url+"/", "", wire.HeaderDemand, strconv.FormatInt(int64(demand), 10))
		})
	}
	wg.Wait()
	require.NoError(t, refused)
	for i := range answers {
		require.NoError(t, answers[i].err)
		ns, err := strconv.ParseInt(answers[i].header.Get(wire.HeaderServer), 10, 64)
		require.NoError(t, err)
		inside[i] = time.Duration(ns)
	}
	slices.Sort(inside)
	slices.Sort(lags)
	truth := w.fleet.Truth()
	lag := lags[requests*99/100]
	t.Logf("sending late P99 %v, freezing late at most %v; inside P50 %v P95 %v P99 %v; arrival to reply P50 %.2f P95 %.1f P99 %.1f ms", lag, busy,
		inside[requests/2], inside[requests*95/100], inside[requests*99/100], truth.Quantile(500)/1e6, truth.Quantile(950)/1e6, truth.Quantile(990)/1e6)
	require.Equal(t, int64(requests), truth.Count())
	if lag > late || busy > late {
		t.Skipf("this host is too busy to judge: sending was late by %v at P99, freezing by %v", lag, busy)
	}
	// The median of 5,000 exponentials has a standard error of 1.4%; the arrivals are
	// even, so the upper percentiles move by the freezes' own lateness only.
	for _, c := range []struct {
		rank   int
		wantMS float64
		within float64
	}{{500, 4.05, 0.06}, {950, 260.8, 0.05}, {990, 459.9, 0.03}} {
		require.InEpsilon(t, c.wantMS, float64(inside[requests*c.rank/1000])/1e6, c.within, "per mille %d", c.rank)
	}
}

// BenchmarkRequest is one small request over a kept connection, timer and model
// included: what an emulated backend costs.
func BenchmarkRequest(b *testing.B) {
	f, err := Start(context.Background(), Config{Replicas: []Replica{{Model: model(b, nil)}}})
	require.NoError(b, err)
	client := &http.Client{}
	b.Cleanup(func() { client.CloseIdleConnections(); require.NoError(b, f.Close()) })
	url := f.URLs()[0] + "/"
	b.ReportAllocs()
	for b.Loop() {
		q, err := http.NewRequestWithContext(context.Background(), "POST", url, strings.NewReader(""))
		require.NoError(b, err)
		q.Header.Set(wire.HeaderDemand, "1000")
		res, err := client.Do(q)
		require.NoError(b, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(b, err)
		require.NoError(b, res.Body.Close())
	}
}

// BenchmarkAlarm reports how late the timer wakes, in µs: the fine one against the
// runtime's.
func BenchmarkAlarm(b *testing.B) {
	for name, a := range map[string]alarm{"fine": newAlarm(), "coarse": newCoarse()} {
		b.Run(name, func(b *testing.B) {
			var late time.Duration
			n := 0
			for b.Loop() {
				t := time.Now()
				a.set(2500 * time.Microsecond)
				a.wait()
				late += time.Since(t) - 2500*time.Microsecond
				n++
			}
			b.ReportMetric(float64(late.Microseconds())/float64(n), "µs-late")
		})
		a.close()
	}
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]alarm{"fine": newAlarm(), "coarse": newCoarse()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rang := make(chan bool)
			go func() {
				for a.wait() {
					rang <- true
				}
				close(rang)
			}()
			for range 3 {
				began := time.Now()
				a.set(time.Hour)
				a.set(ms)
				await.One(t, "it rings", rang)
				require.GreaterOrEqual(t, time.Since(began), ms)
			}
			a.set(0)
			await.One(t, "it rings", rang)
			a.set(ms)
			a.set(-1)
			a.close()
			a.close()
			for range rang { // a ring that was under way
			}
		})
	}
}
