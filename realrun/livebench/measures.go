package main

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"taillab/scenarios"
)

// driver is our driver, or a peer that takes the same work as far as it can.
type driver func(ctx context.Context, w work) (outcome, error)

type measure = func(ctx context.Context, length time.Duration, seed uint64) (figures, []string, error)

// unlimited is more slots than requests ever wait for.
const unlimited = 4096

// frozen compares what a driver says of a server that freezes with the server's own
// times, from the arrival of a request to its reply, in percent.
func frozen(rate float64, by driver) measure {
	return func(ctx context.Context, length time.Duration, seed uint64) (figures, []string, error) {
		o, t, err := single(ctx, servers{Count: 1, Slots: unlimited, Freeze: true}, work{Rate: rate, Length: length, Warm: int(rate * freezeFor.Seconds()), Seed: seed}, by)
		if err != nil {
			return nil, nil, err
		}
		return figures{100 * (o.P95/t.P95 - 1), 100 * (o.P99/t.P99 - 1)}, o.Unsound, nil
	}
}

// median8000 compares medians at a rate that keeps a client busy.
func median8000(by driver) measure {
	return func(ctx context.Context, length time.Duration, seed uint64) (figures, []string, error) {
		o, t, err := single(ctx, servers{Count: 1, Slots: unlimited}, work{Rate: 8000, Length: length, Warm: 256, Seed: seed}, by)
		if err != nil {
			return nil, nil, err
		}
		return figures{100 * (o.P50/t.P50 - 1), delivered(o)}, o.Unsound, nil
	}
}

// single drives one server of a kind and asks it for its own times.
func single(ctx context.Context, s servers, w work, by driver) (outcome, truth, error) {
	p, err := startServer(ctx, s)
	if err != nil {
		return outcome{}, truth{}, err
	}
	defer p.stop()
	w.URLs, w.Slots, w.Policy = p.URLs, s.Slots, "random"
	if w.Pacing == "" {
		w.Pacing = scenarios.PacingAuto
	}
	o, err := by(ctx, w)
	if err != nil || p.Control == "" {
		return o, truth{}, err
	}
	t, err := p.truth(ctx)
	return o, t, err
}

// delivered is the share of the schedule that was answered, in percent.
func delivered(o outcome) float64 { return 100 * float64(o.Completed) / float64(o.Scheduled) }

// cpuPerRequest drives a server that does next to nothing.
func cpuPerRequest(rate float64, by driver) measure {
	return func(ctx context.Context, length time.Duration, seed uint64) (figures, []string, error) {
		o, _, err := single(ctx, servers{Bare: true, Slots: 1}, work{Rate: rate, Length: length, Warm: int(rate / 10), Seed: seed}, by)
		if err != nil {
			return nil, nil, err
		}
		return figures{float64(o.CPU.Nanoseconds()) / 1e3 / float64(o.Scheduled), delivered(o)}, nil, nil
	}
}

// lateness is how late sends are at 2000/s.
func lateness(pacing string) measure {
	return func(ctx context.Context, length time.Duration, seed uint64) (figures, []string, error) {
		o, _, err := single(ctx, servers{Count: 1, Slots: unlimited}, work{Rate: 2000, Length: length, Pacing: pacing, Warm: 64, Seed: seed}, driveIn)
		if err != nil {
			return nil, nil, err
		}
		return figures{o.LagP50, o.LagP99}, nil, nil
	}
}

// uneven are the backends of the comparison with proxies.
var uneven = servers{Count: 8, Slots: 2, Slow: 2}

const unevenRate = 1400

// balanced is P99 where our front end picks the backend.
func balanced(policy string) measure {
	return func(ctx context.Context, length time.Duration, seed uint64) (figures, []string, error) {
		p, err := startServer(ctx, uneven)
		if err != nil {
			return nil, nil, err
		}
		defer p.stop()
		o, err := driveIn(ctx, work{URLs: p.URLs, Slots: uneven.Slots, Policy: policy, Rate: unevenRate, Length: length, Pacing: scenarios.PacingAuto, Warm: 64, Seed: seed})
		return figures{o.P99}, o.Unsound, err
	}
}

// proxied is P99 where a proxy picks it.
func proxied(start func(ctx context.Context, backends []string, rule string) (url string, stop func(), err error), rule string) measure {
	return func(ctx context.Context, length time.Duration, seed uint64) (figures, []string, error) {
		p, err := startServer(ctx, uneven)
		if err != nil {
			return nil, nil, err
		}
		defer p.stop()
		url, stop, err := start(ctx, p.URLs, rule)
		if err != nil {
			return nil, nil, err
		}
		defer stop()
		o, err := driveIn(ctx, work{URLs: []string{url}, Slots: 1, Policy: "random", Rate: unevenRate, Length: length, Pacing: scenarios.PacingAuto, Warm: 256, Seed: seed})
		return figures{o.P99}, o.Unsound, err
	}
}

// openP95 is what a client that sends on, frozen server or not, sees at P95 with Exp(5 ms)
// and a freeze of 500 ms every 5 s, in ms: the closed form that the emulator is held to.
const openP95 = 260.8

// closedLoop is how many times too low P95 is for clients that wait for an answer
// before they send again: a freeze then delays one request of each, not all that
// would have come.
func closedLoop(ctx context.Context, length time.Duration, _ uint64) (figures, []string, error) {
	p, err := startServer(ctx, servers{Count: 1, Slots: unlimited, Freeze: true})
	if err != nil {
		return nil, nil, err
	}
	defer p.stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var all []float64
	var wg sync.WaitGroup
	until := time.Now().Add(length)
	for range 16 {
		wg.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil {
				began := time.Now()
				q, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URLs[0], strings.NewReader("{}"))
				if err != nil {
					return
				}
				resp, err := client.Do(q)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				mu.Lock()
				all = append(all, float64(time.Since(began))/1e6)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(all) == 0 {
		return nil, nil, context.Cause(ctx)
	}
	slices.Sort(all)
	return figures{openP95 / all[len(all)*95/100]}, nil, nil
}
