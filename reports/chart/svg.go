package chart

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// fontFamily begins with faces that have the widths the layout was made with.
const fontFamily = `Arial,'Liberation Sans',Helvetica,sans-serif`

// svg writes the scene. Every colour is given twice: as a presentation attribute
// for programs without CSS variables, and as a class that a style sheet beats it
// with.
func (f Figure) svg(alone bool) []byte {
	var b bytes.Buffer
	if alone {
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-labelledby="%s-t %s-d" font-family="%s"`,
		num(width), num(height), f.ID, f.ID, fontFamily)
	if alone {
		fmt.Fprintf(&b, ` width="%spt" height="%spt"`, num(width), num(height))
	}
	if f.scene.x != nil && f.scene.y != nil {
		fmt.Fprintf(&b, ` data-x="%s" data-y="%s"`, f.scene.x.data(), f.scene.y.data())
	}
	fmt.Fprintf(&b, ">\n<title id=\"%s-t\">%s</title>\n<desc id=\"%s-d\">%s</desc>\n", f.ID, escape(f.Title), f.ID, escape(f.Alt))
	if alone {
		fmt.Fprintf(&b, "<style>%s</style>\n", f.theme.CSS())
	}
	fmt.Fprintf(&b, "<rect width=\"%s\" height=\"%s\"%s/>\n", num(width), num(height), f.paint(paper, none, 1))
	for _, o := range f.scene.ops {
		f.writeOp(&b, o)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (f Figure) writeOp(b *bytes.Buffer, o op) {
	switch o.kind {
	case groupOpen:
		fmt.Fprintf(b, "<g data-s=\"%d\">\n", o.group)
	case groupClose:
		b.WriteString("</g>\n")
	case textOp:
		f.writeText(b, o)
	case pathOp:
		f.writePath(b, o)
	}
}

func (f Figure) writeText(b *bytes.Buffer, o op) {
	p := o.path[0]
	fmt.Fprintf(b, `<text x="%s" y="%s" font-size="%s"`, num(p.x), num(p.y), num(o.size))
	if o.bold {
		b.WriteString(` font-weight="bold"`)
	}
	switch o.anchor {
	case 0.5:
		b.WriteString(` text-anchor="middle"`)
	case 1:
		b.WriteString(` text-anchor="end"`)
	}
	if o.up {
		fmt.Fprintf(b, ` transform="rotate(-90 %s %s)"`, num(p.x), num(p.y))
	}
	fmt.Fprintf(b, "%s>%s</text>\n", f.paint(o.fill, none, 1), escape(o.text))
}

func (f Figure) writePath(b *bytes.Buffer, o op) {
	b.WriteString(`<path d="`)
	for i, p := range o.path {
		if i == 0 {
			b.WriteByte('M')
		} else {
			b.WriteByte('L')
		}
		b.WriteString(num(p.x) + "," + num(p.y))
	}
	if o.closed {
		b.WriteByte('Z')
	}
	b.WriteByte('"')
	b.WriteString(f.paint(o.fill, o.stroke, o.opacity))
	if o.line {
		b.WriteString(` data-l=""`)
	}
	if o.stroke != none {
		fmt.Fprintf(b, ` stroke-width="%s"`, num(o.width))
		b.WriteString(dashAttr(o.dash))
	}
	if o.tip == "" {
		b.WriteString("/>\n")
		return
	}
	fmt.Fprintf(b, "><title>%s</title></path>\n", escape(o.tip))
}

func dashAttr(dash []float64) string {
	if len(dash) == 0 {
		return ""
	}
	s := make([]string, len(dash))
	for i, d := range dash {
		s[i] = num(d)
	}
	return ` stroke-dasharray="` + strings.Join(s, ",") + `"`
}

// paint writes fill and stroke with their classes.
func (f Figure) paint(fill, stroke ink, opacity float64) string {
	var class []string
	out := ""
	if fill == none {
		out += ` fill="none"`
	} else {
		out += ` fill="` + f.theme.hex(fill) + `"`
		class = append(class, "f-"+inkNames[fill])
		if opacity < 1 {
			out += ` fill-opacity="` + num(opacity) + `"`
		}
	}
	if stroke != none {
		out += ` stroke="` + f.theme.hex(stroke) + `"`
		class = append(class, "l-"+inkNames[stroke])
	}
	if len(class) == 0 {
		return out
	}
	return ` class="` + strings.Join(class, " ") + `"` + out
}

// num prints a coordinate to a hundredth of a point.
func num(v float64) string {
	if !finite(v) {
		v = 0
	}
	return strconv.FormatFloat(math.Round(v*100)/100+0, 'f', -1, 64)
}

// escape makes text safe in XML, and drops what XML cannot hold.
func escape(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "�") {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&#34;")
		case r == '\'':
			b.WriteString("&#39;")
		case r < 0x20 || r == 0x7f || r == 0xfffe || r == 0xffff:
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
