package emulator

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const clockMonotonic = 1

// timerFD is the kernel's timer behind a file: the runtime's poller wakes at once
// when it is readable, while the runtime's own timers wait in whole milliseconds
// when the process is idle.
type timerFD struct {
	file *os.File
	conn syscall.RawConn
	buf  [8]byte
}

// itimerspec is the kernel's struct of that name.
type itimerspec struct{ interval, value syscall.Timespec }

// newAlarm falls back on the runtime's timer where the kernel gives no file.
func newAlarm() alarm {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return newCoarse()
	}
	f := os.NewFile(fd, "timerfd")
	conn, err := f.SyscallConn()
	if err == nil {
		err = f.SetReadDeadline(time.Time{}) // refused where the poller does not watch the file
	}
	if err != nil {
		_ = f.Close() // the other timer will do
		return newCoarse()
	}
	return &timerFD{file: f, conn: conn}
}

func (a *timerFD) set(d time.Duration) {
	var spec itimerspec // all 0 disarms
	if d >= 0 {
		spec.value = syscall.NsecToTimespec(max(1, int64(d)))
	}
	// The only error is that of a closed file: then nobody waits any more.
	_ = a.conn.Control(func(fd uintptr) {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	})
}

func (a *timerFD) wait() bool {
	_, err := a.file.Read(a.buf[:])
	return err == nil || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
}

func (a *timerFD) close() { _ = a.file.Close() } // closing twice is no harm
