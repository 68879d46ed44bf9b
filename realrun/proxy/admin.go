package proxy

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"taillab/policies"
	"taillab/reports"
)

// maxShown is how many tenants /metrics names.
const maxShown = 32

// adminMux serves what operators ask for, never on the clients' address.
func (p *Proxy) adminMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		b := bufio.NewWriter(w)
		p.metrics(b)
		_ = b.Flush() // whoever asked may have gone
	})
	mux.HandleFunc("GET /healthz", p.health)
	mux.HandleFunc("GET /summary.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.LastMinute()) // as above
	})
	return mux
}

// health answers 200 from the first member known, 503 while draining.
func (p *Proxy) health(w http.ResponseWriter, _ *http.Request) {
	p.gate.Lock()
	draining := p.draining
	p.gate.Unlock()
	known := 0
	for _, f := range p.fronts {
		f.mu.Lock()
		for i := range p.services {
			known += f.life.fe.Fleet(i).Known()
		}
		f.mu.Unlock()
	}
	switch {
	case draining:
		http.Error(w, "draining", http.StatusServiceUnavailable)
	case known == 0:
		http.Error(w, "no member is known", http.StatusServiceUnavailable)
	default:
		_, _ = io.WriteString(w, "ok\n") // as above
	}
}

// text writes the exposition format of Prometheus, version 0.0.4.
type text struct{ w io.Writer }

func (t text) head(name, kind, about string) {
	fmt.Fprintf(t.w, "# HELP %s %s\n# TYPE %s %s\n", name, about, name, kind)
}

// row writes a sample; labels are pairs.
func (t text) row(name string, v float64, labels ...string) {
	var b strings.Builder
	for i := 0; i+1 < len(labels); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(labels[i] + `="` + escape.Replace(labels[i+1]) + `"`)
	}
	if b.Len() > 0 {
		name += "{" + b.String() + "}"
	}
	fmt.Fprintf(t.w, "%s %s\n", name, strconv.FormatFloat(v, 'g', -1, 64))
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (t text) hist(name string, b *buckets, labels ...string) {
	sum := int64(0)
	for i, n := range b.counts {
		sum += n
		le := "+Inf"
		if i < len(b.bounds) {
			le = strconv.FormatFloat(b.bounds[i].Seconds(), 'g', -1, 64)
		}
		t.row(name+"_bucket", float64(sum), append(slices.Clone(labels), "le", le)...)
	}
	t.row(name+"_sum", b.sum.Seconds(), labels...)
	t.row(name+"_count", float64(sum), labels...)
}

// metrics writes everything.
func (p *Proxy) metrics(w io.Writer) {
	t := text{w}
	p.requestMetrics(t)
	p.frontMetrics(t)
	p.tapeMetrics(t)
	s := p.stats
	t.head("taillab_unrouted_total", "counter", "requests that no route matches, upgrades and tunnels")
	t.row("taillab_unrouted_total", float64(s.unrouted.Load()))
	t.head("taillab_source_failures_total", "counter", "readings of a source of members that changed nothing because they failed")
	t.row("taillab_source_failures_total", float64(s.sources.Load()))
}

func (p *Proxy) requestMetrics(t text) {
	s := p.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	t.head("taillab_requests_total", "counter", "requests that are over")
	rows := slices.SortedFunc(maps.Keys(s.requests), func(a, b counted) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.class, b.class), cmp.Compare(a.outcome, b.outcome))
	})
	for _, k := range rows {
		t.row("taillab_requests_total", float64(s.requests[k]), "service", p.services[k.service].name, "class", k.class, "outcome", k.outcome.String())
	}
	t.head("taillab_tenant_requests_total", "counter", "requests of the largest tenants")
	ids := slices.SortedFunc(maps.Keys(s.tenants), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(s.tenants[b], s.tenants[a]), cmp.Compare(a, b))
	})
	rest := int64(0)
	for i, id := range ids {
		if i >= maxShown || id == maxTenants {
			rest += s.tenants[id]
			continue
		}
		t.row("taillab_tenant_requests_total", float64(s.tenants[id]), "tenant", p.tenants.name(id))
	}
	if rest > 0 {
		t.row("taillab_tenant_requests_total", float64(rest), "tenant", "("+other+")")
	}
	t.head("taillab_defaulted_fields_total", "counter", "fields of requests that took their default for a missing or malformed value")
	for _, f := range slices.Sorted(maps.Keys(s.bad)) {
		t.row("taillab_defaulted_fields_total", float64(s.bad[f]), "field", f)
	}
	t.head("taillab_latency_seconds", "histogram", "from the request's header to the answer's last byte")
	for i := range s.latency {
		t.hist("taillab_latency_seconds", &s.latency[i], "service", p.services[i].name)
	}
	if s.policy.bounds != nil {
		t.head("taillab_policy_seconds", "histogram", "time of a request under its front end's lock")
		t.hist("taillab_policy_seconds", &s.policy)
	}
}

