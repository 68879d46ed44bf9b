package reports

import (
	"slices"
	"strings"
	"time"
)

// Count is a number of messages of one class.
type Count struct {
	Name string
	N    int64
}

// Metric is a value that a policy family registered, nil if unknown; the unit is
// the end of the name (_ms, _s, _rps, else a plain number).
type Metric struct {
	Name  string
	Value *float64
}

// End is what the host knows when a run is over.
type End struct {
	MeasuredTime        time.Duration // length of the measured window, run time
	BusySlotTime        time.Duration // Σ over slots of the time they served, in the window
	ProvisionedSlotTime time.Duration // Σ over slots of the time they existed; 0 = unknown
	GPUSeconds          *float64      // provisioned GPU·s in the window
	Messages            []Count       // one-way control messages by class, in the window
	Metrics             []Metric
	Events              int64         // simulator events incl. warm-up; 0 = not applicable
	Wall                time.Duration // time the run took
	Lateness            *float64      // live: P99 of intended → actual send, ms
	WorkloadHash        string        // arrivals and demands
}

// runResult is what stays of a run once its histograms are packed.
type runResult struct {
	part                 Part
	sections             []Part
	latency, ttft, tpot  Packed
	failure              Packed
	services             []Packed
	tail                 packedTail
	slow                 []Record
	drift                drift
	unfinished, requests int64
}

// Close ends the run: it computes the part, packs the histograms (about 80 KB
// stay of several MB) and refuses further records. Closing twice panics.
func (c *Collector) Close(e End) {
	if c.closed {
		panic("reports: a collector was closed twice")
	}
	c.flush()
	c.closed, c.end = true, e
	c.latency = c.whole()
	c.result = runResult{
		part:    c.part(),
		latency: c.latency.Pack(), failure: c.failure.Pack(),
		tail: packTail(c.tail), slow: c.slow.sorted(), drift: c.drift(), requests: c.Requests(),
	}
	if c.unfinished >= 0 {
		c.result.unfinished = c.outcomes[c.unfinished]
	}
	if c.ttft != nil {
		c.result.ttft, c.result.tpot = c.ttft.Pack(), c.tpot.Pack()
	}
	for _, s := range c.service {
		c.result.services = append(c.result.services, s.Pack())
	}
	if c.setup.Sections && c.slices != nil {
		c.result.sections = c.sections()
	}
	c.latency, c.ttft, c.tpot, c.failure = nil, nil, nil, nil
	c.groups, c.service, c.tail, c.slices = nil, nil, nil, nil
}

// Part returns the statistics of the closed run.
func (c *Collector) Part() Part { return c.result.part }

// Seed returns the seed number of the run.
func (c *Collector) Seed() int { return c.setup.Seed }

// TaggedHist is a histogram with the name it has in an interval log.
type TaggedHist struct {
	Tag  string
	Hist *Hist
}

// Hists returns the histograms of the closed run: latency, ttft and tpot if
// requests stream, failure (time to failure) if any failed, and latency.SERVICE
// if there are several services. Each call unpacks them anew.
func (c *Collector) Hists() []TaggedHist {
	r := &c.result
	out := []TaggedHist{{Tag: "latency", Hist: r.latency.Hist()}}
	if c.setup.Streaming {
		out = append(out, TaggedHist{"ttft", r.ttft.Hist()}, TaggedHist{"tpot", r.tpot.Hist()})
	}
	if r.failure.n > 0 {
		out = append(out, TaggedHist{"failure", r.failure.Hist()})
	}
	for i, p := range r.services {
		out = append(out, TaggedHist{"latency." + c.setup.Services[i], p.Hist()})
	}
	return out
}

// quantiler is what Hist, GroupHist and Packed share.
type quantiler interface {
	Quantile(k int) float64
	Count() int64
	Mean() float64
	Max() int64
}

// enough says whether n values carry the k-th per mille: n(1 − p) ≥ 30.
func enough(n int64, k int) bool { return n*int64(1000-k) >= 30_000 }

// quantileMS is a percentile in ms, nil with too few samples.
func quantileMS(h quantiler, k int) *float64 {
	if !enough(h.Count(), k) {
		return nil
	}
	return finite(h.Quantile(k) / 1e6)
}

func meanMS(h quantiler) *float64 {
	if h.Count() == 0 {
		return nil
	}
	return finite(h.Mean() / 1e6)
}

func maxMS(h quantiler) *float64 {
	if h.Count() == 0 {
		return nil
	}
	return finite(float64(h.Max()) / 1e6)
}

// setLatency fills the percentiles of a part from its histograms.
func (p *Part) setLatency(latency, ttft, tpot quantiler) {
	p.MeanMS, p.MaxMS = meanMS(latency), maxMS(latency)
	p.P50MS, p.P90MS, p.P95MS = quantileMS(latency, 500), quantileMS(latency, 900), quantileMS(latency, 950)
	p.P99MS, p.P999MS = quantileMS(latency, 990), quantileMS(latency, 999)
	if ttft != nil {
		p.TTFTP50MS, p.TTFTP99MS = quantileMS(ttft, 500), quantileMS(ttft, 990)
		p.TPOTP50MS, p.TPOTP99MS = quantileMS(tpot, 500), quantileMS(tpot, 990)
	}
}

