package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"taillab/reports/render"
)

// maxStepSummary is what GitHub takes of one step's summary; more makes it drop all.
const maxStepSummary = 1 << 20

// stepSummary appends the Markdown to the summary of the step that GitHub Actions
// runs us in; without one there is nothing to do.
func (s *session) stepSummary(doc document, o render.Options) error {
	path := s.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	var b bytes.Buffer
	if err := doc.text(&b, "md", o); err != nil {
		return err
	}
	b.WriteByte('\n')
	if info, err := os.Stat(path); err == nil && info.Size()+int64(b.Len()) > maxStepSummary {
		s.note("taillab: the step's summary is full: %s is not in it", doc.scenario())
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("writing the step's summary: %w", err)
	}
	_, err = f.Write(b.Bytes())
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		return fmt.Errorf("writing the step's summary: %w", err)
	}
	return nil
}

// annotated is a file as annotations name it: relative to the checkout where GitHub
// says where that is. What is no file of its own, such as stdin, has no name.
func (s *session) annotated(file string) string {
	if file == "" || file == "stdin" || strings.HasSuffix(file, " (embedded)") {
		return ""
	}
	root := s.Getenv("GITHUB_WORKSPACE")
	if root == "" {
		return filepath.ToSlash(file)
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return filepath.ToSlash(file)
	}
	if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return filepath.ToSlash(file)
}
