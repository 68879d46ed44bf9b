package verify

import (
	"fmt"
	"slices"
	"strings"
)

// The parameters of cases, as flags name them.
const (
	ParamN           = "n"           // replicas
	ParamDispatchers = "dispatchers" // m
	ParamChoices     = "choices"     // d
	ParamRoom        = "room"        // K, or the largest batch
	ParamEvery       = "every"       // T, in mean service times
	ParamService     = "service"
)

// Point is one case with its parameters; those that the case does not take are zero.
type Point struct {
	Case        string
	Rho         float64
	N           int
	Dispatchers int
	Choices     int
	Room        int
	Every       float64
	Service     string
}

// Params lists the parameters that the case takes, as they stand in a summary.
func (p Point) Params() map[string]any {
	out := map[string]any{"rho": p.Rho}
	for _, name := range find(p.Case).Takes {
		out[name] = p.param(name)
	}
	return out
}

func (p Point) param(name string) any {
	switch name {
	case ParamN:
		return p.N
	case ParamDispatchers:
		return p.Dispatchers
	case ParamChoices:
		return p.Choices
	case ParamRoom:
		return p.Room
	case ParamEvery:
		return p.Every
	}
	return p.Service
}

// Label is the case with its parameters in words.
func (p Point) Label() string {
	parts := []string{p.Case}
	symbols := map[string]string{ParamN: "n=", ParamDispatchers: "m=", ParamChoices: "d=", ParamRoom: "K=", ParamEvery: "T=", ParamService: ""}
	for _, name := range find(p.Case).Takes {
		if name == ParamN && p.N == 1 && p.Case != "mmc" {
			continue
		}
		parts = append(parts, symbols[name]+fmt.Sprint(p.param(name)))
	}
	return strings.Join(append(parts, fmt.Sprintf("rho=%g", p.Rho)), " ")
}

// Want is what a user asks for: empty lists are not given.
type Want struct {
	Cases       []string
	Rho         []float64
	N           []int
	Dispatchers []int
	Choices     []int
	Room        []int
	Every       []float64
	Service     []string
}

// given lists the parameters that are named, rho apart.
func (w *Want) given() []string {
	var out []string
	for name, n := range map[string]int{ParamN: len(w.N), ParamDispatchers: len(w.Dispatchers), ParamChoices: len(w.Choices),
		ParamRoom: len(w.Room), ParamEvery: len(w.Every), ParamService: len(w.Service)} {
		if n > 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Points are the points that a user asks for: the grid of the cases, or with any
// parameter named all combinations of what is named, the rest as the case begins.
// Without cases named, those that take all the parameters named are meant.
func (w *Want) Points(quick bool) ([]Point, error) {
	models, err := w.models()
	if err != nil {
		return nil, err
	}
	var out []Point
	for _, m := range models {
		if len(w.given()) == 0 && len(w.Rho) == 0 {
			out = append(out, m.points(quick)...)
			continue
		}
		for _, p := range w.combine(m) {
			if err := m.check(p); err != nil {
				return nil, fmt.Errorf("case %s: %w", m.Name, err)
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// models are the cases meant.
func (w *Want) models() ([]Model, error) {
	var out []Model
	if len(w.Cases) == 0 {
		for _, m := range Models() {
			if !slices.ContainsFunc(w.given(), func(p string) bool { return !slices.Contains(m.Takes, p) }) {
				out = append(out, m)
			}
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("no case takes %s together: name one with --case", dashed(w.given()))
		}
		return out, nil
	}
	for _, name := range w.Cases {
		m := find(name)
		if m.Name == "" {
			return nil, &UnknownCaseError{name}
		}
		for _, p := range w.given() {
			if !slices.Contains(m.Takes, p) {
				takes := "--rho"
				if len(m.Takes) > 0 {
					takes += " " + dashed(m.Takes)
				}
				return nil, fmt.Errorf("case %s has no --%s: it takes %s", m.Name, p, takes)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func dashed(names []string) string { return "--" + strings.Join(names, " --") }

// UnknownCaseError names a case that does not exist.
type UnknownCaseError struct{ Name string }

func (e *UnknownCaseError) Error() string { return fmt.Sprintf("there is no case %q", e.Name) }

// combine lists all combinations of what is named for one case.
func (w *Want) combine(m Model) []Point {
	out := []Point{m.points(true)[0]}
	out = vary(out, w.Rho, func(p *Point, v float64) { p.Rho = v })
	out = vary(out, w.N, func(p *Point, v int) {
		if p.Dispatchers > 0 && len(w.Dispatchers) == 0 { // as many replicas each as the case has
			p.Dispatchers = max(1, v*p.Dispatchers/max(1, p.N))
		}
		if p.Room > 0 && len(w.Room) == 0 && m.Name == "mmck" { // as much room to wait
			p.Room += v - p.N
		}
		p.N = v
	})
	out = vary(out, w.Dispatchers, func(p *Point, v int) { p.Dispatchers = v })
	out = vary(out, w.Choices, func(p *Point, v int) { p.Choices = v })
	out = vary(out, w.Room, func(p *Point, v int) { p.Room = v })
	out = vary(out, w.Every, func(p *Point, v float64) { p.Every = v })
	return vary(out, w.Service, func(p *Point, v string) { p.Service = v })
}

// vary makes one point of each value from every point; none leaves them as they are.
func vary[T any](points []Point, values []T, set func(*Point, T)) []Point {
	if len(values) == 0 {
		return points
	}
	var out []Point
	for _, p := range points {
		for _, v := range values {
			q := p
			set(&q, v)
			out = append(out, q)
		}
	}
	return out
}
