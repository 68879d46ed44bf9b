package reports

import (
	"cmp"
	"math"
	"slices"
)

// The units a part of a cell can be.
const (
	UnitSeed    = "seed"
	UnitBlock   = "block"
	UnitSection = "section"
)

// CellRuns is the closed runs of one cell with its identity.
type CellRuns struct {
	Policy     string
	PolicyType string
	Family     string
	Params     map[string]any
	Load       *float64
	Axes       map[string]any
	RateRPS    float64
	TimeScale  *float64
	Slots      int          // least slots of a replica; 0 = 1
	Separate   bool         // replicas have queues of their own that no choice relieves
	Runs       []*Collector // closed; their order does not matter
}

// Options of Summarize.
type Options struct {
	Confidence       float64 // 0 = DefaultConfidence
	Live             bool    // sections then need 10 parts
	Transient        bool    // no interval, no steady-state claim
	PolicyChanceOnly bool    // all seeds share arrivals and sizes
	WarmupAuto       bool    // the warm-up was found from a pilot, not chosen
}

func (o Options) confidence() float64 {
	if o.Confidence == 0 {
		return DefaultConfidence
	}
	return o.Confidence
}

// Summarize folds the runs of every cell into its statistics, in the order of
// cells. Runs that are missing (interrupted) are simply absent; a cell without
// runs is kept, with unknown values. Every number is finite or nil.
func Summarize(cells []CellRuns, opt Options) ([]Cell, []Warning) {
	out, warnings := make([]Cell, 0, len(cells)), []Warning{}
	if opt.Transient {
		warnings = append(warnings, Warning{Code: "transient", Message: "a transient run: values only, no interval and no steady-state claim"})
	}
	if opt.PolicyChanceOnly {
		warnings = append(warnings, Warning{Code: "policy-chance-only", Message: "all seeds share one workload: intervals hold the policy's dice only"})
	}
	scratch := map[int]*Hist{}
	for i := range cells {
		s := summing{in: &cells[i], opt: opt, scratch: scratch}
		out = append(out, s.cell())
		warnings = append(warnings, s.warnings...)
	}
	return out, warnings
}

// summing is the work on one cell.
type summing struct {
	in       *CellRuns
	opt      Options
	runs     []*Collector
	out      Cell
	warnings []Warning
	scratch  map[int]*Hist // by precision, reused between cells
}

