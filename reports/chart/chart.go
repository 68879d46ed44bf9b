// Package chart draws the figures of a report: P99 against load, the tail of the
// latency distribution, what the tail is made of, policies against loads, and a
// timeline.
//
// A chart is a pure function of its input and a theme: the same input gives the
// same bytes. The package computes no statistic; percentiles and intervals come in
// with the input, and the only thing it derives is the sentence above a chart,
// which is made from the data by rule (finding.go). It reads no file and knows no
// clock.
//
// Each chart function builds a Figure: a display list (scene.go) that is written
// as SVG (svg.go) or PNG (png.go), with a data table and an alternative text.
// Start reading at p99.go.
package chart

import (
	"fmt"
	"strings"
)

// Origin says where the numbers of a chart come from; it becomes the foot line
// and the prefix of the ids in the SVG.
type Origin struct {
	ID       string // prefix of the ids in the SVG; the kind of the chart if empty
	Scenario string
	Host     string // sim or live
	Commit   string // may be empty
	Seed     uint64
	Seeds    int
	Requests int64 // measured requests behind the chart; 0 leaves it out

	// Palette lists all labels of the page, so that each has one colour in all charts,
	// whichever of them a chart draws and in whatever order. Nil: by place in the chart.
	Palette []string
}

// Value is a measured number with its confidence interval; both in the unit of
// the chart. Nil means unknown.
type Value struct {
	V  *float64
	CI *[2]float64
}

// Series is one line: X and Y have equal length, pairs that cannot be drawn are
// left out.
type Series struct {
	Label string
	X, Y  []float64
}

// maxSeries is how many series a chart draws; beyond it colour, dash and marker
// no longer tell them apart. The data table always holds all of them.
const maxSeries = 12

// hostWord is how a host is named to readers.
func hostWord(host string) string {
	switch host {
	case "sim":
		return "simulated"
	case "live":
		return "measured live"
	case "both":
		return "simulated and measured live"
	}
	return host
}

// foot is the small line under a chart.
func (o Origin) foot(notes ...string) string {
	var parts []string
	if o.Scenario != "" {
		parts = append(parts, o.Scenario)
	}
	if w := hostWord(o.Host); w != "" {
		parts = append(parts, w)
	}
	parts = append(parts, fmt.Sprintf("seed %d", o.Seed))
	if o.Commit != "" {
		parts = append(parts, "commit "+cut(o.Commit, 9))
	}
	if o.Requests > 0 {
		n := "n = " + Count(o.Requests)
		if o.Seeds > 0 {
			n += " in " + plural(o.Seeds, "seed")
		}
		parts = append(parts, n)
	}
	for _, n := range notes {
		if n != "" {
			parts = append(parts, n)
		}
	}
	return strings.Join(parts, " · ")
}

// id is the prefix of all ids of a chart, safe inside an SVG and a URL fragment.
func (o Origin) id(kind string) string {
	s := o.ID
	if s == "" {
		s = kind
	}
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			b.WriteRune(r)
		}
	}
	if b.Len() == 0 {
		return kind
	}
	return "c-" + b.String()
}

// cut shortens s to n runes.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// plural prints a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") {
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
