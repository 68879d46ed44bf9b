package policies

// Outcome says how an attempt or a request ended: OK, or one class of the closed
// list below. The names are the only ones used anywhere: in JSON, tables, gates.
type Outcome uint8

// The outcome classes. See `taillab explain NAME` for when each is set.
const (
	OK          Outcome = iota
	Rejected            // quota: denied for good
	Shed                // balancer: Shed(reason)
	NoReplica           // flow: nothing eligible
	HoldTimeout         // flow: waited in the hold stage beyond its timeout
	QueueFull           // replica or hold stage: limit reached
	TooLong             // replica: more tokens than the model takes
	Refused             // no listener
	Reset               // connection broken in flight
	Lost                // message or front end gone, or killed after the drain
	DeadlineHit         // deadline, queue timeout or total timeout passed
	Cancelled           // client left
	HTTP429             // the answer's status
	HTTP503
	HTTP5xx
	HTTP4xx
	GRPC
	DialTimeout // transport
	DNS
	TLS
	HeaderTimeout
	Stall // no byte of the stream for the stall time
	ShortRead
	Malformed
	NotSent    // driver: in-flight limit reached
	Stuck      // flow: Later never resolved
	Unfinished // host: still under way at the drain cap

	Outcomes // number of outcomes
)

// OutcomeNames returns the names of all outcomes, indexed by Outcome; the first is "ok".
func OutcomeNames() [Outcomes]string {
	return [Outcomes]string{
		"ok", "rejected", "shed", "no_replica", "hold_timeout", "queue_full", "too_long",
		"refused", "reset", "lost", "deadline", "cancelled",
		"http_429", "http_503", "http_5xx", "http_4xx", "grpc",
		"dial_timeout", "dns", "tls", "header_timeout", "stall", "short_read", "malformed",
		"not_sent", "stuck", "unfinished",
	}
}

// OutcomeAbout returns one sentence per outcome: who sets it and when.
func OutcomeAbout() [Outcomes]string {
	return [Outcomes]string{
		"the request completed",
		"set by the quota: denied for good",
		"set by the balancer: it answered Shed",
		"set by the flow core: no replica was eligible",
		"set by the flow core: the request waited in the hold stage beyond its timeout",
		"set by the replica or the hold stage: its limit was reached",
		"set by the replica: more tokens than the model or its memory takes",
		"the replica had no listener",
		"the connection broke in flight",
		"a message or the front end is gone, or the request was killed after the drain",
		"a deadline, queue timeout or total timeout passed",
		"the client left",
		"the backend answered status 429", "the backend answered status 503",
		"the backend answered another status 5xx", "the backend answered another status 4xx",
		"the backend answered a gRPC error",
		"the transport could not connect in time", "the transport could not resolve the name",
		"the transport could not agree on TLS", "the transport got no header in time",
		"no byte of the stream came for the stall time", "the transport got less than announced",
		"the transport could not read the answer",
		"the driver's limit of requests in flight was reached",
		"the balancer answered Later and never resolved it",
		"the request was still under way at the drain cap",
	}
}

// String returns the name of the outcome as it stands in the JSON summary.
func (o Outcome) String() string {
	names := OutcomeNames()
	if int(o) >= len(names) {
		return "unknown"
	}
	return names[o]
}
