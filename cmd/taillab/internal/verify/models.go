package verify

import (
	"fmt"
	"math"
	"strings"
	"time"

	"taillab/cmd/taillab/internal/theory"
)

// Models lists the cases, simple ones first. They are named as reference values of
// load balancing usually are.
func Models() []Model {
	return []Model{
		{Name: "mm1", About: "one queue, exponential service; n replicas behind random are n of them",
			Source: "Erlang", Takes: []string{ParamN}, quick: rhos(.7), full: rhos(.5, .7, .9),
			law: served(func(p Point, _ theory.Service) theory.Law { return theory.MM1(p.Rho) }), relax: queues, independent: each},
		{Name: "mmc", About: "one queue before n replicas", Source: "Erlang 1917", Takes: []string{ParamN},
			quick: []Point{{N: 10, Rho: .8}}, full: []Point{{N: 2, Rho: .7}, {N: 10, Rho: .5}, {N: 10, Rho: .9}, {N: 100, Rho: .9}},
			law:     served(func(p Point, _ theory.Service) theory.Law { return theory.MMC(p.Rho, p.N) }),
			balance: fixed("central-queue"), relax: shared, independent: one},
		{Name: "mmck", About: "one queue before n replicas with room for K requests, the rest turned away", Source: "Erlang 1917",
			Takes: []string{ParamN, ParamRoom},
			quick: []Point{{N: 4, Room: 10, Rho: .9}}, full: []Point{{N: 1, Room: 5, Rho: .7}, {N: 4, Room: 10, Rho: .9}, {N: 10, Room: 20, Rho: 1.2}},
			law:     served(func(p Point, _ theory.Service) theory.Law { return theory.MMCK(p.Rho, p.N, p.Room) }),
			balance: func(p Point) string { return fmt.Sprintf("{name: central-queue, capacity: %d}", p.Room) }, relax: bounded, independent: one},
		{Name: "md1", About: "one queue, constant service", Source: "Crommelin 1932, Franx 2001", Takes: []string{ParamN}, quick: rhos(.7), full: rhos(.5, .7, .9),
			law: served(func(p Point, _ theory.Service) theory.Law { return theory.MD1(p.Rho) }, "det"), relax: queues, independent: each},
		{Name: "mg1", About: "one queue, any law of service", Source: "Pollaczek 1930, Khinchine 1932", Takes: []string{ParamN, ParamService},
			quick: []Point{{Service: "logn2", Rho: .7}, {Service: "bimodal", Rho: .7}},
			full:  []Point{{Service: "logn2", Rho: .5}, {Service: "logn2", Rho: .7}, {Service: "bimodal", Rho: .7}, {Service: "bimodal", Rho: .9}, {Service: "hyper2", Rho: .8}, {Service: "logn0.5", Rho: .8}},
			law:   served(func(p Point, s theory.Service) theory.Law { return theory.MG1(p.Rho, s) }), relax: queues, independent: each},
		{Name: "mg1ps", About: "one processor-sharing replica: the mean does not depend on the law of service", Source: "Sakata, Noguchi, Oizumi 1971; Coffman, Muntz, Trotter 1970",
			Takes: []string{ParamN, ParamService},
			quick: []Point{{Service: "exp", Rho: .7}, {Service: "logn2", Rho: .7}},
			full:  []Point{{Service: "exp", Rho: .5}, {Service: "exp", Rho: .8}, {Service: "logn2", Rho: .7}, {Service: "det", Rho: .7}, {Service: "bimodal", Rho: .8}},
			law:   served(shares), fleet: func(p Point) string { return fmt.Sprintf("replicas: %d, queue: ps", p.N) }, relax: queues, independent: each},
		{Name: "rr_gim1", About: "round-robin over n replicas, one dispatcher: a queue with Erlang(n) gaps each", Source: "Kendall 1953", Takes: []string{ParamN},
			quick: []Point{{N: 10, Rho: .7}}, full: []Point{{N: 2, Rho: .7}, {N: 10, Rho: .9}, {N: 100, Rho: .7}},
			law:     served(func(p Point, _ theory.Service) theory.Law { return theory.RoundRobin(p.Rho, p.N) }),
			balance: fixed("round-robin"), relax: queues, independent: each},
		{Name: "jsq_n2", About: "the shorter of two queues", Source: "exact chain; Gaver, Jacobs, Latouche 1984",
			quick: rhos(.7), full: rhos(.5, .9),
			law:     served(func(p Point, _ theory.Service) theory.Law { return theory.Two(p.Rho, 1) }),
			balance: fixed("p2c"), fleet: fixed("replicas: 2"), relax: shared, independent: one},
		{Name: "jsq_n2_replacement", About: "the shorter of two choices with replacement among two queues", Source: "exact chain; Gaver, Jacobs, Latouche 1984",
			quick: rhos(.7), full: rhos(.5, .9),
			law:     served(func(p Point, _ theory.Service) theory.Law { return theory.Two(p.Rho, .75) }),
			balance: fixed("{name: p2c, sample: replacement}"), fleet: fixed("replicas: 2"), relax: shared, independent: one},
		{Name: "jsqd_limit", About: "the shortest of d random queues, n → ∞", Source: "Vvedenskaya, Dobrushin, Karpelevich 1996; Mitzenmacher 2001", limit: .2,
			Takes:   []string{ParamN, ParamChoices},
			quick:   []Point{{N: 500, Choices: 2, Rho: .7}},
			full:    []Point{{N: 1000, Choices: 2, Rho: .7}, {N: 1000, Choices: 2, Rho: .9}, {N: 1000, Choices: 3, Rho: .9}},
			law:     served(func(p Point, _ theory.Service) theory.Law { return theory.Supermarket(p.Rho, p.Choices) }),
			balance: func(p Point) string { return fmt.Sprintf("{name: p2c, choices: %d}", p.Choices) }, relax: mixing, independent: each},
		{Name: "jiq_mf", About: "join-idle-queue with m dispatchers, random reports and fallback, withdrawal, n → ∞", Source: "mean field of Lu et al. 2011's model", limit: .6,
			Takes:   []string{ParamN, ParamDispatchers},
			quick:   []Point{{N: 500, Dispatchers: 50, Rho: .7}},
			full:    []Point{{N: 1000, Dispatchers: 100, Rho: .5}, {N: 1000, Dispatchers: 100, Rho: .9}, {N: 1000, Dispatchers: 1000, Rho: .7}},
			law:     idleQueues,
			balance: fixed("jiq"), relax: func(p Point) float64 {
				_, empty := jiq(p)
				return separate(p.Rho * empty)
			}, independent: each},
		{Name: "stale_periodic", About: "the shortest of d entries of a board renewed every T, n → ∞", Source: "Mitzenmacher 2000", limit: .2,
			Takes: []string{ParamN, ParamChoices, ParamEvery},
			quick: []Point{{N: 500, Choices: 2, Every: 1, Rho: .7}},
			full:  []Point{{N: 1000, Choices: 2, Every: .5, Rho: .9}, {N: 1000, Choices: 2, Every: 5, Rho: .7}, {N: 1000, Choices: 3, Every: 1, Rho: .9}},
			law:   served(func(p Point, _ theory.Service) theory.Law { return theory.Board(p.Rho, p.Choices, p.Every) }),
			balance: func(p Point) string {
				return fmt.Sprintf("{name: board, mode: sample, choices: %d, every: %v}", p.Choices, time.Duration(math.Round(p.Every*float64(unitTime))))
			},
			relax: func(p Point) float64 { return max(mixing(p), p.Every) }, independent: each},
		{Name: "batching", About: "a replica that batches what waits, A + B·k for k of at most K requests", Source: "Bailey 1954",
			Takes: []string{ParamN, ParamRoom, ParamService},
			quick: []Point{{Room: 32, Service: "1.19ms+0.95ms", Rho: .6}},
			full:  []Point{{Room: 32, Service: "1.19ms+0.95ms", Rho: .3}, {Room: 32, Service: "1.19ms+0.95ms", Rho: .8}, {Room: 32, Service: "0.887ms+0.134ms", Rho: .6}, {Room: 32, Service: "0.887ms+0.134ms", Rho: .9}},
			law:   batchLaw, fleet: batchFleet, relax: batchRelax, independent: each},
	}
}

