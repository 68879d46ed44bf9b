package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"taillab/scenarios"
)

// completeCmd is the hidden verb __complete that the scripts of `taillab completion`
// call: its words are those of the command line up to the cursor, the last one perhaps
// empty or begun. It prints what that word may become, a line each, with a tab before
// what it means.
type completeCmd struct{ words []string }

// candidate is one word that a word may become. One that ends in = , or / goes on.
type candidate struct{ text, about string }

func (c *completeCmd) run(s *session) int {
	var g grammar
	k, err := kong.New(&g, kong.Name("taillab"))
	if err != nil || len(c.words) == 0 {
		return exitOK
	}
	at := cursor{s: s, node: k.Model.Node, word: c.words[len(c.words)-1]}
	for _, w := range c.words[:len(c.words)-1] {
		at.pass(w)
	}
	for _, x := range at.candidates() {
		if strings.HasPrefix(x.text, at.word) {
			fmt.Fprintf(s.out, "%s\t%s\n", x.text, strings.Join(strings.Fields(x.about), " "))
		}
	}
	return exitOK
}

// cursor is where on the command line the word to complete stands.
type cursor struct {
	s    *session
	node *kong.Node
	word string

	open *kong.Flag // wants a value
	args []string   // positional words of the verb before the cursor
	set  []string   // values of --set before the cursor
}

// pass reads a word before the cursor.
func (c *cursor) pass(w string) {
	name, value, attached := strings.Cut(w, "=")
	switch {
	case c.open != nil:
		c.took(c.open, w)
		c.open = nil
	case strings.HasPrefix(w, "-") && w != "-":
		f := c.flag(name)
		if f != nil && attached {
			c.took(f, value)
		} else if f != nil && !f.IsBool() {
			c.open = f
		}
	case c.child(w) != nil:
		c.node = c.child(w)
	default:
		c.args = append(c.args, w)
	}
}

func (c *cursor) took(f *kong.Flag, value string) {
	if f.Name == "set" {
		c.set = append(c.set, value)
	}
}

// flag finds --name or its short form; nil without one.
func (c *cursor) flag(name string) *kong.Flag {
	for _, group := range c.node.AllFlags(true) {
		for _, f := range group {
			if name == "--"+f.Name || f.Short != 0 && name == "-"+string(f.Short) {
				return f
			}
		}
	}
	return nil
}

