package realrun

import (
	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/realrun/inferred"
)

// infer makes the replica half of service i in the driver, fed from the one front
// end's own attempts. The policy must have one.
func (d *drive) infer(i int) *inferred.Half {
	svc := &d.services[i]
	t := d.tape(svc.name)
	return inferred.New(inferred.Config{Name: svc.name, Service: i, Table: svc.table, Seed: d.run.Seed, Make: d.run.Cell.Balancers[i].Make,
		Now:  d.clock.now,
		Hear: func(from policies.Ref, m balance.Msg) { d.fronts[0].heard(i, from, m) },
		Wake: d.agenda.Set}, t.tape, func(tape *flow.Tape) { d.spool.Trim(t.stream, tape) })
}

// first are the replicas that are members at the start.
func (s *service) first() []policies.Ref {
	refs := make([]policies.Ref, s.members())
	for r := range refs {
		refs[r].ID = uint32(r)
	}
	return refs
}
