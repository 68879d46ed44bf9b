package gpu

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Nanos is a cost in nanoseconds that may be a fraction of one: time.Duration
// would turn 0.9 ns per squared token into 0 without a word. In a file it is a
// number with a unit: "0.95ms", "2.7ns".
type Nanos float64

// Of converts a duration to a cost.
func Of(d time.Duration) Nanos { return Nanos(d) }

// units lists the suffixes a cost may carry, longest first where one ends another.
var units = [...]struct { //purity:table
	name string
	ns   float64
}{{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"μs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}

// UnmarshalText reads a number with a unit, so any decoder that knows
// encoding.TextUnmarshaler can fill a Spec.
func (n *Nanos) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := parse(number)
		if v *= u.ns; err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%q is not a duration: write a number and a unit, e.g. 0.95ms", s)
		}
		*n = Nanos(v)
		return nil
	}
	if s == "0" {
		*n = 0
		return nil
	}
	return fmt.Errorf("%q has no unit: add ns, us, ms or s", s)
}

// parse reads the whole of s as a decimal number.
func parse(s string) (v float64, err error) {
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	var rest string
	if _, err = fmt.Sscanf(s+"|", "%g%s", &v, &rest); err == nil && rest != "|" {
		err = fmt.Errorf("%q is not a number", s)
	}
	return v, err
}

// MarshalText writes the cost as UnmarshalText reads it.
func (n Nanos) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// String prints the cost in the largest unit, of s, ms, us and ns, that keeps it
// at 1 or above.
func (n Nanos) String() string {
	v, a := float64(n), math.Abs(float64(n))
	switch {
	case a >= 1e9:
		return trim(v/1e9) + "s"
	case a >= 1e6:
		return trim(v/1e6) + "ms"
	case a >= 1e3:
		return trim(v/1e3) + "us"
	}
	return trim(v) + "ns"
}

// trim prints up to ten digits, so that 19.6 stays 19.6 after unit changes.
func trim(v float64) string { return fmt.Sprintf("%.10g", v) }

// longest bounds one piece of work: 2⁶⁰ ns, 36 years; an instant plus one such
// piece still fits a time.Duration for any run shorter than 250 years.
const longest = 1 << 60

// round turns work over a rate into whole nanoseconds, to nearest, at least 1
// where there is any work. The clamp stands before the conversion because an
// out-of-range one differs between CPUs.
func round(ns float64) time.Duration {
	switch {
	case !(ns > 0):
		return 0
	case ns >= longest:
		return longest
	}
	return max(1, time.Duration(ns+0.5))
}

// nearest is round without the floor of 1 ns: for instants along a stretch that
// has already lasted.
func nearest(ns float64) time.Duration {
	switch {
	case !(ns > 0):
		return 0
	case ns >= longest:
		return longest
	}
	return time.Duration(ns + 0.5)
}
