package scenarios

import (
	"strings"
	"time"
)

// defaultRequests is how many arrivals a run has, warm-up included.
const defaultRequests = 30_000

// measureDraft is Measure with what the workload decides later.
type measureDraft struct {
	Measure
	requests *node // nil: the default
}

func (d *decoder) measure(n *node) measureDraft {
	m := measureDraft{Measure: Measure{Requests: defaultRequests, WarmupShare: 0.1}}
	b := d.block(n, "measure", "measure")
	m.requests = b.get("requests")
	b.integer("requests", &m.Requests, 1, 1e9)
	if h := b.get("horizon"); h != nil {
		if m.requests != nil {
			d.ps.at(h.key, b.at("horizon"), "leave one out", "measure.horizon stands beside measure.requests")
		}
		b.duration("horizon", &m.Horizon, 0, 0, true)
		m.Requests = 0
	}
	if w := b.get("warmup"); w != nil {
		d.warmup(w, b.at("warmup"), &m.Measure)
	}
	b.duration("drain", &m.Drain, 0, 0, true)
	s := d.block(b.get("slo"), b.at("slo"), "measure.slo")
	s.duration("latency", &m.SLO.Latency, 0, 0, true)
	s.duration("ttft", &m.SLO.TTFT, 0, 0, true)
	s.duration("tpot", &m.SLO.TPOT, 0, 0, true)
	b.boolean("tape", &m.Tape)
	b.boolean("transient", &m.Transient)
	return m
}

// warmup reads a share of the requests or a duration.
func (d *decoder) warmup(n *node, path string, m *Measure) {
	if !d.isScalar(n, path, "a percentage or a duration") {
		return
	}
	if n.text == "auto" {
		d.ps.at(n, path, "give a percentage or a duration", "%s: auto is not available in this version", path)
		return
	}
	if !strings.HasSuffix(n.text, "%") {
		if v, wrong := readDuration(n.text); wrong == nil && v > 0 {
			m.WarmupTime, m.WarmupShare = v, 0
			return
		}
	}
	v, wrong := readShare(n.text)
	switch {
	case wrong != nil:
		d.refuse(n, path, &bad{"it must be a percentage or a duration", "such as 10% or 30s"})
	case v < 0 || v >= 1:
		d.ps.at(n, path, "", "%s is %s: it must lie in [0%%, 100%%)", path, n.text)
	default:
		m.WarmupShare = v
	}
}

// settle fills in what depends on the workload: a trace has so many rows.
func (m *measureDraft) settle(d *decoder, standard, most int) {
	if m.Horizon > 0 || standard == 0 {
		return
	}
	switch {
	case m.requests == nil:
		m.Requests = standard
	case most > 0 && m.Requests > most:
		d.ps.at(m.requests, "measure.requests", "ask for fewer, or set workload.arrivals.trace.loop", "measure.requests is %s: the trace has %s rows", thousands(int64(m.Requests)), thousands(int64(most)))
	}
}

// Warmup is the length of the discarded start of a run of so many requests or of
// the horizon: exactly one of the results is not 0, or both are.
func (m *Measure) Warmup() (requests int, length time.Duration) {
	switch {
	case m.WarmupTime > 0:
		return 0, m.WarmupTime
	case m.Horizon > 0:
		return 0, time.Duration(m.WarmupShare * float64(m.Horizon))
	}
	return int(m.WarmupShare * float64(m.Requests)), 0
}
