package scenarios

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzLoad: whatever a file or a flag holds, Load and Print return; a file has a
// plan or a problem, never both, never neither.
func FuzzLoad(f *testing.F) {
	f.Add(firstLook, "")
	f.Add(everything, "fleet.replicas=3")
	f.Add(good, "policies.balance[1].choices=0")
	f.Add(bomb(), "a.b[3]=[x")
	for _, c := range errorCases() {
		if len(c.text) < 1<<12 {
			f.Add(c.text, strings.Join(c.sets, ""))
		}
	}
	f.Fuzz(func(t *testing.T, text, flag string) {
		if all := text + flag; len(all) > 1<<16 || strings.Contains(all, "file") || strings.Contains(all, "pairs") {
			t.Skip("files of this machine are not the subject")
		}
		var sets []string
		if flag != "" {
			sets = []string{flag}
		}
		src := []Source{{Name: "s.yaml", Data: []byte(text)}}
		plans, problems := Load(src, Options{Catalog: Catalog(), Set: sets, Seeds: 1})
		if (len(plans) == 0) == (len(problems) == 0) {
			t.Fatalf("%d plans and %d problems", len(plans), len(problems))
		}
		var b bytes.Buffer
		Print(&b, problems, src, 40, true)
		for _, p := range plans {
			if len(p.Cells) == 0 || len(p.normal) == 0 {
				t.Fatal("a plan without cells or without its normalised form")
			}
		}
	})
}
