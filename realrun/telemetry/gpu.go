package telemetry

import (
	"context"
	"math"
	"strings"
)

// Sampler reads the GPUs that it can see.
type Sampler interface {
	// Sample reads all GPUs once. It returns soon after ctx has ended where it can.
	Sample(ctx context.Context) ([]GPU, error)
}

// GPU is one reading of one GPU, or of one MIG instance of it. A figure that is not
// told is NaN.
type GPU struct {
	Index    int    // on its host, from 0; -1 = not told
	Instance string // of MIG; "" = the whole GPU
	UUID     string // "" = not told
	Name     string // of the product; "" = not told

	Utilisation   float64 // share of time in which a kernel ran, 0…1; says little of how full the GPU was
	SMActive      float64 // share of the multiprocessors' time with work on them, 0…1
	MemoryUsedMiB float64
	PowerW        float64
	EnergyJ       float64 // a counter since the driver was loaded
	SMClockMHz    float64
	TemperatureC  float64

	Reasons      uint64 // why the clocks are as they are, see Throttled
	ReasonsKnown bool
	MIG          bool // the GPU is cut into instances
}

// unread is a GPU of which nothing is known yet.
func unread(index int) GPU {
	nan := math.NaN()
	return GPU{Index: index, Utilisation: nan, SMActive: nan, MemoryUsedMiB: nan, PowerW: nan,
		EnergyJ: nan, SMClockMHz: nan, TemperatureC: nan}
}

// Throttled tells whether a GPU ran below its clocks for want of power or cooling.
func (g *GPU) Throttled() bool { return g.ReasonsKnown && Throttled(g.Reasons) }

// The clock event reasons that make a measurement unsound; NVML and DCGM number them
// alike. Others (idle, clocks set by the user, sync boost, display) are wanted states.
const (
	ReasonPowerCap    uint64 = 4
	ReasonSlowdown    uint64 = 8 // by the hardware
	ReasonThermal     uint64 = 32
	ReasonHardThermal uint64 = 64
	ReasonPowerBrake  uint64 = 128 // asked for by the power supply

	throttling = ReasonPowerCap | ReasonSlowdown | ReasonThermal | ReasonHardThermal | ReasonPowerBrake
)

// Throttled tells whether a mask of clock event reasons holds one that slows a GPU
// under load.
func Throttled(reasons uint64) bool { return reasons&throttling != 0 }

// ReasonNames lists the throttling reasons of a mask for people, "" where it holds
// none.
func ReasonNames(reasons uint64) string {
	var out []string
	for _, r := range [...]struct {
		bit  uint64
		name string
	}{{ReasonPowerCap, "power cap"}, {ReasonSlowdown, "hardware slowdown"}, {ReasonThermal, "software thermal slowdown"},
		{ReasonHardThermal, "hardware thermal slowdown"}, {ReasonPowerBrake, "power brake"}} {
		if reasons&r.bit != 0 {
			out = append(out, r.name)
		}
	}
	return strings.Join(out, ", ")
}
