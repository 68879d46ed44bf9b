package scenarios

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"taillab/policies/quota"
	"taillab/workloads"
)

// Key is one row of the key registry: a key that a scenario may hold.
type Key struct {
	Path    string `json:"path"` // "S." stands for services.NAME. or, with one service, the top level
	Type    string `json:"type"`
	Default string `json:"default"`
	Range   string `json:"range"`
	About   string `json:"about"`
	Later   bool   `json:"later"` // known, but not available in this version
}

// Keys lists every key in the order of the documents.
func Keys() []Key {
	out := topKeys()
	out = append(out, workloadKeys()...)
	out = append(out, arrivalRows()...)
	out = append(out, traceKeys()...)
	out = append(out, fleetKeys()...)
	out = append(out, elasticKeys()...)
	out = append(out, serviceKeys()...)
	out = append(out, quotaKeys()...)
	out = append(out, runKeys()...)
	return append(out, liveKeys()...)
}

// registered is the list of keys, made once.
var registered = sync.OnceValue(Keys)

// childKeys returns the keys below a path: those that work, and those that are
// known but not available. A path that begins with "S" means a service's block
// only; any other means the top level, where "S." may be left out.
func childKeys(path string) (valid, later []string) {
	short := path != "S" && !strings.HasPrefix(path, "S.")
	for _, k := range registered() {
		name, deeper, ok := childOf(k.Path, path)
		if !ok && short {
			name, deeper, ok = childOf(strings.TrimPrefix(k.Path, "S."), path)
		}
		switch {
		case !ok || slices.Contains(valid, name) || name == "S":
		case k.Later && !deeper:
			later = append(later, name)
		default:
			valid = append(valid, name)
		}
	}
	return valid, later
}

// childOf returns the key that follows path in the row, and whether more follows it.
func childOf(row, path string) (name string, deeper, ok bool) {
	if path != "" {
		below, found := strings.CutPrefix(row, path)
		if !found {
			return "", false, false
		}
		if row, found = strings.CutPrefix(strings.TrimPrefix(below, "[]"), "."); !found {
			return "", false, false
		}
	} else if strings.HasPrefix(row, "S.") {
		row = strings.TrimPrefix(row, "S.")
	}
	name, _, deeper = strings.Cut(row, ".")
	return strings.TrimSuffix(name, "[]"), deeper, true
}

func key(path, kind, def, rng, about string) Key {
	return Key{Path: path, Type: kind, Default: def, Range: rng, About: about}
}

// later marks keys that belong to parts this version does not have.
func later(paths ...string) []Key {
	var out []Key
	for _, p := range paths {
		out = append(out, Key{Path: p, Later: true, About: "not available in this version"})
	}
	return out
}

func topKeys() []Key {
	return append([]Key{
		key("version", "int", "", "1", "version of the scenario format; required"),
		key("name", "string", "", "[a-z0-9-]{1,64}", "name of the scenario; required"),
		key("about", "string", `""`, "", "what the scenario shows"),
		key("allow_overload", "bool", "false", "", "permits a load of 1 or more"),
		key("allow_closed", "bool", "false", "", "permits open-loop gates on closed-loop arrivals"),
	}, later("cluster")...)
}

func workloadKeys() []Key {
	return append([]Key{
		key("workload.arrivals", "name or {KIND: …}", "poisson", "poisson constant gamma weibull mmpp onoff diurnal trace, or a preset", "when requests come; each KIND with its own keys"),
		key("workload.load", "number", "none", "(0, 1); ≥ 1 with allow_overload", "offered load in place of a rate; not beside sweep.load"),
		key("workload.input", "DIST of tokens", "1", "", "prompt length"),
		key("workload.output", "DIST of tokens", "1", "", "answer length"),
		key("workload.demand", "DIST of durations", "", "", "service demand at speed 1; required without fleet.gpu, an error beside it"),
		key("workload.pairs", "file or preset", "none", "", "(input, output) rows sampled together"),
		key("workload.copula", "number", "0", "[-0.99, 0.99]", "rank correlation of input and output"),
		key("workload.tenants", "{n, zipf | weights} or list of {name, share, group, class, priority, rate, input, output}", "one", "n 1…1,000,000, zipf [0, 5]", "who sends the requests"),
		key("workload.models", "list of {name, weight, service}", "one", "", "popularity mix; service is required with several services"),
		key("workload.class", "string", `""`, "", "class of the requests"),
		key("workload.priority", "int", "0", "-128…127", "priority of the requests; higher first"),
		key("workload.deadline", "DIST of durations", "none", "", "deadline counted from the arrival"),
		key("workload.modulate", "list of {step | ramp | burst}", "none", "", "changes of the rate over time"),
		key("frontends.count", "int", "1", "1…10,000", "front ends"),
		key("frontends.split", "enum", "uniform", "uniform sticky skewed", "which front end a request meets; sticky: by tenant"),
		key("frontends.skew", "number", "1", "[0, 5]", "exponent of skewed"),
	}, later("workload.prefix", "workload.sessions")...)
}

