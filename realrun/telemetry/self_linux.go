package telemetry

import "os"

// procStat reads the CPU times of the host.
func procStat() ([]byte, error) { return os.ReadFile("/proc/stat") }
