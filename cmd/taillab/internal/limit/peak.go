package main

import (
	"os"
	"regexp"
)

var peakForm = regexp.MustCompile(`VmHWM:\s+([0-9]+) kB`)

// peak is the largest resident memory of this process so far in bytes, 0 where
// the system does not tell. It is read from /proc because getrusage's maximum
// begins with that of the parent process.
func peak() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	if kb := number(peakForm, string(text)); kb > 0 {
		return int64(kb) * 1024
	}
	return 0
}
