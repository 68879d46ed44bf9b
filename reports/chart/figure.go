package chart

// Kind names a chart; it is also the file name under charts/.
type Kind string

// The charts.
const (
	KindP99      Kind = "p99-vs-load"
	KindCCDF     Kind = "ccdf"
	KindMatrix   Kind = "matrix"
	KindTail     Kind = "tail"
	KindTimeline Kind = "timeline"
	KindQQ       Kind = "qq"
	KindForest   Kind = "changes"
	KindFrontier Kind = "frontier"
	KindFleet    Kind = "fleet"
	KindCapacity Kind = "capacity"
)

// Figure is a drawn chart with everything a page needs around it.
type Figure struct {
	Kind     Kind
	ID       string // prefix of the ids in the SVG, unique if Origin.ID was
	Title    string // the finding
	Subtitle string // what is drawn
	Foot     string // seed, commit, n, and what was left out
	Alt      string // the chart in words, for those who cannot see it
	Labels   []string
	Header   []string   // of the data table
	Rows     [][]string // the numbers drawn, as text with units

	// Heat is set by Matrix alone: for each row and each column after the first, the
	// tint from 0 to 1, or −1 for a missing value.
	Heat [][]float64

	scene *scene
	theme Theme
}

// SVG is the chart as a stand-alone file. Colours are CSS variables with the
// theme's colours behind them, so a page that defines the variables restyles it.
func (f Figure) SVG() []byte { return f.svg(true) }

// Inline is the chart as an <svg> element for a page that holds the rules of CSS
// and sets the variables itself: no prolog, no style element, no style attribute,
// so a content security policy may forbid those.
func (f Figure) Inline() []byte { return f.svg(false) }

// Empty is true if there was nothing to draw; the chart then says so.
func (f Figure) Empty() bool { return len(f.Rows) == 0 }
