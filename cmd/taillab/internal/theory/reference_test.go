package theory_test

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/cmd/taillab/internal/theory"
)

// accuracy is to how many parts the reference values of a case are known: they are
// printed with 9 or 10 digits, chains and fixed points with 6, and the reference's
// lattice of M/G/1 has cells of 0.002…0.01.
var accuracy = map[string]float64{
	"mm1": 1e-9, "mmc": 1e-9, "mmck": 1e-9, "md1": 1e-9, "mg1": 1.5e-4, "mg1ps": 1e-9, "mm1ps": 1e-6,
	"rr_gim1": 1e-9, "jsqd_limit": 1e-9, "jsq_n2": 1e-6, "jiq_mf": 1e-8, "stale_periodic": 1e-6,
}

// The analytic rows of balancing.csv were computed by programs that share nothing
// with this package.
func TestAgainstReferenceValues(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../../../../../shared/golden/balancing.csv")
	if err != nil {
		t.Skip("the reference values (shared/golden/balancing.csv beside the repository) are absent")
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	laws, checked := map[string]theory.Law{}, 0
	for _, r := range rows[1:] {
		within, ok := accuracy[r[0]]
		if !ok {
			continue
		}
		key := strings.Join(r[:6], ",")
		if _, ok := laws[key]; !ok {
			laws[key] = lawOf(t, r)
		}
		want, err := strconv.ParseFloat(r[7], 64)
		require.NoError(t, err)
		if got, ok := metricOf(t, r, laws[key]); ok {
			require.InEpsilon(t, want, got, within, "%s %s", key, r[6])
			checked++
		}
	}
	require.Greater(t, checked, 400)
}

// metricOf computes one metric of a row; false where the law does not hold it.
func metricOf(t *testing.T, r []string, l theory.Law) (float64, bool) {
	t.Helper()
	rho, n := number(r[3]), int(number(r[1]))
	p := map[string]float64{"p50": .5, "p90": .9, "p95": .95, "p99": .99, "p999": .999}[r[6]]
	switch {
	case r[6] == "mean":
		return l.Mean, true
	case r[6] == "p_block":
		return l.Blocked, true
	case p > 0 && l.Tail != nil && !r0(r):
		return l.Quantile(p), true
	case r[6] == "erlang_b":
		return theory.ErlangB(n, rho*float64(n)), true
	case r[6] == "p_wait" && r[0] == "mmc":
		return theory.ErlangC(n, rho*float64(n)), true
	case r[6] == "p_idlequeue_empty":
		_, empty := theory.JIQ(rho, number(strings.TrimPrefix(r[2], "n/")))
		return empty, true
	case r[0] == "mg1" && (r[6] == "wait_mean" || r[6] == "wait_var"):
		mean, variance := theory.MG1Wait(rho, service(t, r[4]))
		if r[6] == "wait_mean" {
			return mean, true
		}
		return variance, true
	}
	return 0, false
}

// r0 is a median at the edge of an atom: any value up to the next is right.
func r0(r []string) bool { return r[0] == "md1" && r[3] == "0.5" && r[6] == "p50" }

func lawOf(t *testing.T, r []string) theory.Law {
	t.Helper()
	rho, n := number(r[3]), int(number(r[1]))
	switch r[0] {
	case "mm1":
		return theory.MM1(rho)
	case "mmc":
		return theory.MMC(rho, n)
	case "mmck":
		return theory.MMCK(rho, n, int(number(r[2])))
	case "md1":
		return theory.MD1(rho)
	case "mg1":
		return theory.MG1(rho, service(t, r[4]))
	case "mg1ps":
		return theory.Law{Mean: theory.PSMean(rho)}
	case "mm1ps":
		return theory.PSExp(rho)
	case "rr_gim1":
		return theory.RoundRobin(rho, n)
	case "jsqd_limit":
		return theory.Supermarket(rho, int(number(strings.TrimPrefix(r[5], "jsq"))))
	case "jsq_n2":
		if r[5] == "jsq" {
			return theory.Two(rho, 1)
		}
		return theory.Two(rho, .75)
	case "jiq_mf":
		l, _ := theory.JIQ(rho, number(strings.TrimPrefix(r[2], "n/")))
		return l
	}
	d, every, _ := strings.Cut(strings.TrimPrefix(r[5], "board_d"), "_T")
	return theory.Board(rho, int(number(d)), number(every))
}

func service(t *testing.T, name string) theory.Service {
	t.Helper()
	s, err := theory.ParseService(name)
	require.NoError(t, err)
	return s
}

// number reads a column; words such as inf are no numbers, and not asked for.
func number(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return x
}
