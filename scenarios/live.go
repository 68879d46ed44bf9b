package scenarios

import (
	"fmt"
	"slices"
	"time"
)

// Where the replica half of a policy runs when real backends serve.
const (
	ReporterReplica  = "replica"  // in the backend
	ReporterAgent    = "agent"    // beside the backend
	ReporterInferred = "inferred" // in the driver, from the one front end's own attempts
)

// Ways of Live.Pacing.
const (
	PacingAuto   = "auto"
	PacingCoarse = "coarse" // sleeps: about half a millisecond late
	PacingFine   = "fine"   // a kernel timer: tens of microseconds late, a quarter of a core
)

// WarmAuto is Live.Warm when the file leaves it open: the expected requests in
// flight, at least MinWarm.
const WarmAuto = -1

// MinWarm is the smallest number of connections worth opening before a run.
const MinWarm = 16

// minBlocks is how many pairs the interval of an A/B run needs.
const minBlocks = 6

// Live says how real backends are driven. A simulator reads none of it.
type Live struct {
	Arms    []string      // labels run in turns, the first against the others; nil = one run per policy
	Blocks  int           // pairs of blocks, at least 6
	Block   time.Duration // length of a block; 0 = max(5 s, 20 × P99)
	Repeats int           // whole runs

	Pacing      string
	Warm        int           // connections opened per backend before the run; 0 = none, WarmAuto
	MaxInFlight int           // beyond it a request is not sent; 0 = min(16,384, 0.4 × open files allowed)
	StaleAfter  time.Duration // age at which a report counts as unknown; 0 = 5 periods
	Validity    Validity

	Actuator  Actuator  `yaml:"-"` // where the replicas of fleets that change their size run
	Tape      bool      `yaml:"-"` // measure.tape, which is on here unless the file says off; decides no result
	Telemetry Telemetry `yaml:"-"` // decides no result either
}

// Telemetry says what is watched beside the requests. The client itself always is, and
// so are backends whose targets name the address of their metrics.
type Telemetry struct {
	DCGM   bool          // the exporters that targets name
	NVML   bool          // the GPUs of this host
	Period time.Duration // between two readings
}

// minTelemetryPeriod is the shortest period: below it the watching disturbs what is
// watched.
const minTelemetryPeriod = 100 * time.Millisecond

// Validity holds the limits beyond which a measurement is not sound.
type Validity struct {
	Sent     float64       // least share of the schedule that was sent
	Lag      time.Duration // most P99 of intended → sent, or
	LagShare float64       // this share of the latency's P50 where that is more
	CPU      float64       // most share of the driver's cores
	NotSent  float64       // most share of requests that met the fuse
	Steal    float64       // most share of the host that others took
}

// DefaultValidity is the standard that a run is held to unless it says otherwise.
func DefaultValidity() Validity {
	return Validity{Sent: 0.995, Lag: time.Millisecond, LagShare: 0.05, CPU: 0.8, NotSent: 0.001, Steal: 0.2}
}

// LagLimit is the most lag at a median latency.
func (v Validity) LagLimit(p50 time.Duration) time.Duration {
	return max(v.Lag, time.Duration(v.LagShare*float64(p50)))
}

// Loosened names the limits that are looser than the standard, as a report shows
// them: "cpu 90% (standard 80%)".
func (v Validity) Loosened() []string {
	std := DefaultValidity()
	var out []string
	percent := func(name string, x, standard float64, looser bool) {
		if looser {
			out = append(out, fmt.Sprintf("%s %s (standard %s)", name, percentText(x), percentText(standard)))
		}
	}
	percent("sent", v.Sent, std.Sent, v.Sent < std.Sent)
	if v.Lag > std.Lag {
		out = append(out, fmt.Sprintf("lag %s (standard %s)", durationText(v.Lag), durationText(std.Lag)))
	}
	percent("lag", v.LagShare, std.LagShare, v.LagShare > std.LagShare)
	percent("cpu", v.CPU, std.CPU, v.CPU > std.CPU)
	percent("not_sent", v.NotSent, std.NotSent, v.NotSent > std.NotSent)
	percent("steal", v.Steal, std.Steal, v.Steal > std.Steal)
	return out
}

func percentText(x float64) string { return fmt.Sprintf("%.4g%%", 100*x) }

// DefaultLive is what a scenario without keys for live runs gets.
func DefaultLive() Live {
	return Live{Blocks: minBlocks, Repeats: 1, Pacing: PacingAuto, Warm: WarmAuto, Actuator: defaultActuator(), Validity: DefaultValidity(), Tape: true,
		Telemetry: Telemetry{DCGM: true, Period: time.Second}}
}