// arrivalRows are the parameters of the arrival processes, as workloads lists them.
func arrivalRows() []Key {
	var out []Key
	for _, k := range workloads.ArrivalKinds() {
		for _, p := range k.Keys {
			f, ok := reflect.TypeFor[workloads.Arrivals]().FieldByName(p.Field)
			if !ok || k.Name == "trace" {
				continue
			}
			kind := typeName(f.Type)
			if strings.HasSuffix(p.Name, "rate") {
				kind = "rate"
			}
			out = append(out, key("workload.arrivals."+k.Name+"."+p.Name, kind, "", "", p.About))
		}
	}
	return out
}

func traceKeys() []Key {
	rows := []Key{
		key("file", "path", "", "", "CSV or JSONL, plain, .gz or .zst; - is stdin; a relative name counts from the working directory; required"),
		key("format", "enum", "by content", strings.Join(workloads.Formats(), " "), "how the file is read"),
		key("time_scale", "number", "1", "(0, 10000]", "2 = twice as fast"),
		key("load_scale", "number", "1", "(0, 1000]", "below 1 thins the rows, above 1 adds copies"),
		key("loop", "int, until DURATION, or true", "off", "≥ 1", "how often the rows are gone through"),
		key("window", "[from, to]", "all", "", "rows whose stamp lies in it, counted from the first"),
		key("limit", "int", "all", "≥ 1", "rows that are kept"),
		key("jitter", "enum", "spread", "spread none", "what happens to stamps on a coarse grid"),
		key("rotate", "bool", "true", "", "every seed starts at another row"),
		key("keep_offset", "bool", "false", "", "the first stamp is not set to 0"),
		key("sorted", "enum", "allow", "allow required", "what unsorted rows are"),
		key("columns", "{time, unit, input, output, tenant, size, duration, session, model}", "none", "", "columns of a CSV by their names"),
		key("include_failed", "bool", "false", "", "keep rows that the provider failed"),
	}
	for i := range rows {
		rows[i].Path = "workload.arrivals.trace." + rows[i].Path
	}
	return rows
}

func fleetKeys() []Key {
	return append([]Key{
		key("S.fleet.replicas", "int or {start, min, max}", "", "1…2,000,000; min 0 = may scale to zero", "size of the fleet; this or groups"),
		key("S.fleet.groups", "list of {replicas, keys from gpu to straggler}", "", "", "replicas of several kinds; this or replicas"),
		key("S.fleet.gpu", "preset, file or profile {kind, …}", "none", "taillab list gpus", "latency model; a file is what calibrate writes, its name counts from the working directory; without it requests bring workload.demand"),
		key("S.fleet.slots", "int", "the profile's, else 1", "1…4096 (batch models: 64)", "concurrent batches or requests of a replica"),
		key("S.fleet.max_batch", "int", "the profile's, else 1", "1…4096", "most requests of a batch"),
		key("S.fleet.max_delay", "duration", "0", "[0, 10s]", "longest wait for a fuller batch"),
		key("S.fleet.queue", "enum", "fcfs", "fcfs lifo ps priority edf sjf", "queue discipline of a replica; sjf needs oracle: true"),
		key("S.fleet.queue_limit", "int", "none", "≥ 0", "most requests waiting at a replica"),
		key("S.fleet.queue_timeout", "duration", "none", "> 0", "longest wait in a replica's queue"),
		key("S.fleet.oracle", "bool", "false", "", "permits a discipline that knows the true work"),
		key("S.fleet.speed", "number", "1", "(0, 1000]", "1 = as the model says"),
		key("S.fleet.weight", "number", "1", "≥ 0", "what weighted policies read"),
		key("S.fleet.labels", "map of strings", "{}", "", "what policies and reports may name"),
		key("S.fleet.noise", "{sigma, per}", "the profile's", "sigma [0, 2], per request batch", "lognormal factor of mean 1"),
		key("S.fleet.straggler", "{prob, factor, fast_for, slow_for}", "0, 10, none", "prob [0, 1], factor [1, 1000]", "rare slowness"),
		key("S.fleet.extrapolate", "enum", "warn", "warn error", "what a point outside a table does"),
	}, later("S.fleet.preferred", "S.fleet.engine", "S.fleet.throttle", "S.fleet.pause", "S.fleet.interference", "S.fleet.mig", "S.fleet.p2p",
		"S.fleet.workers")...)
}

