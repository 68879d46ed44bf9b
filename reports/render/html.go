package render

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's own style, script and template
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
)

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

//go:embed page/page.html
var pageHTML string

// pageTemplate escapes by context; what it is given as template.HTML is made here
// and in package chart, from escaped parts.
var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is what the template prints.
type page struct {
	Policy             string // content security policy
	Name, Verdict      string
	Class, Mark, Tally string
	Size, How          string
	Interrupted        bool
	Style, Script, Raw template.HTML
	Gates, Results     *htmlTable
	Families           []*htmlTable
	ResultsTitle       string
	Says               []string // sentences below the results
	Cells, Groups      *htmlTable
	CellsTitle         string
	Slowest            *htmlTable
	Charts             []htmlFigure
	Tail, Timeline     *htmlFigure
	Why                []string // what the tails are made of, in words
	Both               *htmlBoth
	Warnings           []htmlNote
	Again, RawNote     string
	Facts              []fact
}

type htmlNote struct{ Code, Text string }

type fact struct{ Name, Value string }

// htmlFigure is a chart, or for the matrix a table.
type htmlFigure struct {
	ID, Title string
	SVG       template.HTML
	Keys      []string
	Reads     bool // a place for the read-out is wanted
	Table     *htmlTable
}

// HTML writes the report as one page that needs no network: charts inline, colours
// by CSS variables for light and dark, style and script allowed by their hashes
// alone. Without scripts everything is readable.
func HTML(w io.Writer, s *reports.Summary, o Options) error { return writePage(w, s, o, nil) }

// writePage writes the page, with a comparison of the hosts if there is one.
func writePage(w io.Writer, s *reports.Summary, o Options, both *htmlBoth) error {
	v := newView(s, o)
	raw, note, err := rawSummary(s)
	if err != nil {
		return err
	}
	p := newPage(s, o)
	p.Verdict, p.Class, p.Tally = verdictWord(s), string(s.Verdict), tallyGates(s)
	p.Size, p.How, p.Interrupted = v.size(), v.how(), !s.Complete && len(s.Cells) > 0
	p.Raw, p.RawNote = rawScript("summary", raw), note
	p.Gates, p.Results, p.Cells = gateTable(s), resultTable(v), cellTable(v)
	p.Families = familyTables(v)
	p.Groups, p.Slowest, p.Both = groupTable(v), slowestTable(v), both
	if both != nil {
		p.ResultsTitle = "Results, measured live"
	}
	if len(s.Gates) > 0 {
		p.Mark = mark(s.Verdict)
	} else {
		p.Tally = "No gates."
	}
	for i, f := range Figures(s, o, chart.Light()) {
		h := figureOf(f, i)
		switch f.Kind {
		case chart.KindQQ:
			if both != nil {
				both.QQ = &h
			}
		case chart.KindTail:
			p.Tail, p.Why = &h, why(v)
		case chart.KindTimeline:
			p.Timeline = &h
		default:
			p.Charts = append(p.Charts, h)
		}
	}
	return p.write(w)
}

// newPage is a page with what every kind has: style, script, origin and warnings.
func newPage(s *reports.Summary, o Options) page {
	css := pageStyle()
	p := page{
		Name: s.Scenario, ResultsTitle: "Results", CellsTitle: "every cell",
		Policy: "default-src 'none'; style-src " + hash(css) + "; script-src " + hash(pageJS) +
			"; base-uri 'none'; form-action 'none'",
		Style: template.HTML("<style>" + css + "</style>"), Script: template.HTML("<script>" + pageJS + "</script>"),
		Again: o.AgainCommand, Facts: facts(s),
	}
	if p.Name == "" {
		p.Name = "(no name)"
	}
	for _, n := range notes(s) {
		p.Warnings = append(p.Warnings, htmlNote{n.code, n.text})
	}
	return p
}

// rawScript is a document as JSON inside the page, as data that nothing runs.
func rawScript(id, raw string) template.HTML {
	return template.HTML(`<script type="application/json" id="` + id + `">` + raw + "</script>")
}

func (p page) write(w io.Writer) error {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return fmt.Errorf("writing the report page: %w", err)
	}
	// A label may hold control characters, which HTML may not.
	_, err := w.Write(bytes.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, b.Bytes()))
	return err
}

