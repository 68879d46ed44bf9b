package scenarios

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	envForm    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	headerForm = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	holeForm   = regexp.MustCompile(`\{\{[^{}]*\}\}`)
)

// secretHeaders carry secrets by their nature.
func secretHeaders() []string {
	return []string{"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-auth-token", "x-goog-api-key", "ocp-apim-subscription-key"}
}

// service decodes one service of a targets file.
func (l *targetLoader) service(b block, name string) TargetService {
	s := TargetService{Name: name, Transport: TransportHTTP, HTTP: 1, Slots: 1}
	l.transport(b, &s)
	b.text("model", &s.Model)
	l.body(b, &s)
	b.enum("engine", &s.Engine, "vllm")
	b.integer("http", &s.HTTP, 1, 2)
	b.integer("slots", &s.Slots, 1, 4096)
	l.headers(b.get("headers"), b.at("headers"), &s)
	l.key(b, &s)
	s.TLS = l.tls(b.get("tls"), b.at("tls"))
	s.Timeouts = l.timeouts(b.get("timeouts"), b.at("timeouts"))
	l.profile(b, &s)
	b.enum("reporter", &s.Reporter, ReporterReplica, ReporterAgent, ReporterInferred)
	s.ownReporter = s.Reporter != ""
	l.members(b, &s)
	return s
}

// transport decodes the transport and the paths that it decides.
func (l *targetLoader) transport(b block, s *TargetService) {
	if n, ok := b.scalar("transport", "one of "+strings.Join(transports(), ", ")); ok {
		if slices.Contains(transports(), n.text) {
			s.Transport = n.text
		} else {
			l.ps.at(n, b.at("transport"), transportHint(n.text), "unknown transport %q", n.text)
		}
	}
	s.Path, s.Ready = "/", "/"
	switch s.Transport {
	case TransportChat:
		s.Path = "/v1/chat/completions"
	case TransportCompletions:
		s.Path = "/v1/completions"
	case TransportKServe:
		s.Path, s.Ready = "/v2/models/{model}/infer", "/v2/health/ready"
	}
	l.path(b, "path", &s.Path)
	l.path(b, "ready", &s.Ready)
}

func (l *targetLoader) path(b block, key string, dst *string) {
	n, ok := b.scalar(key, "a path such as /health")
	switch {
	case !ok:
	case !strings.HasPrefix(n.text, "/") || strings.ContainsAny(n.text, " \t\n#"):
		l.ps.at(n, b.at(key), "such as /health", "%s is %q: it must be a path that begins with /", b.at(key), n.text)
	default:
		*dst = n.text
	}
}

// transportHint finds the transport that was meant: the nearest, or the first
// that the name is the beginning of.
func transportHint(name string) string {
	if s := near(name, transports()); s != "" {
		return s
	}
	for _, t := range transports() {
		if name != "" && strings.HasPrefix(t, name+"-") {
			return fmt.Sprintf("did you mean %q?", t)
		}
	}
	return "one of " + strings.Join(transports(), ", ")
}

// body checks a template's placeholders.
func (l *targetLoader) body(b block, s *TargetService) {
	n := b.text("body", &s.Body)
	if n == nil || n.kind != scalarNode {
		return
	}
	if s.Transport != TransportHTTP {
		l.ps.at(n, b.at("body"), "remove it, or use transport: http-json", "%s belongs to http-json: %s writes its own", b.at("body"), s.Transport)
	}
	for _, hole := range holeForm.FindAllString(s.Body, -1) {
		if !slices.Contains(placeholders(), hole) {
			l.ps.at(n, b.at("body"), Suggest(hole, placeholders(), ""), "%s has an unknown placeholder %s", b.at("body"), hole)
		}
	}
}

