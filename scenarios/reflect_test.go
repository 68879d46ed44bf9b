package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

// mine is a policy out of tree with parameters of every supported type.
type mine struct {
	Flag   bool               `yaml:"flag" about:"a flag"`
	Small  int8               `yaml:"small" about:"a small number" min:"-5" max:"300"`
	Count  uint16             `yaml:"count" about:"a count"`
	Share  float64            `yaml:"share" about:"a share" above:"0" max:"1"`
	Word   string             `yaml:"word" about:"a word" enum:"one|two"`
	Wait   time.Duration      `yaml:"wait" about:"a time" min:"1ms" max:"10s"`
	Table  map[string]float64 `yaml:"table" about:"numbers by name" min:"0"`
	Names  []string           `yaml:"names" about:"names"`
	Inside struct {
		Depth int `yaml:"depth" about:"a depth" min:"1"`
	} `yaml:"inside" about:"a block"`
	Maybe *int `yaml:"maybe" about:"perhaps a number"`
	Other chan int
	state int
}

func (m *mine) Pick(*balance.Env, *policies.Request) balance.Choice { m.state++; return balance.None() }

// Check implements policies.Checker.
func (m *mine) Check() []policies.Problem {
	if m.Flag && m.Count == 0 {
		return []policies.Problem{{Path: "count", Msg: "count is 0 although flag is set", Hint: "count something"}}
	}
	return nil
}

// value is a policy that is no pointer.
type value struct{}

func (value) Pick(*balance.Env, *policies.Request) balance.Choice { return balance.None() }

func outOfTree() policies.Catalog {
	return append(balance.Catalog(),
		policies.Of("mine", "a policy of mine", func() balance.Balancer {
			m := &mine{Small: 3, Share: 0.5, Word: "one", Wait: time.Second, Table: map[string]float64{"x": 1}}
			m.Inside.Depth = 2
			return m
		}).From("a test"),
		policies.Of("value", "no pointer", func() balance.Balancer { return value{} }))
}

func loadMine(policy string) ([]*Plan, []Problem) {
	return Load([]Source{{Name: "s.yaml", Data: []byte(with("policies: {balance: " + policy + "}"))}}, Options{Catalog: outOfTree()})
}

func TestOutOfTreePolicy(t *testing.T) {
	t.Parallel()
	plans, problems := loadMine("{name: mine, flag: on, small: -5, count: 1e3, share: 10%, word: two, wait: 1m40us, table: {a: 1, b: 2.5}, names: [p, q], inside: {depth: 7}, maybe: 4}")
	require.Len(t, problems, 1, "wait is too long")
	require.Equal(t, "policies.balance.wait is 1m40us: it must lie in [1ms, 10s]", problems[0].Message)

	plans, problems = loadMine("{name: mine, flag: on, small: -5, count: 1e3, share: 10%, word: two, wait: 1500us, table: {a: 1, b: 2.5}, names: [p, q], inside: {depth: 7}, maybe: 4}")
	require.Empty(t, problems)
	four := 4
	want := &mine{Flag: true, Small: -5, Count: 1000, Share: 0.1, Word: "two", Wait: 1500 * time.Microsecond, Table: map[string]float64{"a": 1, "b": 2.5}, Names: []string{"p", "q"}, Maybe: &four}
	want.Inside.Depth = 7
	require.Equal(t, want, plans[0].Cells[0].Balancers[0].Make())
	require.Equal(t, map[string]any{
		"flag": true, "small": int64(-5), "count": uint64(1000), "share": 0.1, "word": "two", "wait": "1.5ms",
		"table": map[string]any{"a": 1.0, "b": 2.5}, "names": []any{"p", "q"}, "inside": map[string]any{"depth": int64(7)}, "maybe": int64(4),
	}, plans[0].Cells[0].Params)

	// A missing key keeps the default, and instances share no map.
	plans, problems = loadMine("mine")
	require.Empty(t, problems)
	a, b := plans[0].Cells[0].Balancers[0].Make().(*mine), plans[0].Cells[0].Balancers[0].Make().(*mine)
	a.Table["x"] = 9
	require.InDelta(t, 1, b.Table["x"], 0)
	require.Equal(t, "1s", plans[0].Cells[0].Params["wait"])
}

