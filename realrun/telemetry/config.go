package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Bounds of Config.Period: below the first the watching disturbs what is watched.
const (
	MinPeriod        = 100 * time.Millisecond
	MinBackendPeriod = 250 * time.Millisecond
	DefaultPeriod    = time.Second
)

// maxTimeout bounds the default patience with one reading.
const maxTimeout = time.Second

// Config says what is watched. The zero value watches the client alone.
type Config struct {
	Period   time.Duration // between readings; 0 = DefaultPeriod, else at least MinPeriod
	Timeout  time.Duration // of one reading over the network; 0 = the period, at most a second
	DCGM     []string      // addresses of DCGM exporters, such as http://gpu-host:9400/metrics
	NVML     bool          // the GPUs of this host
	Backends []Target      // read at least MinBackendPeriod apart
	// StaleAfter is the age from which Run.Load no longer answers; 0 = 5 periods.
	StaleAfter time.Duration

	// Lag tells how late the driver is of late, for the client's own rows; nil =
	// unknown. It is called from a goroutine of telemetry's.
	Lag func() time.Duration
	// Samplers are further sources of GPU readings, by name.
	Samplers []Named
}

// Target is a backend that tells its load under an address as vLLM does.
type Target struct {
	Name string // as Run.Load is asked and rows are labelled, such as main/r3
	URL  string // of its metrics, such as http://10.0.0.1:8000/metrics
}

// Named is a sampler with the name of its rows.
type Named struct {
	Name string
	Sampler
}

// Check lists what cannot be meant. Start takes any Config: it corrects or leaves out
// what Check refuses, with a note.
func (c Config) Check() error {
	var errs []error
	if c.Period != 0 && c.Period < MinPeriod {
		errs = append(errs, fmt.Errorf("telemetry.period is %v: it must be at least %v", c.Period, MinPeriod))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("telemetry.timeout is %v: it must not be negative", c.Timeout))
	}
	if c.StaleAfter < 0 {
		errs = append(errs, fmt.Errorf("telemetry.stale_after is %v: it must not be negative", c.StaleAfter))
	}
	for i, u := range c.DCGM {
		if _, err := address(u); err != nil {
			errs = append(errs, fmt.Errorf("telemetry.dcgm[%d]: %w", i, err))
		}
	}
	names := make(map[string]bool)
	for i, t := range c.Backends {
		if t.Name == "" || names[t.Name] {
			errs = append(errs, fmt.Errorf("telemetry.backends[%d].name is %q: each needs a name of its own", i, t.Name))
		}
		names[t.Name] = true
		if _, err := address(t.URL); err != nil {
			errs = append(errs, fmt.Errorf("telemetry.backends[%d] (%s): %w", i, t.Name, err))
		}
	}
	return errors.Join(errs...)
}

// settled fills the defaults in and corrects what Start must not fail on.
func (c Config) settled() (Config, []string) {
	var notes []string
	if c.Period != 0 && c.Period < MinPeriod {
		notes = append(notes, fmt.Sprintf("telemetry is read every %v, not every %v: the shortest period", MinPeriod, c.Period))
		c.Period = MinPeriod
	}
	if c.Period == 0 {
		c.Period = DefaultPeriod
	}
	if c.Timeout <= 0 {
		c.Timeout = min(c.Period, maxTimeout)
	}
	if c.StaleAfter <= 0 {
		c.StaleAfter = 5 * max(c.Period, MinBackendPeriod)
	}
	return c, notes
}

// address reads the address of a metrics page. Errors do not repeat it: it may hold a
// password.
func address(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("the address cannot be read: give one such as http://host:9400/metrics")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is not an address: give one such as http://host:9400/metrics", u.Redacted())
	}
	return u, nil
}
