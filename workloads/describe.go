package workloads

import (
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
	Windows  []WindowIDC `json:"windows"`        // counted from the first stamp
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
	for _, n := range counts(t.At, window) {
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
