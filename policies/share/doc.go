// Package share divides a quota among the tenants of a group: first come first
// served, hard parts, weighted max-min, dominant resource fairness.
//
// A Divider is a pure function of a capacity and of claims; it is not a limiter. The
// limiters and stores of policies/quota ask it what a tenant may take. Start with
// contract.go.
package share
