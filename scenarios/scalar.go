package scenarios

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// bad says why a scalar cannot be read: what it must be, and a hint.
type bad struct{ must, hint string }

// units of durations, for the examples in hints.
const unitHint = "add a unit, such as %s (us ms s m h)"

// readDuration reads `250us 5ms 1.5s 2m 1h30m`.
func readDuration(s string) (time.Duration, *bad) {
	s = strings.TrimSpace(s)
	if x, err := strconv.ParseFloat(s, 64); err == nil {
		if x == 0 {
			return 0, nil
		}
		return 0, &bad{"a duration needs a unit", fmt.Sprintf(unitHint, s+"ms")}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, &bad{"it must be a duration", "such as 250us, 5ms, 1.5s, 2m or 1h"}
	}
	return d, nil
}

// readRate reads `40/s 10/min 3600/h` as a rate per second.
func readRate(s string) (float64, *bad) {
	number, unit, ok := strings.Cut(strings.TrimSpace(s), "/")
	x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, &bad{"it must be a rate", "such as 40/s or 10/min"}
	}
	if !ok {
		return 0, &bad{"a rate needs a unit", fmt.Sprintf("add a unit, such as %s/s (/s /min /h)", number)}
	}
	switch strings.TrimSpace(unit) {
	case "s":
		return x, nil
	case "ms":
		return x * 1e3, nil
	case "m", "min":
		return x / 60, nil
	case "h":
		return x / 3600, nil
	}
	return 0, &bad{"it must be a rate", "such as 40/s or 10/min"}
}

// readFloat reads a plain number.
func readFloat(s string) (float64, *bad) {
	x, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, &bad{"it must be a number", ""}
	}
	return x, nil
}

// readShare reads a number or a percentage: 0.1 or 10%.
func readShare(s string) (float64, *bad) {
	if p, ok := strings.CutSuffix(strings.TrimSpace(s), "%"); ok {
		x, b := readFloat(strings.TrimSpace(p))
		if b != nil {
			return 0, &bad{"it must be a percentage", "such as 10%"}
		}
		return x / 100, nil
	}
	x, b := readFloat(s)
	if b != nil {
		return 0, &bad{"it must be a number or a percentage", "such as 10%"}
	}
	return x, nil
}

// readInt reads a whole number; 1e6 is one too.
func readInt(s string) (int64, *bad) {
	t := strings.ReplaceAll(s, "_", "")
	if x, err := strconv.ParseInt(t, 10, 64); err == nil {
		return x, nil
	}
	x, b := readFloat(t)
	if b != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, &bad{"it must be a whole number", ""}
	}
	return int64(x), nil
}

// readBool reads true and false; yes, no, on and off are the words of old YAML.
func readBool(s string) (bool, *bad) {
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true, nil
	case "false", "no", "off":
		return false, nil
	}
	return false, &bad{"it must be true or false", ""}
}

// durationText writes a duration as scenarios do: 500ms, 1.5s, 2m, 1h30m.
func durationText(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0 && d < time.Hour && d > -time.Hour:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return strings.ReplaceAll(s, "µ", "u")
}

// numberText writes a number without exponent where it is short.
func numberText(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}
