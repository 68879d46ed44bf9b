package quota

import (
	"time"

	"taillab/policies"
)

// Catalog lists the limiters in the order in which they are shown.
func Catalog() policies.Catalog {
	return policies.Catalog{
		policies.Of("none", "no limit: every request is admitted",
			func() Limiter { return &None{} }),
		policies.Of("gcra", "generic cell rate algorithm, in each front end by itself",
			func() Limiter { return &GCRA{} }).From("ITU-T I.371"),
		policies.Of("token", "token bucket, in each front end by itself",
			func() Limiter { return &Token{} }).From("Shenker and Wroclawski 1997, RFC 2215"),
		policies.Of("concurrency", "units held until the request ends, in each front end by itself",
			func() Limiter { return &Concurrency{Poll: poll} }),
		policies.Of("central", "asks the counter store for every request",
			func() Limiter { return &Central{Inner: innerToken, HoldTTL: 30 * time.Second, Poll: poll} }),
		policies.Of("static", "each of n front ends gets 1/n of the limit",
			func() Limiter { return &Static{} }),
		policies.Of("lease", "takes units from the store ahead, a few at a time",
			func() Limiter { return &Lease{Size: 10, TTL: time.Second} }).From("code: youtube/doorman, for the idea of a lease"),
		policies.Of("async", "decides by a view of the store and tells it afterwards what it admitted",
			func() Limiter { return &Async{Sync: 100 * time.Millisecond, Tell: "request"} }),
		policies.Of("fixed-window", "a count per aligned window, in each front end by itself",
			func() Limiter { return &FixedWindow{Unit: "second", Near: 0.8} }).From("code: envoyproxy/ratelimit"),
		policies.Of("sliding-counter", "an estimate of the last window from two aligned ones, in each front end by itself",
			func() Limiter { return &SlidingCounter{Window: time.Minute} }).From("Cloudflare's blog 2017, on rate limiting for many domains"),
		policies.Of("sliding-log", "an exact log of the last window, in each front end by itself",
			func() Limiter { return &SlidingLog{Window: time.Minute} }),
		policies.Of("leaky", "even spacing: requests wait for their permit, none is denied",
			func() Limiter { return &Leaky{Slack: 10} }).From("code: uber-go/ratelimit v0.3.1"),
	}
}
