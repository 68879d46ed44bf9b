//go:build !linux

package telemetry

import "errors"

// procStat: other systems have none.
func procStat() ([]byte, error) { return nil, errors.New("there is no /proc/stat") }
