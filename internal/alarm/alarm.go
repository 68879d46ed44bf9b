// Package alarm keeps account of the false alarms of statistical tests. Such a test
// can fail although nothing is wrong, with a probability α that its author chose. With
// fixed seeds a green test stays green; but when the streams of chance change, all of
// them are drawn anew, and Σα is how many failures to expect then.
//
// A package with statistical tests gives its TestMain to Main, and each of the tests
// calls Rate.
package alarm

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
)

// Budget is the most that the α of one package may add up to.
const Budget = 0.05

var (
	mu   sync.Mutex
	sum  float64
	many int
)

// Rate declares the probability that the calling test fails by chance when its seeds
// are drawn anew. Figures of one run are correlated and count as one. A test that is
// filtered out or run again counts as it is run.
func Rate(t testing.TB, alpha float64) {
	t.Helper()
	if !(alpha > 0 && alpha < 1) {
		t.Fatalf("the rate of false alarms is %v: it must lie in (0, 1)", alpha)
	}
	mu.Lock()
	defer mu.Unlock()
	sum += alpha
	many++
}

// Expected returns how many false alarms the tests so far would give on re-seeding,
// and how many tests that is.
func Expected() (alarms float64, tests int) {
	mu.Lock()
	defer mu.Unlock()
	return sum, many
}

// Main runs the tests of a package once and says how many false alarms to expect; more
// than Budget is a failure. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	alarms, tests := Expected()
	if tests > 0 {
		fmt.Printf("%d statistical tests, expected false alarms on re-seeding: %.2g\n", tests, alarms)
	}
	if code == 0 && alarms > Budget*float64(repeats()) {
		fmt.Fprintf(os.Stderr, "the false alarms of this package add up to %.2g: at most %g; sharpen the bounds or draw more\n", alarms, Budget)
		return 1
	}
	return code
}

// repeats is how often each test runs: the flag -count.
func repeats() int {
	if f := flag.Lookup("test.count"); f != nil {
		if n, err := strconv.Atoi(f.Value.String()); err == nil {
			return max(n, 1)
		}
	}
	return 1
}