func (c *cursor) child(name string) *kong.Node {
	for _, n := range c.node.Children {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// candidates lists what may stand at the cursor.
func (c *cursor) candidates() []candidate {
	if c.open != nil {
		return c.values(c.open, c.word)
	}
	if name, value, ok := strings.Cut(c.word, "="); ok && strings.HasPrefix(name, "--") {
		f := c.flag(name)
		if f == nil {
			return nil
		}
		return behind(name+"=", c.values(f, value))
	}
	if strings.HasPrefix(c.word, "-") && c.word != "-" {
		var out []candidate
		for _, group := range c.node.AllFlags(true) {
			for _, f := range group {
				out = append(out, candidate{"--" + f.Name, f.Help})
			}
		}
		return out
	}
	var out []candidate
	for _, n := range c.node.Children {
		if !n.Hidden {
			out = append(out, candidate{n.Name, n.Help})
		}
	}
	if len(out) > 0 {
		return out
	}
	return c.positional()
}

// behind puts what was typed before each of the candidates.
func behind(head string, list []candidate) []candidate {
	for i := range list {
		list[i].text = head + list[i].text
	}
	return list
}

// words makes candidates of names without a meaning to show.
func words(names ...string) []candidate {
	var out []candidate
	for _, n := range names {
		out = append(out, candidate{n, ""})
	}
	return out
}

func rowCandidates(rows []row) []candidate {
	var out []candidate
	for _, r := range rows {
		out = append(out, candidate{r.name, r.about})
	}
	return out
}

// positional lists what an argument of the verb may be.
func (c *cursor) positional() []candidate {
	s := c.s
	if n := len(c.args); n < len(c.node.Positional) && c.node.Positional[n].Enum != "" {
		return words(strings.Split(c.node.Positional[n].Enum, ",")...)
	}
	switch c.node.Name {
	case "run", "check", "capacity", "proxy", "emulate":
		return append(rowCandidates(s.scenarioRows()), files(c.word, ".yaml", ".yml")...)
	case "describe", "export":
		presets := slices.DeleteFunc(s.workloadRows(), func(r row) bool { return r.kind != "preset" })
		return append(append(rowCandidates(presets), rowCandidates(s.scenarioRows())...), files(c.word)...)
	case "calibrate":
		return append(words(emulated), files(c.word, ".yaml", ".yml")...)
	case "list":
		var kinds []string
		for _, l := range listings() {
			kinds = append(kinds, l.kind)
		}
		return words(kinds...)
	case "explain":
		return c.topics()
	case "report", "compare", "replay":
		return files(c.word)
	}
	return nil
}

// topics lists what can be explained; names of one kind behind its prefix.
func (c *cursor) topics() []candidate {
	kind, _, picked := strings.Cut(c.word, "/")
	var out []candidate
	for _, t := range topics() {
		if picked && t.kind != kind {
			continue
		}
		names := words(t.names(c.s)...)
		for i := range names {
			names[i].about = t.kind
		}
		if picked {
			behind(kind+"/", names)
		}
		out = append(out, names...)
	}
	return out
}

// values lists what a flag's value may be. Those of lists follow the last comma.
func (c *cursor) values(f *kong.Flag, typed string) []candidate {
	if f.Enum != "" {
		return words(slices.DeleteFunc(strings.Split(f.Enum, ","), func(v string) bool { return v == "" })...)
	}
	head := typed[:strings.LastIndexByte(typed, ',')+1]
	switch f.Name {
	case "format":
		return behind(head, rowCandidates(c.s.formatRows()))
	case "metric":
		return behind(head, rowCandidates(c.s.metricRows()))
	case "only", "at":
		return behind(head, c.cellKeys(typed[len(head):], f.Name == "at"))
	case "set", "over":
		return c.keys(typed)
	case "policy":
		return rowCandidates(slices.DeleteFunc(c.s.policyRows(), func(r row) bool { return r.kind != "balance" }))
	case "from":
		return rowCandidates(c.s.scenarioRows())
	case "live":
		return append(words(emulated), files(typed, ".yaml", ".yml")...)
	case "baseline", "profile", "targets", "out", "points":
		return files(typed)
	}
	return nil
}

// cellKeys lists KEY= and, once that is typed, the values that the scenario has.
func (c *cursor) cellKeys(typed string, loads bool) []candidate {
	plan := c.plan()
	if plan == nil {
		return nil
	}
	key, _, ok := strings.Cut(typed, "=")
	var out []candidate
	for _, k := range keysOf(plan) {
		switch {
		case loads && k != "load":
		case !ok:
			out = append(out, candidate{k + "=", ""})
		case k == key:
			for _, cell := range plan.Cells {
				if v, has := cellKey(cell, k); has && !slices.Contains(out, candidate{k + "=" + v, ""}) {
					out = append(out, candidate{k + "=" + v, ""})
				}
			}
		}
	}
	return out
}

// plan is the first scenario on the command line, nil without a sound one.
func (c *cursor) plan() *scenarios.Plan {
	if len(c.args) == 0 || c.args[0] == "-" {
		return nil
	}
	src, _, err := scenarios.Read(c.args[0], nil)
	if err != nil {
		return nil
	}
	plans, problems := scenarios.Load([]scenarios.Source{src}, scenarios.Options{Catalog: c.s.catalog, Set: c.set, Seed: 1})
	if len(problems) > 0 {
		return nil
	}
	return plans[0]
}

// keys lists keys of scenarios, and the values of those that have few.
func (c *cursor) keys(typed string) []candidate {
	var out []candidate
	key, _, ok := strings.Cut(typed, "=")
	for _, k := range keyRows() {
		switch {
		case strings.ContainsAny(k.Path, "[N"):
		case !ok:
			out = append(out, candidate{k.Path + "=", cmp.Or(k.Default, k.About)})
		case k.Path == key && k.Type == "enum":
			out = append(out, behind(key+"=", words(strings.Fields(k.Range)...))...)
		case k.Path == key && k.Type == "bool":
			out = append(out, behind(key+"=", words("true", "false"))...)
		}
	}
	return out
}