func (c *Collector) part() Part {
	p := Part{
		Seed: c.setup.Seed, Index: c.setup.Index, Pair: c.setup.Pair,
		Requests: c.Requests(), Completed: c.outcomes[0], Errors: c.errors(c.outcomes),
		GPUSec: c.end.GPUSeconds, Metrics: map[string]*float64{},
		ResultHash: hex64(c.hash.sum()), WorkloadHash: c.end.WorkloadHash,
	}
	if c.ttft != nil {
		p.setLatency(c.latency, c.ttft, c.tpot)
	} else {
		p.setLatency(c.latency, nil, nil)
	}
	p.setRates(c.end.MeasuredTime, c.good, c.setup.SLO)
	if c.end.ProvisionedSlotTime > 0 {
		p.Utilization = finite(float64(c.end.BusySlotTime) / float64(c.end.ProvisionedSlotTime))
	}
	for _, m := range c.end.Metrics {
		p.Metrics[m.Name] = finitePtr(m.Value)
	}
	c.setMessages(&p)
	p.Groups = c.groupParts()
	return p
}

// setMessages books control messages per measured request, in all and by class.
func (c *Collector) setMessages(p *Part) {
	if p.Requests == 0 {
		return
	}
	total := int64(0)
	for _, m := range c.end.Messages {
		total += m.N
		p.Metrics["messages_"+m.Name] = finite(float64(m.N) / float64(p.Requests))
	}
	p.MessagesPerRequest = float64(total) / float64(p.Requests)
}

// setRates fills throughput, goodput and error rate.
func (p *Part) setRates(window time.Duration, good int64, slo SLO) {
	if s := window.Seconds(); s > 0 {
		p.ThroughputRPS = float64(p.Completed) / s
		if slo != (SLO{}) {
			p.GoodputRPS = finite(float64(good) / s)
		}
	}
	if p.Requests > 0 {
		p.ErrorRate = finite(float64(p.Requests-p.Completed) / float64(p.Requests))
	}
}

func (c *Collector) errors(outcomes []int64) map[string]int64 {
	out := map[string]int64{}
	for i, n := range outcomes {
		if i > 0 && n > 0 {
			out[c.setup.Outcomes[i]] = n
		}
	}
	return out
}

// groupParts lists the members of every kind by kind, then name.
func (c *Collector) groupParts() []Group {
	out := []Group{}
	for _, k := range c.groups {
		for i := range k.members {
			m := &k.members[i]
			g := Group{By: k.by, Name: k.names[i], Requests: m.n, MeanMS: meanMS(m.hist),
				P50MS: quantileMS(m.hist, 500), P99MS: quantileMS(m.hist, 990)}
			if m.n > 0 {
				g.ErrorRate = finite(float64(m.n-m.hist.Count()) / float64(m.n))
			}
			if s := c.end.MeasuredTime.Seconds(); s > 0 && c.setup.SLO != (SLO{}) {
				g.GoodputRPS = finite(float64(m.good) / s)
			}
			out = append(out, g)
		}
	}
	sortGroups(out)
	return out
}

// sections joins the slices two by two into the 10 sections of a single run.
func (c *Collector) sections() []Part {
	out := make([]Part, 0, runSections)
	for j := range runSections {
		out = append(out, c.section(j, c.slices[j*runSlices/runSections:(j+1)*runSlices/runSections]))
	}
	return out
}

func (c *Collector) section(j int, group []slice) Part {
	latency, ttft, tpot := NewGroupHist(c.setup.Bits), NewGroupHist(c.setup.Bits), NewGroupHist(c.setup.Bits)
	outcomes, good := make([]int64, len(c.outcomes)), int64(0)
	for i := range group {
		s := &group[i]
		latency.Merge(s.hist)
		if s.ttft != nil {
			ttft.Merge(s.ttft)
			tpot.Merge(s.tpot)
		}
		for k, n := range s.outcomes {
			outcomes[k] += n
		}
		good += s.good
	}
	p := Part{Seed: c.setup.Seed, Index: j, Errors: c.errors(outcomes), Completed: outcomes[0],
		Metrics: map[string]*float64{}, Groups: []Group{}}
	for _, n := range outcomes {
		p.Requests += n
	}
	if c.setup.Streaming {
		p.setLatency(latency, ttft, tpot)
	} else {
		p.setLatency(latency, nil, nil)
	}
	p.setRates(c.sliceTime(j*runSlices/runSections, runSlices/runSections), good, c.setup.SLO)
	return p
}

// sliceTime runs from the first arrival of slice i to that of the slice n further on;
// the last one ends with the measured window.
func (c *Collector) sliceTime(i, n int) time.Duration {
	if c.perSlice == 0 {
		return c.setup.Window * time.Duration(n) / runSlices
	}
	begin, end := c.slices[i].first, c.slices[0].first+c.end.MeasuredTime
	if i+n < runSlices {
		end = c.slices[i+n].first
	}
	if begin < 0 {
		return 0
	}
	return max(end-begin, 0)
}

func sortGroups(g []Group) {
	slices.SortStableFunc(g, func(a, b Group) int {
		if a.By != b.By {
			return strings.Compare(a.By, b.By)
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// MeasuredTime returns the length of the measured window of the closed run.
func (c *Collector) MeasuredTime() time.Duration { return c.end.MeasuredTime }
