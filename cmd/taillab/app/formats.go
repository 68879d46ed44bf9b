package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
	"taillab/scenarios"
)

// formatInfo is one output format.
type formatInfo struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// formats lists what --format takes.
func formats() []formatInfo {
	return []formatInfo{
		{"table", "the results at one load, gates and warnings, for a terminal"},
		{"md", "gates first, then the table: fits a comment on a pull request"},
		{"json", "the summary as one document, " + reports.SummarySchema},
		{"csv", "one row per cell, all numbers in full precision (RFC 4180)"},
		{"html", "one page with charts that needs no network"},
		{"svg", "the charts: P99 against load, or all of them with svg=FOLDER/"},
		{"png", "as svg, in 192 dpi"},
		{"junit", "one test case per gate and cell, as XML that CI systems show"},
		{"github", "annotations of GitHub Actions; the step's summary gets the Markdown"},
	}
}

// formatNames are the formats for which there is a document: all but those left out.
func formatNames(without ...string) []string {
	var out []string
	for _, f := range formats() {
		if !slices.Contains(without, f.Name) {
			out = append(out, f.Name)
		}
	}
	return out
}

// output is one entry of --format: a format to stdout, or to a file.
type output struct {
	format string
	path   string // empty: stdout
}

// parseFormats reads `table,json=out.json`; without are formats that the verb does
// not have. At most one goes to stdout.
func parseFormats(list string, several bool, without ...string) ([]output, error) {
	known := formatNames(without...)
	var out []output
	toStdout := ""
	for _, part := range strings.Split(list, ",") {
		name, path, file := strings.Cut(strings.TrimSpace(part), "=")
		if !slices.Contains(known, name) {
			hint := scenarios.Suggest(name, known, "")
			if !strings.HasPrefix(hint, "one of") {
				hint += " one of: " + strings.Join(known, " ")
			}
			return nil, fmt.Errorf("--format %s: there is no format %q (%s)", list, name, hint)
		}
		switch {
		case file && path == "":
			return nil, fmt.Errorf("--format %s: %s= names no file", list, name)
		case file && several && !strings.Contains(path, "{scenario}"):
			return nil, fmt.Errorf("--format %s: several scenarios would write %s: put {scenario} into the path", list, path)
		case file:
		case toStdout != "":
			return nil, fmt.Errorf("--format %s: %s and %s both go to stdout: write one of them to a file, %s=PATH", list, toStdout, name, name)
		case several && name != "table" && name != "md" && name != "github":
			return nil, fmt.Errorf("--format %s: %s on stdout is one document, and there are several scenarios: write %s='PATH-{scenario}'", list, name, name)
		default:
			toStdout = name
		}
		out = append(out, output{name, path})
	}
	return out, nil
}

// onStdout is the format that goes to stdout, empty if none does.
func onStdout(outs []output) string {
	for _, o := range outs {
		if o.path == "" {
			return o.format
		}
	}
	return ""
}

// document is what --format writes: a summary, or a comparison of two hosts.
type document interface {
	scenario() string
	// text writes one of the formats that are no charts.
	text(w io.Writer, format string, o render.Options) error
	figures(o render.Options) []chart.Figure
}

// summaryDoc is one run's summary.
type summaryDoc struct{ *reports.Summary }

func (d summaryDoc) scenario() string { return d.Scenario }

func (d summaryDoc) figures(o render.Options) []chart.Figure {
	return render.Figures(d.Summary, o, chart.Light())
}

func (d summaryDoc) text(w io.Writer, format string, o render.Options) error {
	switch format {
	case "md":
		return render.Markdown(w, d.Summary, o)
	case "json":
		return render.JSON(w, d.Summary)
	case "csv":
		return render.CSV(w, d.Summary)
	case "html":
		return render.HTML(w, d.Summary, o)
	case "junit":
		return render.JUnit(w, d.Summary, o)
	case "github":
		return render.GitHub(w, d.Summary, o)
	}
	return render.Table(w, d.Summary, o)
}