// unitTime is one mean service time in a simulation: long against its nanosecond,
// short against the second at which it notes its state.
const unitTime = 10 * time.Millisecond

func rhos(list ...float64) []Point {
	var out []Point
	for _, r := range list {
		out = append(out, Point{Rho: r})
	}
	return out
}

func fixed(text string) func(Point) string { return func(Point) string { return text } }

func each(p Point) int { return max(1, p.N) }
func one(Point) int    { return 1 }

// served makes a prediction of a law in mean service times. The law of service is the
// point's, else the one named, else exponential.
func served(law func(p Point, s theory.Service) theory.Law, name ...string) func(Point) (Prediction, error) {
	return func(p Point) (Prediction, error) {
		text := p.Service
		if text == "" {
			text = strings.Join(append(name, "exp")[:1], "")
		}
		s, err := theory.ParseService(text)
		if err != nil {
			return Prediction{}, err
		}
		l := law(p, s)
		return Prediction{Law: l, Busy: p.Rho * (1 - l.Blocked), Unit: unitService, Rate: p.Rho * float64(p.replicas()), Demand: s.Demand}, nil
	}
}

// replicas are those of the fleet; a case without the parameter has two.
func (p Point) replicas() int {
	if p.N == 0 {
		return 2
	}
	return p.N
}