func (l *targetLoader) headers(n *node, path string, s *TargetService) {
	if n == nil {
		return
	}
	s.Headers = map[string]string{}
	if n.kind != mapNode { // perhaps "Authorization: …" in one text
		l.ps.secretOf(n, path, "such as {x-team: search}", "must be a map of texts")
		return
	}
	lower := map[string]bool{}
	for i, k := range n.keys {
		at, v, name := join(path, k.text), n.items[i], strings.ToLower(k.text)
		switch {
		case slices.Contains(secretHeaders(), name):
			l.ps.secret(v, at, "use key_env", "secrets do not belong in files")
		case !headerForm.MatchString(k.text):
			l.ps.at(k, at, "use letters, digits and -", "%q is no name of a header", k.text)
		case strings.HasPrefix(name, "x-taillab-") || slices.Contains([]string{"host", "content-length", "transfer-encoding", "connection"}, name):
			l.ps.at(k, at, "remove it", "the header %s is set by the program", name)
		case lower[name]:
			l.ps.at(k, at, "keep one of them", "the header %s is given twice: case does not count", name)
		case !l.isScalar(v, at, "a text"):
		case strings.ContainsFunc(v.text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			l.ps.at(v, at, "write it on one line", "%s holds a line break or a control character", at)
		default:
			s.Headers[k.text] = v.text
			s.HeaderNames = append(s.HeaderNames, k.text)
		}
		lower[name] = true
	}
}

// key looks the API key up. What stands in the file is shown only where it reads
// like the name of a variable: some will write the key itself.
func (l *targetLoader) key(b block, s *TargetService) {
	n, ok := b.scalar("key_env", "the name of an environment variable")
	if !ok {
		return
	}
	path := b.at("key_env")
	if !envForm.MatchString(n.text) {
		l.ps.secret(n, path, "name the variable that holds the key", "this is no name of an environment variable")
		return
	}
	s.KeyEnv = n.text
	value, set := l.opt.Env(n.text)
	switch {
	case !set || value == "":
		l.ps.at(n, path, "export it", "environment variable %s is not set", n.text)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		l.ps.at(n, path, "export the key alone", "environment variable %s holds a line break or a control character", n.text)
	default:
		s.Key = NewSecret(value)
	}
}

func (l *targetLoader) tls(n *node, path string) (out TLS) {
	b := l.keys(n, path, "services.NAME.tls")
	b.text("ca", &out.CA)
	b.text("server_name", &out.ServerName)
	b.boolean("insecure", &out.Insecure)
	if out.Insecure && (out.CA != "" || out.ServerName != "") {
		l.ps.at(b.get("insecure").key, b.at("insecure"), "leave it out", "%s stands beside what it would not check", b.at("insecure"))
	}
	return out
}

func (l *targetLoader) timeouts(n *node, path string) Timeouts {
	out := Timeouts{Dial: 2 * time.Second, Header: 30 * time.Second, Stall: 30 * time.Second, Total: 120 * time.Second}
	b := l.keys(n, path, "services.NAME.timeouts")
	l.period(b, "dial", &out.Dial)
	l.period(b, "header", &out.Header)
	l.period(b, "stall", &out.Stall)
	l.period(b, "total", &out.Total)
	return out
}

// period reads a duration above zero.
func (l *targetLoader) period(b block, key string, dst *time.Duration) {
	n, ok := b.scalar(key, "a duration")
	if !ok {
		return
	}
	v, wrong := readDuration(n.text)
	_, bare := readFloat(n.text)
	switch {
	case bare == nil && (wrong != nil || v == 0 && n.text != "0s"):
		l.ps.at(n, b.at(key), "add a unit, e.g. "+n.text+"s", "%s has no unit", n.text)
	case wrong != nil:
		l.refuse(n, b.at(key), wrong)
	case v <= 0:
		l.ps.ofPath(n, b.at(key), "", "is %s: it must be greater than 0", n.text)
	default:
		*dst = v
	}
}

// profile wants a preset's name or something that looks like a file's.
func (l *targetLoader) profile(b block, s *TargetService) {
	n := b.text("profile", &s.Profile)
	if n == nil || n.kind != scalarNode {
		return
	}
	file := strings.ContainsAny(s.Profile, `/\`) || slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(s.Profile))
	if !file && !slices.Contains(PresetNames(), s.Profile) {
		l.ps.at(n, b.at("profile"), Suggest(s.Profile, PresetNames(), "taillab list gpus"), "no GPU preset called %q, and a file's name ends in .yaml", s.Profile)
	}
}
