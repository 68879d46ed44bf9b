package realrun

import (
	"taillab/policies/flow"
	"taillab/realrun/spool"
)

// TapeWriter takes the tape of a run, piece by piece, from one goroutine.
type TapeWriter = spool.Writer

// taped is the tape of one instance.
type taped struct {
	stream string
	tape   *flow.Tape
}

// tapes are those of all instances, of front ends in all their generations.
func (d *drive) tapes() []taped {
	var out []taped
	for _, f := range d.fronts {
		out = append(out, f.tapes...)
	}
	return append(out, d.halves...)
}

// desires gives the tapes of all autoscalers.
func (d *drive) desires(take func(stream string, data []byte)) {
	for i := range d.services {
		if e := d.services[i].elastic; e != nil && len(e.tape) > 0 {
			take("autoscale/"+e.name, e.tape)
		}
	}
}

// unwound hands over what all instances of a drive have left on their tapes, once none
// of them runs any more, and ends its spool.
func (d *drive) unwound() {
	if d.spool == nil {
		return
	}
	for _, t := range d.tapes() {
		d.spool.Put(t.stream, t.tape)
	}
	d.desires(d.spool.Add)
	d.spool.End()
}
