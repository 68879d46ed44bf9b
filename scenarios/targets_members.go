package scenarios

import (
	"slices"
	"strings"
	"time"
)

// members decodes source and targets, of which one says who serves.
func (l *targetLoader) members(b block, s *TargetService) {
	source, list := b.get("source"), b.get("targets")
	s.Source = MemberSource{Kind: SourceStatic}
	static := source == nil || textOf(source) == SourceStatic
	switch {
	case !static && list != nil:
		l.ps.at(source, b.at("source"), "keep one", "both a source and a list")
		return
	case !static:
		l.source(source, b.at("source"), b.get("tls") != nil, s)
		return
	case list == nil && b.odd: // perhaps the unknown key
		return
	case list == nil || list.kind == nullNode || list.kind == seqNode && len(list.items) == 0:
		at := list
		if at == nil {
			at = b.n
		}
		l.ps.ofPath(at, b.at("targets"), "list at least one url, or set source: {dns: …}", "is empty")
		return
	}
	seen := map[string]int{}
	for i, item := range l.decoder.list(list, b.at("targets"), "urls or {url, …}") {
		s.Targets = append(s.Targets, l.target(item, index(b.at("targets"), i), i, s.Slots, seen))
	}
}

// target decodes `url` or {url, …}. seen holds the urls before it.
func (l *targetLoader) target(n *node, path string, i, slots int, seen map[string]int) TargetURL {
	out := TargetURL{Weight: 1, Slots: slots}
	if n.kind == scalarNode {
		out.URL = l.url(n, path, join(path, "url"), i, seen)
		return out
	}
	b := l.keys(n, path, "services.NAME.targets[]")
	if b.n == nil {
		return out
	}
	if at := b.get("url"); at == nil && !b.odd {
		l.ps.at(n, b.at("url"), "such as {url: http://10.0.0.1:8000}", "%s is missing", b.at("url"))
	} else if at != nil && l.isScalar(at, b.at("url"), "a url") {
		out.URL = l.url(at, b.at("url"), b.at("url"), i, seen)
	}
	l.weight(b, &out.Weight)
	out.Labels = l.labels(b.get("labels"), b.at("labels"), nil)
	b.integer("slots", &out.Slots, 1, 4096)
	l.further(b, "agent", &out.Agent)
	l.further(b, "metrics", &out.Metrics)
	l.further(b, "dcgm", &out.DCGM)
	out.Hooks = l.hooks(b.get("hooks"), b.at("hooks"))
	return out
}

// url reads the base of target i and refuses one that stands in the list
// already: a target is its url.
func (l *targetLoader) url(n *node, path, inner string, i int, seen map[string]int) string {
	a, ok := l.base(n, path, inner)
	if !ok {
		return ""
	}
	if first, twice := seen[a.identity()]; twice {
		l.ps.ofPath(n, inner, "remove one, or use weight", "repeats targets[%d]", first)
		return ""
	}
	seen[a.identity()] = i
	return a.String()
}

func (l *targetLoader) weight(b block, dst *float64) {
	n, ok := b.scalar("weight", "a number")
	if !ok {
		return
	}
	v, wrong := readFloat(n.text)
	switch {
	case wrong != nil:
		l.refuse(n, b.at("weight"), wrong)
	case v <= 0:
		l.ps.ofPath(n, b.at("weight"), "to stop sending, remove the target", "is %s: it must be greater than 0", n.text)
	default:
		*dst = v
	}
}

// further reads one more url of a target.
func (l *targetLoader) further(b block, key string, dst *string) {
	if n, ok := b.scalar(key, "a url"); ok {
		if a, ok := l.base(n, b.at(key), b.at(key)); ok {
			*dst = a.String()
		}
	}
}

// base checks a url. Problems of its form stand under path, those of its parts
// under inner. Nothing of a url that may hold a password is quoted.
func (l *targetLoader) base(n *node, path, inner string) (a address, ok bool) {
	before, after, schemed := strings.Cut(n.text, "://")
	if !schemed {
		after = before
	}
	authority, _, _ := strings.Cut(after, "/")
	switch {
	case strings.Contains(authority, "@") || !schemed && strings.Contains(n.text, "@"):
		l.ps.secretOf(n, inner, "use key_env", "holds a password")
		return a, false
	case strings.ContainsAny(n.text, "?#"):
		l.ps.secretOf(n, inner, "give scheme, host, port and a path prefix only", "holds a query or a fragment")
		return a, false
	}
	a, wrong := readAddress(n.text)
	if wrong != nil {
		l.ps.at(n, path, wrong.hint, "%q %s", n.text, wrong.must)
	}
	return a, wrong == nil
}

