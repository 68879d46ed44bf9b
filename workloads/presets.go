package workloads

import (
	"strconv"
	"strings"
	"time"
)

// Preset is a workload shipped as numbers: no file is needed for it.
type Preset struct {
	Name     string `json:"name"`
	About    string `json:"about"`
	Source   string `json:"source"`
	Arrivals bool   `json:"arrivals"` // may stand under workload.arrivals
	Sizes    bool   `json:"sizes"`    // may stand under quantiles or pairs

	spec  Spec
	rate  float64   // own mean rate per second
	rates []float64 // 300 s levels, repeated
	pairs float64   // rank correlation of input and output
	input, output,
	gaps []float64 // values at presetPercents
}

// presetPercents are the percents of every shipped quantile table.
func presetPercents() []float64 { return []float64{1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100} }

// presetWindow is the length of one level of a preset's rate.
const presetWindow = 300 * time.Second

// Presets lists the shipped workloads.
func Presets() []Preset {
	renewal := func(cv float64) Spec {
		s := NewSpec()
		s.Arrivals = Arrivals{Kind: "gamma", CV: cv}
		return s
	}
	return []Preset{
		{
			Name: "azure-conv", Arrivals: true, Sizes: true,
			About:  "conversations of a hosted model: gamma gaps (cv 1.034) over the 300 s rates of the trace, repeated; lengths from quantile tables, input and output nearly independent",
			Source: "Azure/AzurePublicDataset, AzureLLMInferenceTrace_conv (2023), fitted",
			spec:   renewal(1.034), rate: 61.99 / 11, pairs: 0.0728,
			rates:  []float64{4.82, 4.74, 5.19, 5.20, 6.28, 7.46, 7.43, 6.13, 5.67, 4.75, 4.32},
			input:  []float64{29, 181, 207, 396, 1020, 1189, 2734.5, 4083, 4142, 6179.2, 14050},
			output: []float64{16, 41, 54, 85, 129, 395, 424, 451, 601, 954, 1000},
			gaps:   []float64{.55, 6.32, 16.14, 48.27, 118.42, 246.73, 420.66, 565.19, 889.67, 1411.17, 4314.58},
		},
		{
			Name: "mooncake-synthetic", Arrivals: true, Sizes: true,
			About:  "long prompts, short answers: gamma gaps (cv 1.01), 3.907/s; lengths as pairs with the trace's rank correlation (long prompts, short outputs)",
			Source: "kvcache-ai/Mooncake, FAST25 synthetic trace, fitted",
			spec:   renewal(1.01), rate: 3.907, pairs: -0.5166,
			input:  []float64{16, 22, 30, 277, 11587, 23175, 38611.2, 48904.6, 66456.2, 191373, 191378},
			output: []float64{2, 2, 4, 11, 69, 250, 389, 519, 768.1, 813.1, 893},
		},
		{
			Name: "arxiv", Sizes: true,
			About:  "summaries of papers: lengths only, prompts capped near 4,096 tokens",
			Source: "microsoft/vidur, arxiv_summarization, quantiles",
			input:  []float64{73, 748.6, 1242, 1986, 2730, 3370, 3702, 3813, 3933.4, 4011.7, 4054},
			output: []float64{36, 60, 78, 115, 167, 242, 372, 736.2, 3271.3, 3844.5, 4056},
		},
		{
			Name: "diffusion", Arrivals: true,
			About:  "image generation: gamma gaps (cv 1.15), .0135/s, execution lognormal with median 19 s and sigma .45, 87 models by Zipf 2.2",
			Source: "Alibaba cluster-trace-v2026-GenAI, parameters only",
			spec:   diffusion(renewal(1.15)), rate: .0135,
		},
		{
			Name: "swim-2009", Arrivals: true,
			About:  "batch jobs: gamma gaps (cv 1.2), .0683/s; the trace's hourly changes of level are left out",
			Source: "SWIMProjectUCB/SWIM, FB-2009, fitted",
			spec:   renewal(1.2), rate: .0683,
		},
		{
			Name: "bursty", Arrivals: true,
			About:  "20/s for about 10 s, then silence for about 20 s",
			Source: "taillab",
			spec: Spec{Arrivals: Arrivals{Kind: "onoff", OnRate: 20, OnMean: 10 * time.Second, OffMean: 20 * time.Second},
				Frontends: NewFrontends()},
			rate: 20.0 / 3,
		},
	}
}

// diffusion adds what the arrival process alone does not say.
func diffusion(s Spec) Spec {
	s.Demand = Dist{Kind: "lognormal", Mu: 2.9444389791664403, Sigma: .45} // ln 19 s
	for i, w := range zipf(87, 2.2) {
		s.Models = append(s.Models, Model{Name: "m" + strconv.Itoa(i+1), Weight: w})
	}
	return s
}

func preset(name string) (Preset, bool) {
	for _, p := range Presets() {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

func arrivalPreset(name string) (Preset, bool) {
	p, ok := preset(name)
	return p, ok && p.Arrivals
}

// PresetSpec returns the whole workload of a preset: its arrivals, and its
// lengths or demands where it has them.
func PresetSpec(name string) (Spec, bool) {
	p, ok := preset(name)
	if !ok {
		return Spec{}, false
	}
	s := p.spec
	if !p.Arrivals {
		s = NewSpec()
		s.Arrivals.Rate = 1
	} else {
		s.Arrivals = NewArrivals(name)
	}
	if p.Sizes {
		s.Pairs = name
	}
	return s, true
}

// quantileTable returns the token table of "NAME" for the given role (input or
// output), or of "NAME-input" and "NAME-output".
func quantileTable(name, role string) ([]Point, bool) {
	for _, r := range []string{"input", "output"} {
		if base, ok := strings.CutSuffix(name, "-"+r); ok {
			name, role = base, r
		}
	}
	p, ok := preset(name)
	if !ok || !p.Sizes {
		return nil, false
	}
	values := p.input
	if role == "output" {
		values = p.output
	}
	return points(values), true
}

// points pairs the values of a shipped table with its percents.
func points(values []float64) []Point {
	var out []Point
	for i, percent := range presetPercents() {
		out = append(out, Point{Percent: percent, Value: values[i]})
	}
	return out
}

// tableNames lists the names that may stand under quantiles.
func tableNames() []string {
	var out []string
	for _, p := range Presets() {
		if p.Sizes {
			out = append(out, p.Name)
		}
	}
	return out
}
