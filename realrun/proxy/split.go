package proxy

import (
	"math"
	"math/rand/v2"
	"sort"

	"taillab/policies/chance"
	"taillab/workloads"
)

// split says which front end a request meets.
type split struct {
	n      int
	sticky bool
	sums   []float64 // skewed: running sums of the weights
}

func newSplit(f workloads.Frontends) split {
	s := split{n: f.Count, sticky: f.Split == "sticky"}
	if f.Split == "skewed" {
		sum := 0.0
		for i := range f.Count {
			sum += math.Pow(float64(i+1), -f.Skew)
			s.sums = append(s.sums, sum)
		}
	}
	return s
}

// pick chooses by the hash of session or tenant, or by chance. The choice is the
// host's and no policy's: it needs no stream that can be repeated.
func (s *split) pick(hash uint64) int {
	switch {
	case s.n == 1:
		return 0
	case s.sticky:
		return int(chance.Mix(hash) % uint64(s.n))
	case s.sums != nil:
		return min(sort.SearchFloat64s(s.sums, rand.Float64()*s.sums[s.n-1]), s.n-1)
	}
	return rand.IntN(s.n)
}
