package taillab_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// links are the targets of the links of a page, without those to the network.
func links(t *testing.T, page string) (out []string) {
	t.Helper()
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose(string(data)), -1) {
		if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
			out = append(out, m[1])
		}
	}
	return out
}

// prose is a page without its code: a policy's signature is no link.
func prose(page string) string {
	var out strings.Builder
	code := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "```") {
			code = !code
			continue
		}
		if !code {
			out.WriteString(regexp.MustCompile("`[^`\n]*`").ReplaceAllString(line, ""))
		}
	}
	return out.String()
}

// anchors are what the headings of a page are called in links: lower case, dashes for
// blanks, no punctuation.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(string(data), -1) {
		out[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])] = true
	}
	return out
}

// pages are the Markdown files of the repository.
func pages(t *testing.T) (out []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "runs" || d.Name() == "bin"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			out = append(out, path)
		}
		return nil
	}))
	return out
}

// TestLinks: every link of every page leads somewhere, down to the heading that it
// names, and whoever begins at the README finds every page of docs and of the examples.
func TestLinks(t *testing.T) {
	t.Parallel()
	all := pages(t)
	require.Greater(t, len(all), 10)
	leads := map[string][]string{}
	for _, page := range all {
		for _, l := range links(t, page) {
			file, anchor, named := strings.Cut(l, "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			info, err := os.Stat(target)
			require.NoError(t, err, "%s links to %s", page, l)
			if named {
				require.True(t, anchors(t, target)[anchor], "%s links to %s: there is no such heading", page, l)
			}
			if info.IsDir() {
				inside, err := filepath.Glob(filepath.Join(target, "*.md"))
				require.NoError(t, err)
				leads[page] = append(leads[page], inside...)
			}
			leads[page] = append(leads[page], target)
		}
	}
	seen, next := map[string]bool{}, []string{"README.md"}
	for len(next) > 0 {
		page := next[0]
		next = next[1:]
		if !seen[page] {
			seen[page] = true
			next = append(next, leads[page]...)
		}
	}
	for _, page := range all {
		if strings.HasPrefix(page, "docs") || strings.HasPrefix(page, "examples") {
			require.True(t, seen[page], "%s cannot be reached from README.md", page)
		}
	}
}
