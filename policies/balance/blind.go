package balance

// Blind is implemented by policies that do not look at load: under them every replica
// has a queue of its own, which forgets its start far more slowly than a fleet that
// helps out. Reports judge the warm-up by it.
type Blind interface{ Blind() }

// Blind implements Blind.
func (*Random) Blind() {}

// Blind implements Blind.
func (*RoundRobin) Blind() {}

// Blind implements Blind.
func (*SmoothWRR) Blind() {}

// Blind implements Blind.
func (*Static) Blind() {}
