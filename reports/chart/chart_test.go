package chart

import (
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/reports"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The SVG of each chart, read by a person once. Floating point differs in its last
// digit between architectures, hence amd64 only.
func TestSVGGolden(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skipf("golden SVG files are made on amd64; this is %s", runtime.GOARCH)
	}
	figures := map[string]Figure{
		"p99":      P99vsLoad(sampleP99(3, 4), Light()),
		"p99-one":  P99vsLoad(sampleP99(3, 1), Light()),
		"matrix":   Matrix(sampleP99(3, 4), Light()),
		"ccdf":     CCDF(sampleCCDF(2), Light()),
		"tail":     Tail(sampleTail(3), Dark()),
		"timeline": Timeline(sampleTimeline(2, 30), Light()),
		"qq":       QQ(sampleQQ(3, true), Light()),
		"frontier": Frontier(sampleFrontier(6), Light()),
		"fleet":    FleetTimeline(sampleFleet(2), Light()),
		"forest":   Forest(sampleForest(5), Light()),
		"capacity": Capacity(sampleCapacity(4), Light()),
	}
	for name, f := range figures {
		path := filepath.Join("testdata", name+".golden.svg")
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, f.SVG(), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "run the test with -update once")
		require.Equal(t, string(want), string(f.SVG()), name)
	}
}

func TestSameInputSameBytes(t *testing.T) {
	t.Parallel()
	a, b := gallery(11, 6, Light()), gallery(11, 6, Light())
	for i := range a {
		require.Equal(t, a[i].SVG(), b[i].SVG())
		require.Equal(t, a[i].Inline(), b[i].Inline())
		pa, err := a[i].PNG()
		require.NoError(t, err)
		pb, err := b[i].PNG()
		require.NoError(t, err)
		require.Equal(t, pa, pb)
	}
}

func TestPNGSize(t *testing.T) {
	t.Parallel()
	for _, f := range gallery(5, 6, Dark()) {
		b, err := f.PNG()
		require.NoError(t, err)
		c, err := png.DecodeConfig(bytes.NewReader(b))
		require.NoError(t, err)
		require.Equal(t, [2]int{1229, 768}, [2]int{c.Width, c.Height}, f.Kind)
	}
}

// Every text lies on the chart, and no two texts touch, for every number of
// policies and loads that a report is expected to show.
func TestNothingClippedNothingOverlaps(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 5, 8, 11, 12, 15} {
		for _, loads := range []int{1, 2, 6, 20} {
			for _, f := range gallery(n, loads, Light()) {
				checkTexts(t, f, fmt.Sprintf("%s, %d policies, %d loads", f.Kind, n, loads))
			}
		}
	}
}

type textBox struct {
	box
	s string
}

func checkTexts(t *testing.T, f Figure, name string) {
	var boxes []textBox
	for _, o := range f.scene.ops {
		if o.kind != textOp {
			continue
		}
		w := textWidth(o.text, o.size, o.bold) / slack
		x, y := o.path[0].x-o.anchor*w, o.path[0].y
		b := textBox{box{x, y - 0.72*o.size, x + w, y}, o.text}
		require.True(t, b.left >= 0 && b.right <= width && b.top >= 0 && b.bottom <= height, "%s: %q is clipped: %+v", name, o.text, b.box)
		for _, c := range boxes {
			apart := b.left >= c.right || c.left >= b.right || b.top >= c.bottom || c.top >= b.bottom
			require.True(t, apart, "%s: %q and %q overlap: %+v %+v", name, b.s, c.s, b.box, c.box)
		}
		boxes = append(boxes, b)
	}
	for _, o := range f.scene.ops {
		for _, p := range o.path {
			require.True(t, p.x >= -0.01 && p.x <= width+0.01 && p.y >= -0.01 && p.y <= height+0.01, "%s: a path leaves the chart at %v", name, p)
		}
	}
}

var idRE = regexp.MustCompile(` id="([^"]*)"`)

// A page holds many charts: each must be well-formed, its ids must carry its
// prefix, and the inline form may hold nothing a strict policy refuses.
func TestInlineCharts(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range gallery(13, 6, Light()) {
		for _, b := range [][]byte{f.SVG(), f.Inline()} {
			wellFormed(t, b)
			require.NotContains(t, string(b), "<script")
			require.NotContains(t, string(b), "http://example")
		}
		require.NotContains(t, string(f.Inline()), "<style")
		require.NotContains(t, string(f.Inline()), " style=")
		require.Contains(t, string(f.SVG()), "var(--s1,#0072b2)")
		for _, m := range idRE.FindAllSubmatch(f.Inline(), -1) {
			id := string(m[1])
			require.False(t, seen[id], "id %q twice", id)
			seen[id] = true
		}
		require.NotEmpty(t, f.Title)
		require.NotEmpty(t, f.Alt)
		for _, r := range f.Rows {
			require.Len(t, r, len(f.Header), f.Kind)
		}
	}
	a, b := sampleP99(2, 2), sampleP99(2, 2)
	a.ID, b.ID = "one", "Two!"
	require.Equal(t, "c-one", P99vsLoad(a, Light()).ID)
	require.Equal(t, "c-two", P99vsLoad(b, Light()).ID)
}

