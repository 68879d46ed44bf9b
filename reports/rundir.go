package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ManifestSchema is the schema name of Manifest.
const ManifestSchema = "taillab/manifest/v1"

// The states of a run directory.
const (
	RunComplete    = "complete"
	RunInterrupted = "interrupted"
	RunFailed      = "failed"
)

// Manifest says what a run directory is and what its files are.
type Manifest struct {
	Schema      string            `json:"schema"`
	Status      string            `json:"status"` // complete, interrupted or failed
	ToolVersion string            `json:"tool_version"`
	Git         *Git              `json:"git,omitempty"`
	Host        string            `json:"host"` // sim or live; both where the run holds a folder of each
	Machine     Machine           `json:"machine"`
	Command     []string          `json:"command"`
	Files       map[string]string `json:"files"` // path in the directory → SHA-256, hex
}

// RunWriter fills a run directory. Everything is written to `<dir>.partial`;
// Finish adds the manifest and renames it.
type RunWriter struct {
	partial string
	final   string
	mu      sync.Mutex // files are closed and removed by the goroutines that write them
	files   map[string]string

	parent *RunWriter // of a folder of a run, see Folder
	name   string
}

// CreateRun makes `<out>/<scenario>/<stamp>.partial`; the stamp is started in
// UTC, with a numeric suffix if that directory exists.
func CreateRun(out, scenario string, started time.Time) (*RunWriter, error) {
	parent := filepath.Join(out, FileSafe(scenario))
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, fmt.Errorf("create run directory: %w", err)
	}
	stamp := filepath.Join(parent, started.UTC().Format("2006-01-02T15-04-05Z"))
	for n := 1; ; n++ {
		final := stamp
		if n > 1 {
			final += "-" + strconv.Itoa(n)
		}
		err := os.Mkdir(final+".partial", 0o777)
		switch {
		case errors.Is(err, fs.ErrExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("create run directory: %w", err)
		}
		// Looked up after the claim: another run may have been renamed just before it.
		if _, err := os.Lstat(final); err == nil {
			_ = os.Remove(final + ".partial") // empty and ours; a leftover does no harm
			continue
		}
		return &RunWriter{partial: final + ".partial", final: final, files: map[string]string{}}, nil
	}
}

// Folder is a run directory inside this one, such as that of one host where two were
// run. It has the ID of the whole, and its Finish comes first.
func (w *RunWriter) Folder(name string) *RunWriter {
	name = FileSafe(name)
	return &RunWriter{partial: filepath.Join(w.partial, name), final: filepath.Join(w.final, name),
		files: map[string]string{}, parent: w, name: name}
}

// ID is the name of the finished directory: the run_id of the summary.
func (w *RunWriter) ID() string {
	if w.parent != nil {
		return w.parent.ID()
	}
	return filepath.Base(w.final)
}

// Dir is the path of the finished directory.
func (w *RunWriter) Dir() string { return w.final }

// Partial is the path that is being written.
func (w *RunWriter) Partial() string { return w.partial }

// Write stores one file under a path with slashes, relative to the directory.
func (w *RunWriter) Write(path string, data []byte) error {
	local := filepath.FromSlash(path)
	if !filepath.IsLocal(local) {
		return fmt.Errorf("write run directory: %q leaves it", path)
	}
	at := filepath.Join(w.partial, local)
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return fmt.Errorf("write run directory: %w", err)
	}
	if err := replace(at, data); err != nil {
		return fmt.Errorf("write run directory: %w", err)
	}
	w.list(filepath.ToSlash(filepath.Clean(local)), digest(data))
	return nil
}

// list notes the digest of a file that is written.
func (w *RunWriter) list(path, sum string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[path] = sum
}

// listed are the digests of the files written so far.
func (w *RunWriter) listed() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.files)
}

// replace writes a file as a whole: whoever reads it meanwhile, or after this program
// has died, finds the old content or the new.
func replace(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o666); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// WriteHists stores the histograms of one run as hist/<cell>.<seed>.hlog; cell is
// a name from CellFiles.
func (w *RunWriter) WriteHists(cell string, seed int, hists []TaggedHist, interval time.Duration) error {
	var b bytes.Buffer
	if err := WriteHlog(&b, hists, interval); err != nil {
		return err
	}
	return w.Write(histPath(cell, seed), b.Bytes())
}

func histPath(cell string, seed int) string {
	return "hist/" + cell + "." + strconv.Itoa(seed) + ".hlog"
}

// WriteSummary stores summary.json.
func (w *RunWriter) WriteSummary(s *Summary) error {
	data, err := encodeJSON(s)
	if err != nil {
		return fmt.Errorf("write summary.json: %w", err)
	}
	return w.Write("summary.json", data)
}

// encodeJSON is the one form of JSON in a run directory: two blanks, one newline
// at the end, no HTML escapes.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Finish writes manifest.json (schema and files are filled in) and renames the
// directory, unless it is a folder of another. It returns the final path.
func (w *RunWriter) Finish(m Manifest) (string, error) {
	data, err := w.manifest(m, w.listed())
	if err != nil {
		return "", err
	}
	if w.parent != nil { // its files are files of the whole, which is renamed at its own end
		for path, sum := range w.listed() {
			w.parent.list(w.name+"/"+path, sum)
		}
		w.parent.list(w.name+"/manifest.json", digest(data))
		return w.final, nil
	}
	if err := os.Rename(w.partial, w.final); err != nil {
		return "", fmt.Errorf("finish run directory: %w", err)
	}
	return w.final, nil
}

// manifest writes manifest.json with the digests of files and returns its content.
func (w *RunWriter) manifest(m Manifest, files map[string]string) ([]byte, error) {
	m.Schema, m.Files = ManifestSchema, files
	if m.Command == nil {
		m.Command = []string{}
	}
	data, err := encodeJSON(m)
	if err == nil {
		err = os.MkdirAll(w.partial, 0o777)
	}
	if err == nil {
		err = replace(filepath.Join(w.partial, "manifest.json"), data)
	}
	if err != nil {
		return nil, fmt.Errorf("write manifest.json: %w", err)
	}
	return data, nil
}

// Discard removes the partial directory.
func (w *RunWriter) Discard() error { return os.RemoveAll(w.partial) }

// FileSafe reduces a name to [a-z0-9._-], never empty, hidden or long.
func FileSafe(name string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	s = strings.TrimLeft(s, ".-")
	if len(s) > 80 {
		s = s[:80]
	}
	s = strings.TrimRight(s, ".") // Windows drops a final dot
	if s == "" {
		return "x"
	}
	return s
}

// CellFiles names the files of cells: `policy-load`, file-safe, made unique by a
// numeric suffix in the order given.
func CellFiles(cells []Cell) []string {
	out, used := make([]string, len(cells)), map[string]bool{}
	for i := range cells {
		name := cells[i].Policy
		if cells[i].Load != nil {
			name += "-" + number(*cells[i].Load)
		}
		name = FileSafe(name)
		unique := name
		for n := 2; used[unique]; n++ {
			unique = name + "-" + strconv.Itoa(n)
		}
		used[unique] = true
		out[i] = unique
	}
	return out
}
