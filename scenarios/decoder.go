package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// decoder walks nodes and collects problems. A value that cannot be read keeps
// its default, so that everything else is still checked.
type decoder struct {
	ps  *problemList
	dir string // files with relative names are looked for here; "" = the current working directory
}

// block is a map of a scenario under its path.
type block struct {
	d    *decoder
	n    *node // nil: not written, every key keeps its default
	path string
	odd  bool // holds an unknown key: perhaps a missing one, misspelt
}

// join appends a key to a path.
func join(path, key string) string {
	switch {
	case path == "":
		return key
	case strings.HasPrefix(key, "["), key == "":
		return path + key
	}
	return path + "." + key
}

// block opens the map n. registered is its path in the registry, which says what
// keys there are; further names more.
func (d *decoder) block(n *node, path, registered string, further ...string) block {
	b := block{d: d, path: path}
	if n == nil {
		return b
	}
	valid, later := childKeys(registered)
	valid = append(valid, further...)
	if n.kind != mapNode {
		d.wrongKind(n, path, "a map of keys", "its keys: "+strings.Join(valid, " "))
		return b
	}
	b.n = n
	for _, k := range n.keys {
		at := join(path, k.text)
		switch {
		case slices.Contains(valid, k.text):
		case slices.Contains(later, k.text):
			d.harmless(func() { d.ps.at(k, at, "remove it", "%s is not available in this version", at) })
		default:
			b.odd = true
			d.harmless(func() { d.unknown(k, path, valid) })
		}
	}
	return b
}

// harmless counts what report reports as leaving every value readable, or replaced
// by one that is sound: the block can still be checked as a whole.
func (d *decoder) harmless(report func()) {
	before := len(d.ps.list)
	report()
	d.ps.harmless += len(d.ps.list) - before
}

func (d *decoder) unknown(k *node, path string, valid []string) {
	where := "at the top level"
	if path != "" {
		where = "in " + path
	}
	d.ps.at(k, join(path, k.text), Suggest(k.text, valid, ""), "unknown key %q %s", k.text, where)
}

// wrongKind says what a value is and what it must be.
func (d *decoder) wrongKind(n *node, path, must, hint string) {
	is := ""
	switch n.kind {
	case nullNode:
		d.ps.at(n, path, "remove the key or give it a value", "%s has no value: it must be %s", named(path), must)
		return
	case scalarNode:
		is = fmt.Sprintf("%q", n.text)
	case seqNode:
		is = "a list"
	case mapNode:
		is = "a map"
	}
	d.ps.at(n, path, hint, "%s is %s: it must be %s", named(path), is, must)
}

func named(path string) string {
	if path == "" {
		return "the scenario"
	}
	return path
}

func (b block) get(key string) *node { return b.n.get(key) }

func (b block) at(key string) string { return join(b.path, key) }

// scalar returns the value of a key as text; ok is false when it is not written
// or no scalar, which is then reported.
func (b block) scalar(key, must string) (n *node, ok bool) {
	n = b.get(key)
	if n == nil {
		return nil, false
	}
	return n, b.d.isScalar(n, b.at(key), must)
}

func (d *decoder) isScalar(n *node, path, must string) bool {
	if n.kind != scalarNode {
		d.wrongKind(n, path, must, "")
		return false
	}
	return true
}

// refuse reports a scalar that cannot be read.
func (d *decoder) refuse(n *node, path string, b *bad) {
	d.ps.at(n, path, b.hint, "%s is %s: %s", named(path), n.show(), b.must)
}

// show is the scalar as it is quoted in messages.
func (n *node) show() string {
	if _, b := readFloat(n.text); b == nil && !n.quoted {
		return n.text
	}
	return fmt.Sprintf("%q", n.text)
}

func (b block) text(key string, dst *string) *node {
	n, ok := b.scalar(key, "a text")
	if ok {
		*dst = n.text
	}
	return n
}

func (b block) boolean(key string, dst *bool) {
	if n, ok := b.scalar(key, "true or false"); ok {
		if v, bad := readBool(n.text); bad != nil {
			b.d.refuse(n, b.at(key), bad)
		} else {
			*dst = v
		}
	}
}

func (b block) enum(key string, dst *string, values ...string) {
	n, ok := b.scalar(key, "one of: "+strings.Join(values, " "))
	if !ok {
		return
	}
	if !slices.Contains(values, n.text) {
		b.d.ps.at(n, b.at(key), near(n.text, values), "%s is %q: it must be one of %s", b.at(key), n.text, strings.Join(values, ", "))
		return
	}
	*dst = n.text
}

