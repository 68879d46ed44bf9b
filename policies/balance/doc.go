// Package balance holds the load balancers: where a request goes.
//
// A Balancer is a pure struct. It is shown a Fleet, which is what one front end
// believes of one service, and answers with a Choice. Further interfaces
// (Attempts, Listener, Prober …) are subscriptions: implementing one is asking
// to be told. What runs inside each replica on the policy's behalf is its
// Reporter, one object per run.
//
// Decorators (retry, hedge, outlier, panic, slow-start) are balancers that hold
// another by embedding Inner, which forwards what they do not handle.
//
// The package does not own a request's life (policies/flow does) and knows no
// host. Start with contract.go, then random.go and p2c.go; Fleet is what a policy
// may look at, Book is how the flow core keeps it true. A new balancer is one
// file, its test, and one line in catalog.go.
package balance
