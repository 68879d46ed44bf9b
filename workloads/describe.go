package workloads

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Description is the statistics of a schedule or a trace. A nil pointer is "not
// meaningful here" and prints as –.
type Description struct {
	Name     string      `json:"name"`
	Format   string      `json:"format,omitempty"`
	Rows     int         `json:"rows"`
	SpanS    float64     `json:"span_s"`
	RateRPS  float64     `json:"rate_rps"` // rows over span
	Gaps     GapStats    `json:"gaps"`
	Windows  []WindowIDC `json:"windows"`
	StripS   float64     `json:"strip_window_s"` // length of one entry of the strip
	Strip    []float64   `json:"strip_rps"`      // arrival rate per full window
	Input    *TokenStats `json:"input"`
	Output   *TokenStats `json:"output"`
	DemandMS *float64    `json:"demand_mean_ms"`
	Spearman *float64    `json:"spearman"` // rank correlation of input and output
	Tenants  TenantStats `json:"tenants"`
	Prefix   *PrefixUse  `json:"prefix"`
	Account  *Account    `json:"rows_account,omitempty"`
	Warnings []Warning   `json:"warnings"`
}

// GapStats describes the times between arrivals.
type GapStats struct {
	MeanMS        float64  `json:"mean_ms"`
	CV            float64  `json:"cv"` // of the population
	ZeroShare     float64  `json:"zero_share"`
	MaxS          float64  `json:"max_s"`
	LocalCVMedian *float64 `json:"local_cv_median"` // over windows with more than 20 rows
	LocalCVMax    *float64 `json:"local_cv_max"`
	LocalWindows  int      `json:"local_windows"`
}

// WindowIDC is the index of dispersion of the counts in windows of one length.
type WindowIDC struct {
	WindowS  float64  `json:"window_s"`
	IDC      *float64 `json:"idc"` // variance over mean; nil below the grid or with fewer than 5 windows
	MaxCount int      `json:"max_count"`
}

// TokenStats describes a column of token counts.
type TokenStats struct {
	Mean      float64    `json:"mean"`
	CV        float64    `json:"cv"`
	Sum       uint64     `json:"sum"`
	Min       uint32     `json:"min"`
	Quantiles []Quantile `json:"quantiles"`
}

// Quantile is one point of a distribution, between order statistics (R type 7).
type Quantile struct {
	Percent float64 `json:"percent"`
	Value   float64 `json:"value"`
	Few     bool    `json:"few"` // rests on fewer than 30 rows
}

// TenantStats says how uneven the tenants are.
type TenantStats struct {
	Count int     `json:"count"`
	Top1  float64 `json:"top1_share"`
	Top10 float64 `json:"top10_share"`
}

// PrefixUse says what a prefix cache without limit would find.
type PrefixUse struct {
	Blocks      int     `json:"blocks"`
	Hits        int     `json:"hits"` // leading blocks seen before
	HitShare    float64 `json:"hit_share"`
	Unique      int     `json:"unique"`
	RequestsHit float64 `json:"requests_hit_share"`
}

// DrawnRequests is how many requests of a drawn workload are described.
const DrawnRequests = 200_000

// Describe returns the statistics of a trace file or a preset; a preset's name wins.
func Describe(name string, opt Options) (*Description, error) {
	if s, ok := PresetSpec(name); ok {
		c, ps := Compile(s, opt)
		if len(ps) > 0 {
			return nil, ps[0]
		}
		d, err := c.Describe(1, 0)
		if err == nil {
			d.Name = name
		}
		return d, err
	}
	spec := NewTrace()
	spec.File = name
	return DescribeTrace(spec, opt)
}

// DescribeTrace returns the statistics of a trace with its stamps as they are:
// window and limit apply, nothing is spread or scaled.
func DescribeTrace(spec TraceSpec, opt Options) (*Description, error) {
	spec.Jitter, spec.LoadScale = "none", 1
	t, warn, err := load(spec, opt)
	if err != nil {
		return nil, err
	}
	d := describe(t)
	d.Account, d.Warnings = &t.Rows, append(d.Warnings, warn...)
	return d, nil
}

