package balance_test

import (
	"testing"

	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/policies/flow/flowtest"
)

// BenchmarkRequest is a request's way through the front end and its policy, all
// messages and the replica half included: arrive, pick, send, end, close.
func BenchmarkRequest(b *testing.B) {
	const n = 100
	for _, v := range variants(b, n) {
		b.Run(v.name, func(b *testing.B) {
			tab := table(n)
			cfg := flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Balancer: v.make(), Table: tab, Dice: dice()}}}
			if _, ok := cfg.Services[0].Balancer.(balance.Oracle); ok {
				cfg.Services[0].Truth = fixedTruth{lens: make([]uint16, n), wire: make([]uint16, n)}
			}
			dice := flowtest.New(flowtest.Config{Make: v.make, Table: tab}).ReplicaDice()
			l := &loop{fe: flow.New(cfg), half: flow.NewReplicas(cfg.Services[0].Balancer, 0, 1, dice, nil)}
			l.fe.Start(0, l.reset())
			b.ReportAllocs()
			for b.Loop() {
				l.request()
			}
		})
	}
}