// RunsLive says whether a live run takes the cell: with arms only those of them.
func (c *Cell) RunsLive() bool {
	return c.Setup.Live.Arms == nil || slices.Contains(c.Setup.Live.Arms, c.Policy)
}

// live decodes the block live, and what belongs to it in measure.
func (d *decoder) live(root block) Live {
	out := DefaultLive()
	measure := root.get("measure")
	if measure != nil && measure.kind == mapNode {
		m := block{d: d, n: measure, path: "measure"}
		d.arms(m.get("live"), m.at("live"), &out)
		m.boolean("tape", &out.Tape)
	}
	b := d.block(root.get("live"), "live", "live")
	b.enum("pacing", &out.Pacing, PacingAuto, PacingCoarse, PacingFine)
	if n := b.get("warm"); n != nil && textOf(n) == "off" {
		out.Warm = 0
	} else if n != nil && d.isScalar(n, b.at("warm"), "a whole number or off") {
		if v, wrong := readInt(n.text); wrong != nil || n.quoted {
			d.refuse(n, b.at("warm"), &bad{must: "it must be a whole number or off"})
		} else if v < MinWarm || v > 1e6 {
			d.ps.at(n, b.at("warm"), "", "%s is %d: it must lie in %d…1,000,000, or be off", b.at("warm"), v, MinWarm)
		} else {
			out.Warm = int(v)
		}
	}
	b.integer("max_in_flight", &out.MaxInFlight, 1, 1_000_000)
	b.duration("stale_after", &out.StaleAfter, 0, 0, true)
	d.validity(b.get("validity"), b.at("validity"), &out.Validity)
	d.actuator(b.get("actuator"), b.at("actuator"), &out.Actuator)
	t := d.block(b.get("telemetry"), b.at("telemetry"), "live.telemetry")
	t.boolean("dcgm", &out.Telemetry.DCGM)
	t.boolean("nvml", &out.Telemetry.NVML)
	t.duration("period", &out.Telemetry.Period, minTelemetryPeriod, 0, false)
	return out
}

// arms decodes the comparison by blocks in turns.
func (d *decoder) arms(n *node, path string, out *Live) {
	b := d.block(n, path, "measure.live")
	if b.n == nil {
		return
	}
	if list := b.get("arms"); list != nil {
		for i, item := range d.list(list, b.at("arms"), "labels") {
			if d.isScalar(item, index(b.at("arms"), i), "a label") {
				out.Arms = append(out.Arms, item.text)
			}
		}
		if list.kind == seqNode && len(list.items) < 2 {
			d.ps.at(list, b.at("arms"), "such as [p2c, jiq]; the same label twice tests the method", "%s needs at least two labels", b.at("arms"))
		}
	}
	b.integer("blocks", &out.Blocks, minBlocks, unbounded)
	b.duration("block", &out.Block, 5*time.Second, 0, false)
	b.integer("repeats", &out.Repeats, 1, 10_000)
}

func (d *decoder) validity(n *node, path string, out *Validity) {
	b := d.block(n, path, "live.validity")
	share := span{lo: 0, hi: 1}
	b.share("sent", &out.Sent, span{lo: 0, hi: 1, above: true})
	b.share("cpu", &out.CPU, span{lo: 0, hi: 1, above: true})
	b.share("not_sent", &out.NotSent, share)
	b.share("steal", &out.Steal, share)
	at := b.get("lag")
	if at == nil || !d.isScalar(at, b.at("lag"), "a duration or a percentage of the P50") {
		return
	}
	if v, wrong := readDuration(at.text); wrong == nil && v > 0 {
		out.Lag, out.LagShare = v, 0
		return
	}
	v, wrong := readShare(at.text)
	switch {
	case wrong != nil:
		d.refuse(at, b.at("lag"), &bad{"it must be a duration or a percentage of the P50", "such as 2ms or 10%"})
	case !(v > 0 && v <= 1):
		d.ps.at(at, b.at("lag"), "such as 2ms or 10%", "%s is %s: it must lie in (0%%, 100%%], or be a duration above 0s", b.at("lag"), at.text)
	default:
		out.LagShare = v
	}
}

// checkArms wants every arm to be the label of a policy.
func (l *loader) checkArms(root *node, arms []string, services []serviceDraft) {
	var labels []string
	for _, combo := range combinations(placesOf(services)) {
		var c Cell
		c.name(placesOf(services), combo)
		if !slices.Contains(labels, c.Policy) {
			labels = append(labels, c.Policy)
		}
	}
	for i, a := range arms {
		if path := index("measure.live.arms", i); !slices.Contains(labels, a) {
			l.ps.at(find(root, path), path, Suggest(a, labels, ""), "no policy is labelled %q", a)
		}
	}
}
