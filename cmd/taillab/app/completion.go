package app

import (
	_ "embed" // the scripts
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// completionCmd is `taillab completion`: the script that a shell reads.
type completionCmd struct {
	Shell   string `arg:"" enum:"bash,zsh,fish" help:"${enum}."`
	Program string `default:"taillab" help:"Name under which the program is called." placeholder:"NAME"`
	Common  common `embed:""`
}

var (
	//go:embed completion/taillab.bash
	bashScript string
	//go:embed completion/taillab.zsh
	zshScript string
	//go:embed completion/taillab.fish
	fishScript string
)

func (c *completionCmd) run(s *session) int {
	if c.Program == "" || strings.ContainsAny(c.Program, " \t\n'\"$`\\/;&|<>()") {
		return s.fail(exitUsage, "give it as it is typed, without a folder", "--program %q is no name of a command", c.Program)
	}
	text := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell]
	_, _ = s.out.Write([]byte(strings.ReplaceAll(text, "taillab", c.Program))) // a pipe does not fail
	return exitOK
}

// files lists files that begin as typed, and folders, which end in /. Endings narrow
// the files.
func files(typed string, endings ...string) []candidate {
	dir, begun := filepath.Split(typed)
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if dir != "" {
		entries, err = os.ReadDir(dir)
	}
	if err != nil {
		return nil
	}
	var out []candidate
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, begun) || strings.HasPrefix(name, ".") && begun == "" {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, name)) // a link to a folder is one
		switch {
		case err != nil:
		case info.IsDir():
			out = append(out, candidate{dir + name + "/", ""})
		case len(endings) == 0 || slices.Contains(endings, filepath.Ext(name)):
			out = append(out, candidate{dir + name, ""})
		}
	}
	return out
}
