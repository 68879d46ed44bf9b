package policies

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a scenario, a flag or an input file: where
// (a key path), what, and what to do about it.
type Problem struct {
	Path string // key path below the policy or the file, e.g. "choices"
	Msg  string // lower case: what + where
	Hint string // what to do; may be empty
}

// Error makes a Problem usable as an error.
func (p Problem) Error() string {
	if p.Path == "" {
		return p.Msg
	}
	return p.Path + ": " + p.Msg
}

// Checker is implemented by a policy whose parameters have rules beyond the
// ranges in their tags. It returns all problems, with paths relative to the policy.
type Checker interface{ Check() []Problem }

// Entry is one line of a catalogue: a name, one sentence, and the prototype that
// a scenario's parameters are decoded onto. Defaults live in the prototype, so a
// missing key keeps them and 0 is a value.
//
// Parameters are the exported fields of the prototype with a yaml tag. Further
// tags describe them: `about:"…"`, `enum:"a|b"`, `min:"0"`, `max:"1"` (inclusive),
// `above:"0"` (exclusive), `required:"true"`.
type Entry struct {
	Name   string
	About  string
	Family string // scenario key under "policies": balance, quota, autoscale …
	Source string // paper, code or documentation that defines the policy

	make func() any
}

// Of makes a catalogue entry. T is the family's interface (balance.Balancer …):
// it decides the scenario key under which the name may stand.
func Of[T any](name, about string, proto func() T) Entry {
	return Entry{Name: name, About: about, Family: family[T](), make: func() any { return proto() }}
}

// family is the last package name of T: balance.Balancer stands under "balance".
func family[T any]() string {
	s := strings.TrimPrefix(fmt.Sprintf("%T", (*T)(nil)), "*")
	if i := strings.IndexByte(s, '.'); i >= 0 {
		s = s[:i]
	}
	return s
}

// From names the source that defines the policy.
func (e Entry) From(source string) Entry { e.Source = source; return e }

// New returns a fresh prototype holding the defaults.
func (e Entry) New() any { return e.make() }

// Catalog is an ordered list of entries.
type Catalog []Entry

// Find returns the entry called name in the family.
func (c Catalog) Find(family, name string) (Entry, bool) {
	for _, e := range c {
		if e.Name == name && e.Family == family {
			return e, true
		}
	}
	return Entry{}, false
}

// Names lists the names of a family in catalogue order.
func (c Catalog) Names(family string) []string {
	var out []string
	for _, e := range c {
		if e.Family == family {
			out = append(out, e.Name)
		}
	}
	return out
}
