// Package workloads turns the workload of a scenario, or a trace file, into one
// schedule: requests in order of their intended arrival, each with its front
// end, sizes, tenant, class, model and service. The schedule is a function of
// the run's seed alone, so every policy and both hosts face the same requests.
//
// The truth about a request (its demand, its output length) lives here and is
// out of reach of package policies. The package does not decode YAML (package
// scenarios fills Spec), does not know how long a GPU takes, and runs nothing.
//
// Start with Spec and Compile; then Compiled.Source, which draws the schedule of
// one run. Traces: TraceSpec, LoadTrace. Statistics of a schedule: Describe.
package workloads
