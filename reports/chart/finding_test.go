package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// finding builds an input from P99 values, rows of one policy each; half is the
// half-width of every interval, 0 for none.
func finding(half float64, labels []string, rows ...[]float64) P99Input {
	in := P99Input{}
	for k := range rows[0] {
		in.X = append(in.X, 0.5+0.1*float64(k))
	}
	for i, r := range rows {
		s := P99Series{Label: labels[i]}
		for _, v := range r {
			val := Value{V: ptr(v)}
			if v == 0 {
				val.V = nil
			}
			if half > 0 {
				val.CI = &[2]float64{v - half, v + half}
			}
			s.Values = append(s.Values, val)
		}
		in.Series = append(in.Series, s)
	}
	return in
}

func TestTitles(t *testing.T) {
	t.Parallel()
	ab := []string{"jiq", "p2c"}
	for _, c := range []struct {
		want string
		in   P99Input
	}{
		{"jiq is best at every load", finding(1, ab, []float64{10, 20}, []float64{15, 30})},
		{"jiq is best up to 60% load, p2c from 70%", finding(1, ab, []float64{10, 20, 50}, []float64{15, 30, 40})},
		{"jiq is best at 50% load", finding(1, ab, []float64{10}, []float64{15})},
		{"No clear winner at 50% load", finding(5, ab, []float64{10}, []float64{15})},
		{"No clear winner at any load", finding(9, ab, []float64{10, 12}, []float64{15, 13})},
		{"jiq is best up to 50% load, no clear winner from 60%", finding(2, ab, []float64{10, 20}, []float64{15, 21})},
		{"No clear winner up to 50% load, p2c is best from 60%", finding(2, ab, []float64{10, 30}, []float64{11, 21})},
		{"jiq is best up to 50% load, no clear winner at 60%, p2c from 70%", finding(2, ab, []float64{10, 20, 40}, []float64{15, 21, 30})},
		{"Lowest P99: jiq is best at every load (no intervals)", finding(0, ab, []float64{10, 20}, []float64{15, 30})},
		{"jiq is best at 3 of 5 loads, p2c at 2", finding(1, ab, []float64{10, 20, 10, 20, 10}, []float64{15, 15, 15, 15, 15})},
		{"jiq: P99 goes from 10.0 ms at 50% load to 20.0 ms at 60% load", finding(1, ab, []float64{10, 20})},
		{"jiq: P99 is 10.0 ms at 50% load", finding(1, ab, []float64{10})},
		{"No P99 was measured", finding(0, ab, []float64{0, 0}, []float64{0, 0})},
		// A load without any value is passed over, one without a rival counts.
		{"jiq is best at every load", finding(1, ab, []float64{10, 0, 20}, []float64{15, 0, 0})},
	} {
		require.Equal(t, c.want, P99vsLoad(c.in, Light()).Title)
	}
}

func TestMatrixTitles(t *testing.T) {
	t.Parallel()
	ab := []string{"jiq", "p2c"}
	for _, c := range []struct {
		want string
		in   P99Input
	}{
		{"jiq is never behind; p2c is up to 2.00× the best, at 60% load", finding(0, ab, []float64{10, 20}, []float64{15, 40})},
		{"jiq is never more than 1.25× the best; p2c is up to 1.50×, at 50% load", finding(0, ab, []float64{10, 25}, []float64{15, 20})},
		{"All policies have the same P99", finding(0, ab, []float64{10}, []float64{10})},
		{"jiq has nothing to be compared with", finding(0, ab, []float64{10})},
		{"No P99 was measured", finding(0, ab, []float64{0})},
	} {
		require.Equal(t, c.want, Matrix(c.in, Light()).Title)
	}
	f := Matrix(finding(0, ab, []float64{10, 20}, []float64{15, 400}), Light())
	require.Equal(t, []string{"p2c", "1.50×", "20.0×"}, f.Rows[1])
	require.Equal(t, 1.0, f.Heat[1][1], "saturated")
	require.Equal(t, 0.0, f.Heat[0][0])
}

func TestCCDFAndTailTitles(t *testing.T) {
	t.Parallel()
	in := sampleCCDF(2)
	require.Equal(t, "round-robin has the shortest tail at 85% load", CCDF(in, Light()).Title)
	in.Series[0].P99 = in.Series[1].P99
	require.Equal(t, "No clear winner at 85% load", CCDF(in, Light()).Title)
	f := CCDF(in, Light())
	require.Contains(t, f.Foot, "cut below 30 requests")
	require.Equal(t, "30,000", f.Rows[0][5])

	bar := func(name string, queue, service float64) TailBar {
		return TailBar{Label: name, Parts: [6]*float64{ptr(0.0), ptr(0.0), ptr(0.0), &queue, ptr(0.0), &service}}
	}
	for _, c := range []struct {
		want string
		bars []TailBar
	}{
		{"Queueing is the largest part of the tail", []TailBar{bar("a", 5, 1)}},
		{"Queueing is the largest part of every tail", []TailBar{bar("a", 5, 1), bar("b", 5, 1)}},
		{"Queueing is the largest part of 2 tails, service of 1", []TailBar{bar("a", 5, 1), bar("b", 5, 1), bar("c", 1, 5)}},
		{"Why is P99 that: not reported", []TailBar{{Label: "a"}}},
	} {
		require.Equal(t, c.want, Tail(TailInput{Bars: c.bars}, Light()).Title)
	}
	f = Tail(sampleTail(3), Light())
	for _, r := range f.Rows {
		if r[0] == "round-robin" {
			require.Equal(t, Missing, r[4], "not reported is not zero")
			require.Contains(t, r[7], "≥ ")
		}
	}
}