func jiq(p Point) (law theory.Law, empty float64) {
	return theory.JIQ(p.Rho, float64(p.N)/float64(p.Dispatchers))
}

// idleQueues is the law of join-idle-queue and its messages. A request that meets an
// empty idle-queue, with chance u, goes anywhere: to a busy replica with chance ρ, else
// to an idle one, which takes its entry back. All others start an idle replica, and
// each start is preceded by a report. With m dispatchers an empty idle-queue is one of
// few places where an idle replica may be listed, so withdrawals differ by O(1/m); 1.2
// covers the largest difference seen, at m = 10.
func idleQueues(p Point) (Prediction, error) {
	_, empty := jiq(p)
	pred, err := served(func(p Point, _ theory.Service) theory.Law { l, _ := jiq(p); return l })(p)
	pred.Counts = []count{{"reports", "messages_report", 1 - p.Rho*empty, 0}, {"withdrawals", "messages_withdraw", empty * (1 - p.Rho), 1.2 / float64(p.Dispatchers)}}
	return pred, err
}

// shares is the law of processor sharing: its mean, and for exponential service all.
func shares(p Point, s theory.Service) theory.Law {
	if s.Name == "exp" {
		return theory.PSExp(p.Rho)
	}
	return theory.Law{Mean: theory.PSMean(p.Rho)}
}

// queues relax each on its own; what varies more takes longer by (1 + cv²)/2.
func queues(p Point) float64 {
	s, err := theory.ParseService(p.Service)
	if err != nil {
		return separate(p.Rho)
	}
	return separate(p.Rho) * max(1, s.M2/2)
}

// shared is one queue for all: n times faster, but no faster than a service.
func shared(p Point) float64 { return max(1, separate(p.Rho)/float64(p.replicas())) }

// bounded is a queue with room for K: it forgets within a walk over its length.
func bounded(p Point) float64 {
	walk := float64(p.Room*p.Room) / float64(p.N)
	return max(1, min(separate(p.Rho)/float64(p.N), walk))
}

// mixing is choice among many: lengths follow the load, 1/(1−ρ).
func mixing(p Point) float64 { return 1 / (1 - p.Rho) }
