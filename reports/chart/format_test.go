package chart

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ want, got string }{
		{"1.10 s", Latency(1100)}, {"1.14 s", Latency(1140)}, {"1.00 s", Latency(999.6)}, {"999 ms", Latency(999.4)},
		{"118 ms", Latency(118)}, {"1.00 ms", Latency(0.9996)}, {"85.0 µs", Latency(0.085)}, {"0 ms", Latency(0)},
		{"1230 s", Latency(1_230_000)}, {Missing, Latency(math.NaN())}, {Missing, Latency(math.Inf(1))}, {Missing, LatencyPtr(nil)},
		{"85%", Percent(0.85)}, {"2.5%", Percent(0.025)}, {"100%", Percent(1)}, {"57%", Percent(0.57)},
		{"0.412%", Share(0.00412)}, {"0%", Share(0)}, {"12.0%", Share(0.12)}, {Missing, Share(math.NaN())},
		{"−10.2%", Change(-0.102)}, {"+187%", Change(1.87)}, {"+3.90%", Change(0.039)}, {"+0.05%", Change(0.0005)}, {"0.00%", Change(1e-9)}, {"+1.00%", Change(0.00999999)},
		{"±3.1%", PlusMinus(501, 486, 517)}, {"±13%", PlusMinus(100, 87, 113)}, {"±0%", PlusMinus(1, 1, 1)}, {"±<0.01%", PlusMinus(1, .99995, 1.00005)}, {"±0.020%", PlusMinus(1, .9998, 1.0002)}, {Missing, PlusMinus(0, 0, 0)},
		{"486…517 ms", Range(486, 517)}, {"900 ms…1.10 s", Range(900, 1100)},
		{"1,620,000", Count(1_620_000)}, {"999", Count(999)}, {"−1,000", Count(-1000)},
		{"0.0100", Digits(0.01, 3)}, {"12300", Digits(12345, 3)}, {"1.00e-09", Digits(1e-9, 3)},
	} {
		require.Equal(t, c.want, c.got)
	}
}

// What is printed is the number rounded to 3 significant digits, nothing else.
func TestDigitsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := math.Pow(10, rapid.Float64Range(-5, 12).Draw(t, "exponent"))
		s := Digits(v, 3)
		require.InEpsilon(t, v, parse(t, s), 0.005+1e-12, s)
		require.Equal(t, s, Digits(parse(t, s), 3), "printing what was read changes nothing")
	})
}

func parse(t require.TestingT, s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return v
}
