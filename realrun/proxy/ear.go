package proxy

import (
	"net/http"

	"taillab/policies"
	"taillab/realrun/wire"
)

// earMux is where replica halves reach the front ends.
func (p *Proxy) earMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(wire.PathMsg, p.message)
	return mux
}

// message takes an envelope and hands its messages to the front end it names.
func (p *Proxy) message(w http.ResponseWriter, r *http.Request) {
	e, err := wire.Receive(w, r, p.name)
	if err != nil {
		p.stats.badMsgs.Add(1)
		return
	}
	from, errFrom := wire.ParsePeer(e.From)
	to, errTo := wire.ParsePeer(e.To)
	service := p.index(e.Service)
	if errFrom != nil || errTo != nil || !from.Replica || to.Replica || service < 0 || int(to.N) >= len(p.fronts) {
		p.stats.badMsgs.Add(1)
		return
	}
	for _, m := range e.Msgs {
		p.fronts[to.N].heard(service, policies.Ref{ID: from.N, Inc: m.Inc}, m)
	}
}

// beginHalf tells a replica half which run it belongs to.
func (p *Proxy) beginHalf(service int, m *member) error {
	s := p.services[service]
	fronts := make([]string, len(p.fronts))
	for i := range fronts {
		fronts[i] = p.earURL
	}
	return m.agent.Begin(p.ctx, wire.Start{Run: p.name, Service: s.name, Replica: m.id, Incarnation: m.inc, Policy: s.policy.Type,
		Params: s.policy.Params, FrontEnds: fronts})
}
