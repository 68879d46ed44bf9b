package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"http://a":               {"http://a", "http://a:80"},
		"HTTPS://Gpu-1.x_y/":     {"https://Gpu-1.x_y", "https://gpu-1.x_y:443"},
		"http://10.0.0.1:8000":   {"http://10.0.0.1:8000", "http://10.0.0.1:8000"},
		"http://[::1]:80/a/b//":  {"http://[::1]:80/a/b", "http://[::1]:80/a/b"},
		"http://[FE80::1]":       {"http://[FE80::1]", "http://[fe80::1]:80"},
		"http://a/v1%20x/~u;p=1": {"http://a/v1%20x/~u;p=1", "http://a:80/v1%20x/~u;p=1"},
	} {
		a, wrong := readAddress(text)
		require.Nil(t, wrong, text)
		require.Equal(t, want, [2]string{a.String(), a.identity()}, text)
		again, wrong := readAddress(a.String())
		require.Nil(t, wrong, text)
		require.Equal(t, a, again)
	}
	for text, must := range map[string]string{
		"": "has no scheme", "a:1": "has no scheme", "ftp://a": `has the scheme "ftp"`, "://a": `has the scheme ""`,
		"http://": "has no host", "http:///x": "has no host", "http://:80": "has no host",
		"http://a:": "has no valid port", "http://a:0": "has no valid port", "http://a:65536": "has no valid port", "http://a:+8": "has no valid port", "http://a:b": "has no valid port",
		"http://a b": "is no url", "http://[::1": "is no url", "http://[a]": "is no url", "http://[1.2.3.4]": "is no url", "http://::1": "is no url",
		"http://a/%zz": "is no url", "http://a/%2": "is no url", "http://a/b c": "is no url", "http://ü": "is no url", "http://a\\b": "is no url",
	} {
		_, wrong := readAddress(text)
		require.NotNil(t, wrong, text)
		require.Equal(t, must, wrong.must, text)
		require.NotEmpty(t, wrong.hint)
	}
}

func TestReadHostPort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		host string
		port int
	}{"10.0.0.9:7070": {"10.0.0.9", 7070}, "[::1]:0": {"::1", 0}, ":7070": {"", 7070}, "gpu.internal:65535": {"gpu.internal", 65535}} {
		host, port, wrong := readHostPort(text, 0)
		require.Nil(t, wrong, text)
		require.Equal(t, want.host, host)
		require.Equal(t, want.port, port)
	}
	for _, text := range []string{"", "7070", "a:", "a:b", "a:70000", "a:-1", "a:+1", "::1:80", "[::1]", "[::1:80", "http://a:1", "a b:1"} {
		_, _, wrong := readHostPort(text, 0)
		require.NotNil(t, wrong, text)
	}
	_, _, wrong := readHostPort("a:0", 1)
	require.NotNil(t, wrong)
}
