package app

import (
	"fmt"
	"strconv"
	"time"

	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
)

// withFleets puts the fleets of both hosts, over one time, in place of the chart of the
// live run alone; where fleets keep their size there is neither.
func withFleets(charts []chart.Figure, hosts []*job, doc bothDoc, o render.Options) []chart.Figure {
	var out []chart.Figure
	live := hosts[0]
	at, byRate := render.ShownAt(live.sum, o), chart.ByRate(live.sum.Cells)
	for _, f := range charts {
		if f.Kind != chart.KindFleet {
			out = append(out, f)
			continue
		}
		in := chart.FleetInput{Origin: chart.OriginOf(live.sum), At: chart.PlaceName(at, byRate)}
		in.Host, in.Requests, in.Seeds = "both", 0, 0
		for i := range live.sum.Cells {
			c := &live.sum.Cells[i]
			if chart.PlaceOf(*c, byRate) != at {
				continue
			}
			for k, name := range []string{"live", "simulated"} { // the hosts' order; a calibrated simulator scales as the plain one
				addFleet(&in, chart.FleetSeries{Label: chart.Label(*c) + ", " + name, Policy: chart.Label(*c)}, &finishedRuns{plan: hosts[k].plan, result: hosts[k].result}, i)
			}
		}
		out = append(out, chart.FleetTimeline(in, chart.Light()))
	}
	return out
}

// fleetFiles writes for every policy how its fleet grew and shrank in both hosts, second
// by second; nothing where fleets keep their size.
func fleetFiles(root *reports.RunWriter, hosts []*job) error {
	live := &finishedRuns{plan: hosts[0].plan, result: hosts[0].result}
	sim := &finishedRuns{plan: hosts[1].plan, result: hosts[1].result}
	var b []byte
	for i := range hosts[0].sum.Cells {
		measured, services, _ := live.timeline(i)
		foretold, _, _ := sim.timeline(i)
		rows := map[second]*reports.TimelineRow{}
		for k := range foretold {
			r := &foretold[k]
			rows[second{r.Service, r.At}] = r
		}
		for k := range measured {
			m := &measured[k]
			f := rows[second{m.Service, m.At}]
			if f == nil || m.Created+m.Desired+f.Created+f.Desired == 0 {
				continue
			}
			b = fmt.Appendf(b, "%s,%s,", csvField(chart.Label(hosts[0].sum.Cells[i])), csvField(services[m.Service]))
			b = strconv.AppendFloat(b, m.At.Seconds(), 'g', -1, 64)
			b = fmt.Appendf(b, ",%d,%d,%d,%d,%d,%d,%g,%g\n", f.Desired, m.Desired, f.Created, m.Created, f.Replicas, m.Replicas,
				float64(f.P99)/1e6, float64(m.P99)/1e6)
		}
	}
	if len(b) == 0 {
		return nil
	}
	const head = "policy,service,t_s,desired_sim,desired_live,created_sim,created_live,ready_sim,ready_live,p99_sim_ms,p99_live_ms\n"
	return root.Write("fleet.csv", append([]byte(head), b...))
}

// second is a row of a timeline.
type second struct {
	service int
	at      time.Duration
}
