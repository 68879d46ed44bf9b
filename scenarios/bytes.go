package scenarios

import "strings"

// bytes reads a size such as 14GB, or with per = "/s" a rate such as 1GB/s; above 0
// with above.
func (b block) bytes(key string, dst *float64, per string, above bool) {
	n, ok := b.scalar(key, "a size")
	if !ok {
		return
	}
	text, found := strings.CutSuffix(strings.TrimSpace(n.text), per)
	x, wrong := readSize(text)
	switch {
	case !found:
		b.d.refuse(n, b.at(key), &bad{"it must be bytes per second", "such as 1GB/s"})
	case wrong != nil:
		b.d.refuse(n, b.at(key), wrong)
	case above && x == 0:
		b.d.ps.at(n, b.at(key), "", "%s is %s: it must be above 0", b.at(key), n.text)
	default:
		*dst = float64(x)
	}
}
