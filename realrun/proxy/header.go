package proxy

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// hopByHop are headers of one connection only (RFC 9110 §7.6.1; Proxy-Connection and
// Keep-Alive by custom).
func hopByHop() []string {
	return []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
}

// via is what the proxy calls itself in header Via.
const via = "taillab"

// upgrades tells that a request asks for another protocol or a tunnel.
func upgrades(in *http.Request) bool {
	return in.Method == http.MethodConnect || in.Header.Get("Upgrade") != "" || listed(in.Header["Connection"], "upgrade")
}

// listed tells whether a comma-separated header names a token.
func listed(values []string, token string) bool {
	for _, v := range values {
		for word := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(word), token) {
				return true
			}
		}
	}
	return false
}

// through copies what goes through a proxy: everything but the headers of the
// connection and those to strip.
func through(h http.Header, strip []string) http.Header {
	out := make(http.Header, len(h)+4)
	for name, values := range h { // into a map: no order
		out[name] = values
	}
	for _, v := range h["Connection"] {
		for word := range strings.SplitSeq(v, ",") {
			out.Del(strings.TrimSpace(word))
		}
	}
	for _, name := range hopByHop() {
		delete(out, name)
	}
	for _, name := range strip {
		delete(out, name)
	}
	return out
}

// request is the header that goes to a backend.
func (r *rules) request(in *http.Request) http.Header {
	h := through(in.Header, r.strip)
	delete(h, "Expect") // the body is read here
	if listed(in.Header["Te"], "trailers") {
		h.Set("Te", "trailers")
	}
	if ip, _, err := net.SplitHostPort(in.RemoteAddr); err == nil {
		h["X-Forwarded-For"] = []string{strings.Join(append(slices.Clone(h["X-Forwarded-For"]), ip), ", ")}
	}
	h["Via"] = append(slices.Clone(h["Via"]), version(in.ProtoMajor, in.ProtoMinor)+" "+via)
	return h
}

// answer is the header that goes to the client.
func (r *rules) answer(from http.Header) http.Header {
	h := through(from, r.strip)
	h["Via"] = append(slices.Clone(h["Via"]), "1.1 "+via)
	return h
}

func version(major, minor int) string {
	if major >= 2 {
		return "2.0"
	}
	return "1." + string(rune('0'+minor%10))
}
