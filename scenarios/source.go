package scenarios

import "strings"

// Source is one scenario file as read.
type Source struct {
	Name string // as the user named it; problems repeat it
	Data []byte
}

// newText splits a source into lines, as the YAML reader counts them.
func newText(s Source) *text {
	data := strings.TrimPrefix(string(s.Data), "\ufeff")
	data = strings.ReplaceAll(data, "\r\n", "\n")
	data = strings.ReplaceAll(data, "\r", "\n")
	lines := strings.Split(data, "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1] // the newline at the end begins no line
	}
	return &text{name: s.Name, lines: lines}
}