func wellFormed(t require.TestingT, b []byte) {
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else {
			require.NoError(t, err)
		}
	}
}

// What has no place on a chart is left out; nothing panics and the foot of the
// chart stays honest.
func TestNothingToDraw(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	empty := []Figure{
		P99vsLoad(P99Input{}, Light()), Matrix(P99Input{}, Light()), CCDF(CCDFInput{}, Light()),
		Tail(TailInput{}, Light()), Timeline(TimelineInput{}, Light()),
		P99vsLoad(P99Input{X: []float64{0.5}, Series: []P99Series{{Label: "a"}}}, Light()),
		P99vsLoad(P99Input{X: []float64{0.5, 0.6}, Series: []P99Series{{Label: "a", Values: []Value{{V: &nan}, {V: ptr(0.0)}}}}}, Light()),
		CCDF(CCDFInput{Series: []CCDFSeries{{Label: "a", X: []float64{1, 2}, Y: []float64{nan}, N: 5}}}, Light()),
		Tail(TailInput{Bars: []TailBar{{Label: "a"}}}, Light()),
		Timeline(TimelineInput{Panels: []Panel{{Series: []Series{{X: []float64{nan}, Y: []float64{1}}}}}}, Light()),
		Frontier(FrontierInput{}, Light()), Frontier(FrontierInput{X: Dimension{Log: true}, Points: []FrontierPoint{{Label: "a", X: Value{V: ptr(0.0)}, Y: Value{V: ptr(1.0)}}}}, Light()),
		FleetTimeline(FleetInput{}, Light()), FleetTimeline(FleetInput{Policies: []FleetSeries{{Label: "a", P99: Series{X: []float64{1}, Y: []float64{-1}}}}}, Light()),
		Forest(ForestInput{}, Light()), Forest(ForestInput{Rows: []ForestRow{{Label: "a", Change: Value{V: &nan}}}}, Light()),
		Capacity(CapacityInput{}, Light()), Capacity(CapacityInput{Rows: []CapacityLine{{Label: "a", X: []float64{nan}, Y: []Value{{}}}}}, Light()),
		QQ(QQInput{}, Light()), QQ(QQInput{Series: []QQSeries{{Label: "a", P: []float64{0.5}, Live: []float64{nan}, Sim: []float64{1}, N: 100}}}, Light()),
		QQ(QQInput{Series: []QQSeries{{Label: "a", P: []float64{0.5}, Live: []float64{1}, Sim: []float64{1}, N: 10}}}, Light()),
	}
	for _, f := range empty {
		require.True(t, f.Empty(), f.Kind)
		wellFormed(t, f.SVG())
		_, err := f.PNG()
		require.NoError(t, err)
	}
	one := Timeline(TimelineInput{Panels: []Panel{{Series: []Series{{X: []float64{3}, Y: []float64{1}}}}}}, Light())
	require.False(t, one.Empty())
}

