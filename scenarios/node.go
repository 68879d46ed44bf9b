package scenarios

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Limits on a scenario file.
const (
	maxFileBytes = 1 << 20
	maxDepth     = 64
	maxNodes     = 1_000_000 // after aliases are written out: a bomb stops here
	maxRuns      = 1_000_000
)

type nodeKind uint8

const (
	nullNode nodeKind = iota
	scalarNode
	seqNode
	mapNode
)

// node is a value of a scenario with its place. Aliases are written out: their
// nodes stand where the alias is used. Nodes are never changed once read.
type node struct {
	kind   nodeKind
	text   string // scalar
	quoted bool   // a quoted scalar is a string whatever it looks like
	raw    int    // width of the quotes before the text: 1 when quoted, else 0
	flow   bool   // collection written in brackets
	alias  bool

	src            *text
	line, col, end int // characters, from 1; end is just behind

	key   *node   // the key under which the value stands; nil in lists and at the top
	keys  []*node // of a map
	items []*node // values of a map, or of a list
}

// text is where nodes come from: a file, or a flag.
type text struct {
	name  string
	flag  bool
	lines []string
	holds string // what the file is called in problems; "" = scenario
}

// what is the kind of file in words.
func (t *text) what() string {
	if t.holds != "" {
		return t.holds
	}
	return "scenario"
}

// place is the problem-to-be at the node: the text to underline.
func (n *node) place() Problem {
	at := n
	if n.key != nil && (n.kind == nullNode || n.end == n.col || (n.kind != scalarNode && !n.flow && !n.alias)) {
		at = n.key // a block has no text of its own to underline
	}
	if at.src.flag {
		return Problem{File: at.src.name}
	}
	return Problem{File: at.src.name, Line: at.line, Column: at.col, EndColumn: max(at.end, at.col+1)}
}

// get returns the value under the key, nil without one.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapNode {
		return nil
	}
	for i, k := range n.keys {
		if k.text == key {
			return n.items[i]
		}
	}
	return nil
}

// parse reads one document. It returns nil when the text is not YAML at all.
func parse(src *text, data []byte, ps *problemList) *node {
	if !readable(src, data, ps) {
		return nil
	}
	loader, err := yaml.NewLoader(strings.NewReader(string(data)))
	if err != nil {
		ps.add(Problem{File: src.name, Line: 1, Column: 1, EndColumn: 2, Message: "cannot read the YAML: " + err.Error()})
		return nil
	}
	var doc, next yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF) || err == nil && emptyDocument(&doc):
		ps.add(Problem{File: src.name, Line: 1, Column: 1, EndColumn: 2, Message: "the " + src.what() + " is empty", Hint: emptyHint(src)})
		return nil
	case err != nil:
		ps.add(syntaxProblem(src, err))
		return nil
	}
	switch err := loader.Load(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		ps.add(syntaxProblem(src, err))
		return nil
	default:
		ps.add(Problem{File: src.name, Line: next.Line, Column: 1, EndColumn: 4,
			Message: "a second document begins here: a file holds one " + src.what(), Hint: "put it into a file of its own"})
	}
	b := builder{src: src, ps: ps}
	root := b.build(doc.Content[0], nil, 1, nil)
	if b.failed {
		return nil
	}
	return root
}

func emptyHint(src *text) string {
	if src.holds != "" {
		return "it begins with version: 1"
	}
	return "taillab init writes one to start from"
}

func emptyDocument(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null"
}

// readable checks size and characters, which the YAML reader reports without a place.
func readable(src *text, data []byte, ps *problemList) bool {
	if len(data) > maxFileBytes {
		ps.add(Problem{File: src.name, Line: 1, Column: 1, EndColumn: 2,
			Message: fmt.Sprintf("the file has %d bytes: a %s has at most 1 MiB", len(data), src.what()), Hint: "keep traces and tables in files of their own"})
		return false
	}
	for i, l := range src.lines {
		col := 1
		for j, r := range l {
			_, n := utf8.DecodeRuneInString(l[j:])
			switch {
			case r == utf8.RuneError && n <= 1:
				ps.add(Problem{File: src.name, Line: i + 1, Column: col, EndColumn: col + 1, Message: "a byte is not UTF-8 text", Hint: "save the file as UTF-8"})
				return false
			case r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 && r != 0x85:
				ps.add(Problem{File: src.name, Line: i + 1, Column: col, EndColumn: col + 1, Message: fmt.Sprintf("the control character %U is not allowed", r), Hint: "remove it"})
				return false
			}
			col++
		}
	}
	return true
}

