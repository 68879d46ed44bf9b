package wire

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"taillab/policies"
)

// The headers of taillab, in the spelling of net/http. Those of the truth are read
// by the emulated backend only.
const (
	HeaderFrontEnd = "X-Taillab-Frontend"    // on every request: f2
	HeaderMsg      = "X-Taillab-Msg"         // messages riding on a request or an answer
	HeaderClass    = "X-Taillab-Class"       // the outcome class behind a failing status
	HeaderServer   = "X-Taillab-Server-Ns"   // on an answer or in its trailer: ns inside the backend
	HeaderDemand   = "X-Taillab-Demand-Ns"   // truth: work at speed 1
	HeaderInput    = "X-Taillab-Input"       // truth: tokens
	HeaderOutput   = "X-Taillab-Output"      // truth: tokens
	HeaderSteps    = "X-Taillab-Steps-Ns"    // its parts in ns: queue, batch, service
	HeaderNoise    = "X-Taillab-Noise"       // truth: factor on the service time
	HeaderPriority = "X-Taillab-Priority"    // truth: for discipline priority
	HeaderDeadline = "X-Taillab-Deadline-Ns" // truth: ns left, for discipline edf

	HeaderLoad       = "Endpoint-Load-Metrics"        // ORCA, see ParseORCA
	HeaderLoadFormat = "Endpoint-Load-Metrics-Format" // asks vLLM for it
)

// ofStatus names the class of a status that is not 2xx. A header may name a class
// that only the backend can know; other names in it are ignored.
func ofStatus(code int, h http.Header) policies.Outcome {
	switch name := h.Get(HeaderClass); name {
	case policies.QueueFull.String():
		return policies.QueueFull
	case policies.TooLong.String():
		return policies.TooLong
	case policies.DeadlineHit.String():
		return policies.DeadlineHit
	case policies.Lost.String():
		return policies.Lost
	}
	switch {
	case code == http.StatusTooManyRequests:
		return policies.HTTP429
	case code == http.StatusServiceUnavailable:
		return policies.HTTP503
	case code >= 500 && code <= 599:
		return policies.HTTP5xx
	case code >= 400 && code <= 499:
		return policies.HTTP4xx
	}
	return policies.Malformed // a redirect, an upgrade, or no status at all
}

// retryAfter reads seconds or an HTTP date; the date is measured against the answer's
// own Date where there is one, so that the two clocks need not agree.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	const most = 24 * time.Hour
	if s, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(s)*time.Second, most)
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(0, at.Sub(now)), most)
}

// serverTime reads the time inside the backend; 0 when it is absent or no count.
func serverTime(h http.Header) time.Duration {
	ns, err := strconv.ParseInt(h.Get(HeaderServer), 10, 64)
	if err != nil || ns < 0 {
		return 0
	}
	return time.Duration(ns)
}

// steps reads the parts of the time inside the backend: three counts of ns.
func steps(h http.Header) Steps {
	words := strings.Fields(h.Get(HeaderSteps))
	if len(words) != 3 {
		return Steps{}
	}
	var d [3]time.Duration
	for i, w := range words {
		ns, err := strconv.ParseInt(w, 10, 64)
		if err != nil || ns < 0 {
			return Steps{}
		}
		d[i] = time.Duration(ns)
	}
	return Steps{Queue: d[0], Batch: d[1], Service: d[2], Told: true}
}