// Describe draws n requests (0 = the rows of a trace, else DrawnRequests) of one
// seed at a rate (0 = the workload's own) and returns their statistics.
func (c *Compiled) Describe(runSeed uint64, rate float64) (*Description, error) {
	n := DrawnRequests
	if c.trace != nil {
		n = c.trace.Len()
	}
	src, err := c.Source(runSeed, rate)
	if err != nil {
		return nil, err
	}
	t := &Trace{File: "workload", Tenants: c.Tenants()}
	buf := make([]Request, 4096)
	for n > 0 {
		got := src.Next(buf[:min(n, len(buf))])
		if got == 0 {
			break
		}
		t.collect(buf[:got])
		n -= got
	}
	d := describe(t)
	d.Warnings = append(d.Warnings, c.warn...)
	if c.trace != nil {
		d.Account = &c.trace.Rows
	}
	if c.HasDemand() {
		ms := c.moments.Demand / 1e6
		d.DemandMS = &ms
	}
	return d, nil
}

func (t *Trace) collect(rs []Request) {
	for i := range rs {
		r := &rs[i]
		t.At = append(t.At, r.At)
		t.Input, t.Output, t.Tenant = append(t.Input, r.Input), append(t.Output, r.Output), append(t.Tenant, r.Tenant)
		if r.Blocks != nil || t.blockEnd != nil {
			t.blocks = append(t.blocks, r.Blocks...)
			for len(t.blockEnd) < len(t.At) {
				t.blockEnd = append(t.blockEnd, uint32(len(t.blocks)))
			}
		}
	}
}

func describe(t *Trace) *Description {
	d := &Description{Name: t.File, Format: t.Format, Rows: t.Len(), Warnings: []Warning{}}
	span := t.Span()
	if d.SpanS = seconds(span); span > 0 {
		d.RateRPS = float64(d.Rows) / d.SpanS
	}
	window := presetWindow
	if d.SpanS >= 20_000 {
		window = time.Hour
	}
	d.Gaps = gapStats(t.At, window)
	for _, w := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
		d.Windows = append(d.Windows, idc(t.At, w, t.grid))
	}
	d.StripS = seconds(window)
	for _, n := range counts(t.At, window, true) {
		d.Strip = append(d.Strip, float64(n)/d.StripS)
	}
	d.Input, d.Output = tokenStats(t.Input), tokenStats(t.Output)
	if t.Input != nil && t.Output != nil {
		d.Spearman = spearman(t.Input, t.Output)
	}
	d.Tenants = tenantStats(t)
	if t.blockEnd != nil {
		d.Prefix = prefixUse(t)
	}
	return d
}

// meanCV is the mean and the population's coefficient of variation.
func meanCV(x []float64) (mean, cv float64) {
	if len(x) == 0 {
		return 0, 0
	}
	for _, v := range x {
		mean += v / float64(len(x))
	}
	variance := 0.0
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	if mean == 0 {
		return 0, 0
	}
	return mean, math.Sqrt(variance) / mean
}

func gapStats(at []time.Duration, window time.Duration) GapStats {
	var g GapStats
	gaps := differences(at)
	if len(gaps) == 0 {
		return g
	}
	zero := 0
	for _, x := range gaps {
		if x == 0 {
			zero++
		}
		g.MaxS = max(g.MaxS, x/1e9)
	}
	mean, cv := meanCV(gaps)
	g.MeanMS, g.CV, g.ZeroShare = mean/1e6, cv, float64(zero)/float64(len(gaps))
	local := localCVs(at, window)
	if g.LocalWindows = len(local); len(local) > 0 {
		slices.Sort(local)
		median, top := quantile(local, 50), local[len(local)-1]
		g.LocalCVMedian, g.LocalCVMax = &median, &top
	}
	return g
}

func differences(at []time.Duration) []float64 {
	var out []float64
	for i := 1; i < len(at); i++ {
		out = append(out, float64(at[i]-at[i-1]))
	}
	return out
}

// localCVs is the cv of the gaps inside each full window with more than 20 rows.
func localCVs(at []time.Duration, window time.Duration) []float64 {
	var out []float64
	from := 0
	for _, n := range counts(at, window, true) {
		if n > 20 {
			_, cv := meanCV(differences(at[from : from+n]))
			out = append(out, cv)
		}
		from += n
	}
	return out
}

