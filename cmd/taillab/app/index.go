package app

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
)

// runsBelow finds the run directories in a folder, newest first; one that is partial
// counts from its first finished run on. Folders of hosts inside a run belong to it.
func runsBelow(folder string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if _, err := os.Stat(filepath.Join(path, "manifest.json")); err == nil {
			out = append(out, path)
			return filepath.SkipDir
		}
		return nil
	})
	slices.SortFunc(out, func(a, b string) int { // names are instants
		if c := strings.Compare(filepath.Base(b), filepath.Base(a)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return out, err
}

// isRun says whether a path is one run, not a folder of some.
func isRun(path string) bool {
	for _, name := range []string{"manifest.json", "summary.json", capacityFile} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return true
		}
	}
	info, err := os.Stat(path)
	return err != nil || !info.IsDir()
}

// reportIndex lists the runs of a folder.
func (s *session) reportIndex(folder string, outs []output) int {
	dirs, err := runsBelow(folder)
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	if len(dirs) == 0 {
		return s.fail(exitUsage, "name a run directory: runs/SCENARIO/TIME, or the folder that holds them", "there is no run in %s", folder)
	}
	doc := indexDoc{}
	doc.Folder = filepath.ToSlash(folder)
	code := exitOK
	for _, dir := range dirs {
		e, err := entryOf(folder, dir)
		if err != nil {
			code = worst(code, s.fail(exitBroken, "", "%s: %v", dir, err))
			continue
		}
		doc.Entries, doc.dirs = append(doc.Entries, e), append(doc.dirs, dir)
	}
	for _, o := range outs { // links are relative to where the page will be
		if o.format == "html" && o.path != "" {
			doc.link(filepath.Dir(o.path))
		}
	}
	if err := s.writeDoc(doc, outs, render.Options{Width: s.width(s.Stdout), ASCII: s.asciiOnly()}); err != nil {
		code = worst(code, s.fail(exitUsage, "", "%v", err))
	}
	return code
}

// entryOf reads what the list says of a run.
func entryOf(folder, dir string) (render.IndexEntry, error) {
	name, err := filepath.Rel(folder, dir)
	if err != nil {
		return render.IndexEntry{}, err
	}
	e := render.IndexEntry{Name: filepath.ToSlash(name), Link: linkTo(folder, dir)}
	var m reports.Manifest
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return e, fmt.Errorf("its manifest: %w", err)
	}
	e.Status = m.Status
	if data, err := os.ReadFile(filepath.Join(dir, capacityFile)); err == nil {
		c, err := reports.ReadCapacity(data)
		e.Capacity = &c
		return e, err
	}
	path := filepath.Join(dir, "summary.json")
	if m.Host == "both" {
		path = filepath.Join(dir, "live", "summary.json")
	}
	e.Summary, err = reports.ReadSummary(path)
	return e, err
}

// linkTo is the address of a run's page from a folder.
func linkTo(folder, dir string) string {
	from, errA := filepath.Abs(folder)
	to, errB := filepath.Abs(filepath.Join(dir, "index.html"))
	rel, err := filepath.Rel(from, to)
	if errA != nil || errB != nil || err != nil {
		rel = to
	}
	return (&url.URL{Path: filepath.ToSlash(rel)}).EscapedPath()
}

// indexDoc is the list as --format writes it.
type indexDoc struct {
	render.Index
	dirs []string
}

func (d *indexDoc) link(from string) {
	for i := range d.Entries {
		d.Entries[i].Link = linkTo(from, d.dirs[i])
	}
}

func (d indexDoc) scenario() string { return "runs" }

func (d indexDoc) figures(render.Options) []chart.Figure { return nil }

func (d indexDoc) text(w io.Writer, format string, o render.Options) error {
	switch format {
	case "html":
		return render.IndexHTML(w, d.Index, o)
	case "table":
		return render.IndexTable(w, d.Index, o)
	}
	return fmt.Errorf("a folder of runs is listed as table or html, not as %s", format)
}
