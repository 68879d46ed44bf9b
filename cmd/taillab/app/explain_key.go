package app

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"taillab/scenarios"
	"taillab/workloads"
)

// keyRows are the keys of scenarios by the names that users write: those of a service
// stand at the top level.
func keyRows() []scenarios.Key {
	var out []scenarios.Key
	for _, k := range scenarios.Keys() {
		if !k.Later {
			k.Path = strings.TrimPrefix(k.Path, "S.")
			out = append(out, k)
		}
	}
	return out
}

// keyNames are the keys and the blocks that hold them.
func keyNames(*session) []string {
	var out []string
	for _, k := range keyRows() {
		for i, r := range k.Path + "." {
			if name := strings.TrimSuffix(k.Path[:i], "[]"); r == '.' && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

func (s *session) explainKey(b *bytes.Buffer, name string) {
	rows := [][]string{{"key", "default", ""}}
	for _, k := range keyRows() {
		switch {
		case strings.TrimSuffix(k.Path, "[]") == name:
			fmt.Fprintf(b, "key %s\n  %s\n  type %s\n", k.Path, k.About, k.Type)
			if k.Default != "" {
				fmt.Fprintf(b, "  default %s\n", k.Default)
			}
			if k.Type == "enum" {
				fmt.Fprintf(b, "  one of %s\n", k.Range)
			} else if k.Range != "" {
				fmt.Fprintf(b, "  range %s\n", k.Range)
			}
		case strings.HasPrefix(k.Path, name+".") || strings.HasPrefix(k.Path, name+"[]."):
			rows = append(rows, []string{k.Path, dash(k.Default), k.About})
		}
	}
	if len(rows) == 1 {
		return
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "keys of %s\n", name)
	aligned(b, rows)
	fmt.Fprintln(b, "\ntype and range of one: taillab explain KEY")
}

func dash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

func workloadNames(s *session) []string { return namesOf(s.workloadRows()) }

func (s *session) explainWorkload(b *bytes.Buffer, name string) {
	show := func(what, key string, k workloads.Kind) {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(b, "%s %s\n  %s\n", what, k.Name, k.About)
		rows := [][]string{{"key", ""}}
		var names []string
		for _, x := range k.Keys {
			rows = append(rows, []string{x.Name, x.About})
			names = append(names, x.Name+": …")
		}
		aligned(b, rows)
		fmt.Fprintf(b, "\nform\n  workload: {%s: {%s: {%s}}}\n", key, k.Name, strings.Join(names, ", "))
	}
	for _, k := range workloads.ArrivalKinds() {
		if k.Name == "trace" && name == k.Name {
			fmt.Fprintln(b, "arrivals trace\n  arrivals and sizes of a file; its keys: taillab explain workload.arrivals.trace")
		} else if k.Name == name {
			show("arrivals", "arrivals", k)
		}
	}
	for _, k := range workloads.DistKinds() {
		if k.Name == name {
			show("distribution", "output", k)
		}
	}
	for _, p := range workloads.Presets() {
		if p.Name == name {
			fmt.Fprintf(b, "workload preset %s\n  %s\n  statistics: taillab workload describe %s\n", p.Name, p.About, p.Name)
		}
	}
	if slices.Contains(workloads.Formats(), name) {
		fmt.Fprintf(b, "trace format %s\n  seen from the content of the file, or set by workload.arrivals.trace.format\n", name)
	}
}
