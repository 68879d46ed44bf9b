package balance

import (
	"time"

	"taillab/policies"
)

// P2C takes the least loaded of a few random replicas ("power of two choices",
// Mitzenmacher 2001). Its load is what this front end has out, or what probes tell.
//
// The sample is distinct by default: Envoy and gRPC sample with replacement, which
// is plain random in 1/n of the picks, half of them when n = 2; Finagle does not.
type P2C struct {
	Choices      int           `yaml:"choices" about:"replicas sampled per pick" min:"1"`
	Sample       string        `yaml:"sample" about:"may a replica be sampled twice?" enum:"distinct|replacement"`
	Load         string        `yaml:"load" about:"own requests out, or asked of the sampled replicas per request" enum:"outstanding|probed"`
	ProbeTimeout time.Duration `yaml:"probe_timeout" about:"how long to wait for the answers to probes" above:"0"`

	mode   mode
	buf    []int
	probes probing
}

// mode is a configuration read once: picks compare no strings.
type mode uint8

const (
	modeRead mode = 1 << iota
	modeReplace
	modeProbed
	modePair // two distinct replicas by own counts: the common case
)

func (p *P2C) read() {
	p.mode = modeRead
	if p.Sample == sampleReplacement {
		p.mode |= modeReplace
	}
	if p.Load == loadProbed {
		p.mode |= modeProbed
	}
	if p.Choices == 2 && p.mode == modeRead {
		p.mode |= modePair
	}
}

// Values of parameters.
const (
	sampleReplacement = "replacement"
	loadProbed        = "probed"
)

// Pick implements Balancer. The sample comes in random order, so "first sampled
// wins ties" is uniform and needs no draw.
func (p *P2C) Pick(env *Env, req *policies.Request) Choice {
	f := env.Fleet
	if f.Len() == 0 {
		return None()
	}
	if p.mode == 0 {
		p.read()
	}
	if p.mode&modePair != 0 {
		return To(f.Ref(f.LessLoaded(f.DistinctPair(env.Rand))))
	}
	s := p.sample(env)
	if p.mode&modeProbed == 0 {
		best := s[0]
		for _, i := range s[1:] {
			best = f.LessLoaded(best, i)
		}
		return To(f.Ref(best))
	}
	w := p.probes.open(req.ID)
	for _, i := range s {
		p.probes.add(w, f.Ref(i))
	}
	p.probes.ask(env, w, p.ProbeTimeout)
	return Later()
}

// sample draws the indices of one pick.
func (p *P2C) sample(env *Env) []int {
	f, d := env.Fleet, max(1, p.Choices)
	if p.mode&modeReplace == 0 {
		d = min(d, f.Len())
		p.buf = extend(p.buf, d)
		return f.Sample(env.Rand, p.buf[:d])
	}
	p.buf = extend(p.buf, d)
	for k := range p.buf[:d] {
		p.buf[k] = f.One(env.Rand)
	}
	return p.buf[:d]
}

// Wants implements Wanter: probes matter only when loads are probed.
func (p *P2C) Wants() Mask {
	if p.Load == loadProbed {
		return WantProbes
	}
	return 0
}

// Replied implements Prober.
func (p *P2C) Replied(env *Env, r Reply) { p.decide(env, p.probes.answer(r.Probe, r.Load, true)) }

// Lost implements Prober.
func (p *P2C) Lost(env *Env, id ProbeID) { p.decide(env, p.probes.answer(id, Load{}, false)) }

// Board implements Prober; P2C asks for none.
func (p *P2C) Board(*Env, []BoardRow) {}

func (p *P2C) decide(env *Env, w *waiting) {
	if w != nil {
		w.resolve(env, nil)
	}
}
