package telemetry

import (
	"context"
	"io"
	"math"
	"net/url"

	"taillab/policies/balance"
)

// The metrics of vLLM that tell a backend's load. The use of KV memory had another
// name before its engine V1.
const (
	metricRunning = "vllm:num_requests_running"
	metricWaiting = "vllm:num_requests_waiting"
	metricKV      = "vllm:kv_cache_usage_perc"
	metricOldKV   = "vllm:gpu_cache_usage_perc"
)

// maxRequests is the most that a backend is believed to hold.
const maxRequests = 1e6

// Backend is the load that a backend's metrics tell, NaN where they do not. Several
// engines behind one address count as one backend.
type Backend struct {
	Running, Waiting float64 // requests
	KV               float64 // share of KV memory in use, 0…1
}

// Load returns the load as policies see it; false when it is not told how many
// requests are there. Slots are not told and 0: none counts as free.
func (b Backend) Load() (balance.Load, bool) {
	if math.IsNaN(b.Running) || math.IsNaN(b.Waiting) {
		return balance.Load{}, false
	}
	l := balance.Load{Running: int32(math.Round(b.Running)), Queued: int32(math.Round(b.Waiting))}
	if !math.IsNaN(b.KV) {
		l.KV = float32(b.KV)
	}
	return l, true
}

// backend reads one backend's metrics.
type backend struct{ *scraper }

func newBackend(u *url.URL) backend {
	return backend{newScraper(u, []string{metricRunning, metricWaiting, metricKV, metricOldKV})}
}

func (b backend) load(ctx context.Context) (Backend, error) {
	m, err := b.page(ctx)
	if err != nil {
		return Backend{}, err
	}
	return m.backend(), nil
}

// ReadBackend reads a backend's page of metrics. It fails on a page that tells
// nothing of its load.
func ReadBackend(page io.Reader) (Backend, error) {
	m, err := readMetrics(page, newBackend(nil).wanted)
	if err != nil {
		return Backend{}, err
	}
	return m.backend(), nil
}

func (m samples) backend() Backend {
	b := Backend{Running: m.count(metricRunning), Waiting: m.count(metricWaiting), KV: m.mean(metricKV)}
	if math.IsNaN(b.KV) {
		b.KV = m.mean(metricOldKV)
	}
	return b
}

// count adds the requests of all engines up.
func (m samples) count(name string) float64 {
	if total, _ := m.sum(name, maxRequests); total <= maxRequests {
		return total
	}
	return math.NaN()
}

// mean is the mean share over the engines, which have equal memory.
func (m samples) mean(name string) float64 {
	total, n := m.sum(name, 1)
	return total / n
}

// sum adds the samples of a metric up; NaN when there is none, or when one of them does
// not lie in 0…limit: part of a load would pass for less of it.
func (m samples) sum(name string, limit float64) (total, n float64) {
	m.each(name, func(v float64, _ func(string) string) {
		n++
		if !(v >= 0 && v <= limit) {
			v = math.NaN()
		}
		total += v
	})
	if n == 0 {
		return math.NaN(), 0
	}
	return total, n
}
