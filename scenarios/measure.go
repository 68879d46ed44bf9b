package scenarios

import (
	"strings"
	"time"
)

// defaultRequests is how many arrivals a run has, warm-up included.
const defaultRequests = 30_000

// Limits of Measure.Precision, and of the seeds it may take.
const (
	minPrecision    = 0.001
	maxPrecision    = 0.5
	defaultMaxSeeds = 200
)

// measureDraft is Measure with what the workload decides later.
type measureDraft struct {
	Measure
	requests *node // nil: the default
	warmup   *node // likewise
	outlived bool  // by its warm-up, which has been told
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
	if m.warmup = b.get("warmup"); m.warmup != nil {
		d.warmup(m.warmup, b.at("warmup"), &m.Measure)
	}
	b.duration("drain", &m.Drain, 0, 0, true)
	s := d.block(b.get("slo"), b.at("slo"), "measure.slo")
	s.duration("latency", &m.SLO.Latency, 0, 0, true)
	s.duration("ttft", &m.SLO.TTFT, 0, 0, true)
	s.duration("tpot", &m.SLO.TPOT, 0, 0, true)
	b.boolean("tape", &m.Tape)
	b.boolean("transient", &m.Transient)
	d.precision(b, &m.Measure)
	return m
}

// precision reads how narrow the intervals are to be, and what that may cost.
func (d *decoder) precision(b block, m *Measure) {
	n, most := b.get("precision"), b.get("max_seeds")
	if n == nil {
		if most != nil {
			d.ps.at(most.key, b.at("max_seeds"), "such as precision: 2%", "measure.max_seeds bounds the seeds that measure.precision asks for: give that too")
		}
		return
	}
	m.MaxSeeds = defaultMaxSeeds
	b.share("precision", &m.Precision, span{lo: minPrecision, hi: maxPrecision})
	b.integer("max_seeds", &m.MaxSeeds, 2, 10_000)
	if m.Transient {
		d.ps.at(n.key, b.at("precision"), "leave one out", "measure.precision needs intervals, and measure.transient has none")
	}
}

// warmup reads a share of the requests, a duration, or auto.
func (d *decoder) warmup(n *node, path string, m *Measure) {
	if !d.isScalar(n, path, "a percentage, a duration or auto") {
		return
	}
	if n.text == "auto" {
		m.WarmupAuto, m.WarmupShare = true, 0
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
		d.refuse(n, path, &bad{"it must be a percentage, a duration or auto", "such as 10% or 30s"})
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

// outlasts wants the warm-up to end before the run of a cell does.
func (m *measureDraft) outlasts(d *decoder, rate float64) {
	run := m.Horizon
	if run == 0 && rate > 0 {
		run = time.Duration(float64(m.Requests) / rate * float64(time.Second))
	}
	if m.WarmupTime > 0 && run > 0 && m.WarmupTime >= run && !m.outlived {
		m.outlived = true
		d.ps.at(m.warmup, "measure.warmup", "make the run longer or the warm-up shorter, or use auto",
			"measure.warmup is %s: the run has only %s", m.warmup.text, durationText(run.Round(time.Millisecond)))
	}
}

// Warmup is the length of the discarded start of a run of so many requests or of
// the horizon: exactly one of the results is not 0, or both are. With WarmupAuto
// both are: that run is a pilot.
func (m *Measure) Warmup() (requests int, length time.Duration) {
	switch {
	case m.WarmupTime > 0:
		return 0, m.WarmupTime
	case m.Horizon > 0:
		return 0, time.Duration(m.WarmupShare * float64(m.Horizon))
	}
	return int(m.WarmupShare * float64(m.Requests)), 0
}