func (l *targetLoader) hooks(n *node, path string) map[string][]string {
	if n == nil {
		return nil
	}
	if n.kind != mapNode {
		l.wrongKind(n, path, "a map of commands", "such as {freeze: [./freeze.sh]}")
		return nil
	}
	out := map[string][]string{}
	for i, k := range n.keys {
		at := join(path, k.text)
		if !slices.Contains(hookKinds(), k.text) {
			l.ps.at(k, at, Suggest(k.text, hookKinds(), ""), "no fault called %q", k.text)
			continue
		}
		items := l.decoder.list(n.items[i], at, "a command and its arguments")
		var argv []string
		for j, item := range items {
			if l.isScalar(item, index(at, j), "a text") {
				argv = append(argv, item.text)
			}
		}
		if n.items[i].kind == seqNode && (len(items) == 0 || textOf(items[0]) == "") {
			l.ps.at(n.items[i], at, "such as [./freeze.sh]", "%s names no command", at)
		}
		out[k.text] = argv
	}
	return out
}

// source decodes {dns, every} and {file, every}.
func (l *targetLoader) source(n *node, path string, tls bool, s *TargetService) {
	const hint = "such as {dns: gpu.internal:8000, every: 5s} or {file: members.txt}"
	if n.kind != mapNode {
		l.wrongKind(n, path, "static, {dns: …} or {file: …}", hint)
		return
	}
	b := l.open(n, path, SourceDNS, SourceFile, "every")
	dns, file := b.get(SourceDNS), b.get(SourceFile)
	switch {
	case dns != nil && file != nil:
		l.ps.at(file.key, b.at(SourceFile), "keep one", "%s stands beside dns", b.at(SourceFile))
	case dns != nil:
		s.Source = MemberSource{Kind: SourceDNS, Scheme: "http", Every: 5 * time.Second}
		if tls {
			s.Source.Scheme = "https"
		}
		if l.isScalar(dns, b.at(SourceDNS), "a name and a port such as gpu.internal:8000") {
			host, port, wrong := readHostPort(dns.text, 1)
			if wrong != nil || host == "" {
				l.ps.at(dns, b.at(SourceDNS), "such as gpu.internal:8000", "%s is %q: it must be a name and a port", b.at(SourceDNS), dns.text)
			}
			s.Source.Host, s.Source.Port = host, port
		}
	case file != nil:
		s.Source = MemberSource{Kind: SourceFile, Every: time.Second}
		if b.text(SourceFile, &s.Source.File); file.kind == scalarNode && file.text == "" {
			l.ps.at(file, b.at(SourceFile), "such as members.txt", "%s names no file", b.at(SourceFile))
		}
	default:
		l.ps.at(n, path, hint, "%s names neither dns nor file", path)
	}
	l.period(b, "every", &s.Source.Every)
}

// LoadMembers reads the file of a file source: one url per line, blank lines and
// lines that begin with # aside. It returns the urls, or none and all problems:
// a file with any bad line changes nothing.
func LoadMembers(src Source) ([]string, []Problem) {
	t := newText(src)
	l := targetLoader{}
	l.decoder = decoder{ps: &l.list}
	var out []string
	seen := map[string]int{}
	for i, line := range t.lines {
		word, _, _ := strings.Cut(line, " #")
		word = strings.TrimSpace(word)
		if word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		col := len([]rune(line[:strings.Index(line, word)])) + 1
		n := &node{kind: scalarNode, text: word, src: t, line: i + 1, col: col, end: col + len([]rune(word))}
		a, ok := l.base(n, "", "")
		if !ok {
			continue
		}
		if first, twice := seen[a.identity()]; twice {
			l.ps.at(n, "", "remove one", "repeats line %d", first)
			continue
		}
		seen[a.identity()] = i + 1
		out = append(out, a.String())
	}
	if len(l.list.list) > 0 {
		return nil, l.list.sorted()
	}
	return out, nil
}