// frontMetrics writes what the front ends hold, summed over them.
func (p *Proxy) frontMetrics(t text) {
	var inside, parked int64
	var sent [6]uint64
	known := make([]int, len(p.services))
	outs := make([]map[uint32]int, len(p.services))
	ages := make([]map[uint32]time.Duration, len(p.services)) // of the newest report of each replica
	for i := range outs {
		outs[i], ages[i] = map[uint32]int{}, map[uint32]time.Duration{}
	}
	for k, f := range p.fronts {
		inside += f.inside.Load()
		parked += f.parked.Load()
		f.mu.Lock()
		c := f.counters()
		for i, n := range [6]uint64{c.Probe, c.Ask, c.Report, c.Heartbeat, c.Withdraw, c.Tell} {
			sent[i] += n
		}
		for i := range p.services {
			if k == 0 {
				known[i] = f.life.fe.Fleet(i).Known()
			}
			for r, n := range f.outs[i] { // a sum: no order
				outs[i][r.ID] += n
			}
			f.ages(i, ages[i])
		}
		f.mu.Unlock()
	}
	t.head("taillab_in_flight", "gauge", "requests inside the proxy")
	t.row("taillab_in_flight", float64(inside))
	t.head("taillab_parked", "gauge", "requests that wait inside a front end")
	t.row("taillab_parked", float64(parked), "reason", "later")
	t.head("taillab_outstanding", "gauge", "attempts under way")
	for i, s := range p.services {
		for _, m := range (*p.known.Load())[i] {
			t.row("taillab_outstanding", float64(outs[i][m.id]), "service", s.name, "target", m.target.URL)
		}
	}
	t.head("taillab_report_age_seconds", "gauge", "age of the newest load report that a front end has of a target; none where nothing was told")
	for i, s := range p.services {
		for _, m := range (*p.known.Load())[i] {
			if age, told := ages[i][m.id]; told {
				t.row("taillab_report_age_seconds", age.Seconds(), "service", s.name, "target", m.target.URL)
			}
		}
	}
	t.head("taillab_members", "gauge", "targets: listed, and known to front end 0 (draining ones included)")
	for i, s := range p.services {
		listed := 0
		for _, m := range (*p.known.Load())[i] {
			if m.here {
				listed++
			}
		}
		t.row("taillab_members", float64(listed), "service", s.name, "state", "listed")
		t.row("taillab_members", float64(known[i]), "service", s.name, "state", "known")
	}
	t.head("taillab_messages_total", "counter", "one-way control messages; those heard come from replica halves")
	for i, kind := range []string{"probe", "ask", "report", "heartbeat", "withdraw", "tell"} {
		t.row("taillab_messages_total", float64(sent[i]), "kind", kind)
	}
	t.row("taillab_messages_total", float64(p.stats.heard.Load()), "kind", "heard")
	t.row("taillab_messages_total", float64(p.stats.badMsgs.Load()), "kind", "bad")
	t.row("taillab_messages_total", float64(p.stats.lost.Load()), "kind", "lost")
}

// ages notes how old the load reports are that the front end has of a service; the
// newest of all front ends stays. f.mu is held.
func (f *front) ages(service int, newest map[uint32]time.Duration) {
	fleet := f.life.fe.Fleet(service)
	for i := range fleet.Len() {
		if _, at, told := fleet.Heard(i); told {
			id, age := fleet.Ref(i).ID, max(0, f.p.now()-at)
			if old, known := newest[id]; !known || age < old {
				newest[id] = age
			}
		}
	}
}

// Minute is what ended in the last minute, or less at the start.
type Minute struct {
	Seconds   float64          `json:"seconds"`
	Requests  int64            `json:"requests"`
	Completed int64            `json:"completed"`
	Errors    map[string]int64 `json:"errors"`
	P50       *float64         `json:"p50_ms"` // of completed requests; null without one
	P99       *float64         `json:"p99_ms"`
	Max       *float64         `json:"max_ms"`
}

// LastMinute sums the last minute up.
func (p *Proxy) LastMinute() Minute {
	now := p.now()
	at := int64(now/time.Second) + 1
	out := Minute{Seconds: min(now.Seconds(), minute), Errors: map[string]int64{}}
	all := reports.NewHist(reports.GroupBits)
	s := p.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.ring {
		w := &s.ring[i]
		if w.at == 0 || w.at <= at-minute {
			continue
		}
		all.Merge(w.latency)
		for o, n := range w.outcomes {
			out.Requests += n
			if o == int(policies.OK) {
				out.Completed += n
			} else if n > 0 {
				out.Errors[policies.Outcome(o).String()] += n
			}
		}
	}
	if all.Count() > 0 {
		ms := func(ns float64) *float64 { ns /= 1e6; return &ns }
		out.P50, out.P99, out.Max = ms(all.Quantile(500)), ms(all.Quantile(990)), ms(float64(all.Max()))
	}
	return out
}
