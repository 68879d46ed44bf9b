package fit

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"taillab/sim/gpu"
)

// What fits reach on measurements of real GPUs, beside what they should (-v prints it).

// measurements opens one of the files with measurements, decompressed.
func measurements(t *testing.T, name string) io.Reader {
	t.Helper()
	data, err := os.ReadFile("../../../../shared/data/gpu/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the measurements (shared/data/gpu beside the repository) are absent")
	}
	require.NoError(t, err)
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		require.NoError(t, err)
		return z
	}
	z, err := zstd.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	t.Cleanup(z.Close)
	return z
}

// eachFile calls f for the files of an archive.
func eachFile(t *testing.T, archive string, f func(name string, in io.Reader)) {
	t.Helper()
	for in := tar.NewReader(measurements(t, archive)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		if h.Typeflag == tar.TypeReg {
			f(h.Name, in)
		}
	}
}

// records reads a CSV with a header; of a row it gives cells by name.
func records(t *testing.T, in io.Reader) (rows []func(string) string) {
	t.Helper()
	all, err := csv.NewReader(in).ReadAll()
	require.NoError(t, err)
	at := map[string]int{}
	for i, name := range all[0] {
		at[name] = i
	}
	for _, row := range all[1:] {
		rows = append(rows, func(name string) string {
			i, ok := at[name]
			require.True(t, ok, name)
			return row[i]
		})
	}
	return rows
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return v
}

// Models of fixed shape are affine in the batch: left out, a point is foretold within
// 5% on average (measured batches of 1 to 26 and more on a TITAN X, uwsampl/nexus).
func TestFixedShapes(t *testing.T) {
	t.Parallel()
	files, total := 0, 0.0
	eachFile(t, "nexus_titanx_profiles.tar.zst", func(name string, in io.Reader) {
		points := nexus(t, in)
		_, r, err := Fit(gpu.Affine, points, Options{})
		require.NoError(t, err, name)
		t.Logf("%s: %d points, MAPE %.1f%%, left out %.1f%%, worst batch %g by %+.1f%%", path.Base(name), r.N, r.MAPE, r.LOO, points[r.Worst].Items, r.WorstErr)
		files, total = files+1, total+r.LOO
	})
	require.GreaterOrEqual(t, files, 3)
	t.Logf("affine, fixed shape, left out: %.1f%% (goal 5%%)", total/float64(files))
	require.Less(t, total/float64(files), 5.0)
}

// nexus reads the part of a profile that says how long a batch takes, in µs.
func nexus(t *testing.T, in io.Reader) (points []Point) {
	t.Helper()
	forward := false
	for lines := bufio.NewScanner(in); lines.Scan(); {
		cells := strings.Split(lines.Text(), ",")
		n, err := strconv.Atoi(cells[0])
		switch {
		case strings.HasPrefix(lines.Text(), "Forward"):
			forward = true
		case err != nil && len(points) > 0:
			return points
		case err == nil && forward && len(cells) > 1:
			us, err := strconv.ParseFloat(cells[1], 64)
			require.NoError(t, err)
			points = append(points, Point{Items: float64(n), MS: us / 1e3})
		}
	}
	return points
}

// Dense layers of a decoder by tokens: half of the points foretell the others (vidur).
func TestDenseLayers(t *testing.T) {
	t.Parallel()
	kinds := []gpu.Kind{gpu.TableKind, gpu.Hinge, gpu.SmoothMax, gpu.AffineTokens}
	worst := map[gpu.Kind]float64{}
	eachFile(t, "vidur_profiling.tar.zst", func(name string, in io.Reader) {
		if path.Base(name) != "mlp.csv" {
			return
		}
		var all []Point
		for _, row := range records(t, in) {
			if row("num_tensor_parallel_workers") != "1" {
				continue
			}
			p := Point{Items: 1, Tokens: number(t, row("num_tokens"))}
			for _, op := range []string{"mlp_up_proj", "mlp_act", "mlp_down_proj"} {
				p.MS += number(t, row("time_stats."+op+".median"))
			}
			all = append(all, p)
		}
		seen, unseen := halves(all)
		for _, kind := range kinds {
			e := foretold(t, kind, seen, unseen)
			worst[kind] = max(worst[kind], e)
			t.Logf("%s: %s from %d points, %d others: %.1f%%", path.Dir(strings.TrimPrefix(name, "data/profiling/compute/")), kind, len(seen), len(unseen), e)
		}
	})
	t.Logf("dense layers, unseen points: table %.1f%% (goal 5%%), hinge %.1f%% (goal 5.5%%), smooth-max %.1f%%, affine %.1f%%", worst[gpu.TableKind], worst[gpu.Hinge], worst[gpu.SmoothMax], worst[gpu.AffineTokens])
	require.Less(t, worst[gpu.TableKind], 5.0)
	require.Less(t, worst[gpu.Hinge], 5.6)
}

