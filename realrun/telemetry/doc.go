// Package telemetry watches the machines under a live run: the client itself, the
// backends' own figures, and the GPUs, through DCGM exporters or through NVML on this
// host. It puts what it reads onto the time of the run, and tells whether a GPU was
// throttled, which makes a measurement unsound.
//
// It measures no request and decides nothing. A source that fails, stalls or talks
// nonsense is absent and leaves a note; it never fails a run. What a source does not
// tell is unknown: NaN, or a flag beside the value, never zero.
//
// Start reading at Start. Sources are in self.go, dcgm.go, backend.go, nvml_cgo.go.
package telemetry
