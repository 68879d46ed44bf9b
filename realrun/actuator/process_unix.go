//go:build unix

package actuator

import (
	"os/exec"
	"syscall"
)

// own gives a child a process group: an interrupt at the terminal is not for it, and
// what it starts itself ends with it.
func own(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate and kill send to the group, which may be gone already.
func terminate(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
func kill(c *exec.Cmd)      { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
