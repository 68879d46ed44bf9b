package scenarios

import (
	"slices"
	"strings"
	"sync"
)

// TargetKeys lists every key of a targets file in the order of the documents.
func TargetKeys() []Key {
	rows := []Key{
		key("version", "int", "", "1", "version of the format; required"),
		key("services.NAME.transport", "enum", TransportHTTP, strings.Join(transports(), " "), "how requests are written and answers read"),
		key("services.NAME.path", "path", "by transport", "begins with /", "where requests go"),
		key("services.NAME.model", "string", "the request's", "", "sent as the model"),
		key("services.NAME.body", "template", "the transport's", "http-json only; "+strings.Join(placeholders(), " "), "what is sent"),
		key("services.NAME.engine", "enum", "none", "vllm", "hint: sets ignore_eos"),
		key("services.NAME.http", "int", "1", "1 2", "version of HTTP"),
		key("services.NAME.slots", "int", "1", "1…4096", "per target: what a policy's replica half calls a free slot"),
		key("services.NAME.headers", "map of strings", "{}", "no secrets", "sent with every request"),
		key("services.NAME.key_env", "string", "none", "a variable that is set", `environment variable sent as "Authorization: Bearer …"`),
		key("services.NAME.tls.ca", "file", "the system's", "", "certificates to trust, in PEM"),
		key("services.NAME.tls.server_name", "string", "the url's", "", "name to check"),
		key("services.NAME.tls.insecure", "bool", "false", "", "checks no certificate"),
		key("services.NAME.timeouts.dial", "duration", "2s", "> 0", "until connected"),
		key("services.NAME.timeouts.header", "duration", "30s", "> 0", "until the answer's header"),
		key("services.NAME.timeouts.stall", "duration", "30s", "> 0", "between two pieces of a stream"),
		key("services.NAME.timeouts.total", "duration", "120s", "> 0", "of an attempt"),
		key("services.NAME.ready", "path", "/; kserve /v2/health/ready", "begins with /", "any answer from 200 to 499 counts as ready"),
		key("services.NAME.profile", "preset or file", "none", "", "what the backends can do; a load needs it"),
		key("services.NAME.reporter", "enum", "the scenario's", "replica agent inferred", "where a policy's replica half runs"),
		key("services.NAME.source", "static, {dns, every} or {file, every}", SourceStatic, "every 5s (dns), 1s (file)", "where the members come from"),
		key("services.NAME.targets", "list of urls or {url, …}", "", "", "the members; their order numbers the replicas"),
		key("services.NAME.targets[].url", "url", "", "http or https, host, port, path prefix", "base of the backend; required"),
		key("services.NAME.targets[].weight", "number", "1", "> 0", "what weighted policies read"),
		key("services.NAME.targets[].labels", "map of strings", "{}", "", "what policies and reports may name"),
		key("services.NAME.targets[].slots", "int", "the service's", "1…4096", "overrides the service's"),
		key("services.NAME.targets[].agent", "url", "none", "", "base of the agent beside the backend"),
		key("services.NAME.targets[].metrics", "url", "none", "", "the backend's metrics"),
		key("services.NAME.targets[].dcgm", "url", "none", "", "the GPU's metrics"),
		key("services.NAME.targets[].hooks", "map of fault kind → [command, argument, …]", "{}", strings.Join(hookKinds(), " "), "how a fault is made at this backend; no shell"),
		key("frontends.listen", "address", "127.0.0.1:0", "host:port", "where replica halves reach the front ends"),
	}
	return append(append(rows, later("frontends.base")...), proxyKeys()...)
}

var targetRows = sync.OnceValue(TargetKeys)

// keys opens the map n of a targets file like decoder.block does for scenarios.
func (l *targetLoader) keys(n *node, path, registered string) block {
	b := block{d: &l.decoder, path: path}
	if n == nil {
		return b
	}
	var valid, later []string
	for _, k := range targetRows() {
		name, deeper, ok := childOf(k.Path, registered)
		switch {
		case !ok || slices.Contains(valid, name):
		case k.Later && !deeper:
			later = append(later, name)
		default:
			valid = append(valid, name)
		}
	}
	if n.kind != mapNode {
		l.wrongKind(n, path, "a map of keys", "with "+strings.Join(valid, ", "))
		return b
	}
	b.n = n
	for _, k := range n.keys {
		at := join(path, k.text)
		switch {
		case slices.Contains(valid, k.text):
		case slices.Contains(later, k.text):
			l.ps.at(k, at, "remove it", "%s is not available in this version", at)
		default:
			b.odd = true
			l.unknown(k, path, valid)
			if v := n.get(k.text); secretName(k.text) && v != nil {
				l.ps.secret(v, at, "use key_env", "secrets do not belong in files")
			}
		}
	}
	return b
}

// secretName says whether a key that does not exist was to hold a secret.
func secretName(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc([]string{"key", "token", "secret", "passw", "auth", "bearer"}, func(w string) bool { return strings.Contains(key, w) })
}

func transports() []string {
	return []string{TransportHTTP, TransportChat, TransportCompletions, TransportKServe}
}

func placeholders() []string { return []string{"{{id}}", "{{input}}", "{{output}}", "{{tenant}}"} }

// hookKinds are the faults that a command at a backend can make. Some of them a
// simulator does not carry out yet; a targets file may be ahead.
func hookKinds() []string {
	return append(faultKinds(), "stall_stream", "throttle", "partition", "drain")
}