// Matrix products by the number of rows, one table for each shape of the weights: half of
// the points foretell the others (ai-dynamo/aiconfigurator).
func TestMatrixProducts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a100_sxm", "h100_sxm", "b200_sxm", "l40s"} {
		shapes := map[string][]Point{}
		for _, row := range records(t, measurements(t, "aic_"+name+"_gemm_bf16.csv.gz")) {
			shape := row("n") + "×" + row("k")
			shapes[shape] = append(shapes[shape], Point{Tokens: number(t, row("m")), MS: number(t, row("latency"))})
		}
		require.NotEmpty(t, shapes)
		sum, n := 0.0, 0
		for _, points := range shapes {
			seen, unseen := halves(points)
			if len(unseen) > 4 {
				sum, n = sum+foretold(t, gpu.TableKind, seen, unseen), n+1
			}
		}
		require.Positive(t, n)
		t.Logf("%s: %d shapes, unseen rows: %.1f%% on average (goal 9%%)", name, n, sum/float64(n))
		require.Less(t, sum/float64(n), 9.0)
	}
}

// halves takes turns between the different sizes, in their order; the ends are seen.
func halves(points []Point) (seen, unseen []Point) {
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.Tokens, b.Tokens) })
	points = slices.CompactFunc(points, func(a, b Point) bool { return a.Tokens == b.Tokens })
	for i, p := range points {
		if i%2 == 0 || i == len(points)-1 {
			seen = append(seen, p)
		} else {
			unseen = append(unseen, p)
		}
	}
	return seen, unseen
}

// foretold is the mean error in percent of points that a fit of others has not seen.
func foretold(t *testing.T, kind gpu.Kind, seen, unseen []Point) float64 {
	t.Helper()
	m, err := methodOf(kind, seen)
	require.NoError(t, err)
	c, err := m.solve(seen, Relative)
	require.NoError(t, err)
	var r Report
	for _, p := range unseen {
		r.add(p.MS, m.at(p, c))
	}
	return r.MAPE
}

// BERT-base where the runtime's launches rule small batches (NVIDIA/FasterTransformer).
func TestVariableLength(t *testing.T) {
	t.Parallel()
	of := map[string][]Point{}
	for _, row := range records(t, measurements(t, "ft_bert_base_latency.csv.gz")) {
		if !strings.HasSuffix(row("section"), "and PyTorch") || row("subtitle") != "Performance on FP16" {
			continue
		}
		name := row("section") + " " + row("column")
		n, s := number(t, row("batch")), number(t, row("seq"))
		of[name] = append(of[name], Point{Items: n, Tokens: n * s, TokensSq: n * s * s, MS: number(t, row("latency_ms"))})
	}
	require.NotEmpty(t, of)
	worst, sum := 0.0, 0.0
	for name, points := range of {
		least, text := 1e9, ""
		for _, kind := range []gpu.Kind{gpu.AffineTokens, gpu.SmoothMax, gpu.TableKind} {
			_, r, err := Fit(kind, points, Options{})
			require.NoError(t, err, name)
			text += fmt.Sprintf("  %s %.1f%%, left out %.1f%%", kind, r.MAPE, r.LOO)
			least = min(least, r.LOO)
		}
		t.Logf("%s, %d points:%s", name, len(points), text)
		worst, sum = max(worst, least), sum+least
	}
	t.Logf("variable length, the best model left out: %.1f%% on average (goal 10%%), %.1f%% at worst, of 9 points each", sum/float64(len(of)), worst)
	require.Less(t, sum/float64(len(of)), 10.0)
	require.Less(t, worst, 12.0)
}

