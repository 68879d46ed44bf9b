package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"taillab/policies/balance"
)

// Report is what a backend told of its load. What it did not tell is unknown, which
// is never zero and never idle.
type Report struct {
	known    reported
	inFlight int32 // running + queued
	running  int32
	queued   int32
	slots    int32
	idle     int32
	kv       float32
	latency  time.Duration
}

type reported uint8

const (
	knowInFlight reported = 1 << iota
	knowRunning
	knowQueued
	knowSlots
	knowIdle
	knowKV
	knowLatency
)

// The named metrics that are read and written: rif, latency (seconds) and idle_slots
// of probes; those of vLLM; slots.
const (
	metricInFlight = "rif"
	metricIdle     = "idle_slots"
	metricSlots    = "slots"
	metricLatency  = "latency"
	metricRunning  = "num_requests_running"
	metricQueued   = "num_requests_waiting"
	metricKV       = "kv_cache_usage_perc"
)

// Empty tells that the report says nothing of use.
func (r Report) Empty() bool { return r.known == 0 }

func (r Report) knows(k reported) bool { return r.known&k == k }

// total is running + queued, if it was told.
func (r Report) total() (int32, bool) {
	switch {
	case r.knows(knowInFlight):
		return r.inFlight, true
	case r.knows(knowRunning | knowQueued):
		return r.running + r.queued, true
	}
	return 0, false
}

// Load returns the load that the report makes alone; false if it does not tell how
// many requests are there. Slots that are not told are 0: no slot counts as free.
func (r Report) Load() (balance.Load, bool) {
	n, ok := r.total()
	if !ok {
		return balance.Load{}, false
	}
	return r.fill(balance.Load{Running: n}), true
}

// Over returns a load of one's own counting, overridden by what was reported.
func (r Report) Over(own balance.Load) balance.Load {
	if _, ok := r.total(); !ok && r.knows(knowRunning) {
		own.Queued = max(0, own.Running+own.Queued-r.running)
		own.Running = r.running
	}
	return r.fill(own)
}

// fill splits the requests into running and queued, and adds the rest.
func (r Report) fill(l balance.Load) balance.Load {
	n, ok := r.total()
	if !ok {
		n = l.Running + l.Queued
		if r.knows(knowQueued) {
			n = max(n, r.queued)
		}
	}
	if r.knows(knowSlots) {
		l.Slots = r.slots
	}
	switch {
	case r.knows(knowQueued):
		l.Queued = min(r.queued, n)
	case r.knows(knowIdle) && r.idle > 0:
		l.Queued = 0
	case ok && l.Slots > 0:
		l.Queued = max(0, n-l.Slots)
	case ok:
		l.Queued = 0
	}
	l.Running = n - l.Queued
	if r.knows(knowIdle) && !r.knows(knowSlots) {
		l.Slots = l.Running + r.idle
	}
	if r.knows(knowKV) {
		l.KV = r.kv
	}
	if r.knows(knowLatency) {
		l.LatencyEst = r.latency
	}
	return l
}

// ParseORCA reads the value of HeaderLoad, "TEXT k=v, …", "JSON {…}" or "BIN" with
// base64: the header forms of xds.data.orca.v3.OrcaLoadReport. With an error nothing
// is known.
func ParseORCA(value string) (Report, error) {
	if len(value) > MaxEnvelope {
		return Report{}, fmt.Errorf("the load report has more than %d bytes", MaxEnvelope)
	}
	form, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	var r Report
	var err error
	switch strings.ToUpper(form) {
	case "TEXT":
		err = r.text(rest)
	case "JSON":
		err = r.json([]byte(rest))
	case "BIN":
		err = r.binary(rest)
	default:
		err = fmt.Errorf("a load report of the form %q: TEXT, JSON and BIN are understood", clip(form, 20))
	}
	if err != nil {
		return Report{}, err
	}
	return r, nil
}

