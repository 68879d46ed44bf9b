package emulator

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/wire"
)

// wanted is the format of a load report: as the request asks, else as configured.
func wanted(asked, configured string) string {
	switch strings.ToUpper(asked) {
	case ORCAText:
		return ORCAText
	case ORCAJSON:
		return ORCAJSON
	}
	return configured
}

// probe answers GET /probe: in the header as asked (TEXT unless told), and as JSON.
func (r *replica) probe(w http.ResponseWriter, q *http.Request) {
	if !r.thaw(q.Context()) {
		return
	}
	var load balance.Load
	var inc uint32
	r.do(func(time.Duration) { load, inc = r.core.load(), r.core.inc })
	format := wanted(q.Header.Get(wire.HeaderLoadFormat), r.f.cfg.ORCA)
	if format == ORCANone {
		format = ORCAText
	}
	w.Header().Set(wire.HeaderLoad, wire.FormatORCA(load, format))
	writeJSON(w, http.StatusOK, map[string]any{"inc": inc, "rif": load.Running + load.Queued, "idle_slots": load.Free(),
		"latency_s": load.LatencyEst.Seconds()})
}

// metrics answers GET /metrics with the names of vLLM, and counters of our own.
func (r *replica) metrics(w http.ResponseWriter, q *http.Request) {
	if !r.thaw(q.Context()) {
		return
	}
	var b strings.Builder
	r.do(func(now time.Duration) {
		l := r.core.load()
		gauge := func(name, about string, v float64) {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s{model_name=%q} %g\n", name, about, name, name, r.f.cfg.Name, v)
		}
		gauge("vllm:num_requests_running", "Requests in slots.", float64(l.Running))
		gauge("vllm:num_requests_waiting", "Requests in the queue.", float64(l.Queued))
		if l.KV > 0 || r.core.spec.MaxModelLen > 0 {
			gauge("vllm:kv_cache_usage_perc", "Tokens inside over what the slots hold, 0 to 1.", float64(l.KV))
		}
		gauge("taillab_busy_slot_seconds", "Slot time worked since the start.", r.core.pool.BusySlotTime(0, now).Seconds())
		fmt.Fprint(&b, "# HELP taillab_requests_total Requests by how they ended.\n# TYPE taillab_requests_total counter\n")
		names := policies.OutcomeNames()
		for i, n := range r.outcomes {
			if n > 0 || i == 0 {
				fmt.Fprintf(&b, "taillab_requests_total{outcome=%q} %d\n", names[i], n)
			}
		}
		for _, x := range []struct {
			name, about string
			n           uint64
		}{{"taillab_msg_bad_total", "Messages that could not be read.", r.bad}, {"taillab_msg_wrong_run_total", "Messages of another run.", r.wrongRun},
			{"taillab_msg_dropped_total", "Messages lost by faults and the link.", r.core.dropped}} {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s counter\n%s %d\n", x.name, x.about, x.name, x.name, x.n)
		}
	})
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(b.String())) // the client may have gone
}

// truthJSON is the answer to GET /truth, in milliseconds.
type truthJSON struct {
	Requests int64   `json:"requests"`
	MeanMS   float64 `json:"mean_ms"`
	P50MS    float64 `json:"p50_ms"`
	P90MS    float64 `json:"p90_ms"`
	P95MS    float64 `json:"p95_ms"`
	P99MS    float64 `json:"p99_ms"`
	P999MS   float64 `json:"p999_ms"`
	MaxMS    float64 `json:"max_ms"`
}

// told answers GET /truth: this replica's own times from arrival to reply.
func (r *replica) told(w http.ResponseWriter, q *http.Request) {
	if !r.thaw(q.Context()) {
		return
	}
	const ms = 1e6
	r.mu.Lock()
	h := r.truth
	t := truthJSON{Requests: h.Count(), MeanMS: h.Mean() / ms, P50MS: h.Quantile(500) / ms, P90MS: h.Quantile(900) / ms, P95MS: h.Quantile(950) / ms,
		P99MS: h.Quantile(990) / ms, P999MS: h.Quantile(999) / ms, MaxMS: float64(h.Max()) / ms}
	r.mu.Unlock()
	writeJSON(w, http.StatusOK, t)
}

// health answers readiness: 200, and 503 while the replica drains.
func (r *replica) health(w http.ResponseWriter, q *http.Request) {
	if !r.thaw(q.Context()) {
		return
	}
	r.mu.Lock()
	draining, id, inc := r.draining, r.core.id, r.core.inc
	r.mu.Unlock()
	code := http.StatusOK
	if draining {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, map[string]any{"ready": !draining, "replica": id, "inc": inc})
}
