package chart

import (
	"fmt"
	"math"
)

// saturation is the ratio from which cells of the matrix look alike.
const saturation = 8

// Matrix draws policies against loads: each cell is P99 over the best P99 of its
// column. The colour saturates at 8×; the number does not.
func Matrix(in P99Input, theme Theme) Figure {
	f := Figure{
		Kind: KindMatrix, ID: in.id(string(KindMatrix)), theme: theme, scene: &scene{},
		Title:    matrixTitle(in),
		Subtitle: "P99 divided by the best P99 at the same " + in.axisWord() + "; 1.00 is the best",
		Labels:   labelsOf(in.Series),
	}
	f.Header, f.Rows, f.Heat = in.ratioTable()
	shown, note := in.shown()
	f.Foot = in.foot("colour saturates at 8×", note)
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	if _, _, ok := in.span(shown); !ok {
		f.Rows = nil
		f.scene.nothing(b, "no P99 to compare: too few completed requests")
	} else {
		f.scene.cells(b, in, shown)
	}
	f.Alt = f.Title + ". " + f.Subtitle + ". The data table below the chart holds every ratio."
	return f
}

// ratio is P99 of series i over the best at load k; false if either is missing.
func (in P99Input) ratio(i, k int) (float64, bool) {
	v, l := in.Series[i].value(k), in.leadAt(k)
	if v.V == nil || l.best < 0 {
		return 0, false
	}
	return *v.V / *in.Series[l.best].value(k).V, true
}

// worstRatio is the largest ratio of a series and where it stands; +Inf for a
// series without values. A missing value does not count against it.
func (in P99Input) worstRatio(i int) (k int, worst float64) {
	k = -1
	for j := range in.X {
		if r, ok := in.ratio(i, j); ok && (k < 0 || r > worst) {
			k, worst = j, r
		}
	}
	if k < 0 {
		return -1, math.Inf(1)
	}
	return k, worst
}

// matrixTitle names the safest policy and the worst cell.
func matrixTitle(in P99Input) string {
	safest, worst := -1, -1
	least, most := math.Inf(1), 0.0
	at := 0
	n := 0
	for i := range in.Series {
		k, r := in.worstRatio(i)
		if k < 0 {
			continue
		}
		n++
		if r < least {
			safest, least = i, r
		}
		if r > most {
			worst, most, at = i, r, k
		}
	}
	switch {
	case n == 0:
		return "No P99 was measured"
	case n == 1:
		return in.Series[safest].Label + " has nothing to be compared with"
	case round3(least) == 1 && worst == safest:
		return "All policies have the same P99"
	case round3(least) == 1:
		return fmt.Sprintf("%s is never behind; %s is up to %s× the best, at %s",
			in.Series[safest].Label, in.Series[worst].Label, Digits(most, 3), in.xLabel(in.X[at]))
	}
	return fmt.Sprintf("%s is never more than %s× the best; %s is up to %s×, at %s",
		in.Series[safest].Label, Digits(least, 3), in.Series[worst].Label, Digits(most, 3), in.xLabel(in.X[at]))
}

// cells draws the table.
func (s *scene) cells(b box, in P99Input, shown []int) {
	names := 0.0
	for _, i := range shown {
		names = max(names, textWidth(in.Series[i].Label, labelSize, false))
	}
	names = min(names, 130)
	b.left += names + 8
	b.bottom -= 26
	w := min(b.width()/float64(len(in.X)), 64)
	h := min(b.height()/float64(len(shown)), 26)
	b.right, b.bottom = b.left+w*float64(len(in.X)), b.top+h*float64(len(shown))
	size := min(labelSize, w/3, h-3)
	for row, i := range shown {
		y := b.top + h*float64(row)
		s.series(i, func() {
			s.write(b.left-6, y+h/2+3, fit(in.Series[i].Label, labelSize, names, false), labelSize, text, 1)
			for k := range in.X {
				s.cell(in, i, k, box{b.left + w*float64(k), y, b.left + w*float64(k+1), y + h}, size)
			}
		})
	}
	x := axis{lo: 0, hi: float64(len(in.X)), p0: b.left, p1: b.right}
	var ts []tick
	for k, v := range in.X {
		ts = append(ts, tick{float64(k) + 0.5, in.xTick(v)})
	}
	every := 1
	for most := widest(ts) + 4; w*float64(every) < most; every++ {
	}
	for k := range ts {
		if (len(ts)-1-k)%every == 0 {
			s.write(x.at(ts[k].v), b.bottom+11, ts[k].label, tickSize, muted, 0.5)
		}
	}
	s.write((b.left+b.right)/2, b.bottom+22, in.xWord(), tickSize, muted, 0.5)
}

// cell draws one ratio. The tint grows with its logarithm; it stays light enough
// in both themes for the one ink to be read on it.
func (s *scene) cell(in P99Input, i, k int, b box, size float64) {
	const gap = 0.75
	mid, base := (b.left+b.right)/2, (b.top+b.bottom)/2+size*0.36
	r, ok := in.ratio(i, k)
	if !ok {
		s.rect(grid, 1, b.left+gap, b.top+gap, b.right-gap, b.bottom-gap)
		s.write(mid, base, Missing, size, muted, 0.5)
		return
	}
	s.rect(line2, 0.04+0.5*heat(r), b.left+gap, b.top+gap, b.right-gap, b.bottom-gap)
	label := Digits(r, 3)
	if textWidth(label, size, true) > b.width()-2 {
		label = Digits(r, 2)
	}
	if i == in.leadAt(k).best {
		s.writeBold(mid, base, label, size, text, 0.5)
		return
	}
	s.write(mid, base, label, size, text, 0.5)
}

// ratioTable is the data behind the matrix.
func (in P99Input) ratioTable() (header []string, rows [][]string, heats [][]float64) {
	header = []string{"policy"}
	for _, x := range in.X {
		header = append(header, in.xTick(x))
	}
	for i, s := range in.Series {
		row, tint := []string{s.Label}, []float64(nil)
		for k := range in.X {
			if r, ok := in.ratio(i, k); ok {
				row, tint = append(row, Digits(r, 3)+"×"), append(tint, heat(r))
			} else {
				row, tint = append(row, Missing), append(tint, -1)
			}
		}
		rows, heats = append(rows, row), append(heats, tint)
	}
	return header, rows, heats
}

// heat is the tint of a ratio, from 0 at 1× to 1 from 8×.
func heat(r float64) float64 { return max(0, min(math.Log(r)/math.Log(saturation), 1)) }
