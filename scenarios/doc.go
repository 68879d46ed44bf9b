// Package scenarios turns scenario files into plans: YAML in, a Plan or a list
// of Problems out. It knows every key a scenario may hold, where each value
// stands in the file, and what the policies, latency models and workloads make
// of it. It also holds the scenarios that ship with the program.
//
// It runs nothing, draws nothing and prints nothing but code frames. YAML is
// imported here and nowhere else.
//
// A targets file, which names the real backends of a live run, is read here, too:
// LoadTargets. CheckLive says what of a plan cannot run live.
//
// Start with Load. A file becomes a tree of nodes (node.go), `--set` and swept
// axes are laid over it (override.go), decoders walk it key by key (decoder.go
// and one file per block), and expand.go makes the cells. The keys themselves
// are rows of registry.go. Print shows problems.
package scenarios
