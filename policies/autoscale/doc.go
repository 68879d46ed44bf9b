// Package autoscale holds the autoscalers: how many replicas a service should have.
//
// An Autoscaler is a pure struct, one instance per service. The host gives it samples
// of the pods and of the backlog and carries its decision out; cold start, drain and
// loss of pods are the host's. Start with contract.go; Window is what hosts average
// with, so that both do it alike.
package autoscale
