package balance_test

import "flag"

// Property tests try the same cases every time; -rapid.seed=0 tries others.
func init() {
	if err := flag.Set("rapid.seed", "1"); err != nil {
		panic(err)
	}
}