// syntaxProblem words what the YAML reader found.
func syntaxProblem(src *text, err error) Problem {
	p := Problem{File: src.name, Line: 1, Column: 1, EndColumn: 2, Message: "cannot read the YAML: " + err.Error()}
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		return p
	}
	p.Message = "cannot read the YAML: " + le.Message
	if le.Mark.Line > 0 {
		p.Line, p.Column = le.Mark.Line, le.Mark.Column
		if p.Line > len(src.lines) && len(src.lines) > 0 { // the end of the file
			p.Line = len(src.lines)
			p.Column = utf8.RuneCountInString(src.lines[p.Line-1]) + 1
		}
		p.EndColumn = p.Column + 1
	}
	if le.ContextMsg != "" {
		p.Message += ", " + le.ContextMsg
		if le.ContextMark.Line > 0 && le.ContextMark != le.Mark {
			p.Message += fmt.Sprintf(" that begins at %d:%d", le.ContextMark.Line, le.ContextMark.Column)
		}
	}
	p.Hint = syntaxHint(le.Message)
	if p.Line <= len(src.lines) {
		line := []rune(src.lines[p.Line-1])
		if p.Column-1 < len(line) && line[p.Column-1] == '\t' && strings.TrimLeft(string(line[:p.Column-1]), " \t") == "" {
			p.Message, p.Hint = "a tab indents this line: YAML takes spaces only", "indent with spaces"
		}
	}
	return p
}

// syntaxHint says what most often causes what the YAML reader found.
func syntaxHint(found string) string {
	for _, h := range [][2]string{
		{"mapping values are not allowed", "keys of one block begin in the same column; a text with \": \" in it needs quotes"},
		{"did not find expected key", "keys of one block begin in the same column"},
		{"did not find expected '-' indicator", "items of one list begin in the same column"},
		{"did not find expected ','", "a bracket is not closed, or a comma is missing; a text with a comma needs quotes there"},
		{"could not find expected ':'", "write KEY: VALUE, with a blank after the colon"},
		{"cannot start any token", "a text that begins with this character needs quotes"},
		{"did not find expected node content", "a bracket is not closed, or there is a comma too many"},
		{"unknown anchor", "name the value first: KEY: &NAME VALUE"},
	} {
		if strings.Contains(found, h[0]) {
			return h[1]
		}
	}
	return ""
}

// builder turns the reader's tree into nodes.
type builder struct {
	src    *text
	ps     *problemList
	count  int
	failed bool
}

// fail reports a problem that ends the file.
func (b *builder) fail(y *yaml.Node, use *node, hint, format string, args ...any) {
	if b.failed {
		return
	}
	b.failed = true
	n := use
	if n == nil {
		n = b.located(y)
	}
	b.ps.at(n, "", hint, format, args...)
}

// build converts y. use is the node of the alias that y is reached by, path the
// nodes around it.
func (b *builder) build(y *yaml.Node, use *node, depth int, around []*yaml.Node) *node {
	if b.count++; b.failed || b.count > maxNodes {
		b.fail(y, use, "write fewer aliases", "the aliases of this file write out to more than %s values", thousands(maxNodes))
		return b.located(y)
	}
	if depth > maxDepth {
		b.fail(y, use, "", "the nesting is deeper than %d levels", maxDepth)
		return b.located(y)
	}
	if y.Kind == yaml.AliasNode {
		return b.follow(y, use, depth, around)
	}
	n := b.located(y)
	if use != nil {
		n.line, n.col, n.end, n.alias = use.line, use.col, use.end, true
	}
	switch y.Kind {
	case yaml.ScalarNode:
		b.scalar(n, y)
	case yaml.SequenceNode:
		n.kind = seqNode
		for _, c := range y.Content {
			n.items = append(n.items, b.build(c, use, depth+1, append(around, y)))
		}
	case yaml.MappingNode:
		n.kind = mapNode
		b.mapping(n, y, use, depth, append(around, y))
	default:
		b.fail(y, use, "", "this is no value, list or map")
	}
	return n
}

