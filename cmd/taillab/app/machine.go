package app

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"taillab/reports"
)

// modulePath is how the program finds itself among the modules it was built from.
const modulePath = "taillab"

// build is what the binary knows about itself.
type build struct {
	Version string `json:"version"` // semver, or devel
	Commit  string `json:"commit"`  // empty if unknown
	Dirty   bool   `json:"dirty"`
	Go      string `json:"go"`
	Tags    string `json:"build_tags"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// buildOf reads the build information of this program, also where taillab is a
// dependency of it.
func buildOf() build {
	b := build{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == modulePath && strings.HasPrefix(m.Version, "v") {
			b.Version = strings.TrimPrefix(m.Version, "v")
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			if info.Main.Path == modulePath {
				b.Commit = s.Value
			}
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		case "-tags":
			b.Tags = s.Value
		}
	}
	return b
}

// gitOf names the commit of the working directory; nil outside a repository or
// without git.
func gitOf(ctx context.Context) *reports.Git {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	if err != nil {
		return nil
	}
	g := &reports.Git{Commit: strings.TrimSpace(string(head))}
	changes, err := exec.CommandContext(ctx, "git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no").Output()
	g.Dirty = err == nil && len(changes) > 0
	return g
}

// machineOf describes this machine.
func machineOf() reports.Machine {
	return reports.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuName(), Cores: runtime.NumCPU()}
}

// cpuName is the processor's model where the system tells it in a file.
func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
