// Package wire carries attempts to real backends over HTTP: it writes the request in
// the backend's format, reads the answer, takes the clocks of the attempt and says
// how it ended, in the closed list of outcome classes.
//
// It decides nothing: it never retries, follows no redirect, uses no proxy and asks
// for no compression. When to send, where and how often is the business of the
// policies. It also carries the messages between the two halves of a policy (Envelope)
// and reads the load that a backend reports of itself (Report).
//
// Start at Client.Do.
package wire
