package app

import "fmt"

// versionCmd is `taillab version`.
type versionCmd struct {
	Format string `enum:"text,json" default:"text" help:"${enum}." placeholder:"FMT"`
	Common common `embed:""`
}

func (c *versionCmd) run(s *session) int {
	b := buildOf()
	if c.Format == "json" {
		return s.json(b)
	}
	fmt.Fprintf(s.out, "taillab %s\n", b.Version)
	if b.Commit != "" {
		dirty := ""
		if b.Dirty {
			dirty = " with changes not committed"
		}
		fmt.Fprintf(s.out, "commit  %s%s\n", b.Commit, dirty)
	}
	fmt.Fprintf(s.out, "go      %s %s/%s\n", b.Go, b.OS, b.Arch)
	if b.Tags != "" {
		fmt.Fprintf(s.out, "tags    %s\n", b.Tags)
	}
	return exitOK
}
