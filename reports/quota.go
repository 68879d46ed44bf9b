package reports

import (
	"math"
	"time"
)

// QuotaGroup is one group of tenants and its limit.
type QuotaGroup struct {
	Rate    float64 // units/s; 0 with Units
	Burst   float64
	Units   float64 // held at once; 0 with Rate
	Tenants []uint32
	Weights []float64
}

// Decision is one answer of a limiter.
type Decision struct {
	At       time.Duration // when it was given, since the run began
	Took     time.Duration
	Group    uint32
	Tenant   uint32
	Units    float64 // what the request is charged
	First    bool    // the first decision about the request
	Admitted bool
	Measured bool // its request is
}

// QuotaMeter turns the decisions of a run into the metrics of the quota family. A host
// has one where there is a limiter, and adds its Metrics to End.Metrics. Not safe for
// concurrent use.
type QuotaMeter struct {
	groups  []quotaGroup
	tenants []quotaTenant
	fair    FairShares
	took    *Hist

	firsts, decisions, denied int64
	charged, actual, debt     float64
}

// FairShares divides a capacity among demands by weighted max-min fairness.
type FairShares func(capacity float64, demands, weights []float64) []float64

// quotaGroup follows one group: its worst second, and the bucket that an ideal limiter
// without delay would have.
type quotaGroup struct {
	QuotaGroup
	admitted        float64 // units of measured requests, as used where they are settled
	ideal           float64 // units in the ideal bucket
	idealAt         time.Duration
	start           float64 // units in it when the measured window began
	second          []spent // what was admitted in the last second, oldest first
	gone            int
	inSecond, worst float64
	held, heldMax   float64
	heldTime        float64 // unit·s in the window
	heldAt          time.Duration
}

type spent struct {
	at    time.Duration
	units float64
}

type quotaTenant struct {
	offered, admitted float64       // units of measured requests: as charged, and as used
	charged, actual   float64       // of those that are settled
	deniedAt          time.Duration // since when it waits for its first unit; −1: it does not
	reclaims          *GroupHist
}

// settling is how long after its start a run may still spend its first burst: the worst
// second is looked for afterwards.
const settling = 2 * time.Second

// NewQuotaMeter returns the meter of a run with so many tenants.
func NewQuotaMeter(groups []QuotaGroup, tenants int, fair FairShares) *QuotaMeter {
	q := &QuotaMeter{fair: fair, took: NewHist(HistBits),
		groups: make([]quotaGroup, len(groups)), tenants: make([]quotaTenant, tenants)}
	for i, g := range groups {
		q.groups[i] = quotaGroup{QuotaGroup: g, ideal: g.Burst, start: g.Burst}
	}
	for i := range q.tenants {
		q.tenants[i].deniedAt = -1
	}
	return q
}

// Begin marks the start of the measured window.
func (q *QuotaMeter) Begin(now time.Duration) {
	for i := range q.groups {
		g := &q.groups[i]
		g.refill(now)
		g.start = g.ideal
		g.holds(now, 0)
		g.heldTime, g.heldMax = 0, g.held
	}
}

func (g *quotaGroup) refill(now time.Duration) {
	g.ideal = min(g.Burst, g.ideal+(now-g.idealAt).Seconds()*g.Rate)
	g.idealAt = now
}

// Decided books a decision.
func (q *QuotaMeter) Decided(d Decision) {
	g, t := &q.groups[d.Group], &q.tenants[d.Tenant]
	if d.First && !d.Measured { // the warm-up empties the ideal bucket, too
		g.refill(d.At)
		g.ideal -= min(g.ideal, d.Units)
	}
	if d.Measured {
		q.decisions++
		q.took.Record(int64(d.Took))
		if d.First {
			q.firsts++
			t.offered += d.Units
		}
	}
	if !d.Admitted {
		if d.Measured {
			q.denied++
			if t.deniedAt < 0 {
				t.deniedAt = d.At
			}
		}
		return
	}
	g.spend(d.At, d.Units)
	if d.Measured {
		g.admitted += d.Units
		t.admitted += d.Units
		t.again(d.At)
	}
}

// again ends a tenant's wait for a unit.
func (t *quotaTenant) again(now time.Duration) {
	if t.deniedAt < 0 {
		return
	}
	if t.reclaims == nil {
		t.reclaims = NewGroupHist(GroupBits)
	}
	t.reclaims.Record(int64(now - t.deniedAt))
	t.deniedAt = -1
}

// spend books units into the second that ends now.
func (g *quotaGroup) spend(now time.Duration, units float64) {
	if g.Units > 0 {
		g.holds(now, units)
		return
	}
	for g.gone < len(g.second) && g.second[g.gone].at <= now-time.Second {
		g.inSecond -= g.second[g.gone].units
		g.gone++
	}
	if g.gone > len(g.second)/2 {
		g.second, g.gone = append(g.second[:0], g.second[g.gone:]...), 0
	}
	g.second = append(g.second, spent{now, units})
	g.inSecond += units
	if now-time.Second >= settling {
		g.worst = max(g.worst, g.inSecond)
	}
}