// elasticKeys are those of a fleet that changes its size.
func elasticKeys() []Key {
	return []Key{
		key("S.fleet.lifecycle.bind", "duration", "1s", "≥ 0", "until a new replica has a node"),
		key("S.fleet.lifecycle.image", "duration", "5s", "≥ 0", "pulling the image"),
		key("S.fleet.lifecycle.model.bytes", "size", "0", "≥ 0", "what a replica loads"),
		key("S.fleet.lifecycle.model.read", "size/s", "1GB/s", "> 0", "how fast one replica reads it"),
		key("S.fleet.lifecycle.model.network", "size/s", "none", "> 0", "what all replicas that load share"),
		key("S.fleet.lifecycle.model.init", "duration", "10s", "≥ 0", "after the last byte"),
		key("S.fleet.lifecycle.warmup", "duration", "0", "≥ 0", "before it is ready"),
		key("S.fleet.lifecycle.drain_grace", "duration", "30s", "≥ 0", "from the notice on; what is inside then is killed"),
		key("S.fleet.reclaim.rate", "rate", "none", "[0, 1000]/s", "how often a node is taken away, per node"),
		key("S.fleet.reclaim.notice", "duration", "30s", "≥ 0", "before the kill; the replica drains meanwhile"),
		key("S.fleet.reclaim.batch", "share", "10%", "(0, 1]", "of the nodes, taken at once; at least one"),
		key("S.fleet.reclaim.law", "enum", "exp", "exp weibull", "how long a node lasts"),
		key("S.fleet.reclaim.factor", "share", "1", "(0, 1]", "speed of a node under notice"),
		key("S.hold.capacity", "int", "10,000", "≥ 0", "requests that may wait at a front end while there is no replica"),
		key("S.hold.timeout", "duration", "300s", "> 0", "how long one may wait"),
	}
}

func serviceKeys() []Key {
	return []Key{
		key("services.NAME", "{fleet, network, discovery, policies}", "", "", "several services, each with its own block; with one, its keys may stand at the top level"),
		key("S.network", "{request, response, report, probe, membership, ask: {delay, loss, duplicate, reorder}} or name", "none", "none datacentre; shares [0, 1)", "one way per message; a probe and an ask pay two legs"),
		key("S.discovery.delay", "duration", "0", "≥ 0", "until a planned change is known"),
		key("S.discovery.jitter", "duration", "0", "≥ 0", "added to delay, uniform in [0, jitter]"),
		key("S.discovery.detect", "enum", "reset", "never reset health", "how a dead replica is noticed"),
		key("S.discovery.period", "duration", "5s", "> 0", "of being marked down; of health checks"),
		key("S.discovery.misses", "int", "3", "≥ 1", "missed health checks in a row"),
		key("S.policies.balance", "policy", "random", "taillab list policies", "where a request goes; a list is swept"),
		key("S.policies.autoscale", "policy", "none", "taillab list policies", "how many replicas there should be; a list is swept"),
		key("S.reporter", "enum", "not said", "replica agent inferred", "where a policy's replica half runs live; the targets file wins; inferred with one front end"),
		key("policies.quota", "policy", "none", "taillab list policies", "whether a request may go now, one instance per front end; a list is swept"),
		key("policies.share", "policy", "fcfs", "taillab list policies", "how the tenants of a group share its limit; a list is swept"),
		key("policies.graph", "policy", "none", "none", "what runs next in a request graph"),
		key("policies.schedule", "policy", "none", "none", "which node a pod gets"),
	}
}