func (s *summing) cell() Cell {
	in := s.in
	s.runs = slices.Clone(in.Runs)
	for _, r := range s.runs {
		if !r.closed {
			panic("reports: Summarize before Close")
		}
	}
	slices.SortStableFunc(s.runs, func(a, b *Collector) int {
		return cmp.Or(cmp.Compare(a.setup.Seed, b.setup.Seed), cmp.Compare(a.setup.Index, b.setup.Index))
	})
	s.out = Cell{
		Policy: in.Policy, PolicyType: in.PolicyType, Family: in.Family, Params: orEmpty(in.Params),
		Load: in.Load, Axes: orEmpty(in.Axes), RateRPS: in.RateRPS, TimeScale: in.TimeScale,
		Unit: UnitSeed, Errors: map[string]int64{}, Metrics: map[string]*float64{},
		Groups: []Group{}, Slowest: []Slow{}, Parts: []Part{},
	}
	if len(s.runs) == 0 {
		return s.out
	}
	s.parts()
	s.totals()
	s.averages()
	s.percentiles()
	s.out.Groups = cellGroups(s.wholes())
	s.out.Slowest = s.slowest()
	s.warn()
	return s.out
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// wholes are the parts of the runs: the parts of the cell unless it is cut into
// sections.
func (s *summing) wholes() []Part {
	out := make([]Part, len(s.runs))
	for i, r := range s.runs {
		out[i] = r.result.part
	}
	return out
}

func (s *summing) parts() {
	seeds := map[int]bool{}
	for _, r := range s.runs {
		seeds[r.setup.Seed] = true
		if r.setup.Pair != nil {
			s.out.Unit = UnitBlock
		}
	}
	s.out.Seeds = len(seeds)
	s.out.Parts = s.wholes()
	if len(s.runs) == 1 && s.out.Unit == UnitSeed && len(s.runs[0].result.sections) > 0 {
		s.out.Unit = UnitSection
		s.out.Parts = s.runs[0].result.sections
	}
}

// totals are sums, maxima and digests.
func (s *summing) totals() {
	c, events := &s.out, int64(0)
	var work, results []string
	gpu, gpuKnown := 0.0, true
	for _, r := range s.runs {
		p := &r.result.part
		c.Requests += p.Requests
		c.Completed += p.Completed
		for name, n := range p.Errors { // addition: the order of the map does not matter
			c.Errors[name] += n
		}
		if p.MaxMS != nil && (c.MaxMS == nil || *p.MaxMS > *c.MaxMS) {
			c.MaxMS = finitePtr(p.MaxMS)
		}
		if p.GPUSec == nil {
			gpuKnown = false
		} else {
			gpu += *p.GPUSec
		}
		events += r.end.Events
		c.WallS += r.end.Wall.Seconds()
		work, results = append(work, r.end.WorkloadHash), append(results, p.ResultHash)
	}
	if gpuKnown {
		c.GPUSec = finite(gpu)
	}
	if events > 0 {
		c.Events = &events
	}
	if c.Requests > 0 {
		c.ErrorRate = finite(float64(c.Requests-c.Completed) / float64(c.Requests))
	}
	c.WorkloadHash, c.ResultHash = combineHashes(work), combineHashes(results)
}

// averages are arithmetic means over the runs.
func (s *summing) averages() {
	c, parts := &s.out, s.wholes()
	of := func(get func(*Part) *float64) *float64 {
		var xs []float64
		for i := range parts {
			if v := get(&parts[i]); v != nil {
				xs = append(xs, *v)
			}
		}
		if len(xs) == 0 {
			return nil
		}
		return finite(estimateOf(xs).mean)
	}
	c.MeanMS = of(func(p *Part) *float64 { return p.MeanMS })
	c.ThroughputRPS = *of(func(p *Part) *float64 { return finite(p.ThroughputRPS) })
	c.GoodputRPS = of(func(p *Part) *float64 { return p.GoodputRPS })
	c.Utilization = of(func(p *Part) *float64 { return p.Utilization })
	c.MessagesPerRequest = *of(func(p *Part) *float64 { return finite(p.MessagesPerRequest) })
	for i := range parts {
		for name := range parts[i].Metrics { // each name is set once, whatever the order
			if _, done := c.Metrics[name]; !done {
				c.Metrics[name] = of(func(p *Part) *float64 { return p.Metrics[name] })
			}
		}
	}
	var late []float64
	for _, r := range s.runs {
		if r.end.Lateness != nil {
			late = append(late, *r.end.Lateness)
		}
	}
	if len(late) > 0 {
		c.LatenessP99MS = finite(estimateOf(late).mean)
	}
}

// percentile is one percentile field of the cell and where its parts have it.
type percentile struct {
	name  string
	k     int
	value **float64
	ci    **Interval
	of    func(*Part) *float64
	hist  func(*runResult) Packed
}

func (s *summing) list() []percentile {
	c := &s.out
	latency := func(r *runResult) Packed { return r.latency }
	ttft := func(r *runResult) Packed { return r.ttft }
	tpot := func(r *runResult) Packed { return r.tpot }
	return []percentile{
		{"p50", 500, &c.P50MS, &c.P50CI, func(p *Part) *float64 { return p.P50MS }, latency},
		{"p90", 900, &c.P90MS, nil, func(p *Part) *float64 { return p.P90MS }, latency},
		{"p95", 950, &c.P95MS, nil, func(p *Part) *float64 { return p.P95MS }, latency},
		{"p99", 990, &c.P99MS, &c.P99CI, func(p *Part) *float64 { return p.P99MS }, latency},
		{"p999", 999, &c.P999MS, &c.P999CI, func(p *Part) *float64 { return p.P999MS }, latency},
		{"ttft_p50", 500, &c.TTFTP50MS, nil, func(p *Part) *float64 { return p.TTFTP50MS }, ttft},
		{"ttft_p99", 990, &c.TTFTP99MS, nil, func(p *Part) *float64 { return p.TTFTP99MS }, ttft},
		{"tpot_p50", 500, &c.TPOTP50MS, nil, func(p *Part) *float64 { return p.TPOTP50MS }, tpot},
		{"tpot_p99", 990, &c.TPOTP99MS, nil, func(p *Part) *float64 { return p.TPOTP99MS }, tpot},
	}
}

func (s *summing) percentiles() {
	latency := s.merged(func(r *runResult) Packed { return r.latency })
	p99 := latency.Quantile(990) // of the merged histogram: the tail explains all requests
	for _, q := range s.list() {
		s.percentile(q)
	}
	if s.out.P99MS != nil {
		tails := make([]packedTail, len(s.runs))
		for i, r := range s.runs {
			tails[i] = r.result.tail
		}
		s.out.Tail = tailFrom(tails, p99, s.runs[0].setup.Opaque)
	}
}

// percentile sets the value of all parts, and its interval where there is one.
func (s *summing) percentile(q percentile) {
	if s.out.Unit == UnitSection {
		*q.value = q.of(&s.runs[0].result.part)
		s.sectioned(q)
		return
	}
	xs := values(s.out.Parts, q.of)
	if xs == nil {
		return // a part with too few samples: the value itself is unknown
	}
	mean, ci := LogInterval(xs, s.opt.confidence())
	*q.value = mean
	minParts := 2
	if s.out.Unit == UnitBlock {
		minParts = minBlocks
	}
	if q.ci == nil || s.opt.Transient || len(xs) < minParts {
		return
	}
	*q.ci = ci
	s.shortRun(q, xs)
}

// Fewest parts an interval may be built from.
const (
	minBlocks       = 6
	minLiveSections = 10
)

func (s *summing) sectioned(q percentile) {
	if q.ci == nil || *q.value == nil || s.opt.Transient || s.opt.Live && len(s.out.Parts) < minLiveSections {
		return
	}
	xs := values(s.out.Parts, q.of)
	if xs == nil {
		return
	}
	*q.ci = SectionInterval(**q.value, xs, s.opt.confidence())
	if *q.ci != nil && math.Abs(lag1(xs)) > 2/math.Sqrt(float64(len(xs))) {
		s.warnOf("autocorrelated", q.name, q.name+": neighbouring sections resemble each other, so its interval is too narrow; make the run longer")
	}
}

// shortRun compares the percentile of all requests with the mean of the parts:
// parts that are too short are biased, and more of them would not help. A
// difference within the resolution of the histogram says nothing.
func (s *summing) shortRun(q percentile, xs []float64) {
	ln, err := logs(xs)
	if err != nil || len(xs) < 2 {
		return
	}
	e := estimateOf(ln)
	bias := math.Log(s.merged(q.hist).Quantile(q.k)/1e6) - e.mean
	if math.Abs(bias) > max(e.half(s.opt.confidence())/2, resolution) {
		s.warnOf("short-run", q.name, q.name+": the seeds are too short for it; use more requests per seed, not more seeds")
	}
}

// resolution is the relative step of a run histogram.
const resolution = 1.0 / (1 << HistBits)

// merged folds a histogram of all runs into scratch memory, valid until the
// next call.
func (s *summing) merged(of func(*runResult) Packed) *Hist {
	bits := s.runs[0].setup.Bits
	h := s.scratch[bits]
	if h == nil {
		h = NewHist(bits)
		s.scratch[bits] = h
	}
	h.Reset()
	for _, r := range s.runs {
		h.MergePacked(of(&r.result))
	}
	return h
}

// values collects a metric of all parts; nil if one part lacks it.
func values(parts []Part, of func(*Part) *float64) []float64 {
	out := make([]float64, 0, len(parts))
	for i := range parts {
		v := of(&parts[i])
		if v == nil {
			return nil
		}
		out = append(out, *v)
	}
	return out
}

// MergedHists merges the histograms of closed runs of one cell by tag, for
// curves and drawings; the order is that of the first run.
func MergedHists(runs []*Collector) []TaggedHist {
	var out []TaggedHist
	for _, r := range runs {
		out = mergeTagged(out, r.Hists())
	}
	return out
}
