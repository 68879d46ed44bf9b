package chart

import (
	"bytes"
	"fmt"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
)

// dpi makes a chart 1229 × 768 pixels. The library's own Save draws at 96.
const dpi = 192

// PNG is the chart as an image of 1229 × 768 pixels in the colours of its theme.
// Last digits of floating point differ between architectures: compare SVG, not
// PNG.
func (f Figure) PNG() ([]byte, error) {
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(width), vg.Length(height)), vgimg.UseDPI(dpi),
		vgimg.UseBackgroundColor(f.theme.rgba(paper, 1)))
	for _, o := range f.scene.ops {
		switch o.kind {
		case textOp:
			f.drawText(c, o)
		case pathOp:
			f.drawPath(c, o)
		}
	}
	var b bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(&b); err != nil {
		return nil, fmt.Errorf("chart %s: writing the PNG: %w", f.Kind, err)
	}
	return b.Bytes(), nil
}

// up turns a place of the scene into one of the library, whose y grows upwards.
func up(p pt) vg.Point { return vg.Point{X: vg.Length(p.x), Y: vg.Length(height - p.y)} }

func (f Figure) drawPath(c vg.Canvas, o op) {
	var p vg.Path
	for i, q := range o.path {
		if i == 0 {
			p.Move(up(q))
		} else {
			p.Line(up(q))
		}
	}
	if o.closed {
		p.Close()
	}
	if o.fill != none {
		c.SetColor(f.theme.rgba(o.fill, o.opacity))
		c.Fill(p)
	}
	if o.stroke != none {
		d := make([]vg.Length, len(o.dash))
		for i, v := range o.dash {
			d[i] = vg.Length(v)
		}
		c.SetColor(f.theme.rgba(o.stroke, 1))
		c.SetLineWidth(vg.Length(o.width))
		c.SetLineDash(d, 0)
		c.Stroke(p)
	}
}

func (f Figure) drawText(c vg.Canvas, o op) {
	fc := face(o.size, o.bold)
	at := up(o.path[0])
	shift := -vg.Length(o.anchor) * fc.Width(o.text)
	c.SetColor(f.theme.rgba(o.fill, 1))
	if !o.up {
		at.X += shift
		c.FillString(fc, at, o.text)
		return
	}
	c.Push()
	c.Translate(at)
	c.Rotate(math.Pi / 2)
	c.FillString(fc, vg.Point{X: shift}, o.text)
	c.Pop()
}