// pageStyle is the style sheet with both themes. A choice on the page beats the
// system's; paper is always light.
func pageStyle() string {
	light := chart.Light().Variables() + "--pass:#00704f;--fail:#b3261e;--warn:#7a5200;color-scheme:light;"
	dark := chart.Dark().Variables() + "--pass:#47b99a;--fail:#ff8a80;--warn:#e0b050;color-scheme:dark;"
	var b strings.Builder
	b.WriteString(":root{" + light + "}\n")
	b.WriteString("@media (prefers-color-scheme:dark){:root:not([data-theme=light]){" + dark + "}}\n")
	b.WriteString(":root[data-theme=dark]{" + dark + "}\n")
	b.WriteString("@media print{:root,:root[data-theme=dark],:root:not([data-theme=light]){" + light + "}}\n")
	b.WriteString(chart.Light().CSS() + "\n")
	for i := range heatSteps + 1 {
		fmt.Fprintf(&b, ".h%d{background:rgba(213,94,0,%.2f)}", i, 0.04+0.5*float64(i)/heatSteps)
	}
	return b.String() + "\n" + pageCSS
}

// heatSteps is the number of tints of the matrix: a policy without inline styles
// needs classes.
const heatSteps = 16

// hash is a source expression of a content security policy.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// figureOf prepares a chart for the page. The ids inside the SVG come from the
// chart; those of two charts of one kind would clash, so the page's own is numbered.
func figureOf(f chart.Figure, i int) htmlFigure {
	h := htmlFigure{ID: fmt.Sprintf("figure-%d-%s", i+1, f.Kind), Title: f.Title, Table: figureTable(f)}
	if f.Kind == chart.KindMatrix {
		return h
	}
	h.SVG = template.HTML(f.Inline())
	h.Reads = f.Kind == chart.KindP99 || f.Kind == chart.KindCCDF
	h.Keys = f.Labels
	return h
}

// rawLimit keeps the page below 300 KB with the charts of a dozen policies.
const rawLimit = 120_000

// rawSummary is the summary as it stands in the page. The parts of the cells are
// most of it and are left out of a large one; the note says so.
func rawSummary(s *reports.Summary) (raw, note string, err error) {
	note = "The summary as JSON is the script element with the id summary of this page."
	b, err := encode(s, "")
	c := *s
	if err == nil && len(b) > rawLimit {
		c.Cells = append([]reports.Cell(nil), s.Cells...)
		for i := range c.Cells {
			c.Cells[i].Parts = nil
		}
		note += " The parts of its cells are left out here; summary.json has them."
		b, err = encode(&c, "")
		if err == nil && len(b) > rawLimit {
			for i := range c.Cells {
				c.Cells[i].Slowest, c.Cells[i].Groups = nil, nil
			}
			note = strings.Replace(note, "The parts", "The parts, groups and slowest requests", 1)
			b, err = encode(&c, "")
		}
	}
	if err == nil && len(b) > rawLimit {
		c.Cells = nil
		note = "The summary as JSON is the script element with the id summary of this page, without its cells: they are too many. summary.json has them."
		b, err = encode(&c, "")
	}
	if err != nil {
		return "", "", err
	}
	return inScript(b), note, nil
}

// inScript makes JSON safe inside a script element: in JSON these three stand in
// strings only, and may be written as escapes there.
func inScript(b []byte) string {
	return strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(strings.TrimSpace(string(b)))
}

// facts are what a stranger needs to repeat the run.
func facts(s *reports.Summary) []fact {
	var out []fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{name, value})
		}
	}
	add("seed", fmt.Sprint(s.Seed))
	if s.Git != nil {
		commit := s.Git.Commit
		if s.Git.Dirty {
			commit += " with changes not committed"
		}
		add("commit", commit)
	}
	add("scenario hash", s.ScenarioHash)
	add("taillab", s.ToolVersion)
	m := s.Machine
	machine := strings.Trim(m.OS+"/"+m.Arch, "/")
	if m.CPU != "" {
		machine = strings.TrimPrefix(machine+", "+m.CPU, ", ")
	}
	if m.Cores > 0 {
		machine = strings.TrimPrefix(machine+", "+count(m.Cores, "core", "cores"), ", ")
	}
	add("machine", machine)
	add("started", s.StartedAt)
	add("run", s.RunID)
	return out
}
