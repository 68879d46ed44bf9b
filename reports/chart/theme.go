package chart

import (
	"fmt"
	"image/color"
)

// ink is one of the named colours of a theme.
type ink int

// The named colours. Each is a CSS variable of the same name in the SVG.
const (
	none ink = iota
	paper
	text
	muted
	grid
	line1 // the four series colours
	line2
	line3
	line4
	label1 // the same, dark enough for small text
	label2
	label3
	label4
	inks
)

// inkNames are the CSS variables, without the leading dashes.
var inkNames = [inks]string{"", "bg", "ink", "muted", "grid", "s1", "s2", "s3", "s4", "t1", "t2", "t3", "t4"}

// Theme is a set of colours; Light and Dark are the two that exist.
type Theme struct {
	Name    string
	colours [inks]uint32
}

// Series colours are Okabe and Ito's blue, vermillion, green and purple: apart
// for all common kinds of colour blindness, and at least 3:1 on white. Small text
// needs 4.5:1, hence the darker tints.

// Light is black on white.
func Light() Theme {
	return Theme{Name: "light", colours: [inks]uint32{
		paper: 0xffffff, text: 0x1f2933, muted: 0x5b6773, grid: 0xe4e7eb,
		line1: 0x0072b2, line2: 0xd55e00, line3: 0x009e73, line4: 0xcc79a7,
		label1: 0x005a8c, label2: 0xa84800, label3: 0x00704f, label4: 0x9a4573,
	}}
}

// Dark is light ink on a near-black ground, the series lifted 28% to white.
func Dark() Theme {
	t := Theme{Name: "dark", colours: [inks]uint32{
		paper: 0x12161c, text: 0xe8ecf1, muted: 0x9aa5b1, grid: 0x2a313b,
	}}
	l := Light()
	for i := range ink(4) {
		t.colours[line1+i] = lift(l.colours[line1+i])
		t.colours[label1+i] = t.colours[line1+i]
	}
	return t
}

// lift moves a colour 28% towards white.
func lift(c uint32) uint32 {
	var out uint32
	for shift := 0; shift < 24; shift += 8 {
		v := c >> shift & 0xff
		out |= (v + (0xff-v)*28/100) << shift
	}
	return out
}

// hex is a colour as CSS writes it.
func (t Theme) hex(i ink) string { return fmt.Sprintf("#%06x", t.colours[i]) }

// rgba is a colour with an opacity between 0 and 1.
func (t Theme) rgba(i ink, opacity float64) color.Color {
	c := t.colours[i]
	return color.NRGBA{R: uint8(c >> 16), G: uint8(c >> 8), B: uint8(c), A: uint8(opacity*255 + .5)}
}

// Variables are the CSS declarations of a theme, such as `--ink:#1f2933;`. A page
// sets them on an element around an inline chart.
func (t Theme) Variables() string {
	out := ""
	for i := paper; i < inks; i++ {
		out += "--" + inkNames[i] + ":" + t.hex(i) + ";"
	}
	return out
}

// CSS are the rules that tie the classes used in an inline chart to the
// variables. The fallback in each rule is the theme's own colour.
func (t Theme) CSS() string {
	out := ""
	for i := paper; i < inks; i++ {
		v := "var(--" + inkNames[i] + "," + t.hex(i) + ")"
		out += ".f-" + inkNames[i] + "{fill:" + v + "}.l-" + inkNames[i] + "{stroke:" + v + "}"
	}
	return out
}

// look is how one series is drawn.
type look struct {
	line, label ink
	dash        []float64
	marker      int
	hollow      bool
}

// dashes in points: solid, dashed, dotted, dash-dot.
var dashes = [4][]float64{nil, {6, 2.5}, {1.5, 2}, {6, 2, 1.5, 2}}

// lookOf gives series i its colour, dash and marker. The first four have a colour
// each; later rounds repeat the colours, each with a dash it has not had.
func lookOf(i int) look {
	round := i / 4
	return look{
		line:   line1 + ink(i%4),
		label:  label1 + ink(i%4),
		dash:   dashes[(i+round)%4],
		marker: (i + round) % markers,
		hollow: round%2 == 1,
	}
}