func (b block) integer(key string, dst *int, lo, hi int) {
	n, ok := b.scalar(key, "a whole number")
	if !ok {
		return
	}
	if v, ok := b.d.integer(n, b.at(key), int64(lo), int64(hi)); ok {
		*dst = int(v)
	}
}

func (d *decoder) integer(n *node, path string, lo, hi int64) (int64, bool) {
	v, bad := readInt(n.text)
	switch {
	case bad == nil && n.quoted:
		d.ps.at(n, path, "remove the quotes", "%s is the text %q: it must be a whole number", path, n.text)
		return 0, false
	case bad != nil:
		d.refuse(n, path, &numberWanted)
		return 0, false
	case v < lo && hi >= unbounded:
		d.ps.at(n, path, "", "%s is %d: it must be at least %d", path, v, lo)
		return 0, false
	case v < lo || v > hi:
		d.ps.at(n, path, "", "%s is %d: it must lie in %d…%s", path, v, lo, thousands(hi))
		return 0, false
	}
	return v, true
}

// unbounded as an upper end says that there is none worth naming.
const unbounded = 1<<31 - 1

var numberWanted = bad{must: "it must be a whole number"}

// span is a range of numbers; lo is excluded when above, hi when below.
type span struct {
	lo, hi       float64
	above, below bool
}

func (s span) holds(x float64) bool {
	return x >= s.lo && x <= s.hi && !(s.above && x == s.lo) && !(s.below && x == s.hi)
}

func (s span) String() string {
	open, closed := "[", "]"
	if s.above {
		open = "("
	}
	if s.below {
		closed = ")"
	}
	switch {
	case s.hi >= 1e300 && s.above:
		return "be above " + numberText(s.lo)
	case s.hi >= 1e300:
		return "be at least " + numberText(s.lo)
	}
	return "lie in " + open + numberText(s.lo) + ", " + numberText(s.hi) + closed
}

func (b block) number(key string, dst *float64, in span) {
	b.real(key, "a number", dst, in, readFloat)
}

// share reads a fraction, as 0.1 or 10%.
func (b block) share(key string, dst *float64, in span) {
	b.real(key, "a percentage", dst, in, readShare)
}

func (b block) real(key, must string, dst *float64, in span, read func(string) (float64, *bad)) {
	n, ok := b.scalar(key, must)
	if !ok {
		return
	}
	x, bad := read(n.text)
	switch {
	case bad != nil:
		b.d.refuse(n, b.at(key), bad)
	case !in.holds(x):
		b.d.ps.at(n, b.at(key), "", "%s is %s: it must %s", b.at(key), n.text, in)
	default:
		*dst = x
	}
}

// rate reads 40/s; its range is the workload's to check.
func (b block) rate(key string, dst *float64) {
	if n, ok := b.scalar(key, "a rate"); ok {
		if x, bad := readRate(n.text); bad != nil {
			b.d.refuse(n, b.at(key), bad)
		} else {
			*dst = x
		}
	}
}

// duration reads a time of at least lo (above it with above) and at most hi (0: any).
func (b block) duration(key string, dst *time.Duration, lo, hi time.Duration, above bool) {
	n, ok := b.scalar(key, "a duration")
	if !ok {
		return
	}
	if v, ok := b.d.duration(n, b.at(key), lo, hi, above); ok {
		*dst = v
	}
}

func (d *decoder) duration(n *node, path string, lo, hi time.Duration, above bool) (time.Duration, bool) {
	v, bad := readDuration(n.text)
	switch {
	case bad != nil:
		d.refuse(n, path, bad)
	case above && v <= lo:
		d.ps.at(n, path, "", "%s is %s: it must be above %s", path, n.text, durationText(lo))
	case v < lo:
		d.ps.at(n, path, "", "%s is %s: it must be at least %s", path, n.text, durationText(lo))
	case hi > 0 && v > hi:
		d.ps.at(n, path, "", "%s is %s: it must be at most %s", path, n.text, durationText(hi))
	default:
		return v, true
	}
	return 0, false
}

// list returns the items of a list, or nil after reporting that it is none.
func (d *decoder) list(n *node, path, of string) []*node {
	if n == nil {
		return nil
	}
	if n.kind != seqNode {
		d.wrongKind(n, path, "a list of "+of, "")
		return nil
	}
	return n.items
}

// index is the path of item i.
func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// thousands writes 1,000,000.
func thousands(v int64) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
