package scenarios

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where a Field comes from.
const (
	FieldConstant = "constant" // the same for every request
	FieldHeader   = "header"   // a header of the request
	FieldPath     = "path"     // one element of the path
	FieldJSON     = "json"     // a key at the top level of the body
	FieldBody     = "body"     // the body's size
)

// Proxy says how a reverse proxy reads requests of real clients, and what it bounds.
type Proxy struct {
	Routes      []Route
	Buffer      int64    // bytes of a body kept for routing and for further attempts
	Park        Park     // of one front end
	MaxInFlight int      // of one front end
	Strip       []string // headers removed from requests and answers, beside those always removed
	Tape        ProxyTape
}

// ProxyTape bounds what a proxy tapes, in bytes of files.
type ProxyTape struct {
	Segment  int64  // length of a file, after which the next begins
	Limit    int64  // length of all of them
	WhenFull string // what happens there
}

// What a proxy does when its tape has reached its limit.
const (
	TapeStop  = "stop"  // the tape ends
	TapeFresh = "fresh" // fresh policies begin another one, and the old one is removed
)

// Park bounds the requests that wait inside a front end.
type Park struct {
	Max     int
	Timeout time.Duration
}

// Route maps the requests that it matches; the first that matches counts.
type Route struct {
	Path    string // prefix of the path; "" = any
	Headers []Pair // all must be there with this value
	Service string

	Tenant, Class, Session, Model Field // texts
	Input, MaxOutput              Field // tokens
	Deadline                      Field // durations
}

// Pair is a header and its value.
type Pair struct{ Name, Value string }

// Field says where one property of a request comes from. The zero Field is nowhere.
type Field struct {
	From     string
	Name     string  // of the header or the key
	Element  int     // of the path, from 1
	PerToken float64 // bytes per token where a size is meant; 0 = the value is the number

	Text   string        // FieldConstant: the text; else the default
	Number uint32        // the same of a number of tokens
	Time   time.Duration // the same of the deadline; 0 = none
	Most   time.Duration // the longest deadline; 0 = any
}

// DefaultProxy is what a file without the block proxy gets; it has no routes.
func DefaultProxy() Proxy {
	return Proxy{Buffer: 1 << 20, Park: Park{Max: 10_000, Timeout: 30 * time.Second}, MaxInFlight: 8192,
		Tape: ProxyTape{Segment: 256 << 20, Limit: 1 << 30, WhenFull: TapeStop}}
}

// proxyKeys are the rows of the block proxy.
func proxyKeys() []Key {
	const text, tokens = "{header, default} or {path: N, default} or a constant", "{json, per_token, default} or {header, default} or {body: BYTES} or a constant"
	return []Key{
		key("proxy.routes[].match.path", "path", "any", "begins with /", "prefix of the path; the first route that matches counts"),
		key("proxy.routes[].match.header", "map of strings", "{}", "", "headers that must have these values"),
		key("proxy.routes[].service", "string", "the only one", "", "service of the matching requests"),
		key("proxy.routes[].tenant", text, "anonymous", "at most 10,000 names", "who pays"),
		key("proxy.routes[].class", text, "none", "at most 64 names", "class of the requests"),
		key("proxy.routes[].session", text, "none", "", "affinity: what belongs to one session meets one front end"),
		key("proxy.routes[].deadline", "{header, default, max} or a constant", "none", "the header counts milliseconds", "when an answer is of no use any more, since the arrival"),
		key("proxy.routes[].model", "{json, default} or {header, default} or a constant", "none", "at most 1,024 names", "model asked for"),
		key("proxy.routes[].input", tokens, "0", "a value that is no number counts its bytes, 4 per token", "input tokens"),
		key("proxy.routes[].max_output", tokens, "0", "", "bound on output tokens"),
		key("proxy.buffer", "bytes", "1MiB", "1KiB…64MiB", "body kept for routing and further attempts; a larger one streams, one attempt only"),
		key("proxy.park.max", "int", "10000", "1…1,000,000", "requests waiting inside a front end"),
		key("proxy.park.timeout", "duration", "30s", "> 0", "longest wait inside a front end"),
		key("proxy.max_in_flight", "int", "8192", "1…1,000,000", "requests inside a front end"),
		key("proxy.strip", "list of headers", "[]", "", "removed from requests and answers, beside x-taillab-frontend and x-taillab-msg"),
		key("proxy.tape.segment", "bytes", "256MiB, or the limit", "16KiB…64GiB", "length of a file of the tape, after which the next begins"),
		key("proxy.tape.limit", "bytes", "1GiB", "64KiB…1024GiB", "length of all files of the tape"),
		key("proxy.tape.when_full", "enum", "stop", "stop fresh", "at the limit: the tape ends, or fresh policies begin another one and the old one is removed"),
	}
}

