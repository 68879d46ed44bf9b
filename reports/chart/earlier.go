package chart

// Earlier is another run beside the one drawn, such as that of the last release. Nil
// is none.
type Earlier[S labelled] struct {
	Name   string // of the other run, for the subtitle and the data table
	Series []S
}

// labelled is a series with a name.
type labelled interface{ label() string }

func (s P99Series) label() string  { return s.Label }
func (s CCDFSeries) label() string { return s.Label }

// find is the series with a label; nil if the other run has none.
func (e *Earlier[S]) find(label string) *S {
	if e == nil {
		return nil
	}
	for i := range e.Series {
		if e.Series[i].label() == label {
			return &e.Series[i]
		}
	}
	return nil
}

// words continue the subtitle.
func (e *Earlier[S]) words() string {
	if e == nil {
		return ""
	}
	return "; dashed: " + e.Name
}

// look is that of a series where dashes are free; beside another run they mean that run.
func (e *Earlier[S]) look(l look) look {
	if e != nil {
		l.dash = nil
	}
	return l
}

// before is the look of the same series in the other run.
func (l look) before() look {
	l.dash = []float64{4, 2.5}
	return l
}
