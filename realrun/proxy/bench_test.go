package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkProxied against BenchmarkDirect is what the proxy adds to a small request,
// one at a time, client and backend on the same machine.
func BenchmarkProxied(b *testing.B) { benchmark(b, true) }

// BenchmarkDirect is the same request without the proxy.
func BenchmarkDirect(b *testing.B) { benchmark(b, false) }

func benchmark(b *testing.B, proxied bool) {
	url := backend(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	})
	r := start(b, setup{targets: []string{url}})
	if proxied {
		url = "http://" + r.Addr()
	}
	body := strings.Repeat("x", 400)
	for b.Loop() {
		resp, err := r.client.Post(url+"/x", "application/json", strings.NewReader(body)) //nolint:noctx // the benchmark's own
		require.NoError(b, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}
