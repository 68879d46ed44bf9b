package emulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/realrun/wire"
)

// message answers POST /taillab/msg: what front ends tell the replica half.
func (r *replica) message(w http.ResponseWriter, q *http.Request) {
	e, err := readEnvelope(w, q)
	from, _ := wire.ParsePeer(e.From) // it was read once
	if !r.thaw(q.Context()) {
		return
	}
	code := http.StatusNoContent
	r.do(func(now time.Duration) {
		switch {
		case err != nil:
		case r.run != "" && e.Run != r.run:
			err = fmt.Errorf("this replica is part of run %q, not of %q", r.run, e.Run)
			r.wrongRun++
			code = http.StatusConflict
			return
		case e.Service != r.service:
			err = fmt.Errorf("this replica serves %q, not %q", r.service, e.Service)
		case e.To != name(r.core.id):
			err = fmt.Errorf("this is replica %s, not %q", name(r.core.id), e.To)
		case from.Replica || int(from.N) >= r.fronts:
			err = fmt.Errorf("%q is none of the %d front ends", e.From, r.fronts)
		}
		if err != nil {
			r.bad++
			code = http.StatusBadRequest
			return
		}
		for _, m := range e.Msgs {
			r.core.heard(now, from.N, m)
		}
	})
	if err != nil {
		fail(w, code, policies.Malformed.String(), err.Error())
		return
	}
	w.WriteHeader(code)
}

// maxNumber bounds a replica's number: the half keeps a record of each below it.
const maxNumber = 1 << 16

func readEnvelope(w http.ResponseWriter, q *http.Request) (wire.Envelope, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, q.Body, wire.MaxEnvelope+1))
	if err != nil {
		return wire.Envelope{}, err
	}
	return wire.DecodeEnvelope(data)
}

// setRun answers PUT /taillab/run: from now on this replica belongs to that run,
// and its half begins a new life.
func (r *replica) setRun(w http.ResponseWriter, q *http.Request) {
	if !r.thaw(q.Context()) {
		return
	}
	x, mk, err := r.readRun(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		r.mu.Lock()
		r.bad++
		r.mu.Unlock()
		fail(w, http.StatusBadRequest, policies.Malformed.String(), err.Error())
		return
	}
	h := r.f.halfOf(x.Run, x.Replica, len(x.FrontEnds), x.Seed, mk)
	r.f.SetFrontEnds(x.FrontEnds)
	r.do(func(now time.Duration) {
		r.run, r.service, r.fronts = x.Run, x.Service, max(1, len(x.FrontEnds))
		r.core.id, r.core.inc, r.core.half = x.Replica, x.Incarnation, h
		r.core.agenda.drop(entryWake)
		r.core.asleep = r.core.asleep[:0]
		if r.core.down == 0 {
			r.core.start(now)
		}
	})
	w.WriteHeader(http.StatusNoContent)
}

func (r *replica) readRun(body io.Reader) (x wire.Start, mk func() balance.Balancer, err error) {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		return x, nil, fmt.Errorf("the run cannot be read: %w", err)
	}
	switch {
	case x.Run == "":
		return x, nil, fmt.Errorf("run is empty: messages could not name it")
	case x.Replica >= maxNumber:
		return x, nil, fmt.Errorf("replica is %d: it must be less than %d", x.Replica, maxNumber)
	case len(x.FrontEnds) == 0:
		return x, nil, fmt.Errorf("frontends is empty: the replica half has nobody to tell")
	}
	if x.Service == "" {
		x.Service = r.f.cfg.Service
	}
	mk = r.f.cfg.Half
	if r.f.cfg.Policy != nil && x.Policy != "" {
		if mk = r.f.cfg.Policy(x.Policy); mk == nil {
			return x, nil, fmt.Errorf("no policy called %q is known here", x.Policy)
		}
	}
	return x, mk, nil
}
