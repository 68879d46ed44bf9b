package scenarios

import (
	"cmp"
	"fmt"
	"slices"
)

// Problem is one thing wrong with a scenario: where, what, and what to do.
type Problem struct {
	File      string `json:"file"`       // as the user named it; "--set PATH=VALUE" for a flag
	Line      int    `json:"line"`       // from 1; 0 when the problem has no place in a text
	Column    int    `json:"column"`     // from 1, in characters
	EndColumn int    `json:"end_column"` // just behind the last character
	Path      string `json:"path"`       // key path, e.g. "fleet.replicas"
	Message   string `json:"message"`
	Hint      string `json:"hint"`

	ofPath bool // see Sentence
	secret bool // what is underlined must not be shown
}

// Error is the problem on one line.
func (p Problem) Error() string {
	s := p.where() + p.Sentence()
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Sentence is the message as it stands alone: some messages go on where the path
// ends, such as "is empty".
func (p Problem) Sentence() string {
	if p.ofPath {
		return p.Path + " " + p.Message
	}
	return p.Message
}

func (p Problem) where() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
}

// problemList collects problems, each once: axis points decode the same keys again.
type problemList struct {
	list []Problem
	seen map[Problem]bool

	harmless int // unknown keys among them: what else stands there can still be judged
}

// broken counts the problems that leave a value unread or wrong.
func (l *problemList) broken() int { return len(l.list) - l.harmless }

func (l *problemList) add(p Problem) {
	if l.seen[p] {
		return
	}
	if l.seen == nil {
		l.seen = map[Problem]bool{}
	}
	l.seen[p] = true
	l.list = append(l.list, p)
}

// at reports a problem at a node.
func (l *problemList) at(n *node, path, hint, format string, args ...any) {
	p := n.place()
	p.Path, p.Hint, p.Message = path, hint, fmt.Sprintf(format, args...)
	l.add(p)
}

// sorted returns the problems in order of place; those of flags come last.
func (l *problemList) sorted() []Problem {
	slices.SortStableFunc(l.list, func(a, b Problem) int {
		if a.Line == 0 || b.Line == 0 {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return l.list
}

// ofPath reports a problem whose message goes on where its path ends.
func (l *problemList) ofPath(n *node, path, hint, format string, args ...any) {
	p := n.place()
	p.Path, p.Hint, p.Message, p.ofPath = path, hint, fmt.Sprintf(format, args...), path != ""
	l.add(p)
}

// secret reports a problem at a text that must not be shown.
func (l *problemList) secret(n *node, path, hint, message string) {
	p := n.place()
	p.Path, p.Hint, p.Message, p.secret = path, hint, message, true
	l.add(p)
}

// secretOf is both.
func (l *problemList) secretOf(n *node, path, hint, message string) {
	p := n.place()
	p.Path, p.Hint, p.Message, p.ofPath, p.secret = path, hint, message, path != "", true
	l.add(p)
}
