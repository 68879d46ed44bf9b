package sim

import (
	"testing"
)

// BenchmarkWholePath runs p2c on n = 100 through the real engine, front end,
// replicas and recorder; it reports requests and events per second.
func BenchmarkWholePath(b *testing.B) {
	for _, c := range []struct {
		name string
		m    int
	}{{"p2c", 1}, {"p2c", 10}, {"jiq", 10}, {"jiq-amnesia", 10}} {
		b.Run(c.name, func(b *testing.B) {
			s := spec{n: 100, m: c.m, rho: .9, service: expo(), make: policy(c.name), requests: 200_000, warmup: .1}
			var requests int
			for b.Loop() {
				s.simulate(b)
				requests += s.requests
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(requests), "ns/request")
		})
	}
}
