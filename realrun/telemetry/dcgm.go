package telemetry

import (
	"cmp"
	"context"
	"io"
	"net/url"
	"slices"
	"strconv"
)

// dcgmFields are the metrics of a DCGM exporter that are read. Above its limit a value
// is one of DCGM's marks for "no value", or nonsense. Exporters renew their figures
// every 30 s unless they are told otherwise: a shorter period then reads them twice.
var dcgmFields = []struct {
	name  string
	limit float64
	put   func(g *GPU, v float64)
}{
	{"DCGM_FI_DEV_GPU_UTIL", 100, func(g *GPU, v float64) { g.Utilisation = v / 100 }},
	{"DCGM_FI_PROF_SM_ACTIVE", 1, func(g *GPU, v float64) { g.SMActive = v }},
	{"DCGM_FI_DEV_FB_USED", 1e8, func(g *GPU, v float64) { g.MemoryUsedMiB = v }},
	{"DCGM_FI_DEV_POWER_USAGE", 1e5, func(g *GPU, v float64) { g.PowerW = v }},
	{"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 1.4e14, func(g *GPU, v float64) { g.EnergyJ = v / 1000 }}, // told in mJ
	{"DCGM_FI_DEV_SM_CLOCK", 1e5, func(g *GPU, v float64) { g.SMClockMHz = v }},
	{"DCGM_FI_DEV_GPU_TEMP", 1000, func(g *GPU, v float64) { g.TemperatureC = v }},
	{"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", 1 << 52, putReasons}, // the name until DCGM 3.3
	{"DCGM_FI_DEV_CLOCKS_EVENT_REASONS", 1 << 52, putReasons},
}

func putReasons(g *GPU, v float64) { g.Reasons, g.ReasonsKnown = uint64(v), true }

// dcgm samples the GPUs behind one DCGM exporter: those of other hosts, mostly.
type dcgm struct{ *scraper }

func newDCGM(u *url.URL) dcgm {
	var names []string
	for _, f := range dcgmFields {
		names = append(names, f.name)
	}
	return dcgm{newScraper(u, names)}
}

// Sample implements Sampler.
func (d dcgm) Sample(ctx context.Context) ([]GPU, error) {
	m, err := d.page(ctx)
	if err != nil {
		return nil, err
	}
	return m.gpus(), nil
}

// ReadDCGM reads a page of a DCGM exporter: the GPUs by index and instance. It fails
// on a page that tells of none.
func ReadDCGM(page io.Reader) ([]GPU, error) {
	m, err := readMetrics(page, newDCGM(nil).wanted)
	if err != nil {
		return nil, err
	}
	return m.gpus(), nil
}

func (m samples) gpus() []GPU {
	type key struct{ gpu, uuid, instance string }
	places := make(map[key]int)
	var out []GPU
	for _, f := range dcgmFields {
		m.each(f.name, func(v float64, label func(string) string) {
			k := key{label("gpu"), label("UUID"), label("GPU_I_ID")}
			i, seen := places[k]
			if !seen {
				i = len(out)
				places[k] = i
				out = append(out, dcgmGPU(k.gpu, k.uuid, k.instance, label("modelName")))
			}
			if v >= 0 && v <= f.limit { // NaN is neither
				f.put(&out[i], v)
			}
		})
	}
	slices.SortFunc(out, func(a, b GPU) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.UUID, b.UUID))
	})
	return out
}

func dcgmGPU(index, uuid, instance, name string) GPU {
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 {
		i = -1
	}
	g := unread(i)
	g.UUID, g.Name, g.Instance, g.MIG = uuid, name, instance, instance != ""
	return g
}
