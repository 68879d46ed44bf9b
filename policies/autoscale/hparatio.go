package autoscale

import (
	"math"
	"slices"
	"time"
)

// podRow is a pod with its sample as the ratio is made of it; all in thousandths.
type podRow struct{ value, request int64 }

// replicas is the count that one metric asks for; false when no pod could be read.
// Samples are by ascending pod; those of pods that do not exist are ignored.
func (h *HPA) replicas(now time.Duration, m *Metrics, t Target, samples []Sample) (int, bool) {
	var read []podRow
	var missing, unready []int64 // what these pods asked for
	request := commonRequest(samples)
	for i := range m.Pods {
		p := &m.Pods[i]
		if p.Deleted || p.Failed {
			continue
		}
		k, found := slices.BinarySearchFunc(samples, p.ID, func(s Sample, id int) int { return s.Pod - id })
		switch {
		case p.Phase <= Pulling: // Kubernetes' phase Pending: scheduled or not, its container has not started
			unready = append(unready, request)
		case !found:
			missing = append(missing, request)
		case t.Metric.Resource() && h.starting(now, p, &samples[k]):
			unready = append(unready, samples[k].Request)
		default:
			read = append(read, podRow{samples[k].Value, samples[k].Request})
		}
	}
	if len(read) == 0 {
		return 0, false
	}
	ready, usage := len(read), ratio(read, t)
	grow := len(unready) > 0 && usage > 1
	if !grow && len(missing) == 0 {
		if h.within(usage) {
			return m.Spec, true
		}
		return up(usage * float64(ready)), true
	}
	if usage != 1 {
		for _, r := range missing {
			read = append(read, podRow{assumed(usage, t, r), r})
		}
	}
	if grow {
		for _, r := range unready {
			read = append(read, podRow{0, r})
		}
	}
	again := ratio(read, t)
	if h.within(again) || (usage < 1 && again > 1) || (usage > 1 && again < 1) {
		return m.Spec, true
	}
	n := up(again * float64(len(read)))
	if (again < 1 && n > m.Spec) || (again > 1 && n < m.Spec) {
		return m.Spec, true
	}
	return n, true
}

// commonRequest is what a pod without a sample asked for: the fleet's pods are alike.
func commonRequest(samples []Sample) int64 {
	if len(samples) == 0 {
		return 0
	}
	return samples[0].Request
}

// starting tells whether a pod's share may still be that of its start-up.
func (h *HPA) starting(now time.Duration, p *Pod, s *Sample) bool {
	if p.Start < 0 {
		return true
	}
	if p.Start+h.CPUInit > now {
		return !p.Ready || s.At < p.LastTransition+s.Window
	}
	return !p.Ready && p.Start+h.ReadinessDelay > p.LastTransition
}

// ratio is the metric over its target. A share is a whole percentage first, a plain
// metric a whole number of thousandths, as the controller computes with integers.
func ratio(rows []podRow, t Target) float64 {
	var usage, request int64
	for _, r := range rows {
		usage += r.value
		request += r.request
	}
	if t.Metric.Resource() {
		if request == 0 {
			return 0
		}
		return float64(usage*100/request) / percent(t.Target)
	}
	return float64(usage/int64(len(rows))) / math.Round(t.Target*1000)
}

// percent is a share as a whole percentage.
func percent(share float64) float64 { return max(1, math.Round(share*100)) }

// assumed is what a pod without a sample is taken to use: all it asked for when that
// argues against scaling down, nothing when it argues against scaling up.
func assumed(usage float64, t Target, request int64) int64 {
	switch {
	case usage > 1:
		return 0
	case t.Metric.Resource():
		return request * int64(max(100, percent(t.Target))) / 100
	}
	return int64(math.Round(t.Target * 1000))
}

func (h *HPA) within(ratio float64) bool {
	return ratio >= 1-h.ToleranceDown && ratio <= 1+h.ToleranceUp
}

// up rounds up to a count.
func up(x float64) int { return int(math.Ceil(min(x, 1e9))) }

// averageValue is the count that an external total asks for: the total over the
// target, unless the mean per replica is within the tolerance.
func (h *HPA) averageValue(total, target float64, m *Metrics) int {
	if m.Spec > 0 && h.within(total/float64(target*float64(m.Spec))) {
		return m.Spec
	}
	return up(total / target)
}
