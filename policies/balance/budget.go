package balance

// budget holds extra attempts to a share of the first ones: each first attempt adds
// the share as a part of a token, each extra attempt takes a whole one, and at most
// ten are saved up (our choice). It counts millionths, since ten times 0.1 must be
// one token. It starts empty, so extra attempts never exceed the share.
type budget struct{ micro int64 }

const (
	budgetToken = 1_000_000
	budgetCap   = 10 * budgetToken
)

func (b *budget) earn(share float64) {
	b.micro = min(b.micro+int64(share*budgetToken+.5), budgetCap)
}

// has tells whether an extra attempt may be made.
func (b *budget) has() bool { return b.micro >= budgetToken }

// spend takes a token, if there is one.
func (b *budget) spend() bool {
	if !b.has() {
		return false
	}
	b.micro -= budgetToken
	return true
}
