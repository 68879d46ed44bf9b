package workloads

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the statistics as text. What is not meaningful prints as –.
func (d *Description) Print(w io.Writer) error {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", key, fmt.Sprintf(format, args...))
	}
	name := d.Name
	if d.Format != "" {
		name += " (" + d.Format + ")"
	}
	fmt.Fprintln(&b, name)
	line("rows", "%d", d.Rows)
	if a := d.Account; a != nil {
		line("", "read %d = used %d + skipped %d + filtered %d", a.Read, a.Used, a.Skipped, a.Filtered)
	}
	if d.SpanS > 0 {
		d.printTimes(line)
	} else {
		line("span", "–  (no stamps, or all equal)")
	}
	if d.Input != nil {
		d.printTokens(&b, line)
	}
	if d.DemandMS != nil {
		line("demand", "mean %.4g ms", *d.DemandMS)
	}
	line("tenants", "%d, largest %.1f %%, ten largest %.1f %%", d.Tenants.Count, 100*d.Tenants.Top1, 100*d.Tenants.Top10)
	if p := d.Prefix; p != nil {
		line("prefix", "%d blocks, %d leading hits (%.2f %%), %d unique, %.1f %% of requests hit", p.Blocks, p.Hits, 100*p.HitShare, p.Unique, 100*p.RequestsHit)
	}
	for _, x := range d.Warnings {
		line("warning", "%s: %s", x.Code, x.Message)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Description) printTimes(line func(key, format string, args ...any)) {
	line("span", "%.4f s, %.4f requests/s", d.SpanS, d.RateRPS)
	line("gaps", "mean %.4g ms, cv %.4f, zero %.2f %%, max %.3f s", d.Gaps.MeanMS, d.Gaps.CV, 100*d.Gaps.ZeroShare, d.Gaps.MaxS)
	line("", "local cv median %s, max %s (%d windows of %g s)", orDash("%.3f", d.Gaps.LocalCVMedian), orDash("%.3f", d.Gaps.LocalCVMax), d.Gaps.LocalWindows, d.StripS)
	for _, x := range d.Windows {
		line("idc", "%3g s: %s, at most %d requests", x.WindowS, orDash("%.3f", x.IDC), x.MaxCount)
	}
	if len(d.Strip) > 0 {
		line("rate", "%s  (%g s windows, 0…%.3g/s)", strip(d.Strip), d.StripS, largestOf(d.Strip))
	}
}

func (d *Description) printTokens(b *strings.Builder, line func(key, format string, args ...any)) {
	columns := []struct {
		name string
		s    *TokenStats
	}{{"input", d.Input}, {"output", d.Output}}
	for _, c := range columns {
		if c.s != nil {
			line(c.name, "mean %.2f tokens, cv %.3f, sum %d, min %d", c.s.Mean, c.s.CV, c.s.Sum, c.s.Min)
		}
	}
	if d.Output != nil {
		line("", "rank correlation of input and output %s", orDash("%.4f", d.Spearman))
	}
	few := false
	fmt.Fprintf(b, "%-9s", "percent")
	for _, q := range d.Input.Quantiles {
		fmt.Fprintf(b, " %9g", q.Percent)
	}
	for _, c := range columns {
		if c.s == nil {
			continue
		}
		fmt.Fprintf(b, "\n%-9s", c.name)
		for _, q := range c.s.Quantiles {
			mark := ""
			if q.Few {
				mark, few = "*", true
			}
			fmt.Fprintf(b, " %9s", fmt.Sprintf("%.7g", q.Value)+mark)
		}
	}
	fmt.Fprintln(b)
	if few {
		line("", "* rests on fewer than 30 rows")
	}
}

func orDash(format string, v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf(format, *v)
}

func largestOf(x []float64) float64 {
	top := 0.0
	for _, v := range x {
		top = max(top, v)
	}
	return top
}

// stripWidth is the most windows that a strip shows; more are joined.
const stripWidth = 60

// strip draws rates as bars from 0 to the largest.
func strip(rates []float64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	join := (len(rates) + stripWidth - 1) / stripWidth
	var joined []float64
	for i := 0; i < len(rates); i += join {
		sum, n := 0.0, 0
		for _, r := range rates[i:min(i+join, len(rates))] {
			sum, n = sum+r, n+1
		}
		joined = append(joined, sum/float64(n))
	}
	top := largestOf(joined)
	var b strings.Builder
	for _, r := range joined {
		i := 0
		if top > 0 {
			i = min(int(r/top*float64(len(bars))), len(bars)-1)
		}
		b.WriteRune(bars[i])
	}
	return b.String()
}
