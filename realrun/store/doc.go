// Package store keeps the counters of quota limiters in real Redis servers, one key
// per group, by scripts that agree with the Store of policies/quota on every sequence
// of calls.
//
// Open reaches servers by address, starts redis-server processes of its own, or runs
// a server inside this process; Shards.Ask carries one ask. Start with store.go; the
// scripts are in scripts/.
package store