func TestOutOfTreeMistakes(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{
		"{name: mine, small: 200}":              "small is 200: it is too large or too small",
		"{name: mine, small: 301}":              "small is 301: it must lie in [-5, 300]",
		"{name: mine, count: -1}":               "count is -1: it is too large or too small",
		"{name: mine, share: 0%}":               "share is 0%: it must be above 0 and at most 1",
		"{name: mine, share: x}":                `share is "x": it must be a number or a percentage`,
		"{name: mine, word: onne}":              `word is "onne": it must be one of one, two`,
		"{name: mine, wait: 3}":                 "wait is 3: a duration needs a unit",
		"{name: mine, table: {a: -1}}":          "table.a is -1: it must be at least 0",
		"{name: mine, table: 3}":                `table is "3": it must be a map`,
		"{name: mine, names: 3}":                `names is "3": it must be a list of values`,
		"{name: mine, names: [[a]]}":            "names[0] is a list: it must be a text",
		"{name: mine, inside: {depth: 0}}":      "inside.depth is 0: it must be at least 1",
		"{name: mine, inside: {deep: 1}}":       `inside has no parameter "deep"`,
		"{name: mine, maybe: x}":                `maybe is "x": it must be a whole number`,
		"{name: mine, flag: true}":              "mine: count is 0 although flag is set",
		"{name: mine, state: 3}":                `mine has no parameter "state"`,
		"{name: value, speed: 3}":               "value cannot take parameters",
		"{name: mine, small: 1e999}":            "it must be a whole number",
		"{name: mine, count: 99999999999999}":   "too large",
		"{name: mine, wait: 99999999999999h}":   "it must be a duration",
		"{name: mine, as: a/b}":                 `the label "a/b" cannot be named in a gate`,
		"{name: mine, as: " + longLabel() + "}": "the label has 65 characters",
	} {
		plans, problems := loadMine(policy)
		require.Empty(t, plans, policy)
		require.Len(t, problems, 1, policy)
		require.Contains(t, problems[0].Message, want)
	}
	plans, problems := loadMine("[value, {name: value, as: v2}]")
	require.Empty(t, problems)
	require.Len(t, plans[0].Cells, 4)
}

func longLabel() string { return strings.Repeat("x", 65) }

func TestDescribe(t *testing.T) {
	t.Parallel()
	e, ok := outOfTree().Find("balance", "mine")
	require.True(t, ok)
	d := Describe(e)
	require.Equal(t, []string{"a policy of mine", "a test", "balance"}, []string{d.About, d.Source, d.Family})
	require.Equal(t, Parameter{Name: "small", Type: "int", Default: int64(3), Range: "[-5, 300]", About: "a small number"}, d.Parameters[1])
	require.Equal(t, Parameter{Name: "share", Type: "number", Default: 0.5, Range: "(0, 1]", About: "a share"}, d.Parameters[3])
	require.Equal(t, Parameter{Name: "word", Type: "string", Default: "one", Range: "one two", About: "a word"}, d.Parameters[4])
	require.Equal(t, "policies: {balance: {name: mine, flag: false, small: 3, count: 0, share: 0.5, word: one, wait: 1s, table: {x: 1}, inside: {depth: 2}}}", d.Example)
	_, problems := Load([]Source{{Name: "s", Data: []byte(with(d.Example))}}, Options{Catalog: outOfTree()})
	require.Empty(t, problems)

	jsq, _ := outOfTree().Find("balance", "jsq")
	require.Equal(t, []string{"oracle"}, Describe(jsq).Flags)
	jiq, _ := outOfTree().Find("balance", "jiq")
	require.Equal(t, []string{"reporter"}, Describe(jiq).Flags)
	central, _ := outOfTree().Find("balance", "central-queue")
	require.Equal(t, []string{"shared"}, Describe(central).Flags)
}

func TestScalars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"250us": 250e3, "5ms": 5e6, "1.5s": 1.5e9, "2m": 120e9, "1h": 3600e9, "0": 0, "1h30m": 5400e9} {
		got, wrong := readDuration(text)
		require.Nil(t, wrong, text)
		require.Equal(t, want, got)
	}
	for d, want := range map[time.Duration]string{0: "0s", 500e6: "500ms", 1.5e9: "1.5s", 120e9: "2m", 90e9: "1m30s", 3600e9: "1h", 5400e9: "1h30m", 250e3: "250us", 1: "1ns", -5e6: "-5ms"} {
		require.Equal(t, want, durationText(d))
		back, wrong := readDuration(want)
		require.Nil(t, wrong)
		require.Equal(t, d, back)
	}
	for text, want := range map[string]float64{"40/s": 40, "10/min": 1.0 / 6, "10/m": 1.0 / 6, "3600/h": 1, "1e3 / s": 1000} {
		got, wrong := readRate(text)
		require.Nil(t, wrong, text)
		require.InDelta(t, want, got, 1e-12)
	}
	for _, text := range []string{"40", "x/s", "40/day", "NaN/s", ""} {
		_, wrong := readRate(text)
		require.NotNil(t, wrong, text)
	}
	for text, want := range map[string]float64{"10%": 0.1, "0.1 %": 0.001, "0.25": 0.25} {
		got, wrong := readShare(text)
		require.Nil(t, wrong, text)
		require.InDelta(t, want, got, 1e-12)
	}
	for text, want := range map[string]int64{"1_000_000": 1e6, "1e6": 1e6, "-3": -3} {
		got, wrong := readInt(text)
		require.Nil(t, wrong, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"1.5", "inf", "nan", "1e40", "0x"} {
		_, wrong := readInt(text)
		require.NotNil(t, wrong, text)
	}
}
