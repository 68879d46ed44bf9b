package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// inksOf are the colours in which a chart writes the labels.
func inksOf(f Figure, labels ...string) map[string]ink {
	out := map[string]ink{}
	for _, o := range f.scene.ops {
		for _, l := range labels {
			if o.text == l {
				out[l] = o.fill
			}
		}
	}
	return out
}

// Whatever a chart draws, and in whatever order, a policy has its colour of the page.
func TestOneColourPerPolicy(t *testing.T) {
	t.Parallel()
	one, two := 1.0, 2.0
	o := Origin{Palette: []string{"aa", "bb", "cc", "dd"}}
	line := Series{X: []float64{0, 1, 2}, Y: []float64{1, 2, 3}}
	named := func(label string) Series { return Series{Label: label, X: line.X, Y: line.Y} }
	want := map[string]ink{"aa": label1, "bb": label1 + 1, "cc": label1 + 2, "dd": label1 + 3}
	for kind, f := range map[string]Figure{
		"p99":  P99vsLoad(P99Input{Origin: o, X: []float64{.5, .8}, Series: []P99Series{{Label: "dd", Values: []Value{{V: &one}, {V: &two}}}, {Label: "bb", Values: []Value{{V: &two}, {V: &one}}}}}, Light()),
		"dots": P99vsLoad(P99Input{Origin: o, X: []float64{.5}, Series: []P99Series{{Label: "cc", Values: []Value{{V: &one}}}, {Label: "aa", Values: []Value{{V: &two}}}}}, Light()),
		"ccdf": CCDF(CCDFInput{Origin: o, Series: []CCDFSeries{{Label: "cc", X: []float64{1, 2}, Y: []float64{.5, .01}, P99: Value{V: &two}}, {Label: "bb", X: []float64{1, 2}, Y: []float64{.5, .01}, P99: Value{V: &two}}}}, Light()),
		"frontier": Frontier(FrontierInput{Origin: o, X: Dimension{Name: "x"}, Y: Dimension{Name: "y"}, Points: []FrontierPoint{
			{Label: "dd", X: Value{V: &one}, Y: Value{V: &two}}, {Label: "aa", X: Value{V: &two}, Y: Value{V: &one}}}}, Light()),
		"fleet":    FleetTimeline(FleetInput{Origin: o, Load: line, Policies: []FleetSeries{{Label: "cc", Ready: line}, {Label: "aa", Ready: line}}}, Light()),
		"timeline": Timeline(TimelineInput{Origin: o, Panels: []Panel{{Name: "q", Series: []Series{named("dd"), named("bb")}}}}, Light()),
	} {
		got := inksOf(f, "aa", "bb", "cc", "dd")
		require.Len(t, got, 2, kind)
		for label, colour := range got {
			require.Equal(t, want[label], colour, "%s draws %s", kind, label)
		}
	}
	both := FleetTimeline(FleetInput{Origin: o, Load: line, Policies: []FleetSeries{
		{Label: "bb, live", Policy: "bb", Ready: line}, {Label: "bb, simulated", Policy: "bb", Ready: line}}}, Light())
	require.Equal(t, map[string]ink{"bb, live": label1 + 1, "bb, simulated": label1 + 1}, inksOf(both, "bb, live", "bb, simulated"))
	unknown := FleetTimeline(FleetInput{Origin: o, Load: line, Policies: []FleetSeries{{Label: "aa", Ready: line}, {Label: "ee", Ready: line}}}, Light())
	require.Equal(t, lookOf(5).label, inksOf(unknown, "ee")["ee"])
}