func runKeys() []Key {
	return []Key{
		key("faults[].at", "duration", "", "≥ 0", "when it happens; this or every"),
		key("faults[].every", "duration", "", "> 0", "mean of the exponential gaps, drawn per target"),
		key("faults[].for", "duration or [lo, hi]", "to the end", "> 0", "how long it lasts"),
		key("faults[].target", "{replica | frontend | shard: id, list or all, service}", "", "", "whom it hits; a shard of the quota's store only crashes: its counters are lost"),
		key("faults[].kind", "enum", "", strings.Join(faultKinds(), " "), "what happens"),
		key("faults[].factor", "number", "", "> 1", "slow: how many times as long"),
		key("faults[].code", "int", "503", "400…599", "error: status of the answer"),
		key("faults[].share", "share", "1", "(0, 1]", "of the requests or messages it hits"),
		key("faults[].delay", "duration", "", "> 0", "delay_report: added to the delay"),
		key("faults[].batch", "int", "1", "1…front ends", "rolling_update: front ends replaced at a time, in order"),
		key("faults[].gap", "duration", "60s", "> 0", "rolling_update: between the beginnings of two batches"),
		key("faults[].detect", "share", "0.5", "[0, 1]", "rolling_update: chance that a bad build is noticed after a batch; then all go back, newest first"),
		key("faults[].build", "enum", "bad", strings.Join(builds(), " "), "rolling_update: a bad one fails its requests, an unready one also its readiness check"),
		key("faults[].readiness", "bool", "true", "", "rolling_update: a front end takes requests when it is ready, and one that never is stops the update"),
		key("faults[].restart", "duration", "5s", "> 0", "rolling_update: from leaving to being up again; what is still open then is lost"),
		key("faults[].ready_timeout", "duration", "30s", "> 0", "rolling_update: after which a batch counts as never ready"),
		key("faults[].above", "share", "0.8", "(0, 1]", "lock_stall: load of the lock above which stalls begin"),
		key("faults[].hold", "duration", "200us", "> 0", "lock_stall: how long a request holds the lock"),
		key("faults[].cure", "enum", "none", strings.Join(cures(), " "), "lock_stall: leave out a front end that misses three checks; leave its lock after 200ms for another front end; let only one request wait for the stall"),
		key("sweep.load", "list of numbers", "none", "as workload.load", "offered loads"),
		key("sweep.seeds", "int", "10", "1…10,000", "replications of every cell"),
		key("sweep.NAME", "{path, values} or list for rate and demand", "", "any scalar path", "a further axis"),
		key("measure.requests", "int", "30,000; a trace: its rows", "1…1,000,000,000", "arrivals, warm-up included"),
		key("measure.horizon", "duration", "none", "> 0", "arrivals until then, in place of requests"),
		key("measure.warmup", "share, duration or auto", "10%", "[0, 1), shorter than the run", "discarded start; auto: found by MSER-5 from a pilot of up to ten seeds"),
		key("measure.drain", "duration", "10 × P99, at most 60s", "> 0", "cap on waiting for the last requests, simulated"),
		key("measure.slo.latency", "duration", "none", "> 0", "goodput counts requests within all of slo"),
		key("measure.slo.ttft", "duration", "none", "> 0", "time to the first token"),
		key("measure.slo.tpot", "duration", "none", "> 0", "time per output token"),
		key("measure.tape", "on or off", "off; live on", "", "record every policy call"),
		key("measure.transient", "bool", "false", "", "no steady state: forbids latency gates"),
		key("measure.precision", "share", "off", "0.1%…50%", "more seeds until the intervals of P50 and P99 are within ± this of their value"),
		key("measure.max_seeds", "int", "200", "2…10,000", "cap on the seeds that precision may ask for"),
		key("gates[]", "string", "none", "", "pass or fail rules"),
	}
}

