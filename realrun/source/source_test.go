package source

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/scenarios"
)

func TestList(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "members.txt")
	s := &scenarios.TargetService{Slots: 4, Source: scenarios.MemberSource{Kind: scenarios.SourceFile, File: file}}
	_, err := List(t.Context(), s)
	require.ErrorContains(t, err, "the file of members")
	for text, want := range map[string]string{"": "there are no members", "# nobody\n": "there are no members", "http://a\nnowhere\n": "has no scheme"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err = List(t.Context(), s)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, os.WriteFile(file, []byte("http://10.0.0.2:1\n# one more\nhttp://10.0.0.1:1\n"), 0o600))
	got, err := List(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, []scenarios.TargetURL{{URL: "http://10.0.0.2:1", Weight: 1, Slots: 4}, {URL: "http://10.0.0.1:1", Weight: 1, Slots: 4}}, got)

	s.Source = scenarios.MemberSource{Kind: scenarios.SourceDNS, Scheme: "https", Host: "127.0.0.1", Port: 8000}
	got, err = List(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, []scenarios.TargetURL{{URL: "https://127.0.0.1:8000", Weight: 1, Slots: 4}}, got)
	s.Source.Host = "no-such-name.invalid"
	_, err = List(t.Context(), s)
	require.ErrorContains(t, err, "the name of the members")

	s.Source, s.Targets = scenarios.MemberSource{Kind: scenarios.SourceStatic}, []scenarios.TargetURL{{URL: "http://h", Weight: 2}}
	got, err = List(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, s.Targets, got)
}
