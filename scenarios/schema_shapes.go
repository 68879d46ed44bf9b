package scenarios

import (
	"reflect"
	"strings"

	"taillab/sim/gpu"
	"taillab/workloads"
)

// Patterns of scalars that YAML readers see as strings.
const (
	decimal         = `([0-9]+\.?[0-9]*|\.[0-9]+)`
	durationPattern = `^[+-]?(` + decimal + `(ns|us|µs|μs|ms|s|m|h))+$`
	ratePattern     = `^` + decimal + `([eE][+-]?[0-9]+)? */ *(s|ms|m|min|h)$`
	percentPattern  = `^[+-]?` + decimal + ` *%$`
	sizePattern     = `^` + decimal + ` *(B|kB|MB|GB|KiB|MiB|GiB)$`
	sizeRatePattern = `^` + decimal + ` *(B|kB|MB|GB|KiB|MiB|GiB)/s$`
	unitsPattern    = `^` + decimal + ` units$`
	loopPattern     = `^until .+`
	namePattern     = `^[a-z0-9-]{1,64}$`
	quantilePattern = `^(` + decimal + `%?|min|max)$`
	pathPattern     = `^[^.\[\]]+(\.[^.\[\]]+|\[[0-9]+\])*$`
)

// def refers to a part that several keys share, and makes it at its first use.
func (m *schemaMaker) def(name string) schema {
	key := strings.ReplaceAll(name, "/", "_per_")
	if m.defs[key] == nil {
		m.defs[key] = schema{} // it may stand inside itself
		m.defs[key] = m.shared(name)
	}
	return schema{"$ref": "#/$defs/" + key}
}

