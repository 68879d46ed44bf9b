//go:build !race

package gpu

// raceOn is false where the race detector is off.
const raceOn = false
