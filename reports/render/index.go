package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"taillab/reports"
	"taillab/reports/chart"
)

// IndexEntry is one run of a folder of runs; one of Summary and Capacity is set.
type IndexEntry struct {
	Name     string // of the run directory, relative to the folder
	Link     string // of its page, relative to the index
	Status   string // of its manifest
	Summary  *reports.Summary
	Capacity *reports.Capacity
}

// Index lists runs; the caller orders them.
type Index struct {
	Folder  string
	Entries []IndexEntry
}

// indexHead are the columns of the list.
var indexHead = []string{"run", "scenario", "host", "verdict", "what was found"}

func (e IndexEntry) row() []string {
	var scenario, host, verdict, finding string
	switch {
	case e.Capacity != nil:
		scenario, host, verdict, finding = e.Capacity.Scenario, e.Capacity.Host, "capacity", chart.CapacityFinding(e.Capacity)
	case e.Summary != nil:
		scenario, host, finding = e.Summary.Scenario, e.Summary.Host, chart.Finding(e.Summary)
		verdict = "no gates"
		if len(e.Summary.Gates) > 0 {
			verdict = mark(e.Summary.Verdict) + " " + string(e.Summary.Verdict)
		}
	}
	if e.Status != "" && e.Status != reports.RunComplete {
		verdict = e.Status
	}
	return []string{e.Name, scenario, host, verdict, finding}
}

func (x Index) title() string { return count(len(x.Entries), "run", "runs") + " in " + x.Folder }

// IndexTable lists the runs for a terminal; the last column is cut to the width.
func IndexTable(w io.Writer, x Index, o Options) error {
	t := terminal{o: o}
	t.line(t.text(x.title()))
	t.line("")
	if len(x.Entries) > 0 {
		var b bytes.Buffer
		table := newTable(&b, 3, o.ASCII)
		name := 0
		for _, e := range x.Entries {
			name = max(name, len([]rune(e.Name)))
		}
		room := max(24, o.width()-name-21)
		table.Header([]string{"run", "verdict", "what was found" + strings.Repeat(" ", room-14)})
		for _, e := range x.Entries {
			r := e.row()
			finding := t.shorten(t.text(r[4]), room)
			finding += strings.Repeat(" ", room-twwidth.Width(finding)) // sentences begin on the left
			if err := table.Append([]string{t.text(r[0]), t.text(r[3]), finding}); err != nil {
				return fmt.Errorf("table of runs: %w", err)
			}
		}
		if err := table.Render(); err != nil {
			return fmt.Errorf("table of runs: %w", err)
		}
		t.ruled(b.String())
	}
	_, err := w.Write(t.out.Bytes())
	return err
}

// IndexHTML lists the runs on a page with links to theirs.
func IndexHTML(w io.Writer, x Index, o Options) error {
	p := newPage(&reports.Summary{}, o)
	p.Name, p.Verdict, p.Tally, p.Facts = "Runs", x.title(), x.title(), nil
	p.ResultsTitle = "Newest first"
	if len(x.Entries) > 0 {
		p.Results = &htmlTable{Caption: "Each run leads to its page", Head: heads(indexHead...)}
		for i := range p.Results.Head {
			p.Results.Head[i].Class = "l"
		}
		for _, e := range x.Entries {
			r := e.row()
			row := []htmlCell{{r[0], "l"}, {r[1], "l"}, {r[2], "l"}, {r[3], "l"}, {r[4], "l w"}}
			if e.Summary != nil && len(e.Summary.Gates) > 0 {
				row[3].Class += " " + verdictClass(e.Summary.Verdict)
			}
			p.Results.Rows, p.Results.Links = append(p.Results.Rows, row), append(p.Results.Links, e.Link)
		}
	}
	p.Raw, p.RawNote = rawScript("runs", "[]"), ""
	return p.write(w)
}
