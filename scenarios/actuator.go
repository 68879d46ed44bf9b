package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"taillab/policies/autoscale"
)

// Kinds of Actuator.Kind.
const (
	ActuatorPool = "pool"      // servers on this machine
	ActuatorStub = "kube-stub" // a cluster inside this process
	ActuatorKube = "kube"      // a Deployment of a Kubernetes cluster
)

// Actuator says what makes the fleets of a live run be as large as their autoscalers
// want them.
type Actuator struct {
	Kind string

	// Of a pool.
	Command []string // argv of a replica's server, {port} where it listens; nil = emulated replicas in this process
	Loads   bool     // the server loads its model itself: it is ready when it says so, not after the life cycle's times

	Ready string // path of the ready check of a command's server and of pods

	// Of a cluster. What is not said comes from the kubeconfig, else from the pod that
	// the program runs in.
	Deployment string
	Namespace  string
	Port       int // where the pods listen
	Server     string
	TokenFile  string
	CA         string
	Kubeconfig string
	Context    string
	DryRun     bool // say what would be asked for and ask for nothing
	Keep       bool // leave the count as it is when the run is over
}

func actuators() []string { return []string{ActuatorPool, ActuatorStub, ActuatorKube} }

func defaultActuator() Actuator { return Actuator{Kind: ActuatorPool, Ready: "/health", Port: 8000} }

// portMark stands for the port in a command.
const portMark = "{port}"

// actuator decodes a kind, or a block.
func (d *decoder) actuator(n *node, path string, out *Actuator) {
	if n != nil && n.kind == scalarNode {
		if !slices.Contains(actuators(), n.text) {
			d.ps.at(n, path, Suggest(n.text, actuators(), ""), "no actuator called %q", n.text)
		} else {
			out.Kind = n.text
		}
	} else {
		b := d.block(n, path, "live.actuator")
		b.enum("kind", &out.Kind, actuators()...)
		out.Command = d.argv(b.get("command"), b.at("command"))
		b.boolean("loads", &out.Loads)
		if at := b.text("ready", &out.Ready); at != nil && !strings.HasPrefix(out.Ready, "/") {
			d.ps.at(at, b.at("ready"), "such as /health", "%s is %q: a path begins with /", b.at("ready"), out.Ready)
		}
		b.text("deployment", &out.Deployment)
		b.text("namespace", &out.Namespace)
		b.integer("port", &out.Port, 1, 65535)
		b.text("server", &out.Server)
		b.text("token_file", &out.TokenFile)
		b.text("ca", &out.CA)
		b.text("kubeconfig", &out.Kubeconfig)
		b.text("context", &out.Context)
		b.boolean("dry_run", &out.DryRun)
		b.boolean("keep", &out.Keep)
		if at := b.get("command"); at != nil && out.Kind != ActuatorPool {
			d.ps.at(at, b.at("command"), "leave it out", "%s is of a pool, and the actuator is %s", b.at("command"), out.Kind)
		}
		if at := b.get("loads"); at != nil && out.Loads && out.Command == nil {
			d.ps.at(at, b.at("loads"), "give a command, or leave it out", "%s is set, and emulated replicas load nothing", b.at("loads"))
		}
	}
	if n != nil && out.Kind == ActuatorKube && out.Deployment == "" {
		d.ps.at(n, join(path, "deployment"), "such as {kind: kube, deployment: llm}", "%s is missing: what is scaled", join(path, "deployment"))
	}
}

// argv decodes the command of a server.
func (d *decoder) argv(n *node, path string) (out []string) {
	if n == nil {
		return nil
	}
	marked := false
	for i, item := range d.list(n, path, "arguments") {
		if d.isScalar(item, index(path, i), "an argument") {
			out = append(out, item.text)
			marked = marked || strings.Contains(item.text, portMark)
		}
	}
	if n.kind == seqNode && !marked {
		d.ps.at(n, path, "such as [./server, --port, \"{port}\"]", "%s has no {port}: replicas cannot share one", path)
	}
	return out
}

// refusedElastic says why service i of a cell cannot change its size in a live run, with
// targets or on an actuator.
func refusedElastic(c *Cell, i int, targets bool) (list []Problem) {
	s := &c.Setup.Services[i]
	q := s.scaleAt
	refuse := func(message, hint string) {
		q.Message, q.Hint = message, hint
		list = append(list, q)
	}
	if targets {
		refuse("the targets are a fleet of a fixed size", "--live emulator, where live.actuator says what is scaled; or with N targets --set "+q.Path+"=N, and policies.autoscale=none")
		return list
	}
	if c.Setup.Live.Arms != nil {
		refuse("measure.live.arms take turns, and a fleet that changes its size cannot wait for its turn", "leave the arms out: then policies run one after another")
	}
	if s.Elastic.Reclaim.Rate > 0 {
		refuse("a live run takes no nodes away", "leave fleet.reclaim out")
	}
	if i >= len(c.Autoscalers) || c.Autoscalers[i].Make == nil {
		return list
	}
	if o, ok := c.Autoscalers[i].Make().(autoscale.Oracle); ok {
		q = c.Autoscalers[i].place
		refuse(fmt.Sprintf("autoscaler %q reads %s, which no live run can show", c.Autoscalers[i].Type, o.NeedsTruth()), "leave it out, or select others with --only policy=…")
	}
	return list
}

// actuatorKeys say where the replicas of fleets that change their size run live.
func actuatorKeys() []Key {
	return []Key{
		key("live.actuator", "enum or {kind, …}", "pool", "pool kube-stub kube", "what scales fleets of a live run: servers on this machine, a cluster inside the process, or a Deployment"),
		key("live.actuator.kind", "enum", "pool", "pool kube-stub kube", "the same, beside other keys"),
		key("live.actuator.command", "list of arguments", "none: emulated replicas", "", "of a pool: starts a replica's server as a child process, {port} where it is to listen"),
		key("live.actuator.loads", "bool", "false", "", "the command's server loads its model itself, in place of the times of fleet.lifecycle"),
		key("live.actuator.ready", "path", "/health", "", "where a command's server, or a pod, is asked whether it is ready"),
		key("live.actuator.deployment", "string", "required for kube", "", "what is scaled"),
		key("live.actuator.namespace", "string", "of the kubeconfig, else default", "", "where the Deployment is"),
		key("live.actuator.port", "int", "8000", "1…65,535", "where the pods listen"),
		key("live.actuator.server", "string", "of the kubeconfig", "", "the API server"),
		key("live.actuator.token_file", "path", "none", "", "bearer token, read for each call; with server"),
		key("live.actuator.ca", "path", "none", "", "certificates that the API server is checked against; with server"),
		key("live.actuator.kubeconfig", "path", "$KUBECONFIG, ~/.kube/config", "", "how the cluster is reached"),
		key("live.actuator.context", "string", "the current one", "", "of the kubeconfig"),
		key("live.actuator.dry_run", "bool", "false", "", "print the counts and ask for none"),
		key("live.actuator.keep", "bool", "false", "", "leave the last count; else that of before the run is restored"),
	}
}
