package chart

import (
	"math"
	"strconv"
	"strings"
)

// Missing is printed for a number that is unknown or not applicable.
const Missing = "–"

// Latency prints milliseconds to 3 significant digits in the unit that suits:
// "85.0 µs", "118 ms", "1.10 s". Anything that is no latency prints as Missing.
func Latency(ms float64) string {
	if !finite(ms) {
		return Missing
	}
	// Round first: 999.6 ms is 1.00 s, not 1000 ms.
	switch r := math.Abs(round3(ms)); {
	case r == 0:
		return "0 ms"
	case r < 1:
		return Digits(ms*1e3, 3) + " µs"
	case r < 1e3:
		return Digits(ms, 3) + " ms"
	default:
		return Digits(ms/1e3, 3) + " s"
	}
}

// LatencyPtr is Latency of a number that may be absent.
func LatencyPtr(ms *float64) string {
	if ms == nil {
		return Missing
	}
	return Latency(*ms)
}

// Percent prints a fraction as an unsigned percentage: 0.85 is "85%". Trailing
// zeros are dropped: it names settings such as a load.
func Percent(f float64) string {
	if !finite(f) {
		return Missing
	}
	return strconv.FormatFloat(round(f*100, 4), 'f', -1, 64) + "%"
}

// Share prints a fraction as a percentage with 3 significant digits: "0.412%".
func Share(f float64) string {
	if !finite(f) {
		return Missing
	}
	if f == 0 {
		return "0%"
	}
	return Digits(f*100, 3) + "%"
}

// Change prints a fraction as a signed percentage with a true minus sign:
// "−10.2%", "+187%". Below 1% two decimals are enough.
func Change(f float64) string {
	if !finite(f) {
		return Missing
	}
	p := f * 100
	sign := "+"
	if p < 0 {
		sign = "−"
	}
	p = math.Abs(p)
	if round3(p) < 1 {
		s := strconv.FormatFloat(p, 'f', 2, 64)
		if s == "0.00" {
			return "0.00%"
		}
		return sign + s + "%"
	}
	return sign + Digits(p, 3) + "%"
}

// PlusMinus prints half of an interval relative to its value: "±3.1%". Below 0.01% the
// digits would say more than any run can.
func PlusMinus(value float64, lo, hi float64) string {
	h := (hi - lo) / 2 / value
	if !finite(h) || h < 0 {
		return Missing
	}
	if h == 0 {
		return "±0%"
	}
	if h < 1e-4 {
		return "±<0.01%"
	}
	return "±" + Digits(h*100, 2) + "%"
}

// Digits prints v with n significant digits, trailing zeros kept, never in
// exponent form between 1e-6 and 1e15.
func Digits(v float64, n int) string {
	if !finite(v) {
		return Missing
	}
	if v == 0 {
		return "0"
	}
	r := round(v, n)
	e := int(math.Floor(math.Log10(math.Abs(r)) + 1e-12))
	if e < -6 || e > 15 {
		return minus(strconv.FormatFloat(v, 'e', n-1, 64))
	}
	return minus(strconv.FormatFloat(r, 'f', max(0, n-1-e), 64))
}

// Count prints an integer with thousands separators.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "−" + s
	}
	return s
}

// minus replaces the hyphen by a true minus sign.
func minus(s string) string {
	if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	}
	return s
}

// round rounds to n significant digits by way of decimal text, so that halves
// fall as they do in print.
func round(v float64, n int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', n-1, 64), 64)
	if err != nil {
		return v
	}
	return r
}

func round3(v float64) float64 { return round(v, 3) }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// The range of numbers that are drawn. Latencies end at 1 h, 3.6e6 ms; what is far
// beyond is a mistake, and sums and ratios of it would overflow.
const (
	leastDrawn = 1e-12
	mostDrawn  = 1e12
)

// drawable is true for a number that has a place on a log axis.
func drawable(v *float64) bool { return v != nil && *v >= leastDrawn && *v <= mostDrawn }

// plottable is true for a number that has a place on a linear axis.
func plottable(v float64) bool { return math.Abs(v) <= mostDrawn }

// known is true for an interval that can be compared and drawn.
func (v Value) known() bool {
	return v.CI != nil && finite(v.CI[0]) && finite(v.CI[1]) && v.CI[0] <= v.CI[1]
}

// Range prints an interval of latencies, in one unit if both ends share it:
// "486…517 ms".
func Range(lo, hi float64) string {
	l, h := Latency(lo), Latency(hi)
	lu, hu := strings.LastIndexByte(l, ' '), strings.LastIndexByte(h, ' ')
	if lu > 0 && hu > 0 && l[lu:] == h[hu:] {
		l = l[:lu]
	}
	return l + "…" + h
}
