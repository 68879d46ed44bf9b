package main

import (
	"fmt"
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

// load is the number of processes that ran or wanted to within the last minute, on
// average; 0 where the system does not tell.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	var l float64
	if _, err := fmt.Sscan(string(text), &l); err != nil {
		return 0
	}
	return l
}