func (m *schemaMaker) shared(name string) schema {
	pattern := func(p, about string) schema { return schema{"type": "string", "pattern": p, "description": about} }
	switch name {
	case "text":
		return schema{"type": []string{"string", "number", "boolean"}}
	case "duration":
		return anyOf(pattern(durationPattern, "such as 250us, 5ms, 1.5s, 2m or 1h"), schema{"const": 0})
	case "rate":
		return pattern(ratePattern, "such as 40/s or 10/min")
	case "percent":
		return pattern(percentPattern, "such as 10%")
	case "size":
		return anyOf(pattern(sizePattern, "such as 14GB"), schema{"const": 0})
	case "size/s":
		return pattern(sizeRatePattern, "such as 1GB/s")
	case "link":
		share := anyOf(schema{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, m.def("percent"))
		return record(schema{"delay": m.def("durations"), "loss": share, "duplicate": share, "reorder": share})
	case "level":
		return record(schema{"at": m.def("duration"), "rate": m.def("rate")})
	case "counted":
		return record(schema{"n": schema{"type": "integer", "minimum": 1}, "zipf": schema{"type": "number", "minimum": 0, "maximum": 5}})
	case "bool":
		return schema{"enum": []any{true, false, "on", "off", "yes", "no"}}
	case "balancer": // inside a decorator: a label names the whole
		return schema{"$ref": "#/$defs/policy_balance", "properties": schema{"as": false}}
	case "gpu":
		return m.gpu()
	}
	return m.dist(name)
}

// shapes are the keys whose values are more than a scalar of a known type.
func shapes() map[string]func(*schemaMaker, Key) schema {
	return map[string]func(*schemaMaker, Key) schema{
		"version":       func(*schemaMaker, Key) schema { return schema{"const": 1} },
		"name":          func(*schemaMaker, Key) schema { return schema{"type": "string", "pattern": namePattern} },
		"workload.load": func(*schemaMaker, Key) schema { return loads() },
		"workload.tenants": func(m *schemaMaker, _ Key) schema {
			return anyOf(
				record(schema{"n": schema{"type": "integer", "minimum": 1, "maximum": workloads.MaxTenants},
					"zipf": schema{"type": "number", "minimum": 0, "maximum": 5}, "weights": listOf(schema{"type": "number"})}),
				listOf(record(schema{"name": m.def("text"), "share": m.share(), "group": m.def("text"), "class": m.def("text"),
					"priority": schema{"type": "integer", "minimum": -128, "maximum": 127}, "rate": m.def("rate"),
					"input": m.def("tokens"), "output": m.def("tokens")})))
		},
		"workload.models": func(m *schemaMaker, _ Key) schema {
			return listOf(record(schema{"name": m.def("text"), "weight": schema{"type": "number", "minimum": 0}, "service": m.def("text")}))
		},
		"workload.modulate": func(m *schemaMaker, _ Key) schema {
			burst := record(schema{"at": m.def("duration"), "factor": schema{"type": "number", "minimum": 0}, "for": m.def("duration")})
			return listOf(record(schema{"step": listOf(m.def("level")), "ramp": listOf(m.def("level")), "burst": burst}))
		},
		"workload.arrivals.constant.phase": func(m *schemaMaker, _ Key) schema { return m.def("duration") },
		"workload.arrivals.mmpp.states": func(m *schemaMaker, _ Key) schema {
			return listOf(record(schema{"rate": m.def("rate"), "mean_sojourn": m.def("duration")}))
		},
		"workload.arrivals.mmpp.transition": func(*schemaMaker, Key) schema { return listOf(listOf(schema{"type": "number"})) },
		"workload.arrivals.trace.loop": func(m *schemaMaker, _ Key) schema {
			return anyOf(schema{"type": "integer", "minimum": 1}, m.def("bool"), schema{"type": "string", "pattern": loopPattern},
				record(schema{"until!": m.def("duration")}))
		},
		"workload.arrivals.trace.window": func(m *schemaMaker, _ Key) schema { return pairOf(m.def("duration")) },
		"workload.arrivals.trace.columns": func(m *schemaMaker, _ Key) schema {
			return m.fields(reflect.TypeFor[workloads.ColumnMap]())
		},
		"S.fleet.replicas": func(*schemaMaker, Key) schema {
			count := func(least int) schema { return schema{"type": "integer", "minimum": least, "maximum": maxReplicas} }
			return anyOf(count(1), record(schema{"start": count(0), "min": count(0), "max!": count(1)}))
		},
		"S.fleet.groups": func(*schemaMaker, Key) schema {
			props := schema{"replicas!": schema{"type": "integer", "minimum": 1, "maximum": maxReplicas}}
			for _, key := range groupKeys() {
				props[key] = schema{"$ref": "#/$defs/service/properties/fleet/properties/" + key}
			}
			group := listOf(record(props))
			group["minItems"] = 1
			return group
		},
		"S.fleet.gpu": func(m *schemaMaker, _ Key) schema { return m.def("gpu") },
		"S.fleet.queue_limit": func(_ *schemaMaker, k Key) schema {
			return anyOf(bounded(schema{"type": "integer"}, k.Range), enum("none"))
		},
		"S.fleet.labels": func(m *schemaMaker, _ Key) schema {
			return schema{"type": "object", "additionalProperties": m.def("text")}
		},
		"S.fleet.noise":     func(m *schemaMaker, _ Key) schema { return m.fields(reflect.TypeFor[gpu.Noise]()) },
		"S.fleet.straggler": func(m *schemaMaker, _ Key) schema { return m.fields(reflect.TypeFor[gpu.Straggler]()) },
		"services.NAME":     func(*schemaMaker, Key) schema { return schema{"$ref": "#/$defs/service"} },
		"S.network": func(m *schemaMaker, _ Key) schema {
			links := schema{}
			for _, name := range []string{"request", "response", "report", "probe", "membership", "ask"} {
				links[name] = m.def("link")
			}
			return anyOf(enum("none", "datacentre"), record(links))
		},
		"policies.graph":    func(*schemaMaker, Key) schema { return enum("none") },
		"policies.schedule": func(*schemaMaker, Key) schema { return enum("none") },
		"faults[].for":      func(m *schemaMaker, _ Key) schema { return anyOf(m.def("duration"), pairOf(m.def("duration"))) },
		"faults[].target": func(m *schemaMaker, _ Key) schema {
			id := anyOf(schema{"type": "integer", "minimum": 0}, listOf(schema{"type": "integer", "minimum": 0}), enum("all"))
			return record(schema{"replica": id, "frontend": id, "shard": id, "service": m.def("text")})
		},
		"sweep.load": func(*schemaMaker, Key) schema { return oneOrMore(loads()) },
		"sweep.NAME": func(m *schemaMaker, _ Key) schema {
			values := listOf(m.def("text"))
			values["minItems"] = 1
			return anyOf(values, record(schema{"path!": schema{"type": "string", "pattern": pathPattern}, "values!": values}))
		},
		"measure.warmup": func(m *schemaMaker, _ Key) schema { return anyOf(m.share(), m.def("duration"), enum("auto")) },
		"gates[]":        func(*schemaMaker, Key) schema { return listOf(schema{"type": "string"}) },
		"live.warm": func(_ *schemaMaker, k Key) schema {
			return anyOf(bounded(schema{"type": "integer"}, k.Range), enum("off"))
		},
		"live.validity.lag": func(m *schemaMaker, _ Key) schema { return anyOf(m.share(), m.def("duration")) },
		"quota.group_limit": (*schemaMaker).groupLimit,
		"quota.groups":      (*schemaMaker).groups,
		"quota.on_denied":   (*schemaMaker).onDenied,
		"quota.store.stall": func(m *schemaMaker, _ Key) schema {
			return record(schema{"every!": m.def("duration"), "for!": m.def("duration")})
		},
		"quota.store.live": func(m *schemaMaker, _ Key) schema { return m.storeLive() },
	}
}

// loads is a load: more than 1 takes allow_overload.
func loads() schema { return schema{"type": "number", "exclusiveMinimum": 0, "maximum": 100} }

func pairOf(item schema) schema {
	out := listOf(item)
	out["minItems"], out["maxItems"] = 2, 2
	return out
}

// share is a fraction of 1.
func (m *schemaMaker) share() schema {
	return anyOf(schema{"type": "number", "minimum": 0, "maximum": 1}, m.def("percent"))
}

func (m *schemaMaker) groupLimit(Key) schema {
	return anyOf(
		record(schema{"rate!": m.def("rate"), "burst": schema{"type": "number", "minimum": 1}}),
		record(schema{"concurrency!": anyOf(schema{"type": "number", "exclusiveMinimum": 0}, schema{"type": "string", "pattern": unitsPattern})}))
}

func (m *schemaMaker) groups(Key) schema {
	tenant := anyOf(m.def("text"), record(schema{"name!": m.def("text"), "weight": schema{"type": "number", "exclusiveMinimum": 0}}))
	return anyOf(
		record(schema{"n": schema{"type": "integer", "minimum": 1, "maximum": maxGroups}, "zipf": schema{"type": "number", "minimum": 0, "maximum": 5},
			"tenants": m.def("counted")}),
		listOf(record(schema{"name!": m.def("text"), "tenants": anyOf(m.def("counted"), listOf(tenant))})))
}

func (m *schemaMaker) onDenied(Key) schema {
	retry := record(schema{"max": schema{"type": "integer", "minimum": 1, "maximum": 250}, "backoff": m.def("duration")})
	return anyOf(enum("drop", "wait", "retry"), record(schema{"retry!": retry}))
}

func (m *schemaMaker) storeLive() schema {
	return anyOf(enum("miniredis"), record(schema{"redis!": listOf(schema{"type": "string"})}),
		record(schema{"spawn!": schema{"type": "integer", "minimum": 1, "maximum": 64}}))
}
