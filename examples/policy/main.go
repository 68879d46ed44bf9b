// Command policy is taillab with one policy more: the shape of a program that
// studies a policy of its own without touching taillab. Try
//
//	go run ./examples/policy run examples/policy/study.yaml
//	go run ./examples/policy explain first-idle
package main

import (
	"taillab"
	"taillab/policies"
	"taillab/policies/balance"
)

func main() {
	taillab.Main(policies.Of("first-idle", "the first replica that owes us nothing, else a random one",
		func() balance.Balancer { return &FirstIdle{Look: 4} }))
}
