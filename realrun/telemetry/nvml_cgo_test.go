//go:build cgo && linux && !nonvml

package telemetry

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/stretchr/testify/require"
)

// rig is the mocked host of eight A100, whose GPUs tell what is sampled. A mocked call
// that nobody set panics, as a missing symbol would kill the process.
func rig(t *testing.T) (*dgxa100.Server, *dgxa100.Device) {
	t.Helper()
	host := dgxa100.New()
	for i, d := range host.Devices {
		g, ok := d.(*dgxa100.Device)
		require.True(t, ok)
		g.MemoryInfo.Used = uint64(i) << 30
		g.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 93, Memory: 40}, nvml.SUCCESS }
		g.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 389_500, nvml.SUCCESS }
		g.GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { return 1_234_567, nvml.SUCCESS }
		g.GetClockInfoFunc = func(c nvml.ClockType) (uint32, nvml.Return) {
			require.Equal(t, nvml.ClockType(nvml.CLOCK_SM), c)
			return 1410, nvml.SUCCESS
		}
		g.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 64, nvml.SUCCESS }
		g.GetCurrentClocksEventReasonsFunc = func() (uint64, nvml.Return) { return 0, nvml.SUCCESS }
	}
	g, ok := host.Devices[3].(*dgxa100.Device)
	require.True(t, ok)
	return host, g
}

func TestNVML(t *testing.T) {
	t.Parallel()
	host, g := rig(t)
	g.MigMode = nvml.DEVICE_MIG_ENABLE
	g.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, nvml.ERROR_NOT_SUPPORTED } // as with MIG
	g.GetCurrentClocksEventReasonsFunc = func() (uint64, nvml.Return) { return ReasonThermal | 1, nvml.SUCCESS }
	n, err := openNVML(host)
	require.NoError(t, err)
	gpus, err := n.Sample(t.Context())
	require.NoError(t, err)
	require.Len(t, gpus, 8)
	nan := math.NaN()
	first := host.Devices[0].(*dgxa100.Device)
	sameGPU(t, GPU{Index: 0, UUID: first.UUID, Name: "Mock NVIDIA A100-SXM4-40GB", Utilisation: 0.93, SMActive: nan, MemoryUsedMiB: 0, PowerW: 389.5,
		EnergyJ: 1234.567, SMClockMHz: 1410, TemperatureC: 64, ReasonsKnown: true}, gpus[0])
	sameGPU(t, GPU{Index: 3, UUID: g.UUID, Name: g.Name, Utilisation: nan, SMActive: nan, MemoryUsedMiB: 3 << 10, PowerW: 389.5,
		EnergyJ: 1234.567, SMClockMHz: 1410, TemperatureC: 64, Reasons: 33, ReasonsKnown: true, MIG: true}, gpus[3])
	require.True(t, gpus[3].Throttled())
	require.False(t, gpus[0].Throttled())
	require.NoError(t, n.Close())
}

// An old driver lacks calls: they are not made, and their figures are unknown.
func TestNVMLOldDriver(t *testing.T) {
	t.Parallel()
	host, _ := rig(t)
	host.LookupSymbolFunc = func(symbol string) error {
		if symbol == callOldReasons {
			return nil
		}
		return errors.New("undefined symbol")
	}
	for _, d := range host.Devices {
		g := d.(*dgxa100.Device)
		g.GetTotalEnergyConsumptionFunc, g.GetMigModeFunc, g.GetCurrentClocksEventReasonsFunc, g.GetTemperatureFunc = nil, nil, nil, nil
		g.GetCurrentClocksThrottleReasonsFunc = func() (uint64, nvml.Return) { return ReasonPowerBrake, nvml.SUCCESS }
	}
	n, err := openNVML(host)
	require.NoError(t, err)
	gpus, err := n.Sample(t.Context())
	require.NoError(t, err)
	require.True(t, math.IsNaN(gpus[0].EnergyJ) && math.IsNaN(gpus[0].TemperatureC))
	require.False(t, gpus[0].MIG)
	require.True(t, gpus[0].Throttled())
	require.Equal(t, 389.5, gpus[0].PowerW)
	require.NoError(t, n.Close())
}

