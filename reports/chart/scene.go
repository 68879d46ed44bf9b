package chart

import (
	"slices"
	"strings"
	"sync"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
)

// The size of a chart in points: 6.4 in × 4 in.
const (
	width  = 460.8
	height = 288.0
)

// pt is a place on the chart in points; y grows downwards.
type pt struct{ x, y float64 }

// scene is a display list. It stands between the charts and the two formats so
// that series stay groups in the SVG, which a page can hide or read out, and so
// that colours stay names until the end.
type scene struct {
	ops     []op
	x, y    *axis    // for the read-out of a page; nil if there is none
	palette []string // of the page
}

// look is how series i of a chart is drawn: as its label is on the whole page. A label
// that the page does not know comes after all that it does.
func (s *scene) look(label string, i int) look {
	if k := slices.Index(s.palette, label); k >= 0 {
		return lookOf(k)
	}
	return lookOf(len(s.palette) + i)
}

// op is one thing to draw. Exactly one of path, text and group is used.
type op struct {
	path  []pt
	text  string
	group int // with kind groupOpen: the series it belongs to

	kind    opKind
	closed  bool
	line    bool // the path is the data line of its group
	fill    ink
	stroke  ink
	opacity float64 // of the fill
	width   float64
	dash    []float64

	size   float64
	bold   bool
	anchor float64 // 0 start, 0.5 middle, 1 end
	up     bool    // rotated by 90°, reading upwards
	tip    string  // what a pointer resting on it reads
}

type opKind uint8

const (
	pathOp opKind = iota
	textOp
	groupOpen
	groupClose
)

func (s *scene) add(o op) { s.ops = append(s.ops, o) }

// stroke draws an open line.
func (s *scene) stroke(c ink, w float64, dash []float64, p ...pt) {
	if len(p) > 1 {
		s.add(op{path: p, stroke: c, width: w, dash: dash})
	}
}

// fill draws a closed area.
func (s *scene) fill(c ink, opacity float64, p ...pt) {
	if len(p) > 2 {
		s.add(op{path: p, closed: true, fill: c, opacity: opacity})
	}
}

// rect fills a rectangle given by two corners.
func (s *scene) rect(c ink, opacity, x0, y0, x1, y1 float64) {
	s.fill(c, opacity, pt{x0, y0}, pt{x1, y0}, pt{x1, y1}, pt{x0, y1})
}

// write puts text with its baseline at (x, y).
func (s *scene) write(x, y float64, str string, size float64, c ink, anchor float64) {
	if str != "" {
		s.add(op{kind: textOp, path: []pt{{x, y}}, text: str, size: size, fill: c, anchor: anchor})
	}
}

// writeBold is write in bold.
func (s *scene) writeBold(x, y float64, str string, size float64, c ink, anchor float64) {
	if str != "" {
		s.add(op{kind: textOp, path: []pt{{x, y}}, text: str, size: size, fill: c, anchor: anchor, bold: true})
	}
}

// series runs draw inside a group that a page can address.
func (s *scene) series(i int, draw func()) {
	s.add(op{kind: groupOpen, group: i})
	draw()
	s.add(op{kind: groupClose})
}

// Liberation Sans has the widths of Arial and Helvetica, so what fits here fits in
// a browser; slack covers wider fallbacks.
const slack = 1.06

var faces = sync.OnceValue(func() *font.Cache { return font.NewCache(liberation.Collection()) })

// weightBold is WeightBold of golang.org/x/image/font. It is not 2: SemiBold has no
// Liberation face, and the library falls back to regular without a word.
const weightBold = 3

// face is Liberation Sans.
func face(size float64, bold bool) font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if bold {
		f.Weight = weightBold
	}
	return faces().Lookup(f, vg.Length(size))
}

// textWidth is the width of s in points. The face has no CJK glyphs: those count
// as squares, which is how wide any font draws them.
func textWidth(s string, size float64, bold bool) float64 {
	wide := 0
	known := strings.Map(func(r rune) rune {
		if r >= 0x1100 {
			wide++
			return -1
		}
		return r
	}, s)
	f := face(size, bold)
	return (float64(f.Width(known)) + float64(wide)*size) * slack
}

// fit shortens s with an ellipsis until it is at most w points wide.
func fit(s string, size, w float64, bold bool) string {
	if textWidth(s, size, bold) <= w {
		return s
	}
	r := []rune(s)
	lo, hi := 0, len(r)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if textWidth(string(r[:mid])+"…", size, bold) <= w {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return strings.TrimRight(string(r[:lo]), " ") + "…"
}

// wrap breaks s at blanks into lines of at most w points; what is beyond the
// last line is cut with an ellipsis.
func wrap(s string, size, w float64, bold bool, lines int) []string {
	var out []string
	words := strings.Fields(s)
	for len(words) > 0 && len(out) < lines-1 {
		n := 1
		for n < len(words) && textWidth(strings.Join(words[:n+1], " "), size, bold) <= w {
			n++
		}
		out = append(out, fit(strings.Join(words[:n], " "), size, w, bold))
		words = words[n:]
	}
	if len(words) > 0 {
		out = append(out, fit(strings.Join(words, " "), size, w, bold))
	}
	return out
}
