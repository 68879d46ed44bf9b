package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"
)

// The transports.
const (
	HTTPJSON          = "http-json"
	OpenAIChat        = "openai-chat"
	OpenAICompletions = "openai-completions"
	KServe            = "kserve"
)

// Transports returns the names of the transports, the default first.
func Transports() []string { return []string{HTTPJSON, OpenAIChat, OpenAICompletions, KServe} }

// EngineVLLM is the engine hint that makes OpenAI requests say ignore_eos and ask
// for load reports.
const EngineVLLM = "vllm"

// Target is one backend and how to talk to it. It prints without its key, but package
// fmt asks no unexported field how to print itself: keep a Client, not a Target.
type Target struct {
	URL       string            // scheme, host, port; a path prefix is allowed
	Transport string            // one of Transports; empty is http-json
	Path      string            // empty: the transport's own
	Model     string            // sent as model; empty: the request's model
	Body      string            // http-json and kserve: template with {{id}} {{input}} {{output}} {{tenant}}
	Engine    string            // optional hint, see EngineVLLM
	Ready     string            // path that Warm asks for; empty: the transport's own
	Headers   map[string]string // sent with every request
	Key       string            // sent as "Authorization: Bearer …"
	TLS       TLS
	HTTP      int // version 1 (also 0) or 2; 2 over http:// is HTTP/2 without TLS
	Timeouts  Timeouts
}

// TLS says how an https target is trusted.
type TLS struct {
	CA         string // file of PEM certificates; empty: the system's
	ServerName string // expected name, if not the host of the URL
	Insecure   bool   // accept any certificate
}

// Timeouts bound the phases of an attempt; zero means the default.
type Timeouts struct {
	Dial   time.Duration // to a connection, and again for its TLS handshake; 2 s
	Header time.Duration // from the request written to the answer's header; 30 s
	Stall  time.Duration // between two bytes of the answer; 30 s
	Total  time.Duration // of the whole attempt; 120 s
}

// DefaultTimeouts returns what zero fields of Timeouts mean.
func DefaultTimeouts() Timeouts {
	return Timeouts{Dial: 2 * time.Second, Header: 30 * time.Second, Stall: 30 * time.Second, Total: 120 * time.Second}
}

// Format prints the target without its key, whatever the verb.
func (t Target) Format(f fmt.State, _ rune) {
	key := ""
	if t.Key != "" {
		key = " (with a key)"
	}
	fmt.Fprintf(f, "%s %s%s", t.Transport, withoutUser(t.URL), key)
}

// String prints the target without its key.
func (t Target) String() string { return fmt.Sprint(t) }

// LogValue logs the target without its key.
func (t Target) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText writes the target without its key; there is no way back.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// withoutUser cuts user and password out of a URL, readable or not.
func withoutUser(raw string) string {
	head, rest, ok := strings.Cut(raw, "://")
	if !ok {
		head, rest = "", raw
	} else {
		head += "://"
	}
	host, _, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return head + rest
}

// complete checks the target and fills in defaults.
func (t *Target) complete() (*url.URL, error) {
	u, err := parseURL(t.URL)
	if err != nil {
		return nil, err
	}
	if t.Transport == "" {
		t.Transport = HTTPJSON
	}
	own, ready := "/", "/"
	switch t.Transport {
	case HTTPJSON:
	case OpenAIChat:
		own, ready = "/v1/chat/completions", "/health"
	case OpenAICompletions:
		own, ready = "/v1/completions", "/health"
	case KServe:
		own, ready = "", "/v2/health/ready"
	default:
		return nil, fmt.Errorf("unknown transport %q: one of %s", t.Transport, strings.Join(Transports(), ", "))
	}
	if t.Path == "" {
		t.Path = own
	}
	if t.Ready == "" {
		t.Ready = ready
	}
	if t.HTTP == 0 {
		t.HTTP = 1
	}
	if t.HTTP != 1 && t.HTTP != 2 {
		return nil, fmt.Errorf("http is %d: it must be 1 or 2", t.HTTP)
	}
	if err := t.Timeouts.complete(); err != nil {
		return nil, err
	}
	return u, t.checkHeaders()
}

func (t *Timeouts) complete() error {
	d := DefaultTimeouts()
	for _, f := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{{"dial", &t.Dial, d.Dial}, {"header", &t.Header, d.Header}, {"stall", &t.Stall, d.Stall}, {"total", &t.Total, d.Total}} {
		if *f.value < 0 {
			return fmt.Errorf("timeouts.%s is %v: it must be greater than 0", f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	return nil
}

// checkHeaders finds what net/http would refuse at every single send.
func (t *Target) checkHeaders() error {
	for name, value := range t.Headers {
		if !isToken(name) {
			return fmt.Errorf("header name %q holds a character that HTTP does not allow", name)
		}
		if !isHeaderValue(value) {
			return fmt.Errorf("header %s holds a control character", name)
		}
	}
	if !isHeaderValue(t.Key) {
		return errors.New("the key holds a control character: look for a line break at its end")
	}
	return nil
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func isHeaderValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func parseURL(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		raw = withoutUser(raw)
		return nil, fmt.Errorf("%q has no scheme: write http://%s", raw, raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL", withoutUser(raw)) // the cause would quote a password
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q has the scheme %s: http and https are understood", withoutUser(raw), u.Scheme)
	case u.User != nil:
		return nil, fmt.Errorf("%q holds a user or password: use a key", withoutUser(raw))
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q has no host", raw)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q has a query or fragment: only scheme, host, port and a path prefix are understood", u.Scheme+"://"+u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// config makes the TLS settings, reading the file of certificates.
func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure} //nolint:gosec // asked for by the targets file
	if t.CA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("tls.ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.ca: %s holds no PEM certificate", t.CA)
	}
	return c, nil
}
