package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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
	if name == "-" {
		data, err := readAll(stdin)
		if err != nil {
			return Source{}, "", fmt.Errorf("cannot read the scenario from stdin: %w", err)
		}
		return Source{Name: "stdin", Data: data}, "", nil
	}
	shipped := slices.Contains(embeddedNames(), name)
	info, statErr := os.Stat(name)
	switch {
	case statErr == nil && info.IsDir() && !shipped:
		return Source{}, "", fmt.Errorf("%s is a folder: name a scenario file", name)
	case statErr == nil && !info.IsDir():
		if shipped {
			note = fmt.Sprintf("using the file %s; there is also an embedded scenario of this name", name)
		}
		f, err := os.Open(name)
		if err != nil {
			return Source{}, "", fmt.Errorf("cannot read the scenario: %w", err)
		}
		defer f.Close() //nolint:errcheck // only read
		data, err := readAll(f)
		if err != nil {
			return Source{}, "", fmt.Errorf("cannot read the scenario: %w", err)
		}
		return Source{Name: name, Data: data}, note, nil
	case shipped:
		data, err := library.ReadFile(name + ".yaml")
		return Source{Name: name + " (embedded)", Data: data}, "", err
	case statErr != nil && !errors.Is(statErr, fs.ErrNotExist):
		return Source{}, "", fmt.Errorf("cannot read the scenario: %w", statErr)
	}
	return Source{}, "", fmt.Errorf("no file and no embedded scenario called %q (%s)", name, Suggest(name, embeddedNames(), "taillab list scenarios"))
}

// readAll reads a little more than a scenario may have, so that Load can refuse it.
func readAll(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, maxFileBytes+1))
}
