package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Suggest is the hint for a name that does not exist: the nearest valid ones, else
// those it is a part of, or all of them where none is near and they are few. Case does
// not matter. listing says where all are
// listed ("taillab list policies"); it may be empty.
func Suggest(name string, valid []string, listing string) string {
	name = strings.ToLower(name)
	best, limit := []string(nil), max(1, utf8.RuneCountInString(name)/3)
	for _, v := range valid {
		switch d := distance(name, strings.ToLower(v), limit); {
		case d < limit || d == limit && best == nil:
			best, limit = []string{v}, d
		case d == limit && !slices.Contains(best, v):
			best = append(best, v)
		}
	}
	if best == nil {
		best = containing(name, valid)
	}
	switch {
	case len(best) > 0:
		hint := "did you mean " + quoted(best[:min(3, len(best))]) + "?"
		if listing != "" {
			hint += " see: " + listing
		}
		return hint
	case len(valid) == 0:
		return ""
	case len(valid) <= 12:
		return "one of: " + strings.Join(valid, " ")
	case listing != "":
		return "see: " + listing
	}
	return fmt.Sprintf("one of: %s … (%d in all)", strings.Join(valid[:12], " "), len(valid))
}

// containing lists the names that the user has written a part of.
func containing(part string, valid []string) []string {
	var out []string
	for _, v := range valid {
		if utf8.RuneCountInString(part) > 2 && strings.Contains(strings.ToLower(v), part) && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// near is Suggest for a message that lists the valid names itself.
func near(name string, valid []string) string {
	if s := Suggest(name, valid, ""); strings.HasPrefix(s, "did you mean") {
		return s
	}
	return ""
}

func quoted(names []string) string {
	var q []string
	for _, n := range names {
		q = append(q, strconv.Quote(n))
	}
	if len(q) < 2 {
		return strings.Join(q, "")
	}
	return strings.Join(q[:len(q)-1], ", ") + " or " + q[len(q)-1]
}

// distance counts the edits between a and b (Damerau–Levenshtein, swaps of
// neighbours count once, no edit inside a swap); limit+1 stands for anything beyond.
func distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > limit || len(y)-len(x) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(y)], limit+1)
}
