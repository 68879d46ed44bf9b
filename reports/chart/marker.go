package chart

import "math"

// markers is the number of marker shapes.
const markers = 8

// marker draws shape number look.marker around p. Hollow ones are filled with the
// ground, so that the line does not show through.
func (s *scene) marker(l look, p pt, r float64, tip string) {
	o := op{path: shape(l.marker, p, r), closed: true, fill: l.line, opacity: 1, tip: tip}
	if l.hollow {
		o.fill, o.stroke, o.width = paper, l.line, 1.1
	}
	s.add(o)
}

// shape is the outline of a marker.
func shape(kind int, p pt, r float64) []pt {
	switch kind {
	case 1: // square
		return polygon(p, r*1.2, 4, math.Pi/4)
	case 2: // triangle up
		return polygon(p, r*1.35, 3, -math.Pi/2)
	case 3: // diamond
		return polygon(p, r*1.35, 4, 0)
	case 4: // triangle down
		return polygon(p, r*1.35, 3, math.Pi/2)
	case 5: // plus
		return cross(p, r*1.3, 0)
	case 6: // cross
		return cross(p, r*1.3, math.Pi/4)
	case 7: // hexagon
		return polygon(p, r*1.25, 6, 0)
	}
	return polygon(p, r, 14, 0) // round enough at this size
}

func polygon(c pt, r float64, n int, turn float64) []pt {
	out := make([]pt, n)
	for i := range out {
		sin, cos := math.Sincos(turn + 2*math.Pi*float64(i)/float64(n))
		out[i] = pt{c.x + r*cos, c.y + r*sin}
	}
	return out
}

// cross is the outline of a plus sign, turned.
func cross(c pt, r, turn float64) []pt {
	t := r * 0.36
	corners := []pt{{t, -r}, {t, -t}, {r, -t}, {r, t}, {t, t}, {t, r}, {-t, r}, {-t, t}, {-r, t}, {-r, -t}, {-t, -t}, {-t, -r}}
	sin, cos := math.Sincos(turn)
	for i, q := range corners {
		corners[i] = pt{c.x + q.x*cos - q.y*sin, c.y + q.x*sin + q.y*cos}
	}
	return corners
}
