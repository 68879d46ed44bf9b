// Package proxy puts the policies in front of real backends: a reverse proxy whose
// clients are real and whose decisions are those of flow.FrontEnd, the same bytes
// that a simulation runs. It maps a request to what a front end can see, hands it
// over, carries out what the front end asks for, and passes the answer on as it is.
//
// It decides nothing about requests itself but what a host must: what is not a
// request of ours, what does not fit any more (overload), and which class an end has.
// It measures no policies against each other; package realrun does that.
//
// Start at Start in proxy.go, then serve.go for the way of one request and front.go
// for the lock.
package proxy
