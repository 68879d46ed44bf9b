package scenarios

import (
	"fmt"
	"time"

	"taillab/workloads"
)

// Overhead is a profile of what a live request costs beside the time inside its
// server: connection, both ends' software, timers. It is measured where nothing queues.
type Overhead struct {
	Overhead time.Duration // idle: the median of measured − stated
	Source   string        // where it was measured, for people
	Requests int           // that it is the median of
}

// LoadOverhead reads an overhead profile. It returns nil and all problems, or the
// profile and none.
func LoadOverhead(src Source) (*Overhead, []Problem) {
	t := newText(src)
	t.holds = "profile"
	var ps problemList
	var out Overhead
	if root := parse(t, src.Data, &ps); root != nil {
		d := decoder{ps: &ps}
		b := d.open(root, "", "version", "overhead", "source", "requests")
		version := 0
		b.integer("version", &version, -unbounded, unbounded)
		if n := b.get("version"); b.n != nil && version != 1 && len(ps.list) == 0 {
			d.ps.at(orNode(n, root), "version", "write version: 1", "version is %d: this program reads version 1", version)
		}
		if b.n != nil && b.get("overhead") == nil {
			d.ps.at(root, "overhead", "such as overhead: 1.2ms; taillab calibrate measures it", "overhead is missing")
		}
		b.duration("overhead", &out.Overhead, 0, time.Hour, false)
		b.text("source", &out.Source)
		b.integer("requests", &out.Requests, 0, unbounded)
	}
	if len(ps.list) > 0 {
		return nil, ps.sorted()
	}
	return &out, nil
}

// orNode is n, or where it would stand.
func orNode(n, otherwise *node) *node {
	if n == nil {
		return otherwise
	}
	return n
}

// YAML is the profile as LoadOverhead reads it.
func (o Overhead) YAML() []byte {
	return fmt.Appendf(nil, "# Idle overhead of live requests, for: taillab run SCENARIO --both --profile THIS\nversion: 1\noverhead: %s\nsource: %q\nrequests: %d\n",
		durationText(o.Overhead), o.Source, o.Requests)
}

// WithOverhead is the plan of the calibrated twin: every answer takes that much longer
// to its front end, and so do the messages that ride on answers; a probe pays half of
// it on each leg. It comes on top of what the scenario's network says. The plan itself
// is left as it is.
func (p *Plan) WithOverhead(overhead time.Duration) (*Plan, error) {
	out := *p
	out.Cells = make([]*Cell, len(p.Cells))
	setups := map[*Setup]*Setup{}
	for i, c := range p.Cells {
		if setups[c.Setup] == nil {
			s, err := c.Setup.later(overhead)
			if err != nil {
				return nil, err
			}
			setups[c.Setup] = s
		}
		cell := *c
		cell.Setup = setups[c.Setup]
		out.Cells[i] = &cell
	}
	return &out, nil
}

func (s *Setup) later(overhead time.Duration) (*Setup, error) {
	out := *s
	out.Services = append([]Service(nil), s.Services...)
	for i := range out.Services {
		n := &out.Services[i].Network
		if !n.Response.shift(overhead) && !n.Request.shift(overhead) {
			return nil, fmt.Errorf("service %s: network.request.delay and network.response.delay are both drawn at random, so no overhead can be added to them: make one of them a constant, or leave network out", out.Services[i].Name)
		}
		n.Report.shift(overhead) // one that is drawn already takes its time
		n.Probe.shift(overhead / 2)
	}
	return &out, nil
}

// shift adds to a constant delay; false where the delay is drawn.
func (l *Link) shift(by time.Duration) bool {
	switch l.Delay.Kind {
	case "":
		l.Delay = workloads.Constant(float64(by))
	case "constant":
		l.Delay = workloads.Constant(l.Delay.Value + float64(by))
	default:
		return false
	}
	return true
}
