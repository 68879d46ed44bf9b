package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
)

// Keep makes the partial directory readable as it stands, as an interrupted run: what
// is written so far survives a program that is killed before Finish. It may be called
// again and again. The summary has no digest in its manifest, since one of the two is
// always replaced first.
func (w *RunWriter) Keep(m Manifest, s *Summary) error {
	if err := w.WriteSummary(s); err != nil {
		return err
	}
	m.Status = RunInterrupted
	files := w.listed()
	delete(files, "summary.json")
	_, err := w.manifest(m, files)
	return err
}

// RunFile is a file of a run directory that is written piece by piece. It belongs to
// the run once it is closed.
type RunFile struct {
	w    *RunWriter
	name string
	f    *os.File
	sum  hash.Hash
}

// Create begins a file under a path with slashes, relative to the directory.
func (w *RunWriter) Create(path string) (*RunFile, error) {
	local := filepath.FromSlash(path)
	if !filepath.IsLocal(local) {
		return nil, fmt.Errorf("write run directory: %q leaves it", path)
	}
	at := filepath.Join(w.partial, local)
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return nil, fmt.Errorf("write run directory: %w", err)
	}
	f, err := os.Create(at)
	if err != nil {
		return nil, fmt.Errorf("write run directory: %w", err)
	}
	return &RunFile{w: w, name: filepath.ToSlash(filepath.Clean(local)), f: f, sum: sha256.New()}, nil
}

// Write implements io.Writer.
func (r *RunFile) Write(b []byte) (int, error) {
	n, err := r.f.Write(b)
	r.sum.Write(b[:n]) // never fails
	if err != nil {
		return n, fmt.Errorf("write run directory: %w", err)
	}
	return n, nil
}

// Close ends the file and lists it in the manifest to come.
func (r *RunFile) Close() error {
	if err := r.f.Close(); err != nil {
		return fmt.Errorf("write run directory: %w", err)
	}
	r.w.list(r.name, hex.EncodeToString(r.sum.Sum(nil)))
	return nil
}

// Discard removes the file, closed or not.
func (r *RunFile) Discard() error {
	err := r.f.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	r.w.mu.Lock()
	delete(r.w.files, r.name)
	r.w.mu.Unlock()
	return errors.Join(err, os.Remove(r.f.Name()))
}
