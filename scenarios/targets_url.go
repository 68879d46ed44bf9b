package scenarios

import (
	"strconv"
	"strings"
)

// address is a url of a backend in its parts. What a url may hold beyond them (a
// password, a query, a fragment) a targets file must not.
type address struct {
	scheme string // http or https
	host   string // as written; IPv6 without its brackets
	port   string // "" = the scheme's
	path   string // without a slash at its end
}

// addressHint is an example of a url.
const addressHint = "such as http://10.0.0.1:8000"

// readAddress splits a url, or says what is wrong with it: bad.must goes on
// behind the quoted url.
func readAddress(text string) (a address, wrong *bad) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return a, &bad{"has no scheme", "write http://" + text}
	}
	a.scheme = strings.ToLower(scheme)
	if a.scheme != "http" && a.scheme != "https" {
		return a, &bad{"has the scheme " + strconv.Quote(scheme), "write http:// or https://"}
	}
	authority, path, _ := strings.Cut(rest, "/")
	a.path = strings.TrimRight("/"+path, "/")
	colon := strings.LastIndexByte(authority, ':')
	if end := strings.LastIndexByte(authority, ']'); colon < end { // the colons of IPv6
		colon = -1
	}
	a.host = authority
	if colon >= 0 {
		a.host, a.port = authority[:colon], authority[colon+1:]
		if p, err := strconv.Atoi(a.port); err != nil || p < 1 || p > 65535 || a.port[0] == '+' {
			return a, &bad{"has no valid port", "a port lies in 1…65535"}
		}
	}
	host, ok := readHost(a.host)
	switch a.host = host; {
	case host == "" && ok:
		return a, &bad{"has no host", addressHint}
	case !ok || !pathFits(a.path):
		return a, &bad{"is no url", addressHint}
	}
	return a, nil
}

// String writes the url without a slash at its end.
func (a address) String() string {
	s := a.scheme + "://"
	if s += a.host; strings.Contains(a.host, ":") {
		s = a.scheme + "://[" + a.host + "]"
	}
	if a.port != "" {
		s += ":" + a.port
	}
	return s + a.path
}

// identity is the url without what does not tell backends apart.
func (a address) identity() string {
	a.host = strings.ToLower(a.host)
	if a.port == "" {
		a.port = "80"
		if a.scheme == "https" {
			a.port = "443"
		}
	}
	return a.String()
}

// readHost takes the brackets off IPv6 and refuses what no host holds.
func readHost(s string) (host string, ok bool) {
	if inner, bracket := strings.CutPrefix(s, "["); bracket {
		host, ok = strings.CutSuffix(inner, "]")
		digits := strings.Trim(host, "0123456789abcdefABCDEF:.")
		return host, ok && digits == "" && strings.Count(host, ":") >= 2
	}
	bad := func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '-' || r == '_')
	}
	return s, !strings.ContainsFunc(s, bad)
}

// pathFits refuses paths that would have to be escaped first.
func pathFits(path string) bool {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\^{|}`+"`", c) >= 0 {
			return false
		}
		if c == '%' && (i+2 >= len(path) || !hexDigit(path[i+1]) || !hexDigit(path[i+2])) {
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// readHostPort splits host:port; the port is at least lo. An empty host is every
// address of this machine.
func readHostPort(text string, lo int) (host string, port int, wrong *bad) {
	wrong = &bad{"it must be host:port", "such as 10.0.0.9:7070"}
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", 0, wrong
	}
	host, ok := readHost(text[:i])
	port, err := strconv.Atoi(text[i+1:])
	if !ok || err != nil || port < lo || port > 65535 || text[i+1] == '+' {
		return "", 0, wrong
	}
	return host, port, nil
}
