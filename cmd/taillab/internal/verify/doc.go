// Package verify holds the simulator to queueing theory: it turns a case with its
// parameters into a scenario, runs that through the engine that `taillab run` uses,
// and compares means, percentiles and shares with what package theory computes.
// Start at Models, then at Run.
package verify