func (g *quotaGroup) holds(now time.Duration, units float64) {
	g.heldTime += g.held * (now - g.heldAt).Seconds()
	g.held += units
	g.heldAt, g.heldMax = now, max(g.heldMax, g.held)
}

// wants is what a tenant offered, in units as they are used: requests that were denied
// count like those that were settled.
func (t *quotaTenant) wants() float64 {
	if t.charged == 0 {
		return t.offered
	}
	return t.offered * t.actual / t.charged
}

// Settled books what an admitted request has used when it closes.
func (q *QuotaMeter) Settled(now time.Duration, group, tenant uint32, charged, actual float64, measured bool) {
	if g := &q.groups[group]; g.Units > 0 {
		g.holds(now, -charged)
	}
	if measured {
		q.charged += charged
		q.actual += actual
		q.debt += max(0, actual-charged)
		t := &q.tenants[tenant]
		t.charged += charged
		t.actual += actual
		t.admitted += actual - charged
		q.groups[group].admitted += actual - charged
	}
}

// Decisions is the number of measured decisions so far.
func (q *QuotaMeter) Decisions() int64 { return q.decisions }

// Metrics are the metrics of a measured window of the given length that ends now.
func (q *QuotaMeter) Metrics(now, window time.Duration) []Metric {
	var out []Metric
	add := func(name string, v float64) { out = append(out, Metric{Name: name, Value: finite(v)}) }
	var admitted, ideal, limit, over, worst, used, room float64
	for i := range q.groups {
		g := &q.groups[i]
		if len(g.Tenants) == 0 {
			continue
		}
		admitted += g.admitted
		if g.Units > 0 {
			g.holds(now, 0)
			used += g.heldTime
			room += g.Units * window.Seconds()
			over = max(over, g.heldMax/g.Units-1)
			continue
		}
		most, offered := g.Rate*window.Seconds()+g.start, 0.0
		for _, t := range g.Tenants {
			offered += q.tenants[t].wants()
		}
		ideal += min(offered, most)
		limit += most
		used += g.admitted
		room += g.Rate * window.Seconds()
		worst = max(worst, g.worst)
		over += max(0, g.admitted-most)
	}
	if limit > 0 {
		over /= limit
		add("admitted_of_ideal", admitted/ideal)
		add("worst_second_rps", worst)
	}
	add("over_admission", over)
	add("quota_utilization", used/room)
	add("jain", q.jain(window))
	add("denied", float64(q.denied)/float64(q.firsts))
	add("asked_again", float64(q.decisions-q.firsts)/float64(q.firsts))
	for _, p := range []struct {
		name string
		k    int
	}{{"p50_decision_ms", 500}, {"p99_decision_ms", 990}, {"p999_decision_ms", 999}} {
		out = append(out, Metric{Name: p.name, Value: quantileMS(q.took, p.k)})
	}
	out = append(out, q.reclaims(window)...)
	if q.charged > 0 {
		add("settled_of_charged", q.actual/q.charged)
		add("debt", q.debt/q.charged)
	}
	return out
}

// shares are the fair shares of a group's tenants, in units of the window.
func (q *QuotaMeter) shares(g *quotaGroup, window time.Duration) []float64 {
	capacity := g.Rate*window.Seconds() + g.start
	if g.Units > 0 { // what was given, given fairly
		capacity = g.admitted
	}
	demands, weights := make([]float64, len(g.Tenants)), make([]float64, len(g.Tenants))
	for k, t := range g.Tenants {
		demands[k], weights[k] = q.tenants[t].wants(), 1
		if k < len(g.Weights) {
			weights[k] = g.Weights[k]
		}
	}
	return q.fair(capacity, demands, weights)
}

// jain is Jain's index (Jain, Chiu, Hawe 1984) of what tenants were admitted over what
// was fair: (Σx)² / (n·Σx²), 1 when all are equally satisfied.
func (q *QuotaMeter) jain(window time.Duration) float64 {
	var n, sum, squares float64
	for i := range q.groups {
		g := &q.groups[i]
		for k, fair := range q.shares(g, window) {
			if fair > 0 {
				x := q.tenants[g.Tenants[k]].admitted / fair
				n, sum, squares = n+1, sum+x, squares+x*x
			}
		}
	}
	if squares == 0 {
		return math.NaN()
	}
	return sum * sum / (n * squares)
}

// reclaims is how long tenants that wanted no more than their fair share waited from a
// denial to their next unit.
func (q *QuotaMeter) reclaims(window time.Duration) []Metric {
	all := NewGroupHist(GroupBits)
	for i := range q.groups {
		g := &q.groups[i]
		for k, fair := range q.shares(g, window) {
			if t := &q.tenants[g.Tenants[k]]; t.reclaims != nil && t.wants() <= fair*(1+1e-9) {
				all.Merge(t.reclaims)
			}
		}
	}
	return []Metric{{Name: "p50_reclaim_ms", Value: quantileMS(all, 500)}, {Name: "p99_reclaim_ms", Value: quantileMS(all, 990)}}
}
