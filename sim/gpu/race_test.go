//go:build race

package gpu

// raceOn shortens the statistical tests: the detector makes them ten times as
// slow, and a package without goroutines has no races to find.
const raceOn = true
