package scenarios

import (
	"os"
	"time"
)

// Transports of TargetService.Transport.
const (
	TransportHTTP        = "http-json"
	TransportChat        = "openai-chat"
	TransportCompletions = "openai-completions"
	TransportKServe      = "kserve"
)

// Kinds of MemberSource.
const (
	SourceStatic = "static" // the list in the file
	SourceDNS    = "dns"    // one target per address of a name
	SourceFile   = "file"   // one url per line
)

// Targets is a targets file, checked: real backends for the services of a scenario.
type Targets struct {
	File           string // as the user named it
	Services       []TargetService
	FrontEndListen string   // where replica halves reach the front ends, host:port; port 0 = any free one
	Proxy          Proxy    // how a reverse proxy reads requests of real clients
	Notes          []string // what is allowed but worth saying, e.g. other numbers than the scenario's
}

// Service finds a service by name, nil without one.
func (t *Targets) Service(name string) *TargetService {
	for i := range t.Services {
		if t.Services[i].Name == name {
			return &t.Services[i]
		}
	}
	return nil
}

// TargetService is the backends of one service and how to talk to them.
type TargetService struct {
	Name      string
	Transport string
	Path      string // the url's path for requests; kserve: may hold {model}
	Model     string // sent as the model; "" = the request's
	Body      string // http-json: template with {{id}} {{input}} {{output}} {{tenant}}; "" = the transport's own
	Engine    string // "vllm" or ""
	HTTP      int    // 1 or 2
	Slots     int    // of a target that names none itself

	Headers     map[string]string
	HeaderNames []string // in the order of the file

	KeyEnv string // environment variable that Key comes from; "" = none
	Key    Secret // sent as "Authorization: Bearer …"

	TLS      TLS
	Timeouts Timeouts
	Ready    string // path of the ready check
	Profile  string // preset or file; "" = none
	Reporter string // replica, agent or inferred, the scenario's where the file says nothing; "" = neither does

	Source  MemberSource
	Targets []TargetURL // of SourceStatic, in the order of the file: replica numbers

	ownReporter bool // the file names the reporter, not the scenario
}

// TLS says how https backends are trusted.
type TLS struct {
	CA         string // file of certificates in PEM; "" = the system's
	ServerName string // name to check in place of the url's
	Insecure   bool   // check nothing
}

// Timeouts end attempts; all are above zero.
type Timeouts struct {
	Dial   time.Duration // until connected
	Header time.Duration // until the answer's header
	Stall  time.Duration // between two pieces of a stream
	Total  time.Duration // of the attempt
}

// MemberSource says where the members of a service come from.
type MemberSource struct {
	Kind   string        // static, dns or file
	Scheme string        // dns: http, or https where tls is set
	Host   string        // dns: name whose A and AAAA records count
	Port   int           // dns
	File   string        // file: its name
	Every  time.Duration // how often dns or file are read again
}

// TargetURL is one backend: a replica of the service.
type TargetURL struct {
	URL     string // without a slash at its end
	Weight  float64
	Labels  map[string]string
	Slots   int
	Agent   string // base url of the agent beside it; "" = none
	Metrics string // url of its metrics; "" = none
	DCGM    string // url of its GPU's metrics; "" = none

	Hooks map[string][]string // fault kind → command and its arguments; no shell
}

// TargetOptions is what LoadTargets needs beside the file.
type TargetOptions struct {
	Env  func(string) (string, bool) // looks environment variables up; nil = os.LookupEnv
	Plan *Plan                       // the scenario that calls the services; nil = none, as for calibrate
	Live bool                        // the plan is run against the targets: its faults need hooks, its loads a capacity
}

// LoadTargets checks a targets file. It returns nil and all problems, or the
// targets and none. It opens no connection and no other file.
func LoadTargets(src Source, opt TargetOptions) (*Targets, []Problem) {
	if opt.Env == nil {
		opt.Env = os.LookupEnv
	}
	t := newText(src)
	t.holds = "targets file"
	l := targetLoader{opt: opt}
	l.decoder = decoder{ps: &l.list}
	out := l.load(t, src.Data)
	if len(l.list.list) > 0 {
		return nil, l.list.sorted()
	}
	return out, nil
}

// targetLoader loads one targets file.
type targetLoader struct {
	decoder
	list problemList
	opt  TargetOptions
}

func (l *targetLoader) load(src *text, data []byte) *Targets {
	root := parse(src, data, &l.list)
	if root == nil {
		return nil
	}
	return l.tree(root, src.name)
}

func (l *targetLoader) tree(root *node, file string) *Targets {
	if root.kind != mapNode {
		l.ps.at(root, "", "it begins with version: 1", "the targets file must be a map of keys")
		return nil
	}
	top := l.keys(root, "", "")
	out := &Targets{File: file, FrontEndListen: "127.0.0.1:0"}
	l.version(top)
	f := l.keys(top.get("frontends"), "frontends", "frontends")
	if n, ok := f.scalar("listen", "an address such as 10.0.0.9:7070"); ok {
		if _, _, bad := readHostPort(n.text, 0); bad != nil {
			l.refuse(n, f.at("listen"), bad)
		}
		out.FrontEndListen = n.text
	}
	out.Proxy = l.proxy(top.get("proxy"))
	list := top.get("services")
	switch {
	case list == nil && top.odd: // perhaps the unknown key
		return out
	case list == nil:
		l.ps.at(top.n, "services", "such as services: {main: {targets: [http://10.0.0.1:8000]}}", "services is missing: there is nothing to send to")
		return out
	case list.kind != mapNode || len(list.keys) == 0:
		l.wrongKind(list, "services", "a map of services", "such as {main: {targets: [http://10.0.0.1:8000]}}")
		return out
	}
	for i, k := range list.keys {
		b := l.keys(list.items[i], join("services", k.text), "services.NAME")
		if b.n == nil {
			continue
		}
		s := l.service(b, k.text)
		out.Services = append(out.Services, s)
	}
	l.match(list, out)
	l.routes(top.get("proxy"), out)
	return out
}

func (l *targetLoader) version(top block) {
	n := top.get("version")
	if n == nil {
		l.ps.at(top.n, "version", "begin the file with version: 1", "version is missing")
		return
	}
	version := 1
	if top.integer("version", &version, -unbounded, unbounded); version != 1 {
		l.ps.at(n, "version", "write version: 1", "version is %d: this program reads version 1", version)
	}
}
