package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"taillab/scenarios"
)

// maxField bounds a header that is mapped, in bytes.
const maxField = 256

// maxTokens bounds what a client may claim.
const maxTokens = 1 << 30

// errField is a header that no field can be read from.
var errField = errors.New("a header is longer than 256 bytes or not printable")

// rules is what a reload may change at once.
type rules struct {
	scenarios.Proxy
	routes []rule
	strip  []string // in the spelling of net/http
}

// rule is a route, ready to use.
type rule struct {
	scenarios.Route
	service int
	keys    []string // of the body
	body    bool     // the body is looked at
}

// fields is what a front end can see of a request, in words.
type fields struct {
	tenant, class, session, model string
	input, maxOutput              uint32
	deadline                      time.Duration // since the arrival; 0 = none
	defaulted                     []string      // fields that took their default for a missing or malformed value
}

// compile prepares the routes; index numbers the services.
func compile(p scenarios.Proxy, always []string, index func(string) int) *rules {
	r := &rules{Proxy: p}
	for _, h := range append(always, p.Strip...) {
		r.strip = append(r.strip, http.CanonicalHeaderKey(h))
	}
	for _, route := range p.Routes {
		ru := rule{Route: route, service: index(route.Service)}
		for _, f := range []*scenarios.Field{&route.Model, &route.Input, &route.MaxOutput} {
			switch f.From {
			case scenarios.FieldJSON:
				ru.keys, ru.body = append(ru.keys, f.Name), true
			case scenarios.FieldBody:
				ru.body = true
			}
		}
		r.routes = append(r.routes, ru)
	}
	return r
}

// match finds the first route of a request, nil without one.
func (r *rules) match(in *http.Request) *rule {
	for i := range r.routes {
		if r.routes[i].matches(in) {
			return &r.routes[i]
		}
	}
	return nil
}

func (r *rule) matches(in *http.Request) bool {
	if !strings.HasPrefix(in.URL.Path, "/") || !strings.HasPrefix(in.URL.Path, r.Path) {
		return false
	}
	for _, h := range r.Headers {
		if in.Header.Get(h.Name) != h.Value {
			return false
		}
	}
	return true
}

// head reads the fields that need no body.
func (r *rule) head(in *http.Request) (m fields, err error) {
	m.tenant, err = r.text(in, &r.Tenant, err)
	m.class, err = r.text(in, &r.Class, err)
	m.session, err = r.text(in, &r.Session, err)
	m.model, err = r.text(in, &r.Model, err)
	m.input, err = m.tokens(in, &r.Input, "input", err)
	m.maxOutput, err = m.tokens(in, &r.MaxOutput, "max_output", err)
	if err == nil {
		err = m.due(in, &r.Deadline)
	}
	return m, err
}

// text reads a text from a header or the path; it goes on from an earlier error.
func (r *rule) text(in *http.Request, f *scenarios.Field, before error) (string, error) {
	if before != nil {
		return "", before
	}
	v := ""
	switch f.From {
	case scenarios.FieldHeader:
		if v = in.Header.Get(f.Name); !printable(v) {
			return "", errField
		}
	case scenarios.FieldPath:
		if v = element(in.URL.Path, f.Element); !printable(v) {
			return "", errField
		}
	}
	if v == "" {
		v = f.Text
	}
	return v, nil
}

func printable(v string) bool {
	return len(v) <= maxField && utf8.ValidString(v) && !strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) })
}

// element is element n of a path, from 1.
func element(path string, n int) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if n > len(parts) {
		return ""
	}
	return parts[n-1]
}

func (m *fields) tokens(in *http.Request, f *scenarios.Field, name string, before error) (uint32, error) {
	if before != nil || f.From != scenarios.FieldHeader {
		return f.Number, before
	}
	v := in.Header.Get(f.Name)
	if !printable(v) {
		return 0, errField
	}
	if v == "" {
		return f.Number, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n > maxTokens {
		m.defaulted = append(m.defaulted, name)
		return f.Number, nil
	}
	return uint32(n), nil
}

// due reads the deadline: milliseconds since the arrival.
func (m *fields) due(in *http.Request, f *scenarios.Field) error {
	m.deadline = f.Time
	if f.From != scenarios.FieldHeader {
		return nil
	}
	v := in.Header.Get(f.Name)
	if !printable(v) {
		return errField
	}
	if v == "" {
		return nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	const most = uint64(math.MaxInt64 / int64(time.Millisecond))
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), n == 0:
		m.defaulted = append(m.defaulted, "deadline")
		return nil
	case n > most:
		n = most
	}
	m.deadline = time.Duration(n) * time.Millisecond
	if f.Most > 0 {
		m.deadline = min(m.deadline, f.Most)
	}
	return nil
}

// read reads the fields of the body: what is kept of it, and its whole size where
// that is known.
func (m *fields) read(r *rule, text []byte, size int64) {
	var found map[string]json.RawMessage
	if len(r.keys) > 0 {
		found = topLevel(text, r.keys)
	}
	if r.Model.From == scenarios.FieldJSON {
		var name string
		if json.Unmarshal(found[r.Model.Name], &name) == nil && name != "" && printable(name) {
			m.model = name
		} else {
			m.defaulted = append(m.defaulted, "model")
		}
	}
	m.input = m.sized(&r.Input, "input", found, m.input, size)
	m.maxOutput = m.sized(&r.MaxOutput, "max_output", found, m.maxOutput, size)
}

// bytesPerToken is what a token takes where the route does not say.
const bytesPerToken = 4

// sized reads a number of tokens: the number itself, else the size of what is there.
func (m *fields) sized(f *scenarios.Field, name string, found map[string]json.RawMessage, head uint32, size int64) uint32 {
	per := f.PerToken
	if per == 0 {
		per = bytesPerToken
	}
	switch f.From {
	case scenarios.FieldBody:
		return uint32(min(float64(size)/per, maxTokens))
	case scenarios.FieldJSON:
		raw := bytes.TrimSpace(found[f.Name])
		switch {
		case len(raw) == 0 || raw[0] == 'n' || raw[0] == 't' || raw[0] == 'f': // missing, null, true, false
		case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
			if x, err := strconv.ParseFloat(string(raw), 64); err == nil && x >= 0 && x <= maxTokens {
				return uint32(x)
			}
		case name == "input":
			return uint32(min(float64(len(raw))/per, maxTokens))
		}
		m.defaulted = append(m.defaulted, name)
		return f.Number
	}
	return head
}
