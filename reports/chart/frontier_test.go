package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPareto(t *testing.T) {
	t.Parallel()
	point := func(label string, x, y float64) FrontierPoint {
		return FrontierPoint{Label: label, X: Value{V: &x}, Y: Value{V: &y}}
	}
	in := FrontierInput{X: Dimension{Name: "GPU hours"}, Y: Dimension{Name: "misses"}, Points: []FrontierPoint{
		point("cheap", 1, 9), point("beaten", 4, 9), point("good", 3, 3), point("dear", 9, 1), point("twin", 3, 3)}}
	f := Frontier(in, Light())
	require.Equal(t, "4 of 5 are worth choosing from; the others lose in both", f.Title)
	var words []string
	for _, r := range f.Rows {
		words = append(words, r[3])
	}
	require.Equal(t, []string{"yes", "no", "yes", "yes", "yes"}, words, "equal points do not beat each other")
	in.Y.Higher = true // now misses are hits
	require.Equal(t, "cheap beats all others in both", Frontier(in, Light()).Title)
	in.Points = in.Points[:1]
	require.Equal(t, "cheap: 1.00, 9.00", Frontier(in, Light()).Title)
	rapid.Check(t, func(t *rapid.T) {
		in := FrontierInput{X: Dimension{Higher: rapid.Bool().Draw(t, "x")}, Y: Dimension{Higher: rapid.Bool().Draw(t, "y")}}
		for range rapid.IntRange(1, 12).Draw(t, "n") {
			in.Points = append(in.Points, point("p", float64(rapid.IntRange(0, 5).Draw(t, "a")), float64(rapid.IntRange(0, 5).Draw(t, "b"))))
		}
		front := in.pareto(in.Points)
		require.Contains(t, front, true, "somebody is never beaten")
		for i, p := range in.Points {
			for k, q := range in.Points {
				if front[i] && front[k] {
					beaten := in.X.atLeast(*q.X.V, *p.X.V) && in.Y.atLeast(*q.Y.V, *p.Y.V) && (*q.X.V != *p.X.V || *q.Y.V != *p.Y.V)
					require.False(t, beaten, "%v beats %v", q, p)
				}
			}
		}
	})
}

func TestFleetTitle(t *testing.T) {
	t.Parallel()
	s := func(ys ...float64) Series {
		out := Series{Y: ys}
		for i := range ys {
			out.X = append(out.X, float64(i))
		}
		return out
	}
	in := FleetInput{LimitMS: ptr(100.0), Policies: []FleetSeries{{Label: "a", P99: s(90, 150, 200)}, {Label: "b", P99: s(90, 150, 80), Ready: s(1, 2, 3), Desired: s(4)}}}
	f := FleetTimeline(in, Light())
	require.Equal(t, "b comes nearest to P99 below 100 ms: 1 interval above", f.Title)
	require.Equal(t, []string{"b", "4", "3", "2.00", "150 ms at 1 s", "1 of 3"}, f.Rows[1])
	in.LimitMS = ptr(180.0)
	require.Equal(t, "b keeps P99 below 180 ms all the time", FleetTimeline(in, Light()).Title)
	in.LimitMS = nil
	require.Equal(t, "P99 peaks at 200 ms after 2 s (a)", FleetTimeline(in, Light()).Title)
}
