package wire

// maxPrompt bounds the words of a prompt: no model of today takes more tokens, and
// a request of 4 billion words would not be a request.
const maxPrompt = 1 << 21

// promptWords returns short common English words: nearly every tokenizer makes one
// token of each, with its space.
func promptWords() [64]string {
	return [64]string{
		"the", "of", "and", "to", "in", "is", "you", "that", "it", "he", "was", "for", "on", "are", "as", "with",
		"his", "they", "at", "be", "this", "have", "from", "or", "one", "had", "by", "word", "but", "not", "what", "all",
		"were", "we", "when", "your", "can", "said", "there", "use", "an", "each", "which", "she", "do", "how", "their", "if",
		"will", "up", "other", "about", "out", "many", "then", "them", "these", "so", "some", "her", "would", "make", "like", "him",
	}
}

// appendPrompt appends n words, different for each id from the first word on, so
// that a prefix cache finds nothing; the same id gives the same words. The words are
// drawn by a xorshift generator (Marsaglia 2003).
func appendPrompt(b []byte, id uint64, n uint32) []byte {
	words := promptWords()
	x := (id + 1) * 0x9e3779b97f4a7c15
	for i := range n {
		if i > 0 {
			b = append(b, ' ')
		}
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b = append(b, words[x>>58]...)
	}
	return b
}
