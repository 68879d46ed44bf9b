package share

import (
	"math"
	"time"
)

// DRF is dominant resource fairness (Ghodsi et al. 2011): the next unit goes to the
// tenant with the least dominant share. With the one resource of a quota it is max-min
// in whole units; Fill divides several resources.
type DRF struct {
	Unit         float64       `yaml:"unit" about:"units handed out at a time" above:"0"`
	DemandWindow time.Duration `yaml:"demand_window" about:"how long a request counts as demand of its tenant" min:"100ms" max:"1h"`

	out []float64
}

// tie is how near two dominant shares are called equal.
const tie = 1e-6

// maxSteps bounds the units of one division: a unit too small for the capacity grows.
const maxSteps = 100_000

// Window implements Windowed.
func (d *DRF) Window() time.Duration { return d.DemandWindow }

// Divide implements Divider. The last piece of a tenant, or of the capacity, may be
// less than a unit: nothing is left over.
func (d *DRF) Divide(capacity float64, claims []Claim) []float64 {
	d.out = zeros(d.out, len(claims))
	unit := max(d.Unit, capacity/maxSteps)
	for left := capacity; left > capacity*1e-12; {
		i := least(len(claims), func(i int) (float64, bool) {
			return d.out[i] / (capacity * claims[i].Weight), d.out[i] < claims[i].Demand
		})
		if i < 0 {
			break
		}
		x := min(unit, left, claims[i].Demand-d.out[i])
		d.out[i] += x
		left -= x
	}
	return d.out
}

// Task is what one task of a tenant needs of every resource, and how many tasks it
// wants at most.
type Task struct {
	Need   []float64 // by resource
	Most   float64   // +Inf: as many as fit
	Weight float64
}

// Fill hands out whole tasks until none fits and returns their numbers by tenant.
func Fill(capacity []float64, tasks []Task) []int {
	out := make([]int, len(tasks))
	used := make([]float64, len(capacity))
	for {
		i := least(len(tasks), func(i int) (float64, bool) {
			return dominant(capacity, tasks[i], out[i]), float64(out[i]) < tasks[i].Most && fits(capacity, used, tasks[i].Need)
		})
		if i < 0 {
			return out
		}
		out[i]++
		for r, x := range tasks[i].Need {
			used[r] += x
		}
	}
}

// least is the number of the one with the least share among those that want more; the
// first of equals. −1: nobody wants more.
func least(n int, share func(i int) (float64, bool)) int {
	best, low := -1, math.Inf(1)
	for i := range n {
		if s, wants := share(i); wants && s < low-tie {
			best, low = i, s
		}
	}
	return best
}

// dominant is the largest of a tenant's weighted shares of the resources.
func dominant(capacity []float64, t Task, n int) float64 {
	most := 0.0
	for r, x := range t.Need {
		if capacity[r] > 0 {
			most = max(most, float64(n)*x/capacity[r]/t.Weight)
		}
	}
	return most
}

func fits(capacity, used, need []float64) bool {
	needs := false
	for r, x := range need {
		needs = needs || x > 0
		if used[r]+x > capacity[r]*(1+1e-12) {
			return false
		}
	}
	return needs // a task that needs nothing would never end
}
