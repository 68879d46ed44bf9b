// Package quota holds the limiters: whether a request may go now, and whose turn it
// is inside a group of tenants.
//
// A Limiter is a pure struct, one instance per front end. It answers a request at
// once, or says Pending, asks a shard of the counter store, and resolves the request
// when the answer comes. The Store is the other half: the counters of one shard, the
// same code in the simulator and as the oracle of the scripts that run in a real
// store. A Divider shares a group's quota among its tenants.
//
// The life of a request, waiting included, belongs to policies/flow; delays and
// losses on the way to the store belong to the hosts. Start with contract.go.
package quota
