package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// digit says whether a number comes next, after blanks.
func (p *gateParser) digit() bool {
	p.blank()
	return p.at < len(p.text) && (p.text[p.at] >= '0' && p.text[p.at] <= '9' || p.text[p.at] == '.' || p.text[p.at] == '-' || p.text[p.at] == '+')
}

// number reads an unsigned decimal; a sign is refused with its own message.
func (p *gateParser) number() (float64, bool) {
	p.blank()
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		exponent := (c == 'e' || c == 'E') && p.at > from && p.at+1 < len(p.text) && exponentFollows(p.text[p.at+1:])
		sign := (c == '+' || c == '-') && (p.at == from || p.text[p.at-1] == 'e' || p.text[p.at-1] == 'E')
		if (c < '0' || c > '9') && c != '.' && !exponent && !sign {
			break
		}
		p.at++
	}
	x, err := strconv.ParseFloat(p.text[from:p.at], 64)
	switch {
	case err != nil || math.IsInf(x, 0):
		return 0, p.fail(from, fmt.Sprintf("%q is not a number", p.text[from:p.at]), "write a number such as 1.1")
	case x < 0 || math.Signbit(x):
		return 0, p.fail(from, "the number is negative", "latencies, rates and ratios are not negative")
	}
	return x, true
}

func exponentFollows(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return s != "" && s[0] >= '0' && s[0] <= '9'
}

// factor reads a positive number.
func (p *gateParser) factor() (float64, bool) {
	p.blank()
	from := p.at
	x, ok := p.number()
	if ok && x == 0 {
		return 0, p.fail(from, "a factor of 0 compares with nothing", "write a positive factor such as 1.1")
	}
	return x, ok
}
