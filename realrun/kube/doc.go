// Package kube scales a Deployment of a Kubernetes cluster over its REST interface,
// with net/http alone: five calls (get and patch the scale, list, watch and delete
// pods) are all that an autoscaler's actuator needs.
//
// Client is the client, LoadConfig finds a cluster as kubectl does, Stub is a server
// for tests that conflicts, throttles and expires as the real one may. Start with
// client.go.
package kube