func (r *Report) text(s string) error {
	seen := make(map[string]bool)
	for pair := range strings.SplitSeq(s, ",") {
		name, text, ok := strings.Cut(pair, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return fmt.Errorf("%q in a load report is not name=value", clip(pair, 40))
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return fmt.Errorf("%s in a load report is not a number", clip(name, 40))
		}
		if seen[name] {
			return fmt.Errorf("%s stands twice in a load report", clip(name, 40))
		}
		seen[name] = true
		named, isNamed := strings.CutPrefix(name, "named_metrics.")
		if err := r.set(named, v, isNamed); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) json(b []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return fmt.Errorf("a load report's JSON cannot be read: %w", err)
	}
	if fields == nil {
		return errors.New("a load report's JSON is null")
	}
	for name, raw := range fields {
		if strings.HasPrefix(strings.TrimSpace(string(raw)), "{") { // named_metrics, utilization, request_cost
			var group map[string]*float64
			if err := json.Unmarshal(raw, &group); err != nil {
				return fmt.Errorf("%s in a load report cannot be read: %w", clip(name, 40), err)
			}
			for key, v := range group {
				if v == nil {
					return fmt.Errorf("%s.%s in a load report is null", clip(name, 40), clip(key, 40))
				}
				if err := r.set(key, *v, name == "named_metrics" || name == "namedMetrics"); err != nil {
					return err
				}
			}
			continue
		}
		var v *float64
		if err := json.Unmarshal(raw, &v); err != nil || v == nil {
			return fmt.Errorf("%s in a load report is not a number", clip(name, 40))
		}
		if err := r.set(name, *v, false); err != nil {
			return err
		}
	}
	return nil
}

// set takes one metric. NaN, infinity and anything below zero spoil the report, but
// for named metrics that nobody reads: they may mean what they want.
func (r *Report) set(name string, v float64, named bool) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%s in a load report is %v", clip(name, 40), v)
	}
	if !named {
		if v < 0 {
			return fmt.Errorf("%s in a load report is %v: it cannot be negative", clip(name, 40), v)
		}
		return nil
	}
	know, n := reported(0), (*int32)(nil)
	switch name {
	case metricInFlight:
		know, n = knowInFlight, &r.inFlight
	case metricRunning:
		know, n = knowRunning, &r.running
	case metricQueued:
		know, n = knowQueued, &r.queued
	case metricSlots:
		know, n = knowSlots, &r.slots
	case metricIdle:
		know, n = knowIdle, &r.idle
	case metricKV:
		know = knowKV
	case metricLatency:
		know = knowLatency
	default:
		return nil
	}
	const most = 1e6 // requests, seconds: beyond it something else is meant
	if v < 0 || v > most {
		return fmt.Errorf("%s in a load report is %v: it must be from 0 to 1e6", clip(name, 40), v)
	}
	r.known |= know
	switch {
	case n != nil:
		*n = int32(math.Round(v))
	case know == knowKV:
		if v > 1 {
			return fmt.Errorf("%s in a load report is %v: it must be from 0 to 1", name, v)
		}
		r.kv = float32(v)
	default:
		r.latency = time.Duration(v * float64(time.Second))
	}
	return nil
}

// FormatORCA writes a load as ParseORCA reads it, in the form TEXT or JSON.
func FormatORCA(l balance.Load, form string) string {
	type metric struct {
		name string
		v    float64
	}
	list := []metric{{metricInFlight, float64(l.Running + l.Queued)}, {metricQueued, float64(l.Queued)},
		{metricIdle, float64(l.Free())}, {metricSlots, float64(l.Slots)}, {metricKV, float64(l.KV)}}
	if l.LatencyEst > 0 {
		list = append(list, metric{metricLatency, l.LatencyEst.Seconds()})
	}
	var b []byte
	asJSON := strings.EqualFold(form, "JSON")
	for i, m := range list {
		switch {
		case i > 0:
			b = append(b, ", "...)
		case asJSON:
			b = append(b, `JSON {"named_metrics": {`...)
		default:
			b = append(b, "TEXT "...)
		}
		if asJSON {
			b = append(append(append(b, '"'), m.name...), `": `...)
		} else {
			b = append(append(append(b, "named_metrics."...), m.name...), '=')
		}
		b = strconv.AppendFloat(b, m.v, 'f', -1, 64)
	}
	if asJSON {
		b = append(b, "}}"...)
	}
	return string(b)
}