// proxy decodes the block proxy.
func (l *targetLoader) proxy(n *node) Proxy {
	out := DefaultProxy()
	b := l.keys(n, "proxy", "proxy")
	if b.n == nil {
		return out
	}
	for i, item := range l.items(b, "routes", "routes") {
		out.Routes = append(out.Routes, l.route(item, index(b.at("routes"), i)))
	}
	l.bytes(b, "buffer", &out.Buffer, 1<<10, 64<<20)
	p := l.keys(b.get("park"), b.at("park"), "proxy.park")
	p.integer("max", &out.Park.Max, 1, 1_000_000)
	l.period(p, "timeout", &out.Park.Timeout)
	b.integer("max_in_flight", &out.MaxInFlight, 1, 1_000_000)
	for i, item := range l.items(b, "strip", "names of headers") {
		at := index(b.at("strip"), i)
		switch {
		case !l.isScalar(item, at, "the name of a header"):
		case !headerForm.MatchString(item.text):
			l.ps.at(item, at, "use letters, digits and -", "%q is no name of a header", item.text)
		default:
			out.Strip = append(out.Strip, item.text)
		}
	}
	t := l.keys(b.get("tape"), b.at("tape"), "proxy.tape")
	l.tape(t, &out.Tape)
	return out
}

// tape decodes what a tape may be long.
func (l *targetLoader) tape(b block, out *ProxyTape) {
	l.bytes(b, "limit", &out.Limit, 64<<10, 1<<40)
	out.Segment = min(out.Segment, out.Limit)
	l.bytes(b, "segment", &out.Segment, 16<<10, 64<<30)
	if out.Segment > out.Limit {
		l.ps.at(b.get("segment"), b.at("segment"), "", "%s is longer than limit, which is %s", b.at("segment"), sizeText(out.Limit))
	}
	b.enum("when_full", &out.WhenFull, TapeStop, TapeFresh)
}

// items is the list under a key, nil when it is not written.
func (l *targetLoader) items(b block, key, of string) []*node {
	return l.decoder.list(b.get(key), b.at(key), of)
}

func (l *targetLoader) route(n *node, path string) (r Route) {
	b := l.keys(n, path, "proxy.routes[]")
	m := l.keys(b.get("match"), b.at("match"), "proxy.routes[].match")
	l.path(m, "path", &r.Path)
	if h := m.get("header"); h != nil {
		if h.kind != mapNode {
			l.wrongKind(h, m.at("header"), "a map of texts", "such as {x-stage: prod}")
			h = &node{}
		}
		for i, k := range h.keys {
			at := join(m.at("header"), k.text)
			if !headerForm.MatchString(k.text) {
				l.ps.at(k, at, "use letters, digits and -", "%q is no name of a header", k.text)
			} else if l.isScalar(h.items[i], at, "a text") {
				r.Headers = append(r.Headers, Pair{k.text, h.items[i].text})
			}
		}
	}
	b.text("service", &r.Service)
	r.Tenant = l.textField(b, "tenant", "anonymous", FieldHeader, FieldPath)
	r.Class = l.textField(b, "class", "", FieldHeader, FieldPath)
	r.Session = l.textField(b, "session", "", FieldHeader, FieldPath)
	r.Model = l.textField(b, "model", "", FieldJSON, FieldHeader, FieldPath)
	r.Input = l.tokenField(b, "input")
	r.MaxOutput = l.tokenField(b, "max_output")
	r.Deadline = l.deadline(b, "deadline")
	return r
}

// from decodes {FROM: …, FURTHER: …} of a field, of which exactly one from is given.
// A scalar is a constant; ok is false where there is nothing more to read.
func (l *targetLoader) from(b block, key string, f *Field, from []string, further ...string) (in block, ok bool) {
	n := b.get(key)
	if n == nil {
		return in, false
	}
	hint := "such as {" + from[0] + ": NAME}, or a constant"
	if n.kind != mapNode {
		l.wrongKind(n, b.at(key), "a constant or one of {"+strings.Join(from, ": …}, {")+": …}", hint)
		return in, false
	}
	known := append(slices.Clone(from), further...)
	in = l.open(n, b.at(key), known...)
	in.odd = slices.ContainsFunc(n.keys, func(k *node) bool { return !slices.Contains(known, k.text) })
	for _, name := range from {
		at := in.get(name)
		switch {
		case at == nil:
		case f.From != "" && f.From != FieldConstant:
			l.ps.at(at.key, in.at(name), "keep one", "%s stands beside %s", in.at(name), f.From)
		default:
			f.From = name
			l.place(at, in.at(name), f)
		}
	}
	if (f.From == "" || f.From == FieldConstant) && !in.odd {
		l.ps.at(n, b.at(key), hint, "%s says not where it comes from", b.at(key))
	}
	return in, true
}

// place reads where inside the request a field is.
func (l *targetLoader) place(n *node, path string, f *Field) {
	switch {
	case !l.isScalar(n, path, "a name or a number"):
	case f.From == FieldPath:
		if v, ok := l.integer(n, path, 1, 64); ok {
			f.Element = int(v)
		}
	case f.From == FieldBody:
		v, wrong := readFloat(n.text)
		if wrong != nil || v <= 0 {
			l.ps.at(n, path, "such as 4: bytes per token", "%s is %q: it must be a number above 0", path, n.text)
		}
		f.PerToken = v
	case n.text == "" || f.From == FieldHeader && !headerForm.MatchString(n.text):
		l.ps.at(n, path, "", "%s is %q: it must be a name", path, n.text)
	default:
		f.Name = n.text
	}
}

