// Command taillab is a laboratory for dispatching policies of GPU services: it
// simulates them on one workload and reports their tail latencies with
// confidence. The command line itself is package app.
package main

import "taillab"

func main() { taillab.Main() }
