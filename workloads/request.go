package workloads

import "time"

// Request is the truth about one request of the schedule. Front ends see only
// policies.Request, which holds neither Output nor Demand.
type Request struct {
	ID       uint64        // number in the schedule, from 0
	Key      uint64        // affinity key: session, else tenant
	At       time.Duration // intended arrival since the run began
	Deadline time.Duration // since the run began; 0 = none
	Demand   time.Duration // service demand at speed 1; 0 when it follows from the tokens

	Input    uint32 // tokens
	Output   uint32 // tokens
	Tenant   uint32
	Group    uint32
	Model    uint32
	Service  uint32
	FrontEnd uint32 // which front end it meets: a column of the schedule, the same in every host
	Class    uint16
	Priority int8

	Blocks []uint64 // prefix block ids of the trace; nil for most
}

// Source yields the schedule in order of arrival. It goes on for as long as it is
// asked, unless it is a trace that ends: then it returns fewer than asked, and 0
// at the end.
type Source interface {
	// Next fills dst and returns how many it filled.
	Next(dst []Request) int
}
