package telemetry

import (
	"context"
	"io"
	"time"
)

// source is one thing that is read again and again, on a goroutine of its own: a slow
// one delays no other.
type source struct {
	name  string
	every time.Duration
	open  func() (reader, error) // may take its time
}

// reader reads a source. Only its source's goroutine calls it.
type reader struct {
	read  func(ctx context.Context) ([]Row, error) // rows without At and Source
	close func()
}

// sources lists what is watched, and notes on what cannot be.
func (r *Run) sources() []source {
	c := r.cfg
	out := []source{{"client", c.Period, func() (reader, error) { return selfReader(newSelf(c.Lag)), nil }}}
	for _, text := range c.DCGM {
		u, err := address(text)
		if err != nil {
			r.note("dcgm: %v", err)
			continue
		}
		out = append(out, source{"dcgm " + u.Redacted(), c.Period, func() (reader, error) {
			d := newDCGM(u)
			return reader{sampling(d), d.close}, nil
		}})
	}
	if c.NVML {
		out = append(out, source{"nvml", c.Period, func() (reader, error) {
			s, err := OpenNVML()
			if err != nil {
				return reader{}, err
			}
			return samplerReader(s), nil
		}})
	}
	for _, s := range c.Samplers {
		out = append(out, source{s.Name, c.Period, func() (reader, error) { return reader{sampling(s.Sampler), func() {}}, nil }})
	}
	for _, t := range c.Backends {
		u, err := address(t.URL)
		if err != nil {
			r.note("backend %s: %v", t.Name, err)
			continue
		}
		out = append(out, source{t.Name, max(c.Period, MinBackendPeriod), func() (reader, error) { return backendReader(newBackend(u)), nil }})
	}
	return out
}

func selfReader(s *self) reader {
	return reader{func(ctx context.Context) ([]Row, error) {
		v, ok := s.read()
		if !ok {
			return nil, nil
		}
		return []Row{{Self: &v}}, nil
	}, func() {}}
}

func backendReader(b backend) reader {
	return reader{func(ctx context.Context) ([]Row, error) {
		v, err := b.load(ctx)
		if err != nil {
			return nil, err
		}
		return []Row{{Backend: &v}}, nil
	}, b.close}
}

// samplerReader reads a sampler that we opened.
func samplerReader(s Sampler) reader {
	return reader{sampling(s), func() {
		if c, ok := s.(io.Closer); ok {
			_ = c.Close() // what was read stays read
		}
	}}
}

func sampling(s Sampler) func(context.Context) ([]Row, error) {
	return func(ctx context.Context) ([]Row, error) {
		gpus, err := s.Sample(ctx)
		if err != nil {
			return nil, err
		}
		rows := make([]Row, len(gpus))
		for i := range gpus {
			rows[i].GPU = &gpus[i]
		}
		return rows, nil
	}
}
