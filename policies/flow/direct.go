package flow

import (
	"fmt"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
)

// The direct way of a request, for hosts that carry out at once what is chosen: the
// answers are values instead of actions.

// Direct tells whether Choose and Answered may stand in for Arrive and Ended: nothing
// is taped, no stage stands before the choice, and the balancer is told of nothing but
// members. Requests that Choose has sent end by Answered, all others by Ended.
func (f *FrontEnd) Direct(service int) bool {
	in := &f.services[service]
	return f.tape == nil && !f.staged && in.book != nil && in.subs.Mask()&^(balance.WantMembers|balance.WantLoads) == 0
}

// Choose is Arrive with a value in place of its ActSend: attempt 0 goes to ref. When
// it returns false the request is not sent, or not only, and out says what to do.
func (f *FrontEnd) Choose(now time.Duration, r *policies.Request, out *Actions) (slot uint32, ref policies.Ref, sent bool) {
	f.now, f.out = now, out
	in := &f.services[r.Service]
	slot = f.alloc(r, in)
	c := in.subs.Bal.Pick(in.at(now), r)
	if c.Kind() != balance.KindTo || len(out.List) > 0 {
		f.settle(slot, in, c, r)
		return slot, policies.Ref{}, false
	}
	if !in.book.Eligible(c.Ref) {
		f.stranger(in, r.ID, c.Ref)
	}
	s := &f.slots[slot]
	s.ref, s.tries, s.out = c.Ref, 1, 1
	in.book.Sent(c.Ref)
	return slot, c.Ref, true
}

// Answered is Ended for a request that Choose has sent and whose client has not left:
// its attempt was answered, and it is closed with that outcome. The host says where it
// was sent, since in a large fleet it has that at hand and the slot is far.
func (f *FrontEnd) Answered(slot uint32, service int, ref policies.Ref) {
	s := &f.slots[slot]
	f.services[service].book.Ended(ref)
	s.flags, s.next = 0, f.free
	f.free = slot + 1
	f.open--
}

// stranger stops the run: the balancer chose a replica that it may not choose.
func (f *FrontEnd) stranger(in *instance, req uint64, ref policies.Ref) {
	f.bug(in, req, fmt.Sprintf("chose replica %d.%d, which is not a member", ref.ID, ref.Inc))
}