// writeJSON writes a document that knows its own JSON.
func writeJSON(w io.Writer, doc interface{ JSON() ([]byte, error) }) error {
	data, err := doc.JSON()
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// write renders one summary to all outputs.
func (s *session) write(sum *reports.Summary, outs []output, o render.Options) error {
	return s.writeDoc(summaryDoc{sum}, outs, o)
}

// writeDoc renders one document to all outputs. Files come first: stdout may be closed.
func (s *session) writeDoc(doc document, outs []output, o render.Options) error {
	var errs []error
	for _, out := range outs {
		if out.path == "" {
			continue
		}
		path := strings.ReplaceAll(out.path, "{scenario}", reports.FileSafe(doc.scenario()))
		if err := toFile(path, out.format, doc, o); err != nil {
			errs = append(errs, err)
		}
	}
	if slices.ContainsFunc(outs, func(o output) bool { return o.format == "github" }) {
		errs = append(errs, s.stepSummary(doc, o))
	}
	if f := onStdout(outs); f != "" {
		if err := renderTo(s.out, f, doc, o); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// toFile renders into a file that appears whole or not at all.
func toFile(path, format string, doc document, o render.Options) error {
	if folder(path) && (format == "svg" || format == "png") {
		return allCharts(path, format, doc, o)
	}
	o.Color = false
	var b bytes.Buffer
	if err := renderTo(&b, format, doc, o); err != nil {
		return err
	}
	return writeFile(path, b.Bytes())
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// folder tells whether a path names a folder: it ends so, or is one.
func folder(path string) bool {
	if strings.HasSuffix(path, "/") || strings.HasSuffix(path, string(filepath.Separator)) {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func allCharts(dir, format string, doc document, o render.Options) error {
	for _, f := range doc.figures(o) {
		b, err := drawn(f, format)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, string(f.Kind)+"."+format), b); err != nil {
			return err
		}
	}
	return nil
}

func drawn(f chart.Figure, format string) ([]byte, error) {
	if format == "png" {
		return f.PNG()
	}
	return f.SVG(), nil
}

// renderTo writes one format.
func renderTo(w io.Writer, format string, doc document, o render.Options) error {
	if format != "svg" && format != "png" {
		return doc.text(w, format, o)
	}
	figures := doc.figures(o)
	if len(figures) == 0 {
		return fmt.Errorf("there is nothing to draw: no run has finished")
	}
	b, err := drawn(figures[0], format)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// parseAt reads --at load=X (or rate=X) and checks it against the summary's cells.
func parseAt(text string) (*float64, string, error) {
	if text == "" {
		return nil, "", nil
	}
	k, v, err := pair(text, "--at")
	if err != nil || k != "load" && k != "rate" {
		return nil, "", fmt.Errorf("--at %s: write load=X, or rate=X for a scenario without loads", text)
	}
	x, err := strconv.ParseFloat(strings.TrimSuffix(v, "/s"), 64)
	if err != nil || math.IsNaN(x) {
		return nil, "", fmt.Errorf("--at %s: %q is no number", text, v)
	}
	return &x, k, nil
}

// checkAt refuses a place that the sweep does not have.
func checkAt(at *float64, cells []reports.Cell) error {
	if at == nil || len(cells) == 0 {
		return nil
	}
	byRate := chart.ByRate(cells)
	var have []string
	for _, c := range cells {
		x := chart.PlaceOf(c, byRate)
		if sameValue(fmt.Sprint(x), fmt.Sprint(*at)) {
			return nil
		}
		if t := fmt.Sprintf("%.6g", x); !slices.Contains(have, t) {
			have = append(have, t)
		}
	}
	what := "load"
	if byRate {
		what = "rate"
	}
	return fmt.Errorf("--at: there is no %s %g: the sweep has %s", what, *at, strings.Join(have, " "))
}
