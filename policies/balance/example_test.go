package balance_test

import (
	"fmt"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// A balancer is run by a front end, which counts what is out at each replica: with
// two replicas, two distinct choices are all of them, so the lighter one is taken.
func ExampleP2C() {
	fe := flow.New(flow.Config{Count: 1, Services: []flow.Service{{
		Name:     "main",
		Balancer: &balance.P2C{Choices: 2},
		Table:    &balance.Table{N: 2},
		Dice:     chance.NewDice(1, "balance/main/0"),
	}}})
	var out flow.Actions
	fe.Start(0, &out)
	for id := range uint64(4) {
		fe.Arrive(0, &policies.Request{ID: id}, &out)
	}
	f := fe.Fleet(0)
	fmt.Println(f.Outstanding(0), f.Outstanding(1))
	// Output: 2 2
}

// sticky is a policy out of tree: one method is enough.
type sticky struct{}

func (sticky) Pick(env *balance.Env, req *policies.Request) balance.Choice {
	if env.Fleet.Len() == 0 {
		return balance.None()
	}
	return balance.To(env.Fleet.Ref(int(req.Key % uint64(env.Fleet.Len()))))
}

func ExampleBalancer() {
	e := policies.Of("sticky", "by the affinity key", func() balance.Balancer { return sticky{} })
	fmt.Println(e.Family, e.Name)
	// Output: balance sticky
}