func (b *builder) follow(y *yaml.Node, use *node, depth int, around []*yaml.Node) *node {
	if use == nil {
		use = b.located(y)
	}
	for _, up := range around {
		if up == y.Alias {
			b.fail(y, use, "write the value out", "the alias *%s stands inside the value it names", y.Value)
			return use
		}
	}
	if y.Alias == nil {
		b.fail(y, use, "", "no value is called *%s", y.Value)
		return use
	}
	return b.build(y.Alias, use, depth, around)
}

func (b *builder) scalar(n *node, y *yaml.Node) {
	n.kind, n.text = scalarNode, y.Value
	n.quoted = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if y.Tag == "!!null" && !n.quoted {
		n.kind = nullNode
	}
	if y.Style&yaml.TaggedStyle != 0 && y.Tag != "!!str" {
		b.ps.at(n, "", "remove it", "the tag %s is not used in %ss", y.Tag, b.src.what())
	}
	n.quoted = n.quoted || y.Style&yaml.TaggedStyle != 0 && y.Tag == "!!str"
}

func (b *builder) mapping(n *node, y *yaml.Node, use *node, depth int, around []*yaml.Node) {
	first := map[string]*node{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := b.build(y.Content[i], use, depth+1, around)
		v := b.build(y.Content[i+1], use, depth+1, around)
		if b.failed {
			return
		}
		v.key = k
		switch {
		case k.kind != scalarNode:
			b.ps.at(k, "", "", "a key must be a plain word")
			continue
		case k.text == "<<" && !k.quoted:
			b.ps.at(k, "", "write the keys out, or use an alias for the whole value", "merging maps with << is not supported")
			continue
		case first[k.text] != nil:
			b.ps.at(k, "", "keep one of them", "the key %q is given twice: first at line %d", k.text, first[k.text].line)
			continue
		}
		first[k.text] = k
		n.keys, n.items = append(n.keys, k), append(n.items, v)
	}
}

// located makes an empty node with the place of y: behind its anchor and tag, as
// wide as its text.
func (b *builder) located(y *yaml.Node) *node {
	n := &node{src: b.src, line: y.Line, col: y.Column, end: y.Column + 1}
	if y.Line < 1 || y.Line > len(b.src.lines) {
		return n
	}
	line := []rune(b.src.lines[y.Line-1])
	at := skipProperties(line, y.Column-1)
	if at >= len(line) { // the value stands on a later line
		n.end = n.col
		return n
	}
	n.col = at + 1
	switch {
	case y.Kind == yaml.AliasNode:
		n.end = n.col + 1 + utf8.RuneCountInString(y.Value)
	case y.Kind == yaml.ScalarNode && y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		n.end, n.raw = closing(line, at)+1, 1
	case y.Kind == yaml.ScalarNode:
		n.end = min(n.col+utf8.RuneCountInString(y.Value), len(line)+1)
		if y.Tag == "!!null" && y.Value == "" {
			n.end = n.col
		}
	default:
		n.flow = line[at] == '[' || line[at] == '{'
		if n.end = n.col + 1; n.flow {
			n.end = closing(line, at) + 1
		}
	}
	return n
}

// skipProperties steps over an anchor and a tag before a value.
func skipProperties(line []rune, at int) int {
	for at >= 0 && at < len(line) && (line[at] == '&' || line[at] == '!') {
		for at < len(line) && line[at] != ' ' {
			at++
		}
		for at < len(line) && line[at] == ' ' {
			at++
		}
	}
	return max(at, 0)
}

// closing returns the index just behind the bracket or quote that closes the one
// at index at, or the end of the line.
func closing(line []rune, at int) int {
	depth := 0
	for i := at; i < len(line); i++ {
		switch r := line[i]; r {
		case '"', '\'':
			for i++; i < len(line) && line[i] != r; i++ {
				if r == '"' && line[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(line))
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(line)
}
