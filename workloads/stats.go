package workloads

import (
	"cmp"
	"math"
	"slices"
	"time"
)

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
	for _, n := range counts(at, window) {
		if n > 20 {
			_, cv := meanCV(differences(at[from : from+n]))
			out = append(out, cv)
		}
		from += n
	}
	return out
}

// maxWindows bounds the list of windows: beyond it nobody reads a strip.
const maxWindows = 2_000_000

// counts is the number of rows in each window from the first stamp on, without
// the last, partial one.
func counts(at []time.Duration, window time.Duration) []int {
	if len(at) == 0 {
		return nil
	}
	n := int((at[len(at)-1] - at[0]) / window)
	if n > maxWindows {
		return nil
	}
	out := make([]int, n)
	for _, t := range at {
		if i := int((t - at[0]) / window); i < n {
			out[i]++
		}
	}
	return out
}

// idc sums over the windows without a list of them: a sparse trace may span years.
func idc(at []time.Duration, window, grid time.Duration) WindowIDC {
	w := WindowIDC{WindowS: seconds(window)}
	if len(at) == 0 {
		return w
	}
	n := int64((at[len(at)-1] - at[0]) / window) // full windows
	var rows, squares float64
	for i := 0; i < len(at); {
		j, which := i, int64((at[i]-at[0])/window)
		for j < len(at) && int64((at[j]-at[0])/window) == which {
			j++
		}
		w.MaxCount = max(w.MaxCount, j-i)
		if which < n {
			rows += float64(j - i)
			squares += float64(j-i) * float64(j-i)
		}
		i = j
	}
	if n >= 5 && window >= grid && rows > 0 {
		mean := rows / float64(n)
		v := (squares/float64(n) - mean*mean) / mean
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
