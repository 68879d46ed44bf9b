package reports_test

import (
	"fmt"
	"math"

	"taillab/reports"
)

// A gate is read, then held against cells whose parts are paired by seed.
func ExampleJudge() {
	gate, errs := reports.ParseGate("p99(new) <= 1.05*p99(old)")
	if len(errs) > 0 {
		fmt.Println(errs[0])
		return
	}
	cell := func(policy string, slower float64) reports.Cell {
		c := reports.Cell{Policy: policy, Unit: reports.UnitSeed, WorkloadHash: "same arrivals"}
		logs := 0.0
		for seed := range 5 {
			p99 := 100 * math.Exp(slower*float64(seed))
			logs += math.Log(p99) / 5
			c.Parts = append(c.Parts, reports.Part{Seed: seed + 1, P99MS: &p99})
		}
		mean := math.Exp(logs)
		c.P99MS = &mean
		return c
	}
	gates, _ := reports.Judge([]reports.PlacedGate{{Expr: gate}}, []reports.Cell{cell("new", 0.02), cell("old", 0)}, reports.JudgeOptions{})
	g := gates[0]
	fmt.Printf("%s: %s, %+.1f%% (%+.1f…%+.1f%%)\n", g.Expr, g.Verdict, 100**g.Change, 100*g.ChangeCI[0], 100*g.ChangeCI[1])
	fmt.Println(*g.Reason)
	// Output:
	// p99(new) <= 1.05 * p99(old): inconclusive, +4.1% (+0.1…+8.2%)
	// the interval holds the bound; 48 more seeds would settle it
}

// What is wrong comes back with its place in the text and what to write instead.
func ExampleParseGate() {
	_, errs := reports.ParseGate("p99(jiq) < 600")
	for _, e := range errs {
		fmt.Printf("%d: %s\n", e.Offset, e)
	}
	// Output:
	// 11: the unit of the bound of p99 is missing (add a unit, such as 600ms)
}
