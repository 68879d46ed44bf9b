//go:build !unix

package actuator

import "os/exec"

func own(*exec.Cmd) {}

// terminate does nothing where no signal asks a process to end; its grace passes, and
// then it is killed.
func terminate(*exec.Cmd) {}

func kill(c *exec.Cmd) { _ = c.Process.Kill() } // it may be gone already
