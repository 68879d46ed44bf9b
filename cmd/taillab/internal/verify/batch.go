package verify

import (
	"fmt"
	"math"
	"strings"
	"time"

	"taillab/cmd/taillab/internal/theory"
)

// maxPart bounds the parts of a batch time.
const maxPart = 10 * time.Second

// batchOf reads the service of a batching replica, A+B: a batch of k takes A + B·k.
func batchOf(p Point) (theory.Batching, error) {
	a, b, ok := strings.Cut(p.Service, "+")
	x, errA := time.ParseDuration(a)
	y, errB := time.ParseDuration(b)
	if !ok || errA != nil || errB != nil {
		return theory.Batching{}, fmt.Errorf("--service %s: write A+B, the time of a batch and of each request in it, e.g. 1.19ms+0.95ms", p.Service)
	}
	if x < 0 || x > maxPart || y <= 0 || y > maxPart {
		return theory.Batching{}, fmt.Errorf("--service %s: A must lie in [0, %v] and B in (0, %v]", p.Service, maxPart, maxPart)
	}
	out := theory.Batching{A: ms(x), B: ms(y), Most: p.Room}
	out.Rate = p.Rho * float64(p.Room) / (out.A + out.B*float64(p.Room))
	return out, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func batchLaw(p Point) (Prediction, error) {
	b, err := batchOf(p)
	if err != nil {
		return Prediction{}, err
	}
	law, busy := b.Law()
	return Prediction{Law: law, Busy: busy, Unit: unitMS, Rate: b.Rate * float64(p.N)}, nil
}

func batchFleet(p Point) string {
	a, b, _ := strings.Cut(p.Service, "+")
	return fmt.Sprintf("replicas: %d, gpu: {kind: affine, a: %s, b: %s, slots: 1, max_batch: %d, noise: {sigma: 0}}", p.N, a, b, p.Room)
}

// batchRelax: in a full batch's time the queue falls by (1−ρ)K of variance ρK.
func batchRelax(p Point) float64 {
	b, err := batchOf(p)
	if err != nil {
		return 0
	}
	gap := 1 - p.Rho
	return max(1, 4*p.Rho/(float64(p.Room)*gap*gap)) * (b.A + b.B*math.Max(1, float64(p.Room)))
}
