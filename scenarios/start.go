package scenarios

import (
	_ "embed" // the scenario to start from
	"fmt"
	"regexp"
	"slices"
)

//go:embed start/first.yaml
var first []byte

var nameLine = regexp.MustCompile(`(?m)^name: .*$`)

// Start is the text of a scenario to begin with under a name of the user's: the
// commented first one, or a copy of the embedded scenario from.
func Start(name, from string) ([]byte, error) {
	if !nameForm.MatchString(name) {
		return nil, fmt.Errorf("%q cannot name a scenario: use a-z, 0-9 and -, at most 64", name)
	}
	text := first
	if from != "" {
		if !slices.Contains(embeddedNames(), from) {
			return nil, fmt.Errorf("no embedded scenario called %q (%s)", from, Suggest(from, embeddedNames(), "taillab list scenarios"))
		}
		var err error
		if text, err = library.ReadFile(from + ".yaml"); err != nil {
			return nil, fmt.Errorf("cannot read the embedded scenario: %w", err)
		}
	}
	return nameLine.ReplaceAllLiteral(text, []byte("name: "+name)), nil
}
