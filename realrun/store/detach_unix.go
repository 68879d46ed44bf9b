//go:build unix

package store

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's interruption, which is for this program, from the server.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
