package app

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
)

// reportCmd is `taillab report`: it redraws saved runs and runs nothing.
type reportCmd struct {
	Run    []string `arg:"" help:"Run directory, its summary.json, or a folder of runs; two runs are drawn into each other by html, svg and png, the first dashed."`
	Format string   `default:"table" help:"table md json csv html svg png junit github; FMT=PATH writes to a file; at most one goes to stdout." placeholder:"LIST"`
	At     string   `help:"Load shown in the table: load=X." placeholder:"load=X"`
	Common common   `embed:""`
}

func (c *reportCmd) run(s *session) int {
	outs, err := parseFormats(c.Format, len(c.Run) > 1 && !overlaid(c))
	at, _, errAt := parseAt(c.At)
	if err := cmp.Or(err, errAt); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	if len(c.Run) == 1 {
		if _, err := os.Stat(filepath.Join(c.Run[0], capacityFile)); err == nil {
			return s.reportCapacity(c.Run[0], outs)
		}
		if !isRun(c.Run[0]) {
			return s.reportIndex(c.Run[0], outs)
		}
	}
	var runs []*savedRun
	for _, dir := range c.Run {
		r, err := openSaved(dir)
		if err != nil {
			return s.fail(exitUsage, "name a run directory: runs/SCENARIO/TIME", "%v", err)
		}
		if err := checkAt(at, r.Summary.Cells); err != nil {
			return s.fail(exitUsage, "", "%s: %v", dir, err)
		}
		runs = append(runs, r)
	}
	code := exitOK
	color := s.stdoutColor()
	if overlaid(c) {
		o := render.Options{AtLoad: at, AgainCommand: runs[1].again()}
		doc := overlayDoc{Overlay: render.Overlay{Base: &runs[0].Summary, New: &runs[1].Summary}, runs: [2]*savedRun{runs[0], runs[1]}}
		o.Charts = []chart.Figure{doc.tails(o)}
		if err := s.writeDoc(doc, outs, o); err != nil {
			code = s.fail(exitBroken, "", "%v", err)
		}
		return worst(code, s.tellLost(runs))
	}
	for i, r := range runs {
		if i > 0 && onStdout(outs) != "" {
			fmt.Fprintln(s.out)
		}
		o := render.Options{Width: s.width(s.Stdout), Color: color, ASCII: s.asciiOnly(), AtLoad: at, AgainCommand: r.again()}
		if r.Usable("index.html") {
			o.ReportPath = filepath.Join(r.Dir, "index.html")
		}
		o.Charts = charts(&r.Summary, o, r)
		if err := s.write(&r.Summary, outs, o); err != nil {
			code = worst(code, s.fail(exitBroken, "", "%v", err))
		}
	}
	return worst(code, s.tellLost(runs))
}

// tellLost says what could not be read.
func (s *session) tellLost(runs []*savedRun) int {
	code := exitOK
	for _, r := range runs {
		for _, l := range r.Lost {
			code = worst(code, s.fail(exitBroken, "", "%s: lost %s", filepath.Join(r.Dir, filepath.FromSlash(l.File)), l.What))
		}
	}
	return code
}

// savedRun draws from a run directory.
type savedRun struct {
	*reports.SavedRun
	names []string // of the cells' files
}

// openSaved reads a run directory. A summary on its own is drawn without the
// charts that need more.
func openSaved(path string) (*savedRun, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no run at %s", path)
	case err != nil:
		return nil, err
	}
	r := &savedRun{}
	if err := oneHost(path); err != nil {
		return nil, err
	}
	if info.IsDir() {
		if r.SavedRun, err = reports.OpenRun(path); err != nil {
			return nil, err
		}
	} else {
		sum, err := reports.ReadSummary(path)
		if err != nil {
			return nil, err
		}
		r.SavedRun = &reports.SavedRun{Dir: filepath.Dir(path), Summary: *sum}
	}
	r.names = reports.CellFiles(r.Summary.Cells)
	return r, nil
}

// oneHost refuses the directory of a run on both hosts, which holds two.
func oneHost(path string) error {
	if _, err := os.Stat(filepath.Join(path, "fidelity.json")); err == nil {
		return fmt.Errorf("%s holds a run of each host: name %s or %s", path, filepath.Join(path, "live"), filepath.Join(path, "sim"))
	}
	return nil
}

func (r *savedRun) hists(cell int) []reports.TaggedHist { return r.CellHists(r.names[cell]) }

func (r *savedRun) timeline(cell int) (rows []reports.TimelineRow, services []string, seed int) {
	for _, p := range r.Summary.Cells[cell].Parts {
		name := "timeline/" + r.names[cell] + "." + strconv.Itoa(p.Seed) + ".csv"
		if !r.Usable(name) {
			continue
		}
		f, err := os.Open(filepath.Join(r.Dir, filepath.FromSlash(name)))
		if err == nil {
			rows, services, err = readTimeline(f)
			err = errors.Join(err, f.Close())
		}
		if err == nil {
			return rows, services, p.Seed
		}
		r.Lost = append(r.Lost, reports.Lost{File: name, What: err.Error()})
	}
	return nil, nil, 0
}

func (r *savedRun) telemetry(cell int) []byte {
	for _, p := range r.Summary.Cells[cell].Parts {
		name := telemetryFile(r.names[cell], p.Seed)
		if !r.Usable(name) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(name)))
		if err == nil {
			return data
		}
		r.Lost = append(r.Lost, reports.Lost{File: name, What: err.Error()})
	}
	return nil
}

// again is the command that made the run, without where its output went.
func (r *savedRun) again() string {
	if len(r.Manifest.Command) == 0 {
		return ""
	}
	parts := slices.Clone(r.Manifest.Command)
	for i := range parts {
		parts[i] = quote(parts[i])
	}
	return strings.Join(parts, " ")
}

// reportCapacity draws the answer of a capacity search again.
func (s *session) reportCapacity(dir string, outs []output) int {
	data, err := os.ReadFile(filepath.Join(dir, capacityFile))
	var doc reports.Capacity
	if err == nil {
		doc, err = reports.ReadCapacity(data)
	}
	if err != nil {
		return s.fail(exitUsage, "", "%s: %v", filepath.Join(dir, capacityFile), err)
	}
	o := render.Options{Width: s.width(s.Stdout), Color: s.stdoutColor(), ASCII: s.asciiOnly(), ReportPath: filepath.Join(dir, "index.html")}
	if err := s.writeDoc(capacityDoc{&doc}, outs, o); err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	return exitOK
}
