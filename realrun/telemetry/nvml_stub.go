//go:build !(cgo && linux && !nonvml)

package telemetry

import "errors"

// OpenNVML fails: this program was built without NVML.
func OpenNVML() (Sampler, error) {
	return nil, errors.New("this program was built without NVML (which takes linux, cgo and no build tag nonvml): read the GPUs through a DCGM exporter")
}
