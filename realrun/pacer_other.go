//go:build !linux

package realrun

func newFine(*clock) (pacer, bool) { return nil, false }
