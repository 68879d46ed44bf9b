package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed *.yaml
var library embed.FS

// Info describes a scenario that ships with the program.
type Info struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// Embedded lists the scenarios that ship with the program by name.
func Embedded() []Info {
	var out []Info
	for _, name := range embeddedNames() {
		data, err := library.ReadFile(name + ".yaml")
		if err != nil {
			continue
		}
		var ps problemList
		src := Source{Name: name, Data: data}
		if root := parse(newText(src), data, &ps); root != nil {
			out = append(out, Info{Name: name, About: textOf(root.get("about"))})
		}
	}
	return out
}

func embeddedNames() []string {
	files, err := fs.Glob(library, "*.yaml")
	if err != nil {
		return nil
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	slices.Sort(files)
	return files
}

// Read fetches a scenario by path, by the name of an embedded one, or from stdin
// ("-"). A path wins over a name; note then says so, else it is empty.
func Read(name string, stdin io.Reader) (s Source, note string, err error) {
	shipped := slices.Contains(embeddedNames(), name)
	info, statErr := os.Stat(name)
	switch {
	case name == "-" || statErr == nil && (!info.IsDir() || !shipped):
		s, err = ReadInput("scenario", name, stdin)
		if shipped && err == nil {
			note = fmt.Sprintf("using the file %s; there is also an embedded scenario of this name", name)
		}
		return s, note, err
	case shipped:
		data, err := library.ReadFile(name + ".yaml")
		return Source{Name: name + " (embedded)", Data: data}, "", err
	case statErr != nil && !errors.Is(statErr, fs.ErrNotExist):
		return Source{}, "", fmt.Errorf("cannot read the scenario: %w", statErr)
	}
	valid := append(embeddedNames(), filesLike(name)...)
	return Source{}, "", fmt.Errorf("no file and no embedded scenario called %q (%s)", name, Suggest(name, valid, "taillab list scenarios"))
}

// ReadInput fetches a file that is never embedded, such as a targets file, or stdin
// ("-"); what names it in errors.
func ReadInput(what, name string, stdin io.Reader) (Source, error) {
	if name == "-" {
		data, err := readAll(stdin)
		if err != nil {
			return Source{}, fmt.Errorf("cannot read the %s from stdin: %w", what, err)
		}
		return Source{Name: "stdin", Data: data}, nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := near(name, filesLike(name))
		if hint != "" {
			hint = " (" + hint + ")"
		}
		return Source{}, fmt.Errorf("there is no %s called %q%s", what, name, hint)
	case err == nil && info.IsDir():
		return Source{}, fmt.Errorf("%s is a folder, not a %s", name, what)
	case err != nil:
		return Source{}, fmt.Errorf("cannot read the %s: %w", what, err)
	}
	f, err := os.Open(name)
	if err != nil {
		return Source{}, fmt.Errorf("cannot read the %s: %w", what, err)
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := readAll(f)
	if err != nil {
		return Source{}, fmt.Errorf("cannot read the %s: %w", what, err)
	}
	return Source{Name: name, Data: data}, nil
}

// filesLike lists the YAML files of the folder that name points into.
func filesLike(name string) []string {
	dir := filepath.Dir(name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out
}

// readAll reads a little more than a scenario may have, so that Load can refuse it.
func readAll(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, maxFileBytes+1))
}
