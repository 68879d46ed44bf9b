//go:build cgo && linux && !nonvml

package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

var errNVMLClosed = errors.New("NVML is not open")

// nvmlGPUs samples the GPUs of this host.
//
// The library behind NVML is looked up at run time, and a call that it does not have
// ends the process: nothing recovers from that. So nothing is called unless Init has
// succeeded (ready), Shutdown included, and nothing that a driver may be too old for
// or new for unless it was found (has).
type nvmlGPUs struct {
	mu    sync.Mutex
	lib   nvml.Interface
	ready bool
	has   map[string]bool
}

// The calls that a driver may be too old for, or too new.
const (
	callEnergy      = "nvmlDeviceGetTotalEnergyConsumption"
	callMIG         = "nvmlDeviceGetMigMode"
	callReasons     = "nvmlDeviceGetCurrentClocksEventReasons"
	callOldReasons  = "nvmlDeviceGetCurrentClocksThrottleReasons" // the same in older drivers
	callTemperature = "nvmlDeviceGetTemperature"                  // deprecated: newer drivers may drop it
)

// OpenNVML reaches the driver of this host's GPUs. The sampler is an io.Closer too.
// Without a driver it fails at once.
func OpenNVML() (Sampler, error) {
	n, err := openNVML(nvml.New())
	if err != nil {
		return nil, err // not n: a nil inside a Sampler is not nil
	}
	return n, nil
}

func openNVML(lib nvml.Interface) (*nvmlGPUs, error) {
	switch ret := lib.Init(); ret {
	case nvml.SUCCESS:
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return nil, errors.New("no NVIDIA driver is installed here (libnvidia-ml.so.1 was not found): GPUs of other hosts are read through their DCGM exporters")
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return nil, errors.New("the NVIDIA driver is installed but not loaded")
	default:
		return nil, fmt.Errorf("NVML does not start: code %d", int(ret)) // its own text would be one more call
	}
	n := &nvmlGPUs{lib: lib, ready: true, has: make(map[string]bool)}
	for _, call := range [...]string{callEnergy, callMIG, callReasons, callOldReasons, callTemperature} {
		n.has[call] = lib.Extensions().LookupSymbol(call) == nil
	}
	return n, nil
}

// Sample implements Sampler. A call into the driver cannot be broken off.
func (n *nvmlGPUs) Sample(ctx context.Context) ([]GPU, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ready {
		return nil, errNVMLClosed
	}
	count, ret := n.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return nil, fmt.Errorf("the driver does not count its GPUs: code %d", int(ret))
	}
	var out []GPU
	for i := range count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, ret := n.lib.DeviceGetHandleByIndex(i)
		if ret != nvml.SUCCESS { // not ours to see, or fallen off the bus
			out = append(out, unread(i))
			continue
		}
		out = append(out, n.read(i, d))
	}
	return out, nil
}

// read reads one GPU; what it does not support stays unknown.
func (n *nvmlGPUs) read(i int, d nvml.Device) GPU {
	g := unread(i)
	g.UUID, _ = told(d.GetUUID())
	g.Name, _ = told(d.GetName())
	if v, ok := told(d.GetUtilizationRates()); ok {
		g.Utilisation = float64(v.Gpu) / 100
	}
	if v, ok := told(d.GetMemoryInfo()); ok {
		g.MemoryUsedMiB = float64(v.Used) / (1 << 20)
	}
	if v, ok := told(d.GetPowerUsage()); ok {
		g.PowerW = float64(v) / 1000 // mW
	}
	if v, ok := told(d.GetClockInfo(nvml.CLOCK_SM)); ok {
		g.SMClockMHz = float64(v)
	}
	if n.has[callTemperature] {
		if v, ok := told(d.GetTemperature(nvml.TEMPERATURE_GPU)); ok {
			g.TemperatureC = float64(v)
		}
	}
	if n.has[callEnergy] {
		if v, ok := told(d.GetTotalEnergyConsumption()); ok {
			g.EnergyJ = float64(v) / 1000 // mJ
		}
	}
	if n.has[callMIG] {
		mode, _, ret := d.GetMigMode()
		g.MIG = ret == nvml.SUCCESS && mode == nvml.DEVICE_MIG_ENABLE
	}
	switch {
	case n.has[callReasons]:
		g.Reasons, g.ReasonsKnown = told(d.GetCurrentClocksEventReasons())
	case n.has[callOldReasons]:
		g.Reasons, g.ReasonsKnown = told(d.GetCurrentClocksThrottleReasons())
	}
	return g
}

// told drops the value of a call that failed.
func told[T any](v T, ret nvml.Return) (T, bool) {
	if ret != nvml.SUCCESS {
		var none T
		return none, false
	}
	return v, true
}

// Close lets go of the driver. Closing twice is closing once.
func (n *nvmlGPUs) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ready {
		return nil
	}
	n.ready = false
	if ret := n.lib.Shutdown(); ret != nvml.SUCCESS {
		return fmt.Errorf("NVML does not shut down: code %d", int(ret))
	}
	return nil
}
