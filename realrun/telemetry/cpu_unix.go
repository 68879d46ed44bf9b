//go:build unix

package telemetry

import (
	"syscall"
	"time"
)

// processCPU is the CPU time of this process so far. The runtime's own metric of it
// is renewed only by garbage collections.
func processCPU() (time.Duration, bool) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