// After a failed Init nothing at all may be called: the mock would panic, the real
// library would end the process.
func TestNVMLNoDriver(t *testing.T) {
	t.Parallel()
	for ret, want := range map[nvml.Return]string{nvml.ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver", nvml.ERROR_DRIVER_NOT_LOADED: "not loaded", nvml.ERROR_UNKNOWN: "code 999"} {
		host := &dgxa100.Server{}
		host.InitFunc = func() nvml.Return { return ret }
		_, err := openNVML(host)
		require.ErrorContains(t, err, want)
		require.Len(t, host.InitCalls(), 1)
		n := &nvmlGPUs{lib: host}
		_, err = n.Sample(t.Context())
		require.ErrorIs(t, err, errNVMLClosed)
		require.NoError(t, n.Close())
	}
}

func TestNVMLClosed(t *testing.T) {
	t.Parallel()
	host, _ := rig(t)
	n, err := openNVML(host)
	require.NoError(t, err)
	require.NoError(t, n.Close())
	require.NoError(t, n.Close())
	require.Len(t, host.ShutdownCalls(), 1)
	_, err = n.Sample(t.Context())
	require.ErrorIs(t, err, errNVMLClosed)
}

// A GPU that fell off the bus is unknown; the others are read.
func TestNVMLLostGPU(t *testing.T) {
	t.Parallel()
	host, _ := rig(t)
	whole := host.DeviceGetHandleByIndexFunc
	host.DeviceGetHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		if i == 2 {
			return nil, nvml.ERROR_GPU_IS_LOST
		}
		return whole(i)
	}
	n, err := openNVML(host)
	require.NoError(t, err)
	gpus, err := n.Sample(t.Context())
	require.NoError(t, err)
	require.Len(t, gpus, 8)
	sameGPU(t, unread(2), gpus[2])
	require.Equal(t, 0.93, gpus[7].Utilisation)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = n.Sample(ctx)
	require.ErrorIs(t, err, context.Canceled)
	host.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
	_, err = n.Sample(t.Context())
	require.ErrorContains(t, err, "code 999")
	require.NoError(t, n.Close())
}

// The real library, with whatever this machine has: a driver, or a clear error and a
// process that lives on.
func TestNVMLHere(t *testing.T) {
	t.Parallel()
	s, err := OpenNVML()
	if err != nil {
		require.Nil(t, s)
		n := &nvmlGPUs{lib: nvml.New()} // the library that kills, never started
		_, closed := n.Sample(t.Context())
		require.ErrorIs(t, closed, errNVMLClosed)
		require.NoError(t, n.Close())
		t.Logf("no GPU was read: %v", err)
		return
	}
	gpus, err := s.Sample(t.Context())
	require.NoError(t, err)
	for _, g := range gpus {
		require.False(t, g.Utilisation < 0 || g.Utilisation > 1)
		t.Logf("%+v", g)
	}
	require.NoError(t, s.(*nvmlGPUs).Close())
}

// A run lets go of the driver, and does without one.
func TestNVMLInARun(t *testing.T) {
	t.Parallel()
	host, _ := rig(t)
	n, err := openNVML(host)
	require.NoError(t, err)
	src := samplerReader(n)
	rows, err := src.read(t.Context())
	require.NoError(t, err)
	require.Len(t, rows, 8)
	src.close()
	require.Len(t, host.ShutdownCalls(), 1)

	res := Start(t.Context(), Config{NVML: true, Timeout: 10 * time.Second}, func() time.Duration { return 0 }).Stop()
	if len(times(res.Rows, "nvml")) == 0 {
		require.Len(t, res.Notes, 1)
		require.Contains(t, res.Notes[0], "nvml: ")
	}
}
