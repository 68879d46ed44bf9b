package workloads

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sharedTrace returns the path of a public trace, and skips where the data
// folder is not there.
func sharedTrace(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", "traces", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the shared data folder is absent (%s): the golden values of real traces are not checked", path)
	}
	return path
}

// near asserts a printed golden: equal when rounded to its digits.
func near(t *testing.T, want float64, digits int, got float64, what string) {
	t.Helper()
	require.InDelta(t, want, got, 0.5000001*math.Pow10(-digits), what)
}

func TestDescribeAzure(t *testing.T) {
	t.Parallel()
	d, err := Describe(sharedTrace(t, "azure_llm_2023_conv.csv.gz"), Options{})
	require.NoError(t, err)
	require.Equal(t, "azure-llm", d.Format)
	require.Equal(t, 19366, d.Rows)
	require.Equal(t, Account{Read: 19366, Used: 19366}, *d.Account)
	near(t, 3501.7219, 4, d.SpanS, "span")
	near(t, 5.5304, 4, d.RateRPS, "rate")
	near(t, 1.0942, 4, d.Gaps.CV, "cv")
	require.Zero(t, d.Gaps.ZeroShare)
	near(t, 4.315, 3, d.Gaps.MaxS, "max gap")
	near(t, 1.034, 3, *d.Gaps.LocalCVMedian, "local cv median")
	near(t, 1.192, 3, *d.Gaps.LocalCVMax, "local cv max")
	require.Equal(t, 11, d.Gaps.LocalWindows)
	wantIDC, wantMax := []float64{1.385, 3.857, 16.128}, []int{16, 98, 507}
	for i, w := range d.Windows {
		near(t, wantIDC[i], 3, *w.IDC, "idc")
		require.Equal(t, wantMax[i], w.MaxCount)
	}
	near(t, 1154.70, 2, d.Input.Mean, "input")
	near(t, .960, 3, d.Input.CV, "input cv")
	require.Equal(t, uint64(22361870), d.Input.Sum)
	near(t, 211.13, 2, d.Output.Mean, "output")
	near(t, .771, 3, d.Output.CV, "output cv")
	require.Equal(t, uint64(4088665), d.Output.Sum)
	require.Equal(t, []uint32{2, 7}, []uint32{d.Input.Min, d.Output.Min})
	near(t, .0728, 4, *d.Spearman, "spearman")
	require.Nil(t, d.Prefix)
	p, _ := preset("azure-conv")
	for i, q := range d.Input.Quantiles {
		near(t, p.input[i], 1, q.Value, "input quantile")
		near(t, p.output[i], 1, d.Output.Quantiles[i].Value, "output quantile")
	}
	for i, want := range p.rates {
		near(t, want, 2, d.Strip[i], "300 s rate")
	}
}

func TestDescribeMooncake(t *testing.T) {
	t.Parallel()
	d, err := Describe(sharedTrace(t, "mooncake_synthetic.jsonl.gz"), Options{})
	require.NoError(t, err)
	require.Equal(t, "mooncake", d.Format)
	require.Equal(t, 3993, d.Rows)
	near(t, 1022.025, 3, d.SpanS, "span")
	near(t, 3.9069, 4, d.RateRPS, "rate")
	near(t, 1.0113, 4, d.Gaps.CV, "cv")
	near(t, .28, 2, 100*d.Gaps.ZeroShare, "zero gaps in percent")
	near(t, 2.119, 3, d.Gaps.MaxS, "max gap")
	near(t, .989, 3, *d.Gaps.LocalCVMedian, "local cv median")
	near(t, 1.023, 3, *d.Gaps.LocalCVMax, "local cv max")
	require.Equal(t, 3, d.Gaps.LocalWindows)
	wantIDC, wantMax := []float64{1.089, 1.178, 1.192}, []int{13, 55, 273}
	for i, w := range d.Windows {
		near(t, wantIDC[i], 3, *w.IDC, "idc")
		require.Equal(t, wantMax[i], w.MaxCount)
	}
	near(t, 15325.48, 2, d.Input.Mean, "input")
	near(t, 1.199, 3, d.Input.CV, "input cv")
	require.Equal(t, uint64(61194628), d.Input.Sum)
	near(t, 149.12, 2, d.Output.Mean, "output")
	near(t, 1.195, 3, d.Output.CV, "output cv")
	require.Equal(t, uint64(595432), d.Output.Sum)
	require.Equal(t, []uint32{13, 1}, []uint32{d.Input.Min, d.Output.Min})
	near(t, -.5166, 4, *d.Spearman, "spearman")
	require.Equal(t, 121877, d.Prefix.Blocks)
	require.Equal(t, 77953, d.Prefix.Hits)
	require.Equal(t, 43924, d.Prefix.Unique)
	near(t, 63.96, 2, 100*d.Prefix.HitShare, "hits in percent")
	near(t, 44.6, 1, 100*d.Prefix.RequestsHit, "requests hit in percent")
}

func TestPrint(t *testing.T) {
	t.Parallel()
	d, err := DescribeTrace(csvTrace(nil), stdin(fourRows))
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, d.Print(&b))
	require.Equal(t, `- (csv)
rows      4
          read 4 = used 4 + skipped 0 + filtered 0
span      6.0000 s, 0.6667 requests/s
gaps      mean 2000 ms, cv 0.4082, zero 0.00 %, max 3.000 s
          local cv median –, max – (0 windows of 300 s)
idc         1 s: 0.500, at most 1 requests
idc        10 s: –, at most 4 requests
idc        60 s: –, at most 4 requests
input     mean 25.00 tokens, cv 0.447, sum 100, min 10
output    mean 2.50 tokens, cv 0.447, sum 10, min 1
          rank correlation of input and output 1.0000
percent           1         5        10        25        50        75        90        95        99      99.9       100
input         10.3*     11.5*       13*     17.5*       25*     32.5*       37*     38.5*     39.7*    39.97*        40
output        1.03*     1.15*      1.3*     1.75*      2.5*     3.25*      3.7*     3.85*     3.97*    3.997*         4
          * rests on fewer than 30 rows
tenants   1, largest 100.0 %, ten largest 100.0 %
`, b.String())
	text, err := json.Marshal(d)
	require.NoError(t, err)
	require.Contains(t, string(text), `"windows":[{"window_s":1,"idc":0.`)
	require.Contains(t, string(text), `"local_cv_max":null`)
}

func TestSpearmanAndQuantiles(t *testing.T) {
	t.Parallel()
	require.InDelta(t, -1, *spearman([]uint32{1, 2, 3}, []uint32{9, 5, 1}), 1e-12)
	require.InDelta(t, math.Sqrt(3)/2, *spearman([]uint32{1, 2, 3}, []uint32{1, 1, 2}), 1e-12, "ties take the mean rank")
	require.Nil(t, spearman([]uint32{1, 1}, []uint32{1, 2}))
	require.InDelta(t, 17.5, quantile([]float64{10, 20, 30, 40}, 25), 1e-12, "type 7")
	require.Equal(t, 40.0, quantile([]float64{10, 20, 30, 40}, 100))
	require.Equal(t, "▁▅█", strip([]float64{0, 1, 2})[0:len("▁▅█")])
}
