package app

import (
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// isTTY tells whether a stream is a terminal.
func isTTY(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colored decides about colour for one stream, once: --color, then FORCE_COLOR,
// NO_COLOR, TERM=dumb, then whether the stream is a terminal.
func (s *session) colored(tty bool) bool {
	force := s.Getenv("FORCE_COLOR")
	switch {
	case s.common.Color == "always":
		return true
	case s.common.Color == "never":
		return false
	case force != "" && force != "0":
		return true
	case s.Getenv("NO_COLOR") != "", s.Getenv("TERM") == "dumb":
		return false
	}
	return tty
}

func (s *session) stdoutColor() bool { return s.colored(isTTY(s.Stdout)) }

func (s *session) stderrColor() bool { return s.colored(isTTY(s.Stderr)) }

// width is that of the terminal behind w, else COLUMNS, else 100.
func (s *session) width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	if n, err := strconv.Atoi(s.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 100
}

// asciiOnly is true if the locale says that the terminal does not take UTF-8. An
// environment without any locale is taken to be modern.
func (s *session) asciiOnly() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(s.Getenv(name)); v != "" {
			return !strings.Contains(v, "utf-8") && !strings.Contains(v, "utf8")
		}
	}
	return false
}