// Any numbers at all: no panic, well-formed, inside the chart.
func TestAnyNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 1e5), rapid.SampledFrom([]float64{0, -1, math.NaN(), math.Inf(1), 1e-9, 1e308, 5e-324}))
		loads, n := rapid.IntRange(0, 4).Draw(t, "loads"), rapid.IntRange(0, 5).Draw(t, "policies")
		in := P99Input{Rate: rapid.Bool().Draw(t, "rate")}
		for k := range loads {
			in.X = append(in.X, float64(k+1)*0.2)
		}
		tails, bars, panel, qq := CCDFInput{}, TailInput{}, Panel{}, QQInput{}
		changes := ForestInput{}
		weighed := FrontierInput{X: Dimension{Log: rapid.Bool().Draw(t, "log")}, Y: Dimension{Higher: true}}
		fleet := FleetInput{LimitMS: ptr(number.Draw(t, "promise"))}
		limits := CapacityInput{Limit: number.Draw(t, "limit"), Share: rapid.Bool().Draw(t, "share"), Fewer: rapid.Bool().Draw(t, "fewer")}
		for range n {
			label := rapid.String().Draw(t, "label")
			s := P99Series{Label: label}
			for range rapid.IntRange(0, loads).Draw(t, "values") {
				s.Values = append(s.Values, Value{V: ptr(number.Draw(t, "v")), CI: &[2]float64{number.Draw(t, "lo"), number.Draw(t, "hi")}})
			}
			in.Series = append(in.Series, s)
			xs, ys := rapid.SliceOfN(number, 0, 5).Draw(t, "x"), rapid.SliceOfN(number, 0, 5).Draw(t, "y")
			tails.Series = append(tails.Series, CCDFSeries{Label: label, X: xs, Y: ys, P99: Value{V: ptr(number.Draw(t, "p99"))}})
			bar := TailBar{Label: label, P99: Value{V: ptr(number.Draw(t, "tick"))}}
			for i := range bar.Parts {
				bar.Parts[i] = ptr(number.Draw(t, "part"))
			}
			bars.Bars = append(bars.Bars, bar)
			panel.Series = append(panel.Series, Series{Label: label, X: xs, Y: ys})
			limits.Rows = append(limits.Rows, CapacityLine{Label: label, At: Value{V: ptr(number.Draw(t, "at")), CI: &[2]float64{number.Draw(t, "from"), number.Draw(t, "to")}},
				X: xs, Y: slices.Repeat([]Value{{V: ptr(number.Draw(t, "value"))}}, len(xs))})
			weighed.Points = append(weighed.Points, FrontierPoint{Label: label, X: Value{V: ptr(number.Draw(t, "cost")), CI: &[2]float64{number.Draw(t, "cheap"), number.Draw(t, "dear")}}, Y: Value{V: ptr(number.Draw(t, "gain"))}})
			fleet.Load = Series{X: xs, Y: ys}
			fleet.Policies = append(fleet.Policies, FleetSeries{Label: label, Desired: Series{X: xs, Y: ys}, Ready: Series{X: ys, Y: xs}, P99: Series{X: xs, Y: ys}})
			changes.Rows = append(changes.Rows, ForestRow{Label: label, Limit: ptr(number.Draw(t, "allowed")), Word: rapid.SampledFrom([]string{"", "pass", "fail", "~", "worse"}).Draw(t, "word"),
				Change: Value{V: ptr(number.Draw(t, "change")), CI: &[2]float64{number.Draw(t, "low"), number.Draw(t, "high")}}})
			qq.Series = append(qq.Series, QQSeries{Label: label, P: []float64{0.5, 0.9, 0.99}, Live: xs, Sim: ys, Calibrated: xs, Error: ptr(number.Draw(t, "error"))})
		}
		for _, f := range []Figure{P99vsLoad(in, Light()), Matrix(in, Dark()), CCDF(tails, Light()), Tail(bars, Light()), Timeline(TimelineInput{Panels: []Panel{panel}}, Light()), QQ(qq, Light()), Capacity(limits, Light()), Forest(changes, Light()), Frontier(weighed, Light()), FleetTimeline(fleet, Light())} {
			wellFormed(t, f.SVG())
			for _, o := range f.scene.ops {
				for _, p := range o.path {
					require.True(t, finite(p.x) && finite(p.y), "%s draws at %v", f.Kind, p)
				}
			}
		}
	})
}

func TestOfSummary(t *testing.T) {
	t.Parallel()
	s := &reports.Summary{Scenario: "s", Host: "live", Git: &reports.Git{Commit: "0123456789ab", Dirty: true}, Cells: []reports.Cell{
		{Policy: "b", Load: ptr(0.8), P99MS: ptr(20.0), P99CI: &reports.Interval{19, 21}, Requests: 5, Seeds: 2, Axes: map[string]any{"share": 0.5},
			Tail: &reports.Tail{QueueMS: ptr(7.0)}, Slowest: []reports.Slow{{LatencyMS: 9, Steps: []reports.SlowStep{{Step: "queue", MS: 8, Replica: ptr(3)}}}}},
		{Policy: "a", Load: ptr(0.5), P99MS: ptr(10.0), Requests: 7, Seeds: 3},
		{Policy: "b", Load: ptr(0.5), P99MS: nil, Axes: map[string]any{"share": 0.5}},
	}}
	in := P99Of(s)
	require.Equal(t, []float64{0.5, 0.8}, in.X)
	require.Equal(t, []string{"b, share 0.5", "a"}, labelsOf(in.Series))
	require.Nil(t, in.Series[0].Values[0].V)
	require.Equal(t, [2]float64{19, 21}, *in.Series[0].Values[1].CI)
	require.Nil(t, in.Series[1].Values[1].V, "a has no cell at 0.8")
	require.Equal(t, "s · measured live · seed 0 · commit 01234567+ · n = 12 in 3 seeds", in.foot())
	tail := TailOf(s, 0.8)
	require.Len(t, tail.Bars, 1)
	require.Equal(t, 7.0, *tail.Bars[0].Parts[3])
	require.Equal(t, "queue 8.00 ms on replica 3", tail.Slowest[0].Steps)
	require.Equal(t, "80% load", tail.At)

	s.Cells[1].Load, s.Cells[1].RateRPS = nil, 40
	require.True(t, P99Of(s).Rate, "a cell without a load: all stand by their rates")
}
