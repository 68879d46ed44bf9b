package sim

import (
	"context"
	"testing"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/scenarios"
)

// BenchmarkScenario runs every policy of the demo at one load, as `taillab run` does.
func BenchmarkScenario(b *testing.B) {
	src, _, err := scenarios.Read("wechat-jiq", nil)
	if err != nil {
		b.Fatal(err)
	}
	plans, ps := scenarios.Load([]scenarios.Source{src}, scenarios.Options{Catalog: balance.Catalog()})
	if len(ps) > 0 {
		b.Fatal(ps)
	}
	for _, c := range plans[0].Cells {
		if c.Load == nil || *c.Load != 0.8 {
			continue
		}
		b.Run(c.Policy, func(b *testing.B) {
			n := 0
			for b.Loop() {
				if err := (Host{}).Run(context.Background(), []scenarios.Run{{Cell: c, Seed: chance.RunSeed(1, 0)}}, &keep{}); err != nil {
					b.Fatal(err)
				}
				n += c.Setup.Measure.Requests
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/request")
		})
	}
}
