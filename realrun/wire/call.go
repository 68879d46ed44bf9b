package wire

import (
	"time"

	"taillab/policies"
	"taillab/policies/balance"
)

// Call is one attempt of a request.
type Call struct {
	ID            uint64 // of the request; the same ID makes the same prompt
	FrontEnd      int
	Attempt       int
	Input, Output uint32 // tokens
	Tenant, Model string

	// What follows is the truth about the request: its work, the factor on its service
	// time (0 = drawn by the backend), its priority and its deadline since the base
	// (0 = none). It is sent only if Truth is set, which only an emulated backend may
	// be told.
	Demand   time.Duration
	Noise    float64
	Priority int8
	Deadline time.Duration
	Truth    bool

	Messages []balance.Msg // for the replica half, riding along
}

// Result is how an attempt ended. Instants are since the client's base; below 0: it
// never came to that.
type Result struct {
	Outcome    policies.Outcome
	Sent       time.Duration // the first byte handed to the connection
	FirstByte  time.Duration // of the answer's header
	FirstToken time.Duration // first non-empty token text; -1 without a token stream
	LastToken  time.Duration
	Done       time.Duration // last byte, or the failure
	Status     int           // of the answer; 0 without one
	RetryAfter time.Duration // as a failing answer asks; 0 = not given

	Tokens    int  // output tokens as usage tells, else chunks
	Chunks    int  // events that carried token text
	Prompt    int  // input tokens as usage tells; 0 = untold
	Estimated bool // Tokens are counted from chunks

	ServerTime time.Duration // time inside the backend, as it tells; 0 = untold
	Steps      Steps         // its parts, as an emulated backend tells them
	Told       bool          // Load was told, and whole
	Load       balance.Load
	Report     Report        // what was told of the load, whole or not
	Messages   []balance.Msg // from the replica half

	Detail string // for people: short, without secrets; empty when all went well
}

func failed(o policies.Outcome, at time.Duration, detail string) Result {
	return Result{Outcome: o, Sent: -1, FirstByte: -1, FirstToken: -1, LastToken: -1, Done: at, Detail: detail}
}

// Steps are the parts of the time inside a backend; Told is false where it kept them
// to itself.
type Steps struct {
	Queue, Batch, Service time.Duration
	Told                  bool
}