// counts is the number of rows in each window from the first stamp on; full
// leaves out the last, partial one.
func counts(at []time.Duration, window time.Duration, full bool) []int {
	if len(at) == 0 {
		return nil
	}
	n := int((at[len(at)-1] - at[0]) / window)
	if n > 10_000_000 { // a sparse trace of years: a list of zeros helps nobody
		return nil
	}
	out := make([]int, n+1)
	for _, t := range at {
		out[(t-at[0])/window]++
	}
	if full {
		return out[:n]
	}
	return out
}

func idc(at []time.Duration, window, grid time.Duration) WindowIDC {
	w := WindowIDC{WindowS: seconds(window)}
	all := counts(at, window, false)
	if len(all) > 0 {
		w.MaxCount = slices.Max(all)
	}
	if n := len(all) - 1; n >= 5 && window >= grid {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(all[i])
		}
		mean, cv := meanCV(x)
		v := cv * cv * mean
		w.IDC = &v
	}
	return w
}

func tokenStats(x []uint32) *TokenStats {
	if len(x) == 0 {
		return nil
	}
	s := &TokenStats{}
	f := make([]float64, len(x))
	for i, v := range x {
		f[i] = float64(v)
		s.Sum += uint64(v)
	}
	s.Mean, s.CV = meanCV(f)
	slices.Sort(f)
	s.Min = uint32(f[0])
	n := float64(len(f))
	for _, p := range presetPercents() {
		few := p < 100 && n*min(p, 100-p)/100 < 30
		s.Quantiles = append(s.Quantiles, Quantile{Percent: p, Value: quantile(f, p), Few: few})
	}
	return s
}

// quantile interpolates between order statistics of a sorted sample (R type 7).
func quantile(sorted []float64, percent float64) float64 {
	h := float64(len(sorted)-1) * percent / 100
	i := int(h)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (h-float64(i))*(sorted[i+1]-sorted[i])
}

// spearman is the rank correlation with mean ranks for ties; nil where a column
// is constant.
func spearman(x, y []uint32) *float64 {
	a, b := ranks(x), ranks(y)
	mean := float64(len(x)+1) / 2
	var xy, xx, yy float64
	for i := range a {
		p, q := a[i]-mean, b[i]-mean
		xy, xx, yy = xy+p*q, xx+p*p, yy+q*q
	}
	if xx == 0 || yy == 0 {
		return nil
	}
	r := xy / math.Sqrt(xx*yy)
	return &r
}

func ranks(x []uint32) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Or(cmp.Compare(x[i], x[j]), cmp.Compare(i, j)) })
	out := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for k := i; k < j; k++ {
			out[order[k]] = float64(i+j+1) / 2
		}
		i = j
	}
	return out
}

func tenantStats(t *Trace) TenantStats {
	n := make([]int, max(1, len(t.Tenants)))
	for _, i := range t.Tenant {
		n[i]++
	}
	if t.Tenant == nil {
		n[0] = t.Len()
	}
	slices.SortFunc(n, func(a, b int) int { return cmp.Compare(b, a) })
	s := TenantStats{Count: len(n), Top1: float64(n[0]) / float64(t.Len())}
	for _, k := range n[:min(10, len(n))] {
		s.Top10 += float64(k) / float64(t.Len())
	}
	return s
}

func prefixUse(t *Trace) *PrefixUse {
	u := &PrefixUse{}
	seen := map[uint64]bool{}
	hit := 0
	for i := range t.Len() {
		ids := t.Blocks(i)
		u.Blocks += len(ids)
		lead := 0
		for lead < len(ids) && seen[ids[lead]] {
			lead++
		}
		if u.Hits += lead; lead > 0 {
			hit++
		}
		for _, id := range ids {
			seen[id] = true
		}
	}
	u.Unique = len(seen)
	if u.Blocks > 0 {
		u.HitShare = float64(u.Hits) / float64(u.Blocks)
	}
	u.RequestsHit = float64(hit) / float64(t.Len())
	return u
}
