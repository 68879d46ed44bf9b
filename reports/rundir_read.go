package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNewerSchema is wrapped by errors about files of a later major version.
var ErrNewerSchema = errors.New("written by a newer taillab; update this program to read it")

// SavedRun is a run directory that was read back.
type SavedRun struct {
	Dir      string
	Manifest Manifest
	Summary  Summary
	Lost     []Lost // files that could not be used; the rest is good
}

// Lost is a file that is missing or damaged, and what goes with it.
type Lost struct {
	File string
	What string
}

// OpenRun reads a run directory. A missing or damaged summary is an error, as
// nothing can be drawn without it; any other damage is listed in Lost.
func OpenRun(dir string) (*SavedRun, error) {
	r := &SavedRun{Dir: dir}
	s, err := ReadSummary(filepath.Join(dir, "summary.json"))
	if err != nil {
		return nil, err
	}
	r.Summary = *s
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		r.Lost = append(r.Lost, Lost{"manifest.json", "origin and digests of the files: " + reason(err)})
		return r, nil
	}
	if err := decodeSchema(data, ManifestSchema, &r.Manifest); errors.Is(err, ErrNewerSchema) {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "manifest.json"), err)
	} else if err != nil {
		r.Lost = append(r.Lost, Lost{"manifest.json", "origin and digests of the files: " + err.Error()})
		return r, nil
	}
	r.check()
	return r, nil
}

// check compares every file with its digest.
func (r *SavedRun) check() {
	for _, name := range sortedKeys(r.Manifest.Files) {
		local := filepath.FromSlash(name)
		if !filepath.IsLocal(local) {
			r.Lost = append(r.Lost, Lost{name, "the manifest names a path outside the run directory"})
			continue
		}
		data, err := os.ReadFile(filepath.Join(r.Dir, local))
		switch {
		case err != nil:
			r.Lost = append(r.Lost, Lost{name, contentOf(name) + ": " + reason(err)})
		case digest(data) != r.Manifest.Files[name]:
			r.Lost = append(r.Lost, Lost{name, contentOf(name) + ": changed or cut since it was written"})
		}
	}
}

// contentOf says in words what a file of a run directory holds.
func contentOf(name string) string {
	switch top, _, _ := strings.Cut(name, "/"); top {
	case "hist":
		return "the latency distribution of one run"
	case "timeline":
		return "the timeline of one run"
	case "charts", "index.html":
		return "a drawn report"
	case "tapes":
		return "the tape of one run"
	case "plan.json":
		return "the expanded plan"
	case "scenario.yaml":
		return "the scenario"
	case "summary.json":
		return "the statistics"
	}
	return "its content"
}

func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "missing"
	}
	return err.Error()
}

// Usable says whether a file of the run is present and undamaged.
func (r *SavedRun) Usable(name string) bool {
	_, known := r.Manifest.Files[name]
	return known && !slices.ContainsFunc(r.Lost, func(l Lost) bool { return l.File == name })
}

// Hists reads the histograms of one run; cell is a name from CellFiles.
func (r *SavedRun) Hists(cell string, seed int) ([]TaggedHist, error) {
	name := histPath(cell, seed)
	data, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out, err := ReadHlog(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// CellHists merges the histograms of all seeds of a cell by tag, for curves.
// Files that cannot be read are added to Lost and left out.
func (r *SavedRun) CellHists(cell string) []TaggedHist {
	var out []TaggedHist
	for _, seed := range r.seedsOf(cell) {
		hists, err := r.Hists(cell, seed)
		if err != nil {
			if name := histPath(cell, seed); !slices.ContainsFunc(r.Lost, func(l Lost) bool { return l.File == name }) {
				r.Lost = append(r.Lost, Lost{name, err.Error()})
			}
			continue
		}
		out = mergeTagged(out, hists)
	}
	return out
}

// seedsOf lists the seeds of a cell that have a usable histogram file.
func (r *SavedRun) seedsOf(cell string) []int {
	var out []int
	for name := range r.Manifest.Files { // sorted below
		number, ok := strings.CutPrefix(name, "hist/"+cell+".")
		if !ok || !r.Usable(name) {
			continue
		}
		if seed, err := strconv.Atoi(strings.TrimSuffix(number, ".hlog")); err == nil {
			out = append(out, seed)
		}
	}
	slices.Sort(out)
	return out
}

func mergeTagged(out, more []TaggedHist) []TaggedHist {
	for _, t := range more {
		i := slices.IndexFunc(out, func(o TaggedHist) bool { return o.Tag == t.Tag })
		if i < 0 {
			out = append(out, t)
			continue
		}
		out[i].Hist.Merge(t.Hist)
	}
	return out
}

// ReadSummary reads a summary from a file, or from summary.json of a directory.
func ReadSummary(path string) (*Summary, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "summary.json")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read summary: %w", err)
	}
	s := new(Summary)
	if err := decodeSchema(data, SummarySchema, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// decodeSchema decodes JSON whose schema field must be want, or an older minor
// of the same name: fields are only ever added within a version.
func decodeSchema(data []byte, want string, into any) error {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("not valid JSON, perhaps cut short: %w", err)
	}
	if head.Schema != want {
		base, have := cutVersion(head.Schema)
		wantBase, version := cutVersion(want)
		if base == wantBase && have > version {
			return fmt.Errorf("schema %q: %w", head.Schema, ErrNewerSchema)
		}
		return fmt.Errorf("schema %q is not %q: this is not such a file", head.Schema, want)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("does not follow %s: %w", want, err)
	}
	return nil
}

func cutVersion(schema string) (base string, version int) {
	i := strings.LastIndex(schema, "/v")
	if i < 0 {
		return schema, 0
	}
	n, err := strconv.Atoi(schema[i+2:])
	if err != nil {
		return schema, 0
	}
	return schema[:i], n
}
