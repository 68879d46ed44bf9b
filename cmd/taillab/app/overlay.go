package app

import (
	"fmt"
	"io"

	"taillab/reports/chart"
	"taillab/reports/render"
)

// overlaid says whether two runs are to be drawn into each other: by the formats that
// draw. The others print one after another.
func overlaid(c *reportCmd) bool {
	outs, err := parseFormats(c.Format, false)
	if err != nil || len(c.Run) != 2 {
		return false
	}
	for _, o := range outs {
		if o.format != "html" && o.format != "svg" && o.format != "png" {
			return false
		}
	}
	return true
}

// overlayDoc is two saved runs as --format writes them.
type overlayDoc struct {
	render.Overlay
	runs [2]*savedRun // base, new
}

func (d overlayDoc) scenario() string { return d.New.Scenario }

func (d overlayDoc) figures(o render.Options) []chart.Figure { return d.Figures(o, chart.Light()) }

func (d overlayDoc) text(w io.Writer, format string, o render.Options) error {
	if format != "html" {
		return fmt.Errorf("two runs are drawn into each other as html, svg or png, not as %s", format)
	}
	return render.OverlayHTML(w, d.Overlay, o)
}

// tails draws the latency distributions of both at the load that the new run shows.
func (d overlayDoc) tails(o render.Options) chart.Figure {
	at, byRate := render.ShownAt(d.New, o), chart.ByRate(d.New.Cells)
	in := chart.CCDFInput{Origin: chart.OriginOf(d.New), At: chart.PlaceName(at, byRate)}
	in.Requests = 0
	in.Earlier = &chart.Earlier[chart.CCDFSeries]{Name: d.BaseName()}
	for k, run := range d.runs {
		for i := range run.Summary.Cells {
			c := &run.Summary.Cells[i]
			if !sameValue(fmt.Sprint(chart.PlaceOf(*c, byRate)), fmt.Sprint(at)) {
				continue
			}
			s, ok := tailOf(c, run.hists(i))
			switch {
			case !ok:
			case k == 0:
				in.Earlier.Series = append(in.Earlier.Series, s)
			default:
				in.Requests += c.Requests
				in.Series = append(in.Series, s)
			}
		}
	}
	return chart.CCDF(in, chart.Light())
}
