package taillab_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/scenarios"
)

// TestReadme: the front page's links lead somewhere, its scenarios ship, its own one is
// sound, and its table is of the policies that the demo compares.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	require.NoError(t, err)
	text := string(data)
	links := regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(text, -1)
	require.Greater(t, len(links), 10)
	for _, l := range links {
		if !strings.HasPrefix(l[1], "http") {
			_, err := os.Stat(l[1])
			require.NoError(t, err)
		}
	}
	var shipped []string
	for _, i := range scenarios.Embedded() {
		shipped = append(shipped, i.Name)
	}
	for _, run := range regexp.MustCompile("`taillab run [^`]*`(, `[a-z-]+`)*").FindAllString(text, -1) {
		for _, name := range regexp.MustCompile("(?:run |, `)([a-z-]+)(?:[ `])").FindAllStringSubmatch(run, -1) {
			require.True(t, slices.Contains(shipped, name[1]), "%s: no scenario %q ships", run, name[1])
		}
	}
	_, yaml, ok := strings.Cut(text, "```yaml\n")
	require.True(t, ok)
	yaml, _, _ = strings.Cut(yaml, "```")
	_, problems := scenarios.Load([]scenarios.Source{{Name: "README.md", Data: []byte(yaml)}}, scenarios.Options{Catalog: scenarios.Catalog(), Seed: 1})
	require.Empty(t, problems)
	demo, _, err := scenarios.Read("wechat-jiq", nil)
	require.NoError(t, err)
	plans, problems := scenarios.Load([]scenarios.Source{demo}, scenarios.Options{Catalog: scenarios.Catalog(), Seed: 1})
	require.Empty(t, problems)
	for _, c := range plans[0].Cells {
		require.Regexp(t, `(?m)^ `+c.Policy+` +\d`, text)
	}
}
