package scenarios

import (
	"slices"
	"strconv"
	"strings"
)

// set returns the tree with the value at path replaced; what lies on the way is
// copied, so other trees that share it stay as they are. why says what is wrong
// when the path leads nowhere.
func set(n *node, path []string, value *node) (out *node, why string) {
	if len(path) == 0 {
		c := *value
		if n != nil {
			c.key = n.key
		}
		return &c, ""
	}
	step := path[0]
	if i, err := strconv.Atoi(step); err == nil && n != nil && n.kind == seqNode {
		if i < 0 || i >= len(n.items) {
			return nil, "the list has " + strconv.Itoa(len(n.items)) + " items, numbered from 0"
		}
		return setItem(n, i, path[1:], value)
	}
	if n == nil || n.kind == nullNode {
		n = &node{kind: mapNode, src: value.src, line: value.line, col: value.col, end: value.end}
	}
	if n.kind != mapNode {
		return nil, strconv.Quote(step) + " is no key here"
	}
	for i, k := range n.keys {
		if k.text == step {
			return setItem(n, i, path[1:], value)
		}
	}
	child, why := set(nil, path[1:], value)
	if why != "" {
		return nil, why
	}
	c := *n
	k := &node{kind: scalarNode, text: step, src: value.src, line: value.line, col: value.col, end: value.end}
	child.key = k
	c.keys, c.items = append(slices.Clone(n.keys), k), append(slices.Clone(n.items), child)
	return &c, ""
}

func setItem(n *node, i int, path []string, value *node) (*node, string) {
	child, why := set(n.items[i], path, value)
	if why != "" {
		return nil, why
	}
	c := *n
	c.items = slices.Clone(n.items)
	c.items[i] = child
	return &c, ""
}

// overlay is set for what users write: a shorthand on the way (an arrival process
// or a policy by its bare name) is opened, so that its parameters can be set.
func overlay(root *node, steps []string, value *node) (*node, string) {
	for i := 1; i < len(steps); i++ {
		at := find(root, strings.Join(steps[:i], "."))
		if at == nil || at.kind != scalarNode || !exists(root, strings.Join(steps[:i], ".")) {
			continue
		}
		open := &node{kind: mapNode, src: at.src, line: at.line, col: at.col, end: at.end, key: at.key}
		bare := *at
		bare.key = nil
		switch {
		case steps[i-1] == "arrivals":
			empty := &node{kind: mapNode, src: at.src, line: at.line, col: at.col, end: at.end, key: &bare}
			open.keys, open.items = []*node{&bare}, []*node{empty}
		case slices.Contains(steps[:i], "policies"):
			name := &node{kind: scalarNode, text: "name", src: at.src, line: at.line, col: at.col, end: at.end}
			bare.key = name
			open.keys, open.items = []*node{name}, []*node{&bare}
		default:
			continue
		}
		root, _ = set(root, steps[:i], open)
	}
	return set(root, steps, value)
}

// without returns the tree without the value at a path that exists; what lies on the
// way is copied.
func without(n *node, path []string) *node {
	i, err := strconv.Atoi(path[0])
	if n.kind == mapNode || err != nil {
		i = slices.IndexFunc(n.keys, func(k *node) bool { return k.text == path[0] })
	}
	c := *n
	c.keys, c.items = slices.Clone(n.keys), slices.Clone(n.items)
	if len(path) > 1 {
		c.items[i] = without(n.items[i], path[1:])
		return &c
	}
	if c.items = slices.Delete(c.items, i, i+1); n.kind == mapNode {
		c.keys = slices.Delete(c.keys, i, i+1)
	}
	return &c
}

// splitPath cuts `a.b[1].c` into its steps.
func splitPath(path string) []string {
	path = strings.ReplaceAll(strings.ReplaceAll(path, "[", "."), "]", "")
	return strings.Split(path, ".")
}

// find returns the node at a path, or the last one on the way that exists.
func find(n *node, path string) *node {
	if path == "" || n == nil {
		return n
	}
	for _, step := range splitPath(path) {
		var next *node
		if i, err := strconv.Atoi(step); err == nil && n.kind == seqNode && i >= 0 && i < len(n.items) {
			next = n.items[i]
		} else {
			next = n.get(step)
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// exists says whether all of the path is written.
func exists(n *node, path string) bool {
	for _, step := range splitPath(path) {
		if i, err := strconv.Atoi(step); err == nil && n.kind == seqNode && i >= 0 && i < len(n.items) {
			n = n.items[i]
		} else if n = n.get(step); n == nil {
			return false
		}
	}
	return true
}

// flags lays the --set values over the tree.
func (d *decoder) flags(root *node, sets []string) *node {
	for _, s := range sets {
		src := &text{name: "--set " + s, flag: true, lines: []string{s}}
		here := &node{src: src, line: 1, col: 1, end: 2}
		path, value, ok := strings.Cut(s, "=")
		if path = strings.TrimSpace(path); !ok || path == "" || slices.Contains(splitPath(path), "") {
			d.ps.at(here, "", "such as --set fleet.replicas=32", "a flag --set has the form PATH=VALUE")
			continue
		}
		parsed := d.flagValue(src, value)
		if parsed == nil {
			continue
		}
		if parsed.kind == nullNode {
			if !exists(root, path) {
				d.ps.at(here, path, "PATH=null takes a written key away; PATH=VALUE sets one", "%s cannot be removed: it is not in the file", path)
			} else {
				root = without(root, splitPath(path))
			}
			continue
		}
		next, why := overlay(root, splitPath(path), parsed)
		if why != "" {
			d.ps.at(here, path, "", "%s cannot be set: %s", path, why)
			continue
		}
		root = next
	}
	return root
}

// flagValue reads VALUE as YAML, so that lists and maps work, too.
func (d *decoder) flagValue(src *text, value string) *node {
	switch strings.TrimSpace(value) {
	case "":
		return &node{kind: scalarNode, src: src, quoted: true}
	case "null", "~":
		return &node{kind: nullNode, src: src}
	}
	inner := &problemList{}
	n := parse(&text{name: src.name, flag: true, lines: strings.Split(value, "\n")}, []byte(value), inner)
	for _, p := range inner.list {
		d.ps.add(Problem{File: src.name, Message: p.Message, Hint: p.Hint})
	}
	if n == nil && len(inner.list) == 0 {
		return nil
	}
	if n != nil && len(inner.list) == 0 {
		return n
	}
	return nil
}