// quotaKeys are those of limits and of the store that counts.
func quotaKeys() []Key {
	return []Key{
		key("quota.group_limit", "{rate, burst} or {concurrency}", "", "rate (0, 1e9]/s, burst ≥ 1 unit, concurrency > 0 units", "what each group may take: units per second, or units held at once; burst defaults to one second of the rate"),
		key("quota.groups", "{n, zipf, tenants} or list of {name, tenants: {n, zipf} or list of {name, weight}}", "those of workload.tenants", "n 1…10,000, zipf [0, 5], weight > 0", "who shares a limit; where the workload lists no tenants, the groups make them"),
		key("quota.cost", "enum", "constant", strings.Join(costKinds(), " "), "what a request is charged, in units; settled when it closes"),
		key("quota.units", "number", "1", "> 0", "constant: units per request"),
		key("quota.on_denied", "drop, wait or retry: {max, backoff}", "drop", "max 1…250, backoff ≥ 0", "what becomes of a denied request: it ends as rejected, waits in its group's line, or asks again"),
		key("quota.wait_max", "duration", "10s", "> 0", "wait: how long"),
		key("quota.on_store_loss", "enum", "static", strings.Join(lossModes(), " "), "what decides while the store does not answer: 1/n of the limit, admit, deny"),
		key("quota.store.shards", "int", "1", "1…10,000", "how many hold the counters; a group lives on one"),
		key("quota.store.placement", "enum", "rendezvous", strings.Join(quota.Placements(), " "), "which shard holds a group"),
		key("quota.store.rtt", "duration", "1ms", "≥ 0", "front end to shard and back, half each way"),
		key("quota.store.service", "duration", "15us", "≥ 0", "of one ask, in order of arrival"),
		key("quota.store.stall", "{every, for}", "none", "> 0", "a shard serves nothing for a while: mean of exponential gaps, and how long"),
		key("quota.store.loss", "share", "0", "[0, 1)", "of the messages to and from a shard"),
		key("quota.store.timeout", "duration", "none; live 50ms", "> rtt", "after which an ask counts as lost"),
		key("quota.store.live", "miniredis, {redis: [ADDR, …]} or {spawn: 1…64}", "miniredis", "", "what stands for the shards of a live run"),
	}
}

// liveKeys say how real backends are driven and what makes that measurement sound.
func liveKeys() []Key {
	return append([]Key{
		key("measure.live.arms", "list of labels", "none: one run per policy", "≥ 2", "policies that take turns on the same backends; the first is the reference"),
		key("measure.live.blocks", "int", "6", "≥ 6", "pairs of blocks"),
		key("measure.live.block", "duration", "max(5s, 20 × P99)", "≥ 5s", "length of a block"),
		key("measure.live.repeats", "int", "1", "1…10,000", "whole runs"),
		key("live.pacing", "enum", "auto", "auto coarse fine", "how the sender waits: by sleeping, or by a kernel timer"),
		key("live.warm", "int or off", "expected in flight", "16…1,000,000", "connections opened per backend before the run"),
		key("live.max_in_flight", "int", "min(16,384, 0.4 × open files allowed)", "1…1,000,000", "beyond it a request is not sent"),
		key("live.stale_after", "duration", "5 periods", "> 0", "age at which a load report counts as unknown"),
		key("live.validity.sent", "share", "99.5%", "(0, 1]", "least share of the schedule that was sent"),
		key("live.validity.lag", "duration or share of the P50", "max(1ms, 5% of P50)", "> 0", "most P99 of the lag between intended and sent"),
		key("live.validity.cpu", "share", "80%", "(0, 1]", "most of the driver's cores"),
		key("live.validity.not_sent", "share", "0.1%", "[0, 1]", "most requests that met max_in_flight"),
		key("live.validity.steal", "share", "20%", "[0, 1]", "most of the host that others took"),
		key("live.telemetry.dcgm", "bool", "true", "", "read the GPUs of the DCGM exporters that targets name; a throttled GPU means no verdict"),
		key("live.telemetry.nvml", "bool", "false", "", "read the GPUs of this host through NVIDIA's driver"),
		key("live.telemetry.period", "duration", "1s", "≥ 100ms", "between two readings; of backends' metrics at least 250ms"),
	}, append(actuatorKeys(), later("live.emulator")...)...)
}