func (l *targetLoader) textField(b block, key, def string, from ...string) Field {
	f := Field{From: FieldConstant, Text: def}
	if n := b.get(key); n != nil && n.kind == scalarNode {
		f.Text = n.text
		return f
	}
	if in, ok := l.from(b, key, &f, from, "default"); ok {
		in.text("default", &f.Text)
	}
	return f
}

func (l *targetLoader) tokenField(b block, key string) Field {
	f := Field{From: FieldConstant}
	most := int64(1 << 30)
	if n := b.get(key); n != nil && n.kind == scalarNode {
		if v, ok := l.integer(n, b.at(key), 0, most); ok {
			f.Number = uint32(v)
		}
		return f
	}
	in, ok := l.from(b, key, &f, []string{FieldJSON, FieldHeader, FieldBody}, "default", "per_token")
	if !ok {
		return f
	}
	if at, ok := in.scalar("default", "a whole number"); ok {
		if v, ok := l.integer(at, in.at("default"), 0, most); ok {
			f.Number = uint32(v)
		}
	}
	if at := in.get("per_token"); at != nil && f.From != FieldJSON {
		l.ps.at(at.key, in.at("per_token"), "remove it", "%s belongs to json", in.at("per_token"))
		return f
	}
	in.number("per_token", &f.PerToken, span{lo: 0, hi: 1e6, above: true})
	return f
}

func (l *targetLoader) deadline(b block, key string) Field {
	f := Field{From: FieldConstant}
	if n := b.get(key); n != nil && n.kind == scalarNode {
		l.period(b, key, &f.Time)
		return f
	}
	if in, ok := l.from(b, key, &f, []string{FieldHeader}, "default", "max"); ok {
		l.period(in, "default", &f.Time)
		l.period(in, "max", &f.Most)
		if f.Most > 0 && f.Time > f.Most {
			l.ps.at(in.get("default"), in.at("default"), "", "%s is longer than max", in.at("default"))
		}
	}
	return f
}

// bytes reads a size such as 1MiB.
func (l *targetLoader) bytes(b block, key string, dst *int64, lo, hi int64) {
	n, ok := b.scalar(key, "a size such as 1MiB")
	if !ok {
		return
	}
	v, wrong := readSize(n.text)
	switch {
	case wrong != nil:
		l.refuse(n, b.at(key), wrong)
	case v < lo || v > hi:
		l.ps.at(n, b.at(key), "", "%s is %s: it must lie in %s…%s", b.at(key), n.text, sizeText(lo), sizeText(hi))
	default:
		*dst = v
	}
}

// readSize reads 64KiB 1MiB 4GB; a bare number counts bytes only if it is 0.
func readSize(s string) (int64, *bad) {
	if s = strings.TrimSpace(s); s == "0" {
		return 0, nil
	}
	i := strings.IndexFunc(s, func(r rune) bool { return !(r >= '0' && r <= '9' || r == '.' || r == '_') })
	if i < 0 {
		return 0, &bad{"a size needs a unit", "add a unit, such as " + s + "KiB (B kB MB GB KiB MiB GiB)"}
	}
	x, wrong := readFloat(s[:i])
	unit, known := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[strings.TrimSpace(s[i:])]
	if wrong != nil || !known || x*unit > 1<<60 {
		return 0, &bad{"it must be a size", "such as 64KiB, 1MiB or 4GB"}
	}
	return int64(x * unit), nil
}

func sizeText(v int64) string {
	for _, u := range []struct {
		n    int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if v%u.n == 0 {
			return strconv.FormatInt(v/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(v, 10) + "B"
}

// routes checks the routes against the services. A file without routes sends
// everything to its only service.
func (l *targetLoader) routes(n *node, out *Targets) {
	var names []string
	for i := range out.Services {
		names = append(names, out.Services[i].Name)
	}
	if len(out.Proxy.Routes) == 0 && len(names) == 1 {
		out.Proxy.Routes = []Route{{Service: names[0], Tenant: Field{From: FieldConstant, Text: "anonymous"}}}
		return
	}
	for i := range out.Proxy.Routes {
		r := &out.Proxy.Routes[i]
		path := join(index("proxy.routes", i), "service")
		at := n.get("routes").items[i]
		if s := at.get("service"); s != nil {
			at = s
		}
		switch {
		case r.Service == "" && len(names) == 1:
			r.Service = names[0]
		case r.Service == "":
			l.ps.at(at, path, "one of "+strings.Join(names, ", "), "%s is missing: there are several services", path)
		case len(names) > 0 && !slices.Contains(names, r.Service):
			l.ps.at(at, path, Suggest(r.Service, names, ""), "there is no service %q", r.Service)
		}
	}
}