// Closed loops of dense models on H100s: each loop foretold by the others
// (ai-dynamo/aiconfigurator).
func TestClosedLoops(t *testing.T) {
	t.Parallel()
	of := map[string][]Loop{}
	for _, row := range records(t, measurements(t, "aiconfigurator_silicon_sample.csv.gz")) {
		if row("mode") != "agg" || row("system") != "h100_sxm" || !slices.Contains([]string{"meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B"}, row("model_path")) {
			continue
		}
		name := strings.Join([]string{row("model_path"), row("backend"), row("precision"), row("gemm_quant_mode"), "TP" + row("tp_size")}, " ")
		of[name] = append(of[name], Loop{Concurrency: number(t, row("batch_size")), Input: number(t, row("isl")), Output: number(t, row("osl")),
			TPOT: number(t, row("silicon_tpot_ms")), TTFT: number(t, row("silicon_ttft_ms"))})
	}
	engines, worst := 0, 0.0
	for name, rows := range of {
		if len(rows) < 20 {
			continue // a stray one of another setting
		}
		s, r, err := FitLoops(rows, Options{})
		require.NoError(t, err, name)
		t.Logf("%s: %d loops, MAPE %.1f%%, left out %.1f%%, worst %+.0f%%; step %v + %v·n + %v·K, prompt %v a token", name, r.N, r.MAPE, r.LOO, r.WorstErr,
			s.Step.Base, s.Step.PerSeq, s.Step.PerKV, s.Prefill.PerToken)
		engines, worst = engines+1, max(worst, r.LOO)
	}
	require.Positive(t, engines)
	t.Logf("TPOT of closed loops, left out, worst of %d: %.1f%% (goal 11%%)", engines, worst)
	require.Less(t, worst, 11.0)
}

// Two served runs of vLLM (casys-kaist/LLMServingSim): parameters from the first third
// of the requests foretell the others, and so does one factor on those of the per-layer
// profile of the same GPU.
func TestServedRuns(t *testing.T) {
	t.Parallel()
	runs := 0
	eachFile(t, "llmservingsim_vllm_bench_and_profiles.tar.zst", func(name string, in io.Reader) {
		if path.Base(name) != "requests.jsonl" {
			return
		}
		runs++
		var run []Served
		for lines := bufio.NewScanner(in); lines.Scan(); {
			var x struct {
				Input   float64 `json:"input_toks"`
				Output  float64 `json:"output_toks"`
				Arrival float64 `json:"queued_ts"`
				First   float64 `json:"first_token_ts"`
				Last    float64 `json:"last_token_ts"`
			}
			require.NoError(t, json.Unmarshal(lines.Bytes(), &x))
			run = append(run, Served{Arrival: x.Arrival * 1e3, First: x.First * 1e3, Last: x.Last * 1e3, Input: x.Input, Output: x.Output})
		}
		require.Len(t, run, 300)
		s, r, err := FitServed(run)
		require.NoError(t, err)
		t.Logf("%s: step %v + %v·n + %v·K, prompt %v a token, %d slots; times from first to last token %.1f%%, left out %.1f%%", name,
			s.Step.Base, s.Step.PerSeq, s.Step.PerKV, s.Prefill.PerToken, s.Slots, r.MAPE, r.LOO)
		require.Less(t, r.LOO, 2.0)
		held, err := HoldOut(run)
		require.NoError(t, err)
		told(t, "fitted to the first third", held)
		if !strings.Contains(name, "Llama-3.1-8B") {
			return
		}
		require.Less(t, max(abs(held.TPOT.Worst()), abs(held.E2E.Worst())), 5.0)
		require.Less(t, abs(held.TTFT.Worst()), 10.0)

		// Llama-3.1-8B by layers: a step of n sequences takes the floor of the dense layers,
		// 32 layers of attention and the head; a token of a prompt the slope of the dense ones.
		p := gpu.Defaults(gpu.Tokens)
		p.Step = gpu.Step{Base: 10.4343e6 + 32*13_043 + 704_460, PerSeq: 32*122.2 + 1058.4, PerKV: 32 * 2.7062}
		p.Prefill, p.Slots = gpu.Prefill{PerToken: 34_482}, 128
		c, err := Calibrate(p, run)
		require.NoError(t, err)
		told(t, "per-layer profile as it is", c.Before)
		told(t, fmt.Sprintf("times %.3f, found on the first %d", c.Scale, c.From), c.After)
		require.Less(t, max(abs(c.After.TPOT.Worst()), abs(c.After.E2E.Worst())), 5.0)
		require.Less(t, abs(c.After.TTFT.Worst()), 10.0)
	})
	require.Equal(t, 2, runs)
}

func abs(x float64) float64 { return max(x, -x) }

// told logs the worst errors of a score beside the goals.
func told(t *testing.T, what string, s Scores) {
	t.Helper()
	t.Logf("  %s: of %d other requests mean/P50/P90/P99 TTFT %s (goal 10%%), TPOT %s (5%%), E2E %s (5%%)", what, s.N, four(s.TTFT), four(s.TPOT), four(s.E2E))
}

func four(s Score) string {
	return fmt.Sprintf("%+.1f/%+.1f/%+.1f/%+.1f%%", s.Error(0), s.Error(1), s.Error(2), s.Error(3))
}
