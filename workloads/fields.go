package workloads

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// splitFields cuts a line of CSV or TSV. A field in quotes may hold the
// separator and doubled quotes, not a line break.
func splitFields(line []byte, sep byte, out []string) ([]string, error) {
	out = out[:0]
	for {
		if len(line) > 0 && line[0] == '"' {
			field, rest, err := unquote(line[1:])
			if err != nil {
				return out, err
			}
			out = append(out, field)
			if len(rest) == 0 {
				return out, nil
			}
			if rest[0] != sep {
				return out, fmt.Errorf("text after a closing quote")
			}
			line = rest[1:]
			continue
		}
		i := bytes.IndexByte(line, sep)
		if i < 0 {
			return append(out, string(line)), nil
		}
		out = append(out, string(line[:i]))
		line = line[i+1:]
	}
}

func unquote(s []byte) (field string, rest []byte, err error) {
	var b strings.Builder
	for {
		i := bytes.IndexByte(s, '"')
		if i < 0 {
			return "", nil, fmt.Errorf("a quote that is not closed on its line")
		}
		b.Write(s[:i])
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			s = s[i+2:]
			continue
		}
		return b.String(), s[i+1:], nil
	}
}

// parseTokens reads a token count; "374.0" is one too.
func parseTokens(s string, least uint32) (uint32, string) {
	s = strings.TrimSpace(s)
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1e18 {
			return 0, "not a whole number"
		}
		v = int64(f)
	}
	switch {
	case v < 0:
		return 0, "negative"
	case v > MaxTokens:
		return 0, fmt.Sprintf("more than %d tokens", MaxTokens)
	case uint32(v) < least:
		return 0, fmt.Sprintf("below the minimum of %d", least)
	}
	return uint32(v), ""
}

// parseDecimal reads a number of the given unit into ns, exactly where it is
// written without an exponent: a float would lose digits of an epoch stamp.
func parseDecimal(s string, unit int64) (time.Duration, string) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "-") {
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return 0, "not a number"
		}
		return 0, "negative"
	}
	whole, frac, _ := strings.Cut(strings.TrimPrefix(s, "+"), ".")
	if digits(whole) && digits(frac) && whole+frac != "" {
		return exactDecimal(whole, frac, unit)
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(f):
		return 0, "not a number"
	case f*float64(unit) >= horizon:
		return 0, "out of range"
	}
	return nanoseconds(f * float64(unit)), ""
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func exactDecimal(whole, frac string, unit int64) (time.Duration, string) {
	var v int64
	if whole != "" {
		w, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || w >= horizon/unit {
			return 0, "out of range"
		}
		v = w * unit
	}
	for scale := unit; frac != "" && scale > 0; frac = frac[1:] {
		digit := int64(frac[0] - '0')
		if scale == 1 { // beyond the last ns: round half up
			if digit >= 5 {
				v++
			}
			break
		}
		scale /= 10
		v += digit * scale
	}
	return time.Duration(v), ""
}

// parseStamp reads a date with time, with or without a zone; UTC is assumed.
func parseStamp(s string) (time.Duration, string) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", time.RFC3339, "2006-01-02T15:04:05"} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if y := t.Year(); y < 1970 || y > 2100 {
			return 0, "a year before 1970 or after 2100"
		}
		return time.Duration(t.UnixNano()), ""
	}
	return 0, "not a time stamp"
}

// nearest is the name with the fewest edits to what was written, "" if none is near.
func nearest(name string, names []string) string {
	best, at := max(1, len(name)/3)+1, ""
	for _, n := range names {
		if d := edits(strings.ToLower(name), strings.ToLower(n)); d < best {
			best, at = d, n
		}
	}
	return at
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
